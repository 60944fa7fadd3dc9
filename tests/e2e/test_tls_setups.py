"""Wrong set-ups of TLS explain themselves: to the client, where it can be told anything, in the error log, and in the
grpc-message of calls that wait for an endpoint."""

import contextlib
import re
import socket
import ssl
import subprocess

import certs
import grpc
import interop_pb2_grpc
import pytest
from interop_pb2 import Request

from harness import Process
from tls_peers import Pki, shake_hands, tls_config

LIMIT_S = 20
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])


@pytest.fixture
def pki(tmp_path):
    return Pki(tmp_path)


@pytest.fixture
def secure_channel(pki):
    """secure_channel(address, context-like options): a grpcio channel with TLS, and a client certificate if named."""
    opened = []

    def open_channel(address, client=None):
        files = pki.files(client) if client else None
        read = [open(path, "rb").read() if path else None
                for path in (pki.ca, files and files.private_key, files and files.certificate)]
        opened.append(grpc.secure_channel(address, grpc.ssl_channel_credentials(*read), options=[
            ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]))
        return opened[-1]

    yield open_channel
    for channel in opened:
        channel.close()


def failure(channel):
    """The status of a call that fails at once, which is what users read."""
    with pytest.raises(grpc.RpcError) as raised:
        interop_pb2_grpc.InteropStub(channel).Unary(Request(body=b"a"), timeout=LIMIT_S)
    return raised.value.code(), raised.value.details()


def logged(started, text):
    started.await_line(started.stderr, re.escape(text))


# The client speaks something else than the listener.

def test_grpc_in_cleartext_to_a_tls_listener(proxy, pki, backend, channel, loop):
    started = proxy(config=tls_config([backend.address], pki.listener()))
    client = loop.client(started)
    loop.until(lambda: client.closed, "the end")
    (goaway,) = client.goaways
    assert (goaway.error_code, goaway.additional_data) == (12, b"this port speaks TLS")
    # grpcio reads it, and says no more than this.
    assert failure(channel(started.address)) == (grpc.StatusCode.UNAVAILABLE, "GOAWAY received")
    logged(started, "client 127.0.0.1: TLS: the client speaks HTTP/2 in cleartext")


def test_http1_in_cleartext_to_a_tls_listener(proxy, pki, backend):
    started = proxy(config=tls_config([backend.address], pki.listener()))
    told = subprocess.run(["curl", "-sS", "-i", "-m", str(LIMIT_S), f"http://{started.address}/shop"],
                          capture_output=True, text=True, check=True).stdout
    assert told.startswith("HTTP/1.1 400 ")
    assert "This port speaks TLS, and HTTP/2 (gRPC) inside it." in told and "curl --http2 https://" in told
    logged(started, "client 127.0.0.1: TLS: the client speaks HTTP/1 in cleartext")


def test_http1_inside_tls_is_told_what_to_say(proxy, pki, backend):
    """With ALPN h2 and HTTP/1 behind it."""
    started = proxy(config=tls_config([backend.address], pki.listener()))
    with shake_hands(started, pki.context(), "localhost") as client:
        client.sendall(b"GET /shop HTTP/1.1\r\nHost: a\r\n\r\n")
        told = b""
        while octets := client.recv(1 << 16):
            told += octets
    assert told.startswith(b"HTTP/1.1 505 ") and b"This port speaks HTTP/2 over TLS (gRPC), not HTTP/1." in told
    logged(started, f"client 127.0.0.1 speaks HTTP/1 ('GET /shop'), listener {started.address} speaks HTTP/2 over TLS")


# {what comes first: what the log says behind "the client"}
FIRST_OCTETS = {
    b"SSH-2.0-x\r\n": 'does not speak TLS (its first octets are "SSH-2")',
    b"\x80@\x01\x00\x02garbage": 'does not speak TLS (its first octets are "\\x80@\\x01\\x00\\x02")',
    bytes([21, 3, 3, 0, 2, 1, 0]): "ended the handshake (TLS alert close_notify)",
}


@pytest.mark.parametrize("octets", FIRST_OCTETS, ids=bytes.hex)
def test_something_else_to_a_tls_listener(proxy, pki, backend, octets):
    started = proxy(config=tls_config([backend.address], pki.listener()))
    with socket.create_connection(("127.0.0.1", started.port), timeout=LIMIT_S) as client:
        client.sendall(octets)
        assert client.recv(100)[:1] in (b"\x15", b""), "an alert, or the end"
    logged(started, f"client 127.0.0.1: TLS: the client {FIRST_OCTETS[octets]}")


def test_tls_to_a_cleartext_listener(proxy, backend, secure_channel):
    started = proxy(backend, shards=1)
    code, _ = failure(secure_channel(started.address))
    assert code == grpc.StatusCode.UNAVAILABLE
    logged(started, f"client 127.0.0.1 speaks TLS, listener {started.address} speaks HTTP/2 without TLS")


@VERSIONS
@pytest.mark.parametrize("protocols, text", [((), "the client does not ask for HTTP/2 (no ALPN)"),
                                             (("http/1.1",), "the client offers other protocols than h2 (ALPN)")])
def test_no_http2_by_alpn(proxy, pki, backend, version, protocols, text):
    started = proxy(config=tls_config([backend.address], pki.listener()))
    with pytest.raises((ssl.SSLError, ConnectionError), match="(?i)no.application.protocol"):
        with shake_hands(started, pki.context(version=version, protocols=protocols), "localhost") as client:
            client.recv(1)
            raise AssertionError("it was let in")
    logged(started, f"client 127.0.0.1: TLS: {text}")


@VERSIONS
def test_a_client_that_does_not_trust_us(proxy, pki, backend, version, tmp_path):
    started = proxy(config=tls_config([backend.address], pki.listener()))
    stranger = Pki(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(started, stranger.context(version=version), "localhost")
    logged(started, "client 127.0.0.1: TLS: the client ended the handshake (TLS alert unknown_ca): it does not accept the "
                    "certificate shown")


# What is wrong with a certificate, and what is said of it.

def wrong_certificates(pki, folder):
    """{name: (the `tls` keys beside the authority, what is said)}; the certificates are issued by the way."""
    intermediate = pki.root.intermediate("intermediate")
    revoked_intermediate = pki.root.intermediate("revoked intermediate")
    # Another authority, of the same name.
    pki.files("stranger", issuer=certs.authority())
    pki.files("expired", period=certs.EXPIRED)
    pki.files("early", period=certs.NOT_YET_VALID)
    pki.files("revoked")
    pki.files("of-revoked", issuer=revoked_intermediate)
    pki.files("of-intermediate", issuer=intermediate)
    pki.files("sound")
    lists = pki.write("lists.pem", pki.root.crl(pki.leaf("revoked"), revoked_intermediate) + intermediate.crl() +
                      revoked_intermediate.crl())
    stale = pki.write("stale.pem", pki.root.crl(period=certs.EXPIRED))
    without_intermediate = pki.write("root-only.pem", pki.root.crl())
    return {
        "expired": ({}, "has expired"),
        "early": ({}, "is not valid yet"),
        "stranger": ({}, "is from an unknown authority"),
        "revoked": ({"crl": lists}, "is revoked"),
        "of-revoked": ({"crl": lists}, "is revoked"),
        "sound": ({"crl": stale}, "cannot be checked: the revocation list has expired"),
        "of-intermediate": ({"crl": without_intermediate},
                            "cannot be checked: there is no revocation list of its issuer"),
    }


CERTIFICATES = ("expired", "early", "stranger", "revoked", "of-revoked", "sound", "of-intermediate")


@VERSIONS
@pytest.mark.parametrize("name", CERTIFICATES)
def test_client_certificate(proxy, pki, backend, tmp_path, name, version):
    keys, said = wrong_certificates(pki, tmp_path)[name]
    started = proxy(config=tls_config([backend.address], pki.listener(client_ca=pki.ca, **keys)))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with shake_hands(started, pki.context(name, version), "localhost") as client:
            client.recv(1)
            raise AssertionError("it was let in")
    logged(started, f"client 127.0.0.1: TLS: the client's certificate {said}")


@VERSIONS
def test_no_client_certificate(proxy, pki, backend, version):
    started = proxy(config=tls_config([backend.address], pki.listener(client_ca=pki.ca)))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with shake_hands(started, pki.context(version=version), "localhost") as client:
            client.recv(1)
            raise AssertionError("it was let in")
    logged(started, "client 127.0.0.1: TLS: the client showed no certificate, the listener requires one")


# Endpoints.

@pytest.fixture
def tls_server(pki):
    """Starts a TLS server that nobody here wrote: tls_server("certificate name", "-option", ...); returns its address."""
    servers = []

    def start(name, *options):
        files = pki.files(name)
        chain = b"".join(authority.certificate_pem for authority in pki.leaf(name).chain)
        above = ["-cert_chain", pki.write("chain.pem", chain)] if chain else []
        servers.append(Process(["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", files.certificate, *above,
                                "-key", files.private_key, "-rev", *options]))
        return "127.0.0.1:" + servers[-1].await_line(servers[-1].stdout, r"ACCEPT 127\.0\.0\.1:(\d+)").group(1)

    yield start
    for server in servers:
        server.kill()


def said_of(proxy, channel, address, cluster):
    """What a call is told of an endpoint that cannot be reached by TLS; the error log has it too."""
    started = proxy(config=tls_config([address], cluster=cluster))
    code, details = failure(channel(started.address))
    assert code == grpc.StatusCode.UNAVAILABLE
    beginning = f"no endpoint of cluster all can be reached: endpoint {address}: TLS: "
    assert details.startswith(beginning), details
    text = details.removeprefix(beginning)
    logged(started, f"endpoint {address}: TLS: {text}")
    return text


@VERSIONS
@pytest.mark.parametrize("name", CERTIFICATES)
def test_endpoint_certificate(proxy, pki, channel, tls_server, tmp_path, name, version):
    keys, said = wrong_certificates(pki, tmp_path)[name]
    address = tls_server(name, "-alpn", "h2", "-tls1_2" if version == TLS12 else "-tls1_3")
    assert said_of(proxy, channel, address, {"ca": pki.ca, **keys}).startswith(f"its certificate {said}")


def test_endpoint_for_another_name(proxy, pki, channel, tls_server):
    pki.files("other", names=("shop.example", "*.cloud.example", "192.0.2.7"))
    address = tls_server("other", "-alpn", "h2")
    assert said_of(proxy, channel, address, {"ca": pki.ca}) == \
        "its certificate is for shop.example, *.cloud.example, 192.0.2.7, not for 127.0.0.1"
    for name in ("bank.example", "cloud.example", "a.b.cloud.example"):
        assert said_of(proxy, channel, address, {"ca": pki.ca, "server_name": name}) == \
            f"its certificate is for shop.example, *.cloud.example, 192.0.2.7, not for {name}"


def test_endpoint_with_a_nul_in_its_name(proxy, pki, channel, tls_server):
    pki.files("nul", names=("bank.example\0.evil.example",))
    address = tls_server("nul", "-alpn", "h2")
    assert said_of(proxy, channel, address, {"ca": pki.ca, "server_name": "bank.example"}) == \
        "its certificate is for no name, not for bank.example"


def test_endpoint_without_alpn(proxy, pki, channel, tls_server):
    assert said_of(proxy, channel, tls_server("localhost"), {"ca": pki.ca}) == \
        "it does not speak HTTP/2 over TLS (no ALPN h2)"
    assert said_of(proxy, channel, tls_server("localhost", "-alpn", "http/1.1"), {"ca": pki.ca}) == \
        "it does not speak HTTP/2 over TLS (TLS alert no_application_protocol)"


@pytest.mark.parametrize("version, said", [
    ("-tls1_2", "nothing that it and ringway both accept was found, or it wants a client certificate (TLS alert "
                "handshake_failure)"),
    ("-tls1_3", "it wants a client certificate (TLS alert certificate_required)")])
def test_endpoint_that_wants_a_client_certificate(proxy, pki, channel, tls_server, version, said):
    address = tls_server("localhost", "-alpn", "h2", version, "-Verify", "4", "-CAfile", pki.ca, "-verify_return_error")
    assert said_of(proxy, channel, address, {"ca": pki.ca}) == said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_endpoint_that_does_not_know_our_authority(proxy, pki, channel, tls_server, version, tmp_path):
    address = tls_server("localhost", "-alpn", "h2", version, "-Verify", "4", "-CAfile", pki.ca, "-verify_return_error")
    stranger = Pki(tmp_path)
    assert said_of(proxy, channel, address, {"ca": pki.ca, **stranger.pair("stranger")}) == \
        "it does not know who issued the client certificate (TLS alert unknown_ca)"


def test_endpoint_with_old_tls(proxy, pki, channel, tls_server):
    address = tls_server("localhost", "-alpn", "h2", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert said_of(proxy, channel, address, {"ca": pki.ca}) == \
        "it accepts no TLS version of 1.2 and 1.3 (TLS alert protocol_version)"


def test_endpoint_without_tls(proxy, pki, channel, grpc_server):
    """One that speaks HTTP/2 in cleartext, and one that speaks HTTP/1."""
    assert said_of(proxy, channel, grpc_server("python").address, {"ca": pki.ca}) == "it speaks HTTP/2 in cleartext"


def test_endpoint_with_tls_behind_a_cluster_without(proxy, channel, tls_server):
    address = tls_server("localhost", "-alpn", "h2")
    started = proxy(address, shards=1)
    code, details = failure(channel(started.address))
    assert code == grpc.StatusCode.UNAVAILABLE
    assert "it may expect TLS, the cluster has no tls:" in details or "speaks TLS, the cluster has no tls:" in details
    logged(started, f"endpoint {address}")


# Chains: the leaf, then so many authorities, the root among them.

@pytest.mark.parametrize("depth", range(1, 7))
def test_chains_of_clients(proxy, pki, backend, loop, depth):
    pki.files("deep", issuer=pki.root.below(depth - 1))
    started = proxy(config=tls_config([backend.address], pki.listener(client_ca=pki.ca)))
    with pytest.raises((ssl.SSLError, ConnectionError)) if depth > 4 else contextlib.nullcontext():
        with shake_hands(started, pki.context("deep"), "localhost") as client:
            client.settimeout(LIMIT_S)
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            assert client.recv(1) == b"\0", "SETTINGS"
    if depth > 4:
        logged(started, "client 127.0.0.1: TLS: the client's certificate has more than 4 issuers above it")


@pytest.mark.parametrize("depth", range(1, 7))
def test_chains_of_endpoints(proxy, pki, channel, grpc_server, depth):
    pki.files("deep", issuer=pki.root.below(depth - 1))
    server = grpc_server("python", environment=pki.server_environment("deep"))
    if depth > 4:
        assert said_of(proxy, channel, server.address, {"ca": pki.ca}) == \
            "its certificate has more than 4 issuers above it"
        return
    started = proxy(config=tls_config([server.address], cluster={"ca": pki.ca}))
    assert interop_pb2_grpc.InteropStub(channel(started.address)).Unary(Request(body=b"a"), timeout=LIMIT_S).body == b"a"
