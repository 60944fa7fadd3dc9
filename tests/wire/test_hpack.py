"""Header compression: tables of every size on both sides, eviction, and what must never enter a table."""

import random

import pytest
from h2.settings import SettingCodes

from rawh2 import RESPONSE_HEADERS, grpc_message, request_headers

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-_.~:/+=,;\"{}"


def exchange(loop, backend, client, request_extra=(), response_extra=(), trailers_extra=()):
    """One call with extra fields each way; checks that all of them arrive unchanged."""
    known = len(backend.requests())
    request = client.call(extra=list(request_extra))
    peer, stream = next_request(loop, backend, known)
    arrived = [field for field in stream.headers if field[0].startswith("x-") or field[0] == "authorization"]
    assert arrived == list(request_extra)
    peer.respond(stream, headers=[*RESPONSE_HEADERS, *response_extra], trailers=[("grpc-status", "0"), *trailers_extra])
    loop.until(lambda: request.is_over, "the response")
    assert [field for field in request.headers if field[0].startswith("x-")] == list(response_extra)
    assert [field for field in request.trailers if field[0].startswith("x-")] == list(trailers_extra)
    return peer


def next_request(loop, backend, known):
    loop.until(lambda: len([1 for _, stream in backend.requests() if stream.ended]) > known, "the request")
    answered = [(peer, stream) for peer, stream in backend.requests() if stream.ended and not hasattr(stream, "seen")]
    answered[0][1].seen = True
    return answered[0]


def varied_fields(dice, count):
    """Some fields from a small set, which repeat, and some that never do; sizes from nothing to a quarter of a table."""
    fields = []
    for _ in range(count):
        if dice.random() < 0.5:
            fields.append((f"x-repeated-{dice.randrange(6)}", f"value-{dice.randrange(3)}"))
        else:
            value = "".join(dice.choices(ALPHABET, k=dice.choice([0, 1, 30, 300, 1000])))
            fields.append((f"x-unique-{dice.randrange(1 << 30)}", value))
    return fields


def test_many_calls_with_eviction(proxy, loop, backend):
    """The dynamic tables of four directions fill and evict; every field still arrives as it was sent."""
    dice = random.Random(20)
    client = loop.client(proxy(backend, shards=1))
    for _ in range(150):
        exchange(loop, backend, client, varied_fields(dice, 4), varied_fields(dice, 2), varied_fields(dice, 2))


def test_repeated_calls_get_small(proxy, loop, backend):
    """What repeats in every call must cost next to nothing upstream after the first ones."""
    client = loop.client(proxy(backend, shards=1))
    extra = [("x-trace", "t" * 200), ("x-tenant", "shop"), ("x-kind-bin", "AAECAw")]
    for _ in range(10):
        peer = exchange(loop, backend, client, extra)
    headers = [frame for frame in peer.frames if type(frame).__name__ == "HeadersFrame"]
    assert len(headers[-1].data) < 40, "ten calls alike and the fields are still written out"


def test_client_without_a_table(proxy, loop, backend):
    """HEADER_TABLE_SIZE 0: h2 checks that ringway's encoder lowers its table before it sends fields."""
    client = loop.client(proxy(backend, shards=1), settings={SettingCodes.HEADER_TABLE_SIZE: 0})
    dice = random.Random(21)
    for _ in range(10):
        exchange(loop, backend, client, varied_fields(dice, 3), varied_fields(dice, 3))
    assert not client.h2.decoder.header_table.dynamic_entries


def test_client_changes_its_table_size(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    dice = random.Random(22)
    for size in (4096, 0, 100, 2000, 0, 4096, 65_536):
        client.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: size})
        client.flush()
        loop.settle(client)
        for _ in range(5):
            exchange(loop, backend, client, varied_fields(dice, 2), varied_fields(dice, 3))


def test_backend_changes_its_table_size(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    dice = random.Random(23)
    peer = exchange(loop, backend, client)
    for size in (0, 100, 4096, 1, 65_536):
        peer.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: size})
        peer.flush()
        loop.settle(peer)
        for _ in range(5):
            assert exchange(loop, backend, client, varied_fields(dice, 3)) is peer


def test_peer_shrinks_the_table_it_encodes_with(proxy, loop, backend):
    """Dynamic table size updates at the begin of header blocks, one and two in a row."""
    client = loop.client(proxy(backend, shards=1))
    dice = random.Random(24)
    for sizes in ((100,), (0, 4096), (50, 2000), (0,), (4096,)):
        peer = exchange(loop, backend, client, varied_fields(dice, 3), varied_fields(dice, 3))
        for size in sizes:
            client.h2.encoder.header_table_size = size
            peer.h2.encoder.header_table_size = size
        for _ in range(5):
            exchange(loop, backend, client, varied_fields(dice, 3), varied_fields(dice, 3))


def test_two_clients_do_not_share_a_table(proxy, loop, backend):
    """Their dynamic tables differ, the upstream connection is one."""
    started = proxy(backend, shards=1)
    clients = [loop.client(started) for _ in range(4)]
    dice = random.Random(25)
    for _ in range(30):
        for number, client in enumerate(clients):
            exchange(loop, backend, client, [("x-client", f"{number}"), *varied_fields(dice, 3)], [("x-to", f"{number}")])
    assert len(backend.connections) == 1


@pytest.mark.parametrize("compression", ["dynamic", "static"])
def test_table_of_a_backend(proxy, loop, backend, compression):
    """With header_compression: static no field of any client enters the table of h2's decoder, at any time."""
    config = {"shards": {"count": 1}, "listeners": [{"address": "127.0.0.1:0", "routes": [{"cluster": "c"}]}],
              "clusters": [{"name": "c", "header_compression": compression,
                            "endpoints": [{"address": backend.address}]}]}
    started = proxy(config=config)
    clients = [loop.client(started) for _ in range(3)]
    dice = random.Random(26)
    has_entries = set()
    for _ in range(40):
        for number, client in enumerate(clients):
            same = [("x-tenant", f"{number}"), ("x-trace", "t" * 100)]
            peer = exchange(loop, backend, client, [*same, *varied_fields(dice, 2)], [("x-to", f"{number}")])
            # The very block of the call before, and one that has no more than its indexes at the client.
            exchange(loop, backend, client, same)
            exchange(loop, backend, client)
            has_entries.add(bool(peer.h2.decoder.header_table.dynamic_entries))
    assert len(backend.connections) == 1
    assert has_entries == {compression == "dynamic"}


def test_credentials_enter_no_table(proxy, loop, backend):
    """Whatever the client did with them, authorization and cookie go upstream never indexed."""
    client = loop.client(proxy(backend, shards=1))
    secret = [("authorization", "Bearer " + "s" * 40), ("cookie", "session=1234567890")]
    for _ in range(5):
        known = len(backend.requests())
        request = client.call(extra=secret)
        peer, stream = next_request(loop, backend, known)
        for field in secret:
            assert field in stream.headers
        peer.respond(stream)
        loop.until(lambda: request.is_over, "the response")
    names = {bytes(name) for name, _ in peer.h2.decoder.header_table.dynamic_entries}
    assert b"authorization" not in names and b"cookie" not in names


def test_pseudo_header_fields_may_be_literal(proxy, loop, backend):
    """An encoder without any compression: each field a literal without indexing and without Huffman codes."""
    client = loop.client(proxy(backend, shards=1))
    stream = client.start_request_unsent(request_headers("/plain.Service/Literal", [("x-plain", "yes")]))
    headers, = client.take_outgoing()
    block = b""
    for name, value in request_headers("/plain.Service/Literal", [("x-plain", "yes")]):
        block += b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    headers.data = block
    client.send_frame(headers)
    client.send_body(stream, grpc_message(b""), end_stream=True)
    _, arrived = backend.await_request(complete=True)
    assert arrived.header(":path") == "/plain.Service/Literal" and arrived.header("x-plain") == "yes"
