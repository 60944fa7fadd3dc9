"""Raw HTTP/2 peers on python3-h2: a test plays the client, the backend or both, frame by frame, in one thread.

A Loop drives all sockets of a test until a condition holds. A Peer is one end of a connection: h2 checks that what
ringway sends obeys the protocol, and every frame is also kept as it came. Frames that h2 would not let the test send
are sent as bytes.
"""

import dataclasses
import select
import socket
import struct
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
from hyperframe import frame as frames

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TRAILERS_OK = [("grpc-status", "0")]
RESPONSE_HEADERS = [(":status", "200"), ("content-type", "application/grpc")]


def grpc_message(payload):
    return struct.pack(">BI", 0, len(payload)) + payload


def request_headers(path="/test.Service/Method", extra=()):
    return [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test.example"),
            ("content-type", "application/grpc"), ("te", "trailers"), *extra]


def raw_frame(kind, flags, stream_id, payload=b""):
    """A frame of any type, flags and payload, allowed or not."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream_id) + payload


def parse_frame(data):
    """The first frame of `data` and its size in bytes, or (None, 0) when it is not complete."""
    if len(data) < 9:
        return None, 0
    frame, length = frames.Frame.parse_frame_header(memoryview(bytes(data[:9])))
    if len(data) < 9 + length:
        return None, 0
    frame.parse_body(memoryview(bytes(data[9:9 + length])))
    frame.wire_length = length
    return frame, 9 + length


@dataclasses.dataclass
class Stream:
    """What has arrived on one stream, and what still has to be sent on it."""
    id: int
    headers: list = None
    informational: list = dataclasses.field(default_factory=list)
    data: bytearray = dataclasses.field(default_factory=bytearray)
    trailers: list = None
    ended: bool = False
    reset_code: int = None
    unacknowledged: int = 0
    pending: bytearray = dataclasses.field(default_factory=bytearray)
    pending_end: bool = False
    pending_trailers: list = None

    def header(self, name):
        return dict(self.headers or ()).get(name)

    def trailer(self, name):
        """A field of the trailers, or of the headers of a Trailers-Only response."""
        return dict(self.trailers or self.headers or ()).get(name)

    @property
    def is_over(self):
        return self.ended or self.reset_code is not None


class Peer:
    def __init__(self, connection, is_client, settings=None, auto_window=True, auto_start=True):
        self.socket = connection
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_client = is_client
        self.auto_window = auto_window
        # A peer that holds pings does not answer them.
        self.hold_pings = False
        # A peer that breaks the protocol keeps the frames that come, and does not let h2 judge them.
        self.is_judged = True
        # A peer that does not read leaves its socket's bytes alone.
        self.reads = True
        self.streams = {}
        self.frames = []
        self.goaways = []
        self.pings_received = []
        self.closed = False
        self.on_stream = None
        self._received = bytearray()
        self._preface_left = 0 if is_client else len(PREFACE)
        self._outgoing = bytearray()
        # Fields that the tests send are theirs to choose; what ringway sends is checked.
        configuration = h2.config.H2Configuration(client_side=is_client, header_encoding="utf-8",
                                                  validate_outbound_headers=False, normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(configuration)
        self._apply_settings(settings or {})
        if auto_start:
            self.h2.initiate_connection()
            self.flush()

    def _apply_settings(self, settings):
        """Settings that are in force from the first SETTINGS frame on."""
        initial = {h2.settings.SettingCodes.ENABLE_PUSH: 0} if self.is_client else {}
        initial.update(settings)
        self.h2.local_settings = h2.settings.Settings(client=self.is_client, initial_values=initial)
        self.h2.max_inbound_frame_size = self.h2.local_settings.max_frame_size
        self.h2.decoder.max_allowed_table_size = self.h2.local_settings.header_table_size

    # What the loop asks.

    def fileno(self):
        return self.socket.fileno()

    def wants_write(self):
        return bool(self._outgoing)

    def on_readable(self):
        try:
            received = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except ConnectionError:
            received = b""
        if not received:
            self.closed = True
            return
        self._received += received
        self._cut_frames()
        self._send_pending()
        self.flush()

    def on_writable(self):
        try:
            sent = self.socket.send(self._outgoing)
        except BlockingIOError:
            return
        except ConnectionError:
            self._outgoing.clear()
            return
        del self._outgoing[:sent]

    # Receiving.

    def _cut_frames(self):
        if not self.is_judged and bytes(self._received[:5]) == b"HTTP/":
            # An answer to a peer that does not speak HTTP/2 at all.
            return
        if self._preface_left:
            taken = bytes(self._received[:self._preface_left])
            self._preface_left -= len(taken)
            del self._received[:len(taken)]
            if self.is_judged:
                self._handle(self.h2.receive_data(taken))
        while True:
            frame, size = parse_frame(self._received)
            if frame is None:
                return
            raw = bytes(self._received[:size])
            del self._received[:size]
            self.frames.append(frame)
            self._take(frame, raw)

    def _take(self, frame, raw):
        # h2 allows nothing after a GOAWAY, but streams that were accepted go on.
        if isinstance(frame, frames.GoAwayFrame):
            self.goaways.append(frame)
            return
        if isinstance(frame, frames.PingFrame):
            if "ACK" not in frame.flags:
                self.pings_received.append(frame.opaque_data)
            if self.hold_pings:
                return
        if not self.is_judged:
            return
        self._handle(self.h2.receive_data(raw))

    def _handle(self, events):
        for event in events:
            stream = self._stream_of(event)
            if isinstance(event, (h2.events.RequestReceived, h2.events.ResponseReceived)):
                stream.headers = list(event.headers)
            elif isinstance(event, h2.events.InformationalResponseReceived):
                stream.informational.append(list(event.headers))
            elif isinstance(event, h2.events.TrailersReceived):
                stream.trailers = list(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                stream.data += event.data
                stream.unacknowledged += event.flow_controlled_length
                if self.auto_window:
                    self.acknowledge(stream)
            elif isinstance(event, h2.events.StreamEnded):
                stream.ended = True
            elif isinstance(event, h2.events.StreamReset):
                stream.reset_code = int(event.error_code)
                stream.pending.clear()
                stream.pending_end = False
            else:
                continue
            if self.on_stream:
                self.on_stream(self, stream)

    def _stream_of(self, event):
        stream_id = getattr(event, "stream_id", None)
        if not stream_id:
            return None
        return self.streams.setdefault(stream_id, Stream(stream_id))

    # Sending.

    def flush(self):
        self._outgoing += self.h2.data_to_send()
        if self._outgoing:
            self.on_writable()

    def take_outgoing(self):
        """The frames that h2 has made and that are not sent yet; the test sends them itself, in its own shape."""
        data = self.h2.data_to_send()
        taken = []
        while data:
            frame, size = parse_frame(data)
            taken.append(frame)
            data = data[size:]
        return taken

    def send_raw(self, data):
        """Sends bytes past h2, which knows nothing of them."""
        self.flush()
        self._outgoing += data
        self.on_writable()

    def send_frame(self, frame):
        self.send_raw(frame.serialize())

    def start_request(self, headers=None, body=None, end_stream=True):
        """Opens a stream with a request; a `body` is sent as the windows allow. Returns the stream."""
        stream = self.start_request_unsent(headers or request_headers(), end_stream=body is None and end_stream)
        if body is not None:
            self.send_body(stream, body, end_stream)
        self.flush()
        return stream

    def start_request_unsent(self, headers, end_stream=False):
        """Opens a stream and leaves its HEADERS to take_outgoing()."""
        self.flush()
        stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, headers, end_stream=end_stream)
        return self.streams.setdefault(stream_id, Stream(stream_id))

    def call(self, path="/test.Service/Method", payload=b"ping", extra=()):
        """Starts a unary gRPC call."""
        return self.start_request(request_headers(path, extra), grpc_message(payload))

    def send_headers(self, stream, headers=None, end_stream=False):
        self.h2.send_headers(stream.id, headers or RESPONSE_HEADERS, end_stream=end_stream)
        self.flush()

    def send_body(self, stream, body, end_stream=False, trailers=None):
        stream.pending += body
        stream.pending_end = end_stream and trailers is None
        stream.pending_trailers = trailers
        self._send_pending()
        self.flush()

    def respond(self, stream, payload=b"pong", headers=None, trailers=None):
        """Answers a unary gRPC call."""
        self.send_headers(stream, headers)
        self.send_body(stream, grpc_message(payload), trailers=trailers or TRAILERS_OK)

    def reset(self, stream, code=h2.errors.ErrorCodes.CANCEL):
        self.h2.reset_stream(stream.id, code)
        self.flush()

    def acknowledge(self, stream, size=None):
        """Gives back `size` bytes of both windows, by default all that has arrived."""
        size = stream.unacknowledged if size is None else size
        stream.unacknowledged -= size
        if size:
            self.h2.acknowledge_received_data(size, stream.id)
        self.flush()

    def goaway(self, last_stream_id, code=0, data=b""):
        self.send_frame(frames.GoAwayFrame(0, last_stream_id=last_stream_id, error_code=code, additional_data=data))

    def _send_pending(self):
        for stream in self.streams.values():
            if stream.reset_code is not None:
                continue
            while stream.pending:
                room = min(self.h2.local_flow_control_window(stream.id), self.h2.max_outbound_frame_size)
                if room <= 0:
                    break
                chunk = bytes(stream.pending[:room])
                del stream.pending[:len(chunk)]
                ends = stream.pending_end and not stream.pending
                self.h2.send_data(stream.id, chunk, end_stream=ends)
                if ends:
                    stream.pending_end = False
            if not stream.pending and stream.pending_end:
                self.h2.end_stream(stream.id)
                stream.pending_end = False
            if not stream.pending and stream.pending_trailers is not None:
                self.h2.send_headers(stream.id, stream.pending_trailers, end_stream=True)
                stream.pending_trailers = None

    def frames_of(self, kind, stream=None):
        return [frame for frame in self.frames
                if isinstance(frame, kind) and (stream is None or frame.stream_id == stream.id)]

    def abort(self):
        """Closes with a TCP reset, as the kernel does for a killed process with unread data."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.closed = True
        self.socket.close()


class Backend:
    """A listening raw HTTP/2 server. `handler(peer, stream)` is called after everything that arrives on a stream."""

    def __init__(self, loop, settings=None, auto_window=True, handler=None, port=0, later_settings=None):
        self.loop = loop
        # In the first SETTINGS, or behind them: h2 holds the first against a client that has not seen them yet.
        self.settings = settings
        self.later_settings = later_settings
        self.auto_window = auto_window
        self.handler = handler
        # A mute backend accepts connections and never says a word.
        self.is_mute = False
        self.connections = []
        self.port = port
        self.listen()
        loop.backends.append(self)

    def listen(self):
        self._socket = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def is_listening(self):
        return self._socket.fileno() >= 0

    def fileno(self):
        return self._socket.fileno()

    def accept(self):
        try:
            connection, _ = self._socket.accept()
        except BlockingIOError:
            return
        # Calls come after the first SETTINGS, so that limits in them hold from the first call on.
        peer = Peer(connection, is_client=False, settings=self.settings, auto_window=self.auto_window,
                    auto_start=not self.is_mute)
        peer.is_judged = not self.is_mute
        if self.later_settings:
            peer.h2.update_settings(self.later_settings)
            peer.flush()
        # Looked up anew each time, so that a test may change its mind.
        peer.on_stream = lambda *event: self.handler and self.handler(*event)
        self.connections.append(peer)
        self.loop.peers.append(peer)

    def requests(self):
        """(peer, stream) of every request whose header fields have arrived, in the order of the connections."""
        return [(peer, stream) for peer in self.connections for stream in peer.streams.values() if stream.headers]

    def await_request(self, number=1, complete=False):
        """Drives the loop until `number` requests have arrived; returns the last one's (peer, stream)."""
        def arrived():
            return len([1 for _, stream in self.requests() if stream.ended or not complete]) >= number

        self.loop.until(arrived, f"{number} requests at the backend")
        return self.requests()[number - 1]

    def close(self):
        """Stops listening; connections stay open."""
        self._socket.close()


class Loop:
    """Drives every peer and backend of a test."""

    def __init__(self):
        self.peers = []
        self.backends = []

    def client(self, target, **options):
        """Connects to ringway (a port or an object with one) and returns the peer."""
        port = target if isinstance(target, int) else target.port
        peer = Peer(socket.create_connection(("127.0.0.1", port), timeout=10), is_client=True, **options)
        self.peers.append(peer)
        return peer

    def until(self, condition, what, limit_s=15):
        """Moves bytes until `condition()` holds and returns its value."""
        limit = time.monotonic() + limit_s
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > limit:
                raise AssertionError(f"not within {limit_s} s: {what}\n{self._describe()}")
            self.turn(0.02)

    def turn(self, wait_s):
        listening = [backend for backend in self.backends if backend.is_listening]
        alive = [peer for peer in self.peers if not peer.closed]
        readers = listening + [peer for peer in alive if peer.reads]
        readable, writable, _ = select.select(readers, [peer for peer in alive if peer.wants_write()], [], wait_s)
        for ready in readable:
            if isinstance(ready, Backend):
                ready.accept()
            else:
                ready.on_readable()
        for peer in writable:
            if not peer.closed:
                peer.on_writable()

    def settle(self, peer):
        """A PING round trip on `peer`: what was sent before it has been handled by ringway, and its answers are in."""
        number = len(peer.frames_of(frames.PingFrame))
        peer.h2.ping(struct.pack(">Q", number))
        peer.flush()
        self.until(lambda: any("ACK" in frame.flags for frame in peer.frames_of(frames.PingFrame)[number:]),
                   "the answer to a PING")

    def _describe(self):
        lines = []
        for peer in self.peers:
            side = "client" if peer.is_client else "backend"
            lines.append(f"{side} peer, closed {peer.closed}, goaways {peer.goaways}")
            for stream in list(peer.streams.values())[:5]:
                lines.append(f"  stream {stream.id}: headers {stream.headers}, {len(stream.data)} bytes, "
                             f"trailers {stream.trailers}, ended {stream.ended}, reset {stream.reset_code}, "
                             f"{len(stream.pending)} bytes unsent")
            lines.extend(f"  {frame!r}"[:160] for frame in peer.frames[-8:])
        return "\n".join(lines)

    def close(self):
        for backend in self.backends:
            backend.close()
        for peer in self.peers:
            peer.close()


def answer_and_go(peer, stream):
    """A Backend handler: answers a complete request with its message, and takes no further one on this connection."""
    if stream.ended and not getattr(stream, "answered", False):
        stream.answered = True
        peer.goaway(stream.id)
        peer.respond(stream, bytes(stream.data[5:]))


def echo(peer, stream):
    """A Backend handler: answers each complete request with its own body."""
    if stream.ended and not stream.pending and not getattr(stream, "answered", False) and stream.reset_code is None:
        stream.answered = True
        peer.send_headers(stream)
        peer.send_body(stream, bytes(stream.data), trailers=TRAILERS_OK)
