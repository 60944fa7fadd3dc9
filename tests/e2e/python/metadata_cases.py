"""Metadata: text and binary, repeated, empty and large, in requests, initial responses and trailers."""

from checks import check_equal
from interop_pb2 import Request

CALL_LIMIT_S = 30


def round_trip(case, metadata):
    """Sends `metadata`; returns what the server saw, the initial and the trailing metadata, as lists of pairs."""
    response, call = case.stub.Unary.with_call(Request(), timeout=CALL_LIMIT_S, metadata=metadata)
    seen = [(entry.key, entry.value) for entry in response.metadata]
    return seen, list(call.initial_metadata()), list(call.trailing_metadata())


def values_of(metadata, key):
    """All values of `key` as bytes. Text values of one key may be joined on the way, as HTTP allows."""
    values = [value if isinstance(value, bytes) else value.encode() for name, value in metadata if name == key]
    return values if key.endswith("-bin") else [b", ".join(values)]


def check_round_trip(case, key_suffix, values):
    """The values travel in the request, back in the initial metadata, and back in the trailing metadata."""
    initial_key, trailing_key = f"x-e2e-initial{key_suffix}", f"x-e2e-trailing{key_suffix}"
    metadata = [(key, value) for key in (initial_key, trailing_key) for value in values]
    seen, initial, trailing = round_trip(case, metadata)
    expected = values_of(metadata, initial_key)
    check_equal(values_of(seen, initial_key), expected, "request metadata")
    check_equal(values_of(initial, initial_key), expected, "initial metadata")
    check_equal(values_of(trailing, trailing_key), expected, "trailing metadata")


def metadata_text(case):
    check_round_trip(case, "", ["plain text, with a comma"])


def metadata_binary(case):
    check_round_trip(case, "-bin", [bytes(range(256))])


def metadata_repeated(case):
    check_round_trip(case, "-many-bin", [b"\x00first", b"\xffsecond", b"third"])
    check_round_trip(case, "-many", ["first", "second"])


def metadata_empty(case):
    check_round_trip(case, "-none", [""])
    check_round_trip(case, "-none-bin", [b""])


def metadata_4k(case):
    check_round_trip(case, "-big-bin", [bytes(i % 256 for i in range(3072))])
    check_round_trip(case, "-big", ["v" * 4096])


def metadata_large(case):
    """Some 32 KiB each way: more than one frame's worth, less than every limit on the way."""
    for i in range(2):
        keys = [f"x-e2e-initial-{i}-{j}" for j in range(4)] + [f"x-e2e-trailing-{i}-{j}" for j in range(4)]
        metadata = [(key, chr(ord("a") + j) * 4000) for j, key in enumerate(keys)]
        seen, initial, trailing = round_trip(case, metadata)
        for key, value in metadata:
            check_equal(values_of(seen, key), [value.encode()], f"request metadata {key}")
            back = initial if "initial" in key else trailing
            check_equal(values_of(back, key), [value.encode()], f"response metadata {key}")


def metadata_on_streams(case):
    metadata = [("x-e2e-initial-bin", b"\x01"), ("x-e2e-trailing-bin", b"\x02"), ("x-e2e-trailing-bin", b"")]
    call = case.stub.BidiStream(iter([Request(body=b"x")] * 3), timeout=CALL_LIMIT_S, metadata=metadata)
    check_equal(values_of(call.initial_metadata(), "x-e2e-initial-bin"), [b"\x01"], "initial metadata")
    check_equal(len(list(call)), 3, "responses")
    check_equal(values_of(call.trailing_metadata(), "x-e2e-trailing-bin"), [b"\x02", b""], "trailing metadata")


CASES = {function.__name__: function for function in (
    metadata_text, metadata_binary, metadata_repeated, metadata_empty, metadata_4k, metadata_large,
    metadata_on_streams)}
