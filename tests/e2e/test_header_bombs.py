"""Header lists just below the limits, of which an octet stands for 4 KB: memory grows by less than 4 MiB for each client
that sends them, whether the endpoint takes them or not, and others are answered meanwhile. Those of responses, to
clients that do not read, stay within shards.memory."""

import pathlib
import re
import socket
import threading

import pytest

import hostile
from harness import wait_until

GROWTH_MIB = 4  # for each connection
CALLS = 250
LIST_BYTES = 16 * 3900  # at least, of the octets that each call has for the endpoint


class Endpoint:
    """Greets when it is told to, reads everything and answers nothing."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.greets = threading.Event()
        self.bytes_received = 0
        self.peers = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.peers.append(peer)
            threading.Thread(target=self.read, args=(peer,), daemon=True).start()

    def read(self, peer):
        self.greets.wait()
        try:
            peer.sendall(hostile.frame(hostile.SETTINGS, 0, 0))
            while data := peer.recv(1 << 20):
                self.bytes_received += len(data)
        except OSError:
            pass

    def close(self):
        self.greets.set()
        self.listener.close()
        for peer in self.peers:
            peer.close()


@pytest.fixture
def endpoint():
    with_endpoint = Endpoint()
    yield with_endpoint
    with_endpoint.close()


def attack(port):
    """Sends all calls of one connection; the connection, and how many of them were refused."""
    peer = socket.create_connection(("127.0.0.1", port))
    peer.settimeout(20)
    hello, chunks = hostile.hpack_bomb_below_limits()
    peer.sendall(hello + b"".join(next(chunks) for _ in range(CALLS)))
    last = 2 * CALLS + 1
    received, refused = bytearray(), []
    while last not in refused:
        data = peer.recv(1 << 16)
        assert data, "the connection was closed"
        received += data
        while len(received) >= 9 and len(received) >= (size := 9 + int.from_bytes(received[:3], "big")):
            if received[3] == hostile.RST_STREAM:
                refused.append(int.from_bytes(received[5:9], "big"))
                assert received[9:13] == b"\0\0\0\7", "REFUSED_STREAM"
            del received[:size]
    return peer, len(refused)


def peak_mib(process):
    status = pathlib.Path(f"/proc/{process.child.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


def ask_health(port):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(20)
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        return client.recv(100)


@pytest.mark.parametrize("greets", ["at once", "late"])
@pytest.mark.parametrize("clients", [1, 40])
def test_bombs_below_the_limits(proxy, endpoint, clients, greets):
    config = {"shards": {"count": 1, "cpus": "none"},
              "listeners": [{"address": "127.0.0.1:0", "routes": [{"cluster": "a"}]}],
              "clusters": [{"name": "a", "endpoints": [{"address": endpoint.address}],
                            "connections": {"connect_timeout": "60s"}}], "drain": {"timeout": "100ms"}}
    started = proxy(config=config, args=["--stats-at-exit"])
    if greets == "at once":
        endpoint.greets.set()
    before_mib = peak_mib(started)
    attackers = [attack(started.port) for _ in range(clients)]
    assert ask_health(started.port).startswith(b"HTTP/1.1 200")
    endpoint.greets.set()
    accepted = clients * CALLS - sum(refused for _, refused in attackers)
    assert accepted >= 20 * clients
    wait_until(lambda: endpoint.bytes_received >= accepted * LIST_BYTES, "every call that was taken is sent")
    assert peak_mib(started) - before_mib < GROWTH_MIB * clients
    for peer, _ in attackers:
        peer.close()
    started.signal(15)
    started.check_end()
    assert any("(limits.connection_headers)" in line for line in started.stderr), started.output()


class Bomber(Endpoint):
    """Answers each call with ten lists: informational ones, headers and trailers."""

    references = b"\xbe" * 15

    def read(self, peer):
        hello = hostile.frame(hostile.SETTINGS, 0, 0) + hostile.frame(hostile.SETTINGS, 1, 0)
        received, has_inserted = bytearray(), False
        try:
            peer.sendall(hello)
            while data := peer.recv(1 << 18):
                received += data
                del received[:len(hostile.PREFACE) if received.startswith(hostile.PREFACE) else 0]
                while len(received) >= 9 and len(received) >= (size := 9 + int.from_bytes(received[:3], "big")):
                    if received[3] == hostile.HEADERS:
                        peer.sendall(self.answer(int.from_bytes(received[5:9], "big"), has_inserted))
                        has_inserted = True
                    del received[:size]
        except OSError:
            pass

    def answer(self, stream, has_inserted):
        informational = b"\x08\x03103"
        first = informational + (b"" if has_inserted else hostile.CREDENTIAL) + self.references
        response = b"\x88" + hostile.literal(b"content-type", b"application/grpc") + self.references
        trailers = hostile.literal(b"grpc-status", b"0") + self.references
        ends = hostile.END_HEADERS
        return (hostile.frame(hostile.HEADERS, ends, stream, first) +
                hostile.frame(hostile.HEADERS, ends, stream, informational + self.references) * 7 +
                hostile.frame(hostile.HEADERS, ends, stream, response) +
                hostile.frame(hostile.HEADERS, ends | hostile.END_STREAM, stream, trailers))


def is_answered(port):
    """With all ten lists."""
    received, lists = bytearray(), 0
    with socket.create_connection(("127.0.0.1", port)) as reader:
        reader.settimeout(20)
        reader.sendall(hostile.HELLO + hostile.call(1, end=True))
        while data := reader.recv(1 << 18):
            received += data
            while len(received) >= 9 and len(received) >= (size := 9 + int.from_bytes(received[:3], "big")):
                lists += received[3] == hostile.HEADERS
                if received[3] == hostile.RST_STREAM or (received[3] == hostile.HEADERS and received[4] & 1):
                    # A list of 60 kB goes in several frames, the first of which says that it is the last.
                    return lists == 10
                del received[:size]
    return False


def test_bombs_of_an_endpoint(proxy):
    """Twenty clients do not read: what waits for them is a twentieth of what the endpoint says."""
    memory_mib, clients, calls = 32, 20, 30
    endpoint = Bomber()
    config = {"shards": {"count": 1, "cpus": "none", "memory": f"{memory_mib}MiB"},
              "listeners": [{"address": "127.0.0.1:0", "routes": [{"cluster": "a"}]}],
              "clusters": [{"name": "a", "endpoints": [{"address": endpoint.address}]}], "drain": {"timeout": "100ms"}}
    started = proxy(config=config, args=["--stats-at-exit"])
    before_mib = peak_mib(started)
    peers = []
    for _ in range(clients):
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(("127.0.0.1", started.port))
        peer.sendall(hostile.HELLO + b"".join(hostile.call(stream, end=True) for stream in range(1, 2 * calls, 2)))
        peers.append(peer)
    wait_until(lambda: any("(shards.memory" in line for line in started.stderr), "the limit is met")
    assert ask_health(started.port).startswith(b"HTTP/1.1 200")
    for peer in peers:
        peer.close()
    wait_until(lambda: is_answered(started.port), "the whole answer for who reads")
    assert peak_mib(started) - before_mib < 2 * memory_mib
    endpoint.close()
    assert started.end_with_counters()["limits"]["shards.memory"] > 0
