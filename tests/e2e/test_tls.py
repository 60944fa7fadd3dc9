"""TLS with peers that are given every byte: which certificate is shown, who is asked for one, what is resumed, what
endpoints learn of clients, and what of the protocol is not spoken."""

import itertools
import re
import socket
import ssl
import subprocess
import time

import certs
import grpc
import pcbook_pb2
import pcbook_pb2_grpc
import pytest
import yaml
from cryptography.hazmat.primitives import hashes

from harness import ROOT, wait_until
from rawh2 import echo
from tls_peers import Pki, connect, shake_hands, tls_config

LIMIT_S = 20
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])
FIELD = "x-forwarded-client-cert"


@pytest.fixture
def pki(tmp_path):
    return Pki(tmp_path)


@pytest.fixture
def served(backend):
    """A backend that answers every call."""
    backend.handler = echo
    return backend


def request_headers(authority, extra=()):
    return [(":method", "POST"), (":scheme", "https"), (":path", "/test.Service/Method"), (":authority", authority),
            ("te", "trailers"), *extra]


def ask(loop, client, authority="localhost", extra=()):
    """:status of a request."""
    request = client.start_request(request_headers(authority, extra), b"")
    loop.until(lambda: request.is_over, f"the answer to a request for {authority}")
    return request


# Several certificates on one listener: exact names, wildcards, and the first for all other names.
NAMES = {"first": ("first.example", "127.0.0.1"), "second": ("second.example",), "cloud": ("*.cloud.example",),
         "inner": ("a.cloud.example",)}
# {name that the client asks for: the certificate that it gets}
CHOICES = {"first.example": "first", "SECOND.example": "second", "b.cloud.example": "cloud", "a.cloud.example": "inner",
           "a.b.cloud.example": "first", "unknown.example": "first", None: "first"}


def covers(certificate, host):
    return any(host == name or (name.startswith("*.") and host.partition(".")[2] == name[2:])
               for name in NAMES[certificate])


@pytest.fixture
def several(proxy, pki, served):
    """Starts a listener with all of them: several(client_ca=…)."""
    for name, alternatives in NAMES.items():
        pki.files(name, names=alternatives)
    return lambda **more: proxy(config=tls_config([served.address], pki.listener(*NAMES, **more)))


def shown(client):
    """The name of the certificate that the client has got."""
    subject = client.socket.getpeercert()["subject"]
    return dict(pair[0] for pair in subject)["commonName"]


def open_client(loop, started, context, name, session=None):
    # The certificate is the point, not whether it is for the name.
    context.check_hostname = False
    return connect(loop, started, context, name, session)


@VERSIONS
@pytest.mark.parametrize("name", CHOICES, ids=str)
@pytest.mark.parametrize("mode", ["off", "optional", "require"])
def test_matrix(loop, pki, several, version, name, mode):
    """Name x authority x resumption x client certificate."""
    started = several(**({} if mode == "off" else {"client_ca": pki.ca, "client_certificate": mode}))
    chosen = CHOICES[name]
    for client_certificate in {"off": (None,), "optional": (None, "client"), "require": ("client",)}[mode]:
        context = pki.context(client_certificate, version)
        session = None
        for is_resumed in (False, True):
            client = open_client(loop, started, context, name, session)
            assert client.socket.session_reused == is_resumed
            if not is_resumed:
                assert shown(client) == chosen
            for authority in ("first.example", "second.example:8443", "B.cloud.example", "a.cloud.example", "127.0.0.1:1"):
                host = authority.partition(":")[0].lower()
                # Exact names are first, but a wildcard's certificate is for them all the same.
                assert ask(loop, client, authority).header(":status") == ("200" if covers(chosen, host) else "421"), \
                    (authority, chosen)
            session = client.socket.session
            client.close()


@VERSIONS
def test_a_session_is_for_its_certificate_alone(loop, pki, several, version):
    started = several()
    context = pki.context(version=version)
    client = open_client(loop, started, context, "first.example")
    ask(loop, client, "first.example")
    session = client.socket.session
    assert open_client(loop, started, context, "first.example", session).socket.session_reused
    other = open_client(loop, started, context, "second.example", session)
    assert not other.socket.session_reused
    assert shown(other) == "second"


def test_misdirected_calls_are_told(loop, pki, several):
    client = open_client(loop, several(), pki.context(), "second.example")
    text = "'first.example' is not what this connection is for: its certificate is for second.example"
    plain = ask(loop, client, "first.example")
    assert (plain.header(":status"), bytes(plain.data)) == ("421", text.encode() + b"\n")
    call = ask(loop, client, "first.example", [("content-type", "application/grpc")])
    assert [call.header(name) for name in (":status", "grpc-status", "grpc-message")] == ["421", "14", text]


# What an endpoint learns of a client's certificate.

def forwarding(proxy, pki, backend, mode, **listener):
    return proxy(config=tls_config([backend.address], pki.listener(**listener), forwarded={"client_cert": mode}))


def learnt(loop, backend, client, extra=()):
    count = len(backend.requests())
    request = ask(loop, client, extra=extra)
    assert request.header(":status") == "200"
    return [value for name, value in backend.requests()[count][1].headers if name == FIELD]


def element(pki, name):
    """As Envoy writes it, of a certificate without a URI."""
    leaf = pki.leaf(name).certificate
    return f'Hash={leaf.fingerprint(hashes.SHA256()).hex()};Subject="{leaf.subject.rfc4514_string()}";DNS=client.example'


@VERSIONS
@pytest.mark.parametrize("mode", ["sanitize", "sanitize_set", "append_forward", "forward_only"])
def test_forwarded_client_certificate(proxy, pki, served, loop, mode, version):
    pki.files("client", names=("client.example",))
    started = forwarding(proxy, pki, served, mode, client_ca=pki.ca, client_certificate="optional")
    theirs, ours = "Hash=cd", element(pki, "client")
    expected = {"sanitize": ([], []), "sanitize_set": ([ours], [ours]),
                "append_forward": ([ours], [f"{theirs},{ours}"]), "forward_only": ([], [theirs])}[mode]
    context = pki.context("client", version)
    session = None
    for _ in ("full", "resumed"):
        client = connect(loop, started, context, "localhost", session)
        for _ in range(3):
            assert (learnt(loop, served, client), learnt(loop, served, client, [(FIELD, theirs)])) == expected
        session = client.socket.session
    assert client.socket.session_reused
    stranger = connect(loop, started, pki.context(version=version))
    for _ in range(3):
        assert learnt(loop, served, stranger) == learnt(loop, served, stranger, [(FIELD, theirs)]) == []


def test_our_certificate_is_named_by_its_uri(proxy, pki, served, loop):
    pki.files("localhost", names=("localhost", "spiffe://example/ringway"))
    pki.files("client", names=("client.example",))
    started = forwarding(proxy, pki, served, "sanitize_set", client_ca=pki.ca)
    client = connect(loop, started, pki.context("client"))
    assert learnt(loop, served, client) == ["By=spiffe://example/ringway;" + element(pki, "client")]


def test_cleartext_clients_cannot_claim_a_certificate(proxy, served, loop):
    client = loop.client(proxy(served, shards=1))
    for _ in range(4):
        assert learnt(loop, served, client, [(FIELD, "Hash=evil")]) == []


# Before the handshake.

@VERSIONS
def test_proxy_protocol_stands_before_tls(proxy, pki, served, loop, version):
    started = proxy(config=tls_config([served.address], pki.listener(), proxy_protocol="require",
                                      forwarded={"x_forwarded_for": "append", "x_forwarded_proto": True}))
    client = connect(loop, started, pki.context(version=version), prefix=b"PROXY TCP4 198.51.100.9 10.0.0.1 4 8\r\n")
    assert ask(loop, client).header(":status") == "200"
    fields = dict(served.requests()[0][1].headers)
    assert (fields["x-forwarded-for"], fields["x-forwarded-proto"]) == ("198.51.100.9", "https")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake_hands(started, pki.context(version=version), "localhost")
    started.await_line(started.stderr, "client 127.0.0.1: no PROXY header, which listener .* requires")


def test_handshakes_have_their_time(proxy, pki, served):
    started = proxy(config=tls_config([served.address], pki.listener(), limits={"handshake_timeout": "300ms"}))
    for sent in (b"", b"\x16\x03\x01\x02\x00"):
        begun = time.monotonic()
        with socket.create_connection(("127.0.0.1", started.port), timeout=LIMIT_S) as client:
            client.sendall(sent)
            while client.recv(100):
                pass
        assert time.monotonic() - begun >= 0.3
    started.await_line(started.stderr, r"client 127\.0\.0\.1: .*the TLS handshake did not end in time")


# What of TLS is not spoken. OpenSSL refuses most of it itself unless told that security does not matter.

def s_client(started, *options, sent=b""):
    return subprocess.run(["openssl", "s_client", "-connect", started.address, "-servername", "localhost", "-alpn", "h2",
                           *options], input=sent, capture_output=True, timeout=LIMIT_S)


@pytest.fixture
def listening(proxy, pki, served):
    """listening(kind): a listener with a certificate of that kind."""
    def start(kind):
        pki.files("localhost", kind=kind)
        return proxy(config=tls_config([served.address], pki.listener()))
    return start


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(listening, version):
    started = listening(certs.RSA2048)
    run = s_client(started, version, "-cipher", "ALL:@SECLEVEL=0")
    assert run.returncode != 0 and b"alert protocol version" in run.stderr
    started.await_line(started.stderr, "client 127.0.0.1: TLS: ")


ACCEPTED = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"}


@pytest.mark.parametrize("kind", [certs.P256, certs.RSA2048])
def test_suites_of_tls12(listening, kind):
    """Every suite that OpenSSL has: no CBC, no exchange by RSA, no DHE, nothing anonymous, nothing without AEAD."""
    started = listening(kind)
    known = subprocess.run(["openssl", "ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], check=True,
                           capture_output=True, text=True).stdout.strip().split(":")
    assert ACCEPTED < set(known) and len(known) > 60
    # All the others together, then each of those that may be.
    wrong = s_client(started, "-tls1_2", "-cipher", ":".join(sorted(set(known) - ACCEPTED)) + ":@SECLEVEL=0")
    assert wrong.returncode != 0 and b"alert handshake failure" in wrong.stderr
    for suite in sorted(ACCEPTED):
        run = s_client(started, "-tls1_2", "-cipher", suite)
        fits = ("ECDSA" in suite) == (kind == certs.P256)
        assert (run.returncode == 0) == fits, suite
        if fits:
            assert f"Cipher is {suite}".encode() in run.stdout


@pytest.mark.parametrize("suite", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])
def test_suites_of_tls13(listening, suite):
    run = s_client(listening(certs.P256), "-tls1_3", "-ciphersuites", suite)
    assert run.returncode == 0 and f"Cipher is {suite}".encode() in run.stdout


def test_no_compression_and_no_early_data(listening):
    started = listening(certs.P256)
    for version in ("-tls1_2", "-tls1_3"):
        run = s_client(started, version, "-comp")
        assert b"Compression: NONE" in run.stdout
        assert b"Max Early Data: " not in run.stdout or b"Max Early Data: 0" in run.stdout


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_tickets_live_as_long_as_their_keys(proxy, pki, served, tmp_path, version):
    started = proxy(config=tls_config([served.address], pki.listener(tickets={"rotate": "1h"})))
    session = tmp_path / "session"
    with subprocess.Popen(["openssl", "s_client", "-connect", started.address, "-alpn", "h2", version, "-sess_out", session],
                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        run.stdin.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        run.stdin.flush()
        wait_until(lambda: session.exists() and b"END SSL SESSION" in session.read_bytes(), "a ticket")
        run.kill()
    read = subprocess.run(["openssl", "sess_id", "-in", session, "-noout", "-text"], capture_output=True, check=True)
    assert b"ticket lifetime hint: 3600 (seconds)" in read.stdout


def test_no_renegotiation(listening):
    started = listening(certs.P256)
    run = s_client(started, "-tls1_2", sent=b"R\n")
    assert b"Secure Renegotiation IS supported" in run.stdout, "as an extension: RFC 5746"
    assert b"no renegotiation" in run.stderr
    started.await_line(started.stderr, "client 127.0.0.1: TLS: it asks for a renegotiation")


# Programs that many try first.

def test_curl(proxy, pki, served, loop):
    """Its protocol is decided by ALPN alone."""
    started = proxy(config=tls_config([served.address], pki.listener()))
    run = subprocess.Popen(["curl", "-sS", "-m", str(LIMIT_S), "--cacert", pki.ca, "--http2", "-d", "hello", "-o", "/dev/null",
                            "-w", "%{http_version} %{http_code} %{ssl_verify_result}",
                            f"https://localhost:{started.port}/a"], stdout=subprocess.PIPE, text=True)
    loop.until(lambda: run.poll() is not None, "curl's end")
    assert run.stdout.read() == "2 200 0"


@pytest.mark.parametrize("suite", ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])
def test_h2load(proxy, pki, grpc_server, suite):
    """With a certificate on both sides behind it."""
    server = grpc_server("python", environment=pki.server_environment(client_ca=pki.ca))
    started = proxy(config=tls_config([server.address], pki.listener(), {"ca": pki.ca, **pki.pair("ringway")}))
    run = subprocess.run(["h2load", "-n", "500", "-c", "10", "-m", "10", "--tls13-ciphers", suite, "-H", "te: trailers",
                          "-H", "content-type: application/grpc", "-H", ":method: POST",
                          f"https://localhost:{started.port}/interop.Interop/None"],
                         capture_output=True, text=True, timeout=60)
    assert re.search(r"500 succeeded, 0 failed, 0 errored, 0 timeout", run.stdout), run.stdout + run.stderr
    assert f"Cipher: {suite}" in run.stdout


# The examples, with what scripts/make-certs makes.

@pytest.fixture(scope="module")
def made_certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    subprocess.run([ROOT / "scripts" / "make-certs", "--out", folder], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", ["tls-front.yaml", "tls-both.yaml", "mutual-tls.yaml"])
def test_examples_run(proxy, grpc_server, made_certificates, name):
    """As they stand, but for the ports and where the certificates lie; a client of another stack calls."""
    example = yaml.safe_load((ROOT / "configs" / name).read_text().replace("cert/", f"{made_certificates}/"))
    behind = {}
    if name != "tls-front.yaml":
        behind = {"E2E_TLS_CERT": f"{made_certificates}/server-cert.pem", "E2E_TLS_KEY": f"{made_certificates}/server-key.pem"}
    if name == "mutual-tls.yaml":
        behind["E2E_TLS_CLIENT_CA"] = f"{made_certificates}/ca-cert.pem"
    example["listeners"][0]["address"] = "127.0.0.1:0"
    count = itertools.count(1)
    for cluster in example["clusters"]:
        for endpoint in cluster["endpoints"]:
            endpoint["address"] = grpc_server("python", name=f"server{next(count)}", environment=behind).address
    started = proxy(config={**example, "drain": {"timeout": "3s"}})
    read = {part: (made_certificates / f"{part}.pem").read_bytes() for part in ("ca-cert", "client-key", "client-cert")}
    credentials = grpc.ssl_channel_credentials(*(read.values() if name == "mutual-tls.yaml" else [read["ca-cert"]]))
    with grpc.secure_channel(started.address, credentials) as channel:
        login = pcbook_pb2.LoginRequest(username="admin1", password="secret")
        laptop = pcbook_pb2.CreateLaptopRequest(laptop=pcbook_pb2.Laptop(id="x"))
        _, first = pcbook_pb2_grpc.AuthServiceStub(channel).Login.with_call(login, timeout=LIMIT_S)
        _, second = pcbook_pb2_grpc.LaptopServiceStub(channel).CreateLaptop.with_call(laptop, timeout=LIMIT_S)
    by = [dict(call.trailing_metadata())["x-served-by"] for call in (first, second)]
    assert sorted(by) == ["server1", "server2"]
    if name == "mutual-tls.yaml":
        assert by == ["server1", "server2"], "by service"
    wait_until(lambda: len([line for line in started.stdout if "pcbook" in line]) == 2, "two lines of the access log")
