"""Unary calls: sizes, statuses, deadlines, cancellation, concurrency, compression, keepalive."""

import time

import grpc

import interop_pb2_grpc
from checks import check_equal, check_status, status_of
from interop_pb2 import EndStatus, Meeting, Request

CALL_LIMIT_S = 30
MEGABYTES_10 = 10 * 1000 * 1000
UTF8_MESSAGE = "Schlüssel №%41 – 50 % ✓ 鍵"


def empty_unary(case):
    response = case.stub.Unary(Request(), timeout=CALL_LIMIT_S)
    check_equal(response.received_bytes, 0, "bytes that the server received")
    check_equal(response.body, b"", "body")


def unary(case):
    body = bytes(range(256)) * 4
    response = case.stub.Unary(Request(body=body), timeout=CALL_LIMIT_S)
    check_equal(response.body, body, "body")
    response = case.stub.Unary(Request(body=body, response_bytes=100_000), timeout=CALL_LIMIT_S)
    check_equal(len(response.body), 100_000, "size of the body asked for")


def large_unary(case):
    body = bytes(range(250)) * (MEGABYTES_10 // 250)
    response = case.stub.Unary(Request(body=body), timeout=CALL_LIMIT_S)
    check_equal(response.received_bytes, MEGABYTES_10, "bytes that the server received")
    check_equal(response.body == body, True, "10 MB come back unchanged")


def status_codes(case):
    for code in grpc.StatusCode:
        number = code.value[0]
        request = Request(end=EndStatus(code=number, message=f"{UTF8_MESSAGE} {number}"))
        if number == 0:
            case.stub.Unary(request, timeout=CALL_LIMIT_S)
            continue
        error = status_of(lambda: case.stub.Unary(request, timeout=CALL_LIMIT_S))
        check_status(error, code, f"{UTF8_MESSAGE} {number}")


def trailers_only(case):
    request = Request(end=EndStatus(code=5, message="not here"))
    metadata = [("x-e2e-trailing-reason", "gone"), ("x-e2e-trailing-detail-bin", b"\x00\x01\xfe\xff")]
    error = status_of(lambda: case.stub.Unary(request, timeout=CALL_LIMIT_S, metadata=metadata))
    check_status(error, grpc.StatusCode.NOT_FOUND, "not here")
    trailing = dict(error.trailing_metadata())
    check_equal(trailing.get("x-e2e-trailing-reason"), "gone", "trailing metadata")
    check_equal(trailing.get("x-e2e-trailing-detail-bin"), b"\x00\x01\xfe\xff", "trailing binary metadata")


def deadline_seen_by_server(case):
    remaining_ms = case.stub.Unary(Request(), timeout=20).remaining_ms
    # Stacks send a time-out of few digits, which some of them round up.
    check_equal(10_000 < remaining_ms <= 20_500, True, f"{remaining_ms} ms of 20 s remain at the server")
    check_equal(case.stub.Unary(Request()).remaining_ms, -1, "time remaining without a deadline")


def deadline_exceeded(case):
    call_id = case.new_call_id()
    begin = time.monotonic()
    request = Request(call_id=call_id, wait_for_cancel=True)
    check_status(status_of(lambda: case.stub.Unary(request, timeout=0.3)), grpc.StatusCode.DEADLINE_EXCEEDED)
    elapsed_s = time.monotonic() - begin
    check_equal(0.25 < elapsed_s < 5, True, f"a call with a deadline of 300 ms ended after {elapsed_s:.3f} s")
    case.await_report(call_id, lambda report: report.cancelled, "the call past its deadline was cancelled")


def cancel_before_response(case):
    call_id = case.new_call_id()
    call = case.stub.Unary.future(Request(call_id=call_id, wait_for_cancel=True), timeout=CALL_LIMIT_S)
    case.await_report(call_id, lambda report: report.started, "the call had started")
    call.cancel()
    case.await_report(call_id, lambda report: report.cancelled, "the call was cancelled")


def unimplemented_method(case):
    error = status_of(lambda: case.stub.NeverImplemented(Request(), timeout=CALL_LIMIT_S))
    check_status(error, grpc.StatusCode.UNIMPLEMENTED)


def unimplemented_service(case):
    stub = interop_pb2_grpc.UnregisteredStub(case.channel)
    check_status(status_of(lambda: stub.Unary(Request(), timeout=CALL_LIMIT_S)), grpc.StatusCode.UNIMPLEMENTED)


def concurrent_100(case):
    meeting = Meeting(name=case.new_call_id(), callers=100)
    calls = [case.stub.Unary.future(Request(body=b"%d" % i, meeting=meeting), timeout=CALL_LIMIT_S)
             for i in range(100)]
    for i, call in enumerate(calls):
        check_equal(call.result().body, b"%d" % i, f"body of call {i}")


def compressed_request(case):
    body = b"compressible " * 50_000
    response = case.stub.Unary(Request(body=body, response_bytes=1), timeout=CALL_LIMIT_S,
                               compression=grpc.Compression.Gzip)
    check_equal(response.received_bytes, len(body), "bytes that the server unpacked")


def compressed_response(case):
    request = Request(response_bytes=1_000_000, compress_response=True)
    response = case.stub.Unary(request, timeout=CALL_LIMIT_S)
    check_equal(response.body == bytes(1_000_000), True, "1 MB of zeros comes back")


def keepalive_pings(case):
    """A call without data outlasts several pings, none of which may end the connection."""
    channel = case.open_channel(("grpc.keepalive_time_ms", 150), ("grpc.keepalive_timeout_ms", 5000),
                                ("grpc.http2.max_pings_without_data", 0),
                                ("grpc.http2.min_time_between_pings_ms", 150),
                                ("grpc.http2.min_sent_ping_interval_without_data_ms", 150))
    with channel:
        stub = interop_pb2_grpc.InteropStub(channel)
        response = stub.Unary(Request(body=b"still here", sleep_ms=1000), timeout=CALL_LIMIT_S)
        check_equal(response.body, b"still here", "body after several pings")


CASES = {function.__name__: function for function in (
    empty_unary, unary, large_unary, status_codes, trailers_only, deadline_seen_by_server, deadline_exceeded,
    cancel_before_response, unimplemented_method, unimplemented_service, concurrent_100, compressed_request,
    compressed_response, keepalive_pings)}
