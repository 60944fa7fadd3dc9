"""New certificates while calls go on: no call fails, new connections get the new ones, half of a pair counts for nothing."""

import json
import pathlib
import signal
import socket
import ssl
import threading

import grpc
import pytest
from interop_pb2 import Request
from interop_pb2_grpc import InteropStub

import certs
from harness import GrpcServer, Ringway, ringway_arguments, wait_until

LIMIT_S = 10
ROTATIONS = 4


def served_serial(port, ca):
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as secured:
            return int(secured.getpeercert()["serialNumber"], 16)


class Callers:
    """Calls without a pause: on one channel that stays, and on a new one each."""

    def __init__(self, address, ca_pem):
        self.address = address
        self.credentials = grpc.ssl_channel_credentials(ca_pem)
        self.failures = []
        self.counts = {"old": 0, "new": 0}
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(kind,)) for kind in self.counts]
        for thread in self.threads:
            thread.start()

    def channel(self):
        return grpc.secure_channel(self.address, self.credentials, options=[
            ("grpc.ssl_target_name_override", "localhost"), ("grpc.use_local_subchannel_pool", 1)])

    def run(self, kind):
        channel = self.channel()
        while not self.is_over.is_set():
            try:
                if kind == "new":
                    channel.close()
                    channel = self.channel()
                InteropStub(channel).Unary(Request(), timeout=LIMIT_S)
                self.counts[kind] += 1
            except grpc.RpcError as error:
                self.failures.append(f"{kind}: {error.code()} {error.details()}")
        channel.close()

    def finish(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join(LIMIT_S * 2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.finish()


@pytest.fixture
def rotated(tmp_path):
    """The proxy with TLS in front and behind, the authority, and the server's files."""
    root = certs.authority()
    ca = tmp_path / "ca.pem"
    ca.write_bytes(root.certificate_pem)
    files = root.issue().write(tmp_path, "server")
    with GrpcServer("python", "backend") as backend:
        inner = ["--tls-cert", files.certificate, "--tls-key", files.private_key, "--ktls", "off"]
        with Ringway(ringway_arguments([backend.address], inner, shards=2)) as behind:
            outer = [*inner, "--upstream-tls", "--upstream-ca", str(ca), "--stats-at-exit"]
            with Ringway(ringway_arguments([behind.address], outer, shards=2)) as proxy:
                yield proxy, root, str(ca), tmp_path


def test_rotation_under_load_fails_no_call(rotated):
    proxy, root, ca, folder = rotated
    with Callers(proxy.address, pathlib.Path(ca).read_bytes()) as callers:
        for _ in range(ROTATIONS):
            leaf = root.issue()
            leaf.write(folder, "server")
            counts = dict(callers.counts)
            wait_until(lambda: served_serial(proxy.port, ca) == leaf.certificate.serial_number, "the new certificate")
            wait_until(lambda: all(callers.counts[kind] > counts[kind] for kind in counts), "calls behind it")
        callers.finish()
        assert callers.failures == []
        assert all(count >= ROTATIONS for count in callers.counts.values())
    proxy.signal(signal.SIGTERM)
    proxy.check_end()
    statistics = json.loads(next(line for line in proxy.stdout if line.startswith("{")))
    assert statistics["tls"]["failed"] == 0
    assert list(statistics["tls"]["certificate_days"].values()) == [29]


def test_half_of_a_pair_changes_nothing(rotated):
    proxy, root, ca, folder = rotated
    before = served_serial(proxy.port, ca)
    leaf = root.issue()
    certificate = folder / "server-cert.pem"
    certificate.write_bytes(leaf.certificate_pem)
    proxy.await_line(proxy.stderr, r"server-key\.pem: is not the key of the first certificate in .*server-cert\.pem; "
                                   "what was read before stays in use")
    assert served_serial(proxy.port, ca) == before
    certificate.write_bytes(leaf.certificate_pem[:100])
    proxy.await_line(proxy.stderr, r"server-cert\.pem: a certificate cannot be read.*; what was read before stays in use")
    assert served_serial(proxy.port, ca) == before
    leaf.write(folder, "server")
    wait_until(lambda: served_serial(proxy.port, ca) == leaf.certificate.serial_number, "the whole pair")


def test_sighup_reads_at_once(rotated):
    proxy, root, ca, folder = rotated
    leaf = root.issue()
    leaf.write(folder, "server")
    proxy.signal(signal.SIGHUP)
    proxy.await_line(proxy.stderr, r"SIGHUP: certificates, keys and revocation lists are read again")
    wait_until(lambda: served_serial(proxy.port, ca) == leaf.certificate.serial_number, "the new certificate")


def test_private_keys_stay_out_of_every_line(rotated):
    proxy, _, _, folder = rotated
    key = (folder / "server-key.pem").read_text()
    (folder / "server-key.pem").write_text(key[: len(key) // 2])
    proxy.await_line(proxy.stderr, r"server-key\.pem: holds no private key")
    secret = [line for line in key.splitlines() if not line.startswith("-")]
    assert not [line for line in [*proxy.stderr, *proxy.stdout] if any(part in line for part in secret)]
