"""The Python server of the end-to-end tests: both services on one port.

It listens on a free port of the loopback interface, prints "listening PORT" and serves until it is killed. Its one
argument is the name that every answer carries in the trailing metadata "x-served-by". The generated stubs are found
through PYTHONPATH.
"""

import collections
import concurrent.futures
import os
import pathlib
import sys
import threading
import time

import grpc

import interop_pb2
import interop_pb2_grpc
import pcbook_pb2
import pcbook_pb2_grpc

WAIT_LIMIT_S = 20
STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


class CallRecord:
    """What Report tells of one call."""

    def __init__(self):
        self.started = False
        self.cancelled = False
        self.received_messages = 0


class CallWatch:
    """Follows one call to its end: a call that ends before its method is done was cancelled."""

    def __init__(self, context):
        self._record = None
        self._done = False
        self.terminated = threading.Event()
        if not context.add_callback(self._on_termination):
            self.terminated.set()

    def name(self, record):
        self._record = record
        record.started = True
        if self.terminated.is_set():
            record.cancelled = True

    def count_message(self):
        if self._record:
            self._record.received_messages += 1

    def done(self):
        """The method has its answer; one that comes after the cancellation is too late."""
        self._done = not self.terminated.is_set()

    def _on_termination(self):
        if self._record and not self._done:
            self._record.cancelled = True
        self.terminated.set()


class Meetings:
    def __init__(self):
        self._arrived = collections.Counter()
        self._changed = threading.Condition()

    def attend(self, meeting):
        with self._changed:
            self._arrived[meeting.name] += 1
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._arrived[meeting.name] >= meeting.callers, WAIT_LIMIT_S)


def remaining_ms(context):
    remaining_s = context.time_remaining()
    return -1 if remaining_s is None or remaining_s > 1e6 else int(remaining_s * 1000)


def as_bytes(value):
    return value if isinstance(value, bytes) else value.encode()


def received_metadata(context):
    return [interop_pb2.MetadataEntry(key=key, value=as_bytes(value))
            for key, value in context.invocation_metadata() if key.startswith("x-e2e-")]


class Interop(interop_pb2_grpc.InteropServicer):
    def __init__(self, name):
        self._name = name
        self._records = collections.defaultdict(CallRecord)
        self._meetings = Meetings()

    def _echo_metadata(self, context):
        """Initial metadata is sent only when asked for, so that an error without it is Trailers-Only."""
        metadata = context.invocation_metadata()
        initial = [(key, value) for key, value in metadata if key.startswith("x-e2e-initial")]
        trailing = [(key, value) for key, value in metadata if key.startswith("x-e2e-trailing")]
        if initial:
            context.send_initial_metadata(initial)
        context.set_trailing_metadata(trailing + [("x-served-by", self._name)])

    def _begin(self, request, watch, context):
        if request.call_id:
            watch.name(self._records[request.call_id])
            watch.count_message()
        if request.compress_response:
            context.set_compression(grpc.Compression.Gzip)

    def _end(self, end, context):
        if end.code != 0:
            context.abort(STATUS_CODES[end.code], end.message)

    def _respond(self, request, received_bytes, received_messages, context):
        if request.sleep_ms:
            time.sleep(request.sleep_ms / 1000)
        body = request.body if request.response_bytes == 0 else bytes(request.response_bytes)
        return interop_pb2.Response(body=body, remaining_ms=remaining_ms(context), metadata=received_metadata(context),
                                    received_bytes=received_bytes, received_messages=received_messages)

    def Unary(self, request, context):
        watch = CallWatch(context)
        self._echo_metadata(context)
        self._begin(request, watch, context)
        if request.wait_for_cancel:
            watch.terminated.wait(WAIT_LIMIT_S)
        if request.HasField("meeting") and not self._meetings.attend(request.meeting):
            context.abort(grpc.StatusCode.INTERNAL, "the meeting was not complete in time")
        self._end(request.end, context)
        response = self._respond(request, len(request.body), 1, context)
        watch.done()
        return response

    def ServerStream(self, request, context):
        watch = CallWatch(context)
        self._echo_metadata(context)
        self._begin(request, watch, context)
        for _ in range(request.response_count):
            yield self._respond(request, len(request.body), 1, context)
        if request.wait_after_responses:
            watch.terminated.wait(WAIT_LIMIT_S)
        self._end(request.end, context)
        watch.done()

    def ClientStream(self, request_iterator, context):
        watch = CallWatch(context)
        self._echo_metadata(context)
        received_bytes = received_messages = 0
        last = interop_pb2.Request()
        for request in request_iterator:
            if received_messages == 0:
                self._begin(request, watch, context)
            else:
                watch.count_message()
            received_bytes += len(request.body)
            received_messages += 1
            last = request
            if request.answer_after == received_messages:
                break
        # A cancellation may look like a half-close to the iterator.
        if last.wait_for_cancel:
            watch.terminated.wait(WAIT_LIMIT_S)
        self._end(last.end, context)
        response = self._respond(last, received_bytes, received_messages, context)
        watch.done()
        return response

    def BidiStream(self, request_iterator, context):
        watch = CallWatch(context)
        self._echo_metadata(context)
        kept = []
        received_bytes = received_messages = 0
        last = interop_pb2.Request()
        for request in request_iterator:
            if received_messages == 0:
                self._begin(request, watch, context)
            else:
                watch.count_message()
            received_bytes += len(request.body)
            received_messages += 1
            last = request
            if request.answer_after_half_close:
                kept.append(request)
            else:
                yield self._respond(request, received_bytes, received_messages, context)
        for request in kept:
            yield self._respond(request, received_bytes, received_messages, context)
        self._end(last.end, context)
        watch.done()

    def Report(self, request, context):
        record = self._records[request.call_id]
        return interop_pb2.ReportResponse(started=record.started, cancelled=record.cancelled,
                                          received_messages=record.received_messages)


class Auth(pcbook_pb2_grpc.AuthServiceServicer):
    def __init__(self, name):
        self._name = name

    def Login(self, request, context):
        context.set_trailing_metadata([("x-served-by", self._name)])
        if request.password != "secret":
            context.abort(grpc.StatusCode.NOT_FOUND, "incorrect username/password")
        return pcbook_pb2.LoginResponse(access_token=f"token-of-{request.username}")


class Laptops(pcbook_pb2_grpc.LaptopServiceServicer):
    def __init__(self, name):
        self._name = name
        self._laptops = {}

    def CreateLaptop(self, request, context):
        context.set_trailing_metadata([("x-served-by", self._name)])
        laptop = request.laptop
        if laptop.id in self._laptops:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"laptop {laptop.id} already exists")
        self._laptops[laptop.id] = laptop
        return pcbook_pb2.CreateLaptopResponse(id=laptop.id)

    def SearchLaptop(self, request, context):
        context.set_trailing_metadata([("x-served-by", self._name)])
        for laptop in list(self._laptops.values()):
            if (laptop.price_usd <= request.filter.max_price_usd and
                    laptop.cpu_cores >= request.filter.min_cpu_cores):
                yield pcbook_pb2.SearchLaptopResponse(laptop=laptop)

    def UploadImage(self, request_iterator, context):
        context.set_trailing_metadata([("x-served-by", self._name)])
        info = next(request_iterator).info
        size = sum(len(request.chunk_data) for request in request_iterator)
        return pcbook_pb2.UploadImageResponse(id=f"{info.laptop_id}{info.image_type}", size=size)

    def RateLaptop(self, request_iterator, context):
        context.set_trailing_metadata([("x-served-by", self._name)])
        scores = collections.defaultdict(list)
        for request in request_iterator:
            rated = scores[request.laptop_id]
            rated.append(request.score)
            yield pcbook_pb2.RateLaptopResponse(laptop_id=request.laptop_id, rated_count=len(rated),
                                                average_score=sum(rated) / len(rated))


def listen(server, address):
    """With TLS where the environment names a certificate; clients need one where it names an authority for them."""
    certificate, key, client_ca = (os.environ.get(f"E2E_TLS_{name}") for name in ("CERT", "KEY", "CLIENT_CA"))
    if not certificate:
        return server.add_insecure_port(address)
    pair = [(pathlib.Path(key).read_bytes(), pathlib.Path(certificate).read_bytes())]
    authority = pathlib.Path(client_ca).read_bytes() if client_ca else None
    return server.add_secure_port(address, grpc.ssl_server_credentials(pair, authority, bool(client_ca)))


def main():
    name = sys.argv[1]
    server = grpc.server(
        # Each call of a meeting holds a thread while it waits for the others.
        concurrent.futures.ThreadPoolExecutor(max_workers=160),
        options=[("grpc.max_receive_message_length", 32 << 20), ("grpc.max_send_message_length", 32 << 20),
                 ("grpc.max_metadata_size", 64 << 10), ("grpc.so_reuseport", 0)])
    interop_pb2_grpc.add_InteropServicer_to_server(Interop(name), server)
    pcbook_pb2_grpc.add_AuthServiceServicer_to_server(Auth(name), server)
    pcbook_pb2_grpc.add_LaptopServiceServicer_to_server(Laptops(name), server)
    port = listen(server, f"127.0.0.1:{sys.argv[2] if len(sys.argv) > 2 else 0}")
    server.start()
    print(f"listening {port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
