"""The three streaming kinds: order, size, half-close, early answers, statuses, deadlines and cancellation."""

import queue

import grpc

from checks import check_equal, check_status, status_of
from interop_pb2 import EndStatus, Request

CALL_LIMIT_S = 30
MEGABYTES_10 = 10 * 1000 * 1000


def server_stream(case):
    responses = list(case.stub.ServerStream(Request(body=b"again", response_count=50), timeout=CALL_LIMIT_S))
    check_equal([response.body for response in responses], [b"again"] * 50, "bodies")
    check_equal(list(case.stub.ServerStream(Request(), timeout=CALL_LIMIT_S)), [], "a stream of no responses")


def client_stream(case):
    sizes = [0, 1, 8, 27_182, 1828, 45_904]
    response = case.stub.ClientStream((Request(body=bytes(size)) for size in sizes), timeout=CALL_LIMIT_S)
    check_equal(response.received_messages, len(sizes), "messages that the server received")
    check_equal(response.received_bytes, sum(sizes), "bytes that the server received")


class Requests:
    """A request stream that the test writes as the call goes on."""

    def __init__(self):
        self._queue = queue.Queue()

    def write(self, request):
        self._queue.put(request)

    def half_close(self):
        self._queue.put(None)

    def __iter__(self):
        return iter(self._queue.get, None)


def bidi_stream(case):
    """Each response is awaited before the next request, so a proxy that gathers messages would hang here."""
    requests = Requests()
    call = case.stub.BidiStream(iter(requests), timeout=CALL_LIMIT_S)
    for i, size in enumerate([31_415, 9, 2653, 58_979, 0, 1]):
        requests.write(Request(body=bytes([i]) * size))
        check_equal(next(call).body == bytes([i]) * size, True, f"response {i} equals request {i}")
    requests.half_close()
    check_equal(next(call, None), None, "response after the last one")


def empty_stream(case):
    check_equal(list(case.stub.BidiStream(iter(()), timeout=CALL_LIMIT_S)), [], "responses to an empty stream")


def large_stream_messages(case):
    requests = (Request(body=bytes([i]) * MEGABYTES_10) for i in range(2))
    for i, response in enumerate(case.stub.BidiStream(requests, timeout=CALL_LIMIT_S)):
        check_equal(response.body == bytes([i]) * MEGABYTES_10, True, f"message {i} of 10 MB comes back unchanged")
        check_equal(response.received_messages, i + 1, "messages that the server received")


def half_close(case):
    requests = (Request(body=b"%d" % i, answer_after_half_close=True) for i in range(20))
    bodies = [response.body for response in case.stub.BidiStream(requests, timeout=CALL_LIMIT_S)]
    check_equal(bodies, [b"%d" % i for i in range(20)], "bodies sent after the client's half-close")


def early_response(case):
    """The server answers after two messages while the client goes on writing."""
    requests = Requests()
    for _ in range(200):
        requests.write(Request(body=bytes(10_000), answer_after=2))
    call = case.stub.ClientStream.future(iter(requests), timeout=CALL_LIMIT_S)
    response = call.result()
    requests.half_close()
    check_equal(response.received_messages, 2, "messages that the server had read")


def status_after_stream(case):
    request = Request(body=b"x", response_count=3, end=EndStatus(code=10, message="späte Absage"))
    metadata = [("x-e2e-trailing-bin", b"late")]
    received = []
    call = case.stub.ServerStream(request, timeout=CALL_LIMIT_S, metadata=metadata)
    error = status_of(lambda: received.extend(call))
    check_status(error, grpc.StatusCode.ABORTED, "späte Absage")
    check_equal(len(received), 3, "responses before the status")
    check_equal(dict(call.trailing_metadata()).get("x-e2e-trailing-bin"), b"late", "trailing metadata")


def deadline_exceeded_on_stream(case):
    call_id = case.new_call_id()
    request = Request(call_id=call_id, body=b"x", response_count=2, wait_after_responses=True)
    received = []
    # The first call on a loaded machine may take long: only what comes after the responses is to be cut.
    error = status_of(lambda: received.extend(case.stub.ServerStream(request, timeout=0.5)))
    check_status(error, grpc.StatusCode.DEADLINE_EXCEEDED)
    check_equal(len(received), 2, "responses before the deadline")
    case.await_report(call_id, lambda report: report.cancelled, "the stream past its deadline was cancelled")


def cancel_during_stream(case):
    call_id = case.new_call_id()
    request = Request(call_id=call_id, body=b"x", response_count=3, wait_after_responses=True)
    call = case.stub.ServerStream(request, timeout=CALL_LIMIT_S)
    for _ in range(3):
        next(call)
    call.cancel()
    check_status(status_of(lambda: next(call)), grpc.StatusCode.CANCELLED)
    case.await_report(call_id, lambda report: report.cancelled, "the stream was cancelled")


def cancel_during_upload(case):
    call_id = case.new_call_id()
    requests = Requests()
    for _ in range(2):
        requests.write(Request(call_id=call_id, body=b"x", wait_for_cancel=True))
    call = case.stub.ClientStream.future(iter(requests), timeout=CALL_LIMIT_S)
    case.await_report(call_id, lambda report: report.received_messages == 2, "both messages had arrived")
    call.cancel()
    requests.half_close()
    case.await_report(call_id, lambda report: report.cancelled, "the upload was cancelled")


CASES = {function.__name__: function for function in (
    server_stream, client_stream, bidi_stream, empty_stream, large_stream_messages, half_close, early_response,
    status_after_stream, deadline_exceeded_on_stream, cancel_during_stream, cancel_during_upload)}
