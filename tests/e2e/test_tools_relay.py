"""ringway-relay between plain sockets, and between grpcio and ringway-echo."""

import hashlib
import os
import random
import socket
import struct
import threading

import pytest

from harness import wait_until
from tool_fixtures import RUN_LIMIT_S, echo, raw_call, tool  # noqa: F401


@pytest.fixture
def mirror():
    """A plain TCP server that sends every byte back and ends when the client does; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        with connection:
            try:
                while received := connection.recv(1 << 16):
                    connection.sendall(received)
            except ConnectionError:
                pass

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    # Wakes the accepting thread, which close() alone does not.
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def exchange(port, payload, start_reading):
    """Sends `payload`, ends that direction, and returns the digest of all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=RUN_LIMIT_S) as connection:
        def send():
            connection.sendall(payload)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        start_reading.wait(RUN_LIMIT_S)
        digest = hashlib.sha256()
        while received := connection.recv(1 << 18):
            digest.update(received)
        sender.join()
        return digest.hexdigest()


@pytest.mark.parametrize("buffers", [[], ["--recv-buffers", "8", "--recv-buffer-bytes", "4096"]], ids=["default", "few-buffers"])
def test_relay_carries_every_byte_both_ways(tool, mirror, buffers):
    relay = tool("ringway-relay", "--upstream", mirror, *buffers)
    payload = random.Random(1).randbytes(12_000_000)
    results = {}
    now, later = threading.Event(), threading.Event()
    now.set()

    def one(number, start):
        results[number] = exchange(relay.port, payload, start)

    # Two clients read at once, two only after the others are through: those fill every buffer on the way.
    clients = [threading.Thread(target=one, args=(number, now if number < 2 else later)) for number in range(4)]
    for client in clients:
        client.start()
    for client in clients[:2]:
        client.join()
    later.set()
    for client in clients[2:]:
        client.join()
    assert results == dict.fromkeys(range(4), hashlib.sha256(payload).hexdigest())


def test_relay_passes_a_half_close_on(tool):
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = tool("ringway-relay", "--upstream", f"127.0.0.1:{server.getsockname()[1]}")
        with socket.create_connection(("127.0.0.1", relay.port), timeout=20) as client:
            upstream, _ = server.accept()
            with upstream:
                upstream.settimeout(20)
                client.sendall(b"request")
                client.shutdown(socket.SHUT_WR)
                assert upstream.recv(100) == b"request"
                assert upstream.recv(100) == b""
                upstream.sendall(b"answer")
                assert client.recv(100) == b"answer"
                upstream.close()
                assert client.recv(100) == b""


@pytest.mark.parametrize("dying", ["client", "upstream"])
def test_relay_passes_a_reset_on(tool, dying):
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = tool("ringway-relay", "--upstream", f"127.0.0.1:{server.getsockname()[1]}")
        with socket.create_connection(("127.0.0.1", relay.port), timeout=20) as client:
            upstream, _ = server.accept()
            with upstream:
                upstream.settimeout(20)
                client.sendall(b"x")
                assert upstream.recv(10) == b"x"
                first, other = (client, upstream) if dying == "client" else (upstream, client)
                first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                first.close()
                with pytest.raises(ConnectionResetError):
                    other.recv(10)


def test_relay_closes_a_client_whose_upstream_is_not_there(tool):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    relay = tool("ringway-relay", "--upstream", address)
    with socket.create_connection(("127.0.0.1", relay.port), timeout=20) as client:
        with pytest.raises(ConnectionResetError):
            client.recv(10)


def test_relay_frees_its_connections(tool, mirror):
    relay = tool("ringway-relay", "--upstream", mirror)
    sockets = [socket.create_connection(("127.0.0.1", relay.port), timeout=20) for _ in range(20)]
    for connection in sockets:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"

    def descriptors():
        return len(os.listdir(f"/proc/{relay.child.pid}/fd"))

    open_count = descriptors()
    for connection in sockets:
        connection.close()
    wait_until(lambda: descriptors() <= open_count - 40, "the descriptors of closed connections")


def test_relay_carries_grpc(tool, echo, channel):
    relay = tool("ringway-relay", "--upstream", echo.address)
    payload = random.Random(2).randbytes(1_000_000)
    assert raw_call(channel(relay.address))(payload, timeout=20) == payload
