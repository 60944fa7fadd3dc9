"""ringway-load and ringway-echo in TLS and mutual TLS: with each other, and with clients and servers of OpenSSL."""

import concurrent.futures
import contextlib
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading

import grpc
import pytest

from harness import BUILD, Process, wait_until
from tool_certificates import certificates  # noqa: F401
from tool_fixtures import PATH, Tool, echo, load, raw_call, run, tool  # noqa: F401


@pytest.fixture
def tls_echo(tool, certificates):
    return tool("ringway-echo", "--tls-cert", certificates.server, "--tls-key", certificates.server_key)


@pytest.fixture
def mutual_echo(tool, certificates):
    return tool("ringway-echo", "--tls-cert", certificates.server, "--tls-key", certificates.server_key,
                "--tls-client-ca", certificates.ca)


def trusting(certificates, *more):
    return ("--upstream-tls", "--upstream-ca", certificates.ca, *more)


def showing(certificate, key):
    return ("--upstream-cert", certificate, "--upstream-key", key)


def test_load_and_echo_speak_tls(tls_echo, certificates):
    code, report = load(tls_echo, "--requests", 2000, "--connections", 5, "--streams", 4, "--threads", 2,
                        *trusting(certificates))
    assert code == 0
    assert (report["requests"], report["succeeded"], report["errors"]) == (2000, 2000, {})
    tls = report["tls"]
    assert tls["kinds"] == {"TLSv1.3 AES-128-GCM X25519": 5}
    assert (tls["handshakes"], tls["resumed"]) == (5, 0)
    assert 0 < tls["handshake_us"]["p50"] <= tls["handshake_us"]["max"]


def test_load_says_in_its_table_what_was_agreed_on(tls_echo, certificates):
    done = run("ringway-load", "--target", tls_echo.address, "--path", PATH, "--requests", 10, *trusting(certificates))
    assert done.returncode == 0
    assert "tls      TLSv1.3 AES-128-GCM X25519: 1 connections\n" in done.stdout
    assert re.search(r"^handshake +[0-9.]+", done.stdout, re.MULTILINE)


def test_load_has_no_tls_to_report_in_cleartext(echo):
    assert load(echo, "--requests", 10)[1]["tls"] is None


def test_large_messages_cross_many_records(tls_echo, certificates):
    code, report = load(tls_echo, "--requests", 4, "--connections", 2, "--stream-messages", 50, "--pipelined",
                        "--message-bytes", 65536, *trusting(certificates))
    assert (code, report["succeeded"]) == (0, 4)
    assert report["bytes_received"] > 4 * 50 * 65541


@pytest.mark.parametrize("options, kind", [
    (["--tls-version", "1.2"], "TLSv1.2 AES-128-GCM X25519"),
    (["--tls-version", "1.2", "--tls-cipher", "aes-256-gcm"], "TLSv1.2 AES-256-GCM X25519"),
    (["--tls-version", "1.2", "--tls-cipher", "chacha20-poly1305"], "TLSv1.2 CHACHA20-POLY1305 X25519"),
    (["--tls-version", "1.3", "--tls-cipher", "chacha20-poly1305"], "TLSv1.3 CHACHA20-POLY1305 X25519"),
], ids=["1.2", "aes-256", "chacha20-1.2", "chacha20-1.3"])
def test_load_speaks_the_version_and_cipher_that_are_wanted(tls_echo, certificates, options, kind):
    code, report = load(tls_echo, "--requests", 10, *trusting(certificates, *options))
    assert (code, report["tls"]["kinds"]) == (0, {kind: 1})


def test_load_refuses_another_cipher_than_the_one_wanted(tls_echo, certificates):
    code, report = load(tls_echo, "--requests", 10, *trusting(certificates, "--tls-cipher", "aes-256-gcm"))
    assert (code, report["requests"]) == (1, 0)
    assert report["errors"] == {"connect: TLS: AES-128-GCM was chosen, AES-256-GCM is wanted": 1}


def test_echo_speaks_the_version_that_is_wanted(tool, certificates):
    old = tool("ringway-echo", "--tls-cert", certificates.server, "--tls-key", certificates.server_key, "--tls-version", "1.2")
    code, report = load(old, "--requests", 10, *trusting(certificates))
    assert (code, list(report["tls"]["kinds"])) == (0, ["TLSv1.2 AES-128-GCM X25519"])
    code, report = load(old, "--requests", 10, *trusting(certificates, "--tls-version", "1.3"))
    assert report["errors"] == {"connect: TLS: it accepts no TLS version of 1.2 and 1.3 (TLS alert protocol_version)": 1}


def test_server_name_is_asked_for_and_checked(tls_echo, certificates):
    assert load(tls_echo, "--requests", 10, *trusting(certificates, "--upstream-server-name", "localhost"))[0] == 0
    code, report = load(tls_echo, "--requests", 10, *trusting(certificates, "--upstream-server-name", "shop.example"))
    assert code == 1
    assert report["errors"] == {"connect: TLS: its certificate is for localhost, 127.0.0.1, not for shop.example": 1}


def test_mutual_tls(mutual_echo, certificates):
    code, report = load(mutual_echo, "--requests", 100, "--connections", 3,
                        *trusting(certificates, *showing(certificates.client, certificates.client_key)))
    assert (code, report["succeeded"], report["tls"]["handshakes"]) == (0, 100, 3)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_missing_client_certificate_is_named_at_both_ends(mutual_echo, certificates, version):
    code, report = load(mutual_echo, "--requests", 10, *trusting(certificates, "--tls-version", version))
    assert (code, report["requests"]) == (1, 0)
    error, = report["errors"]
    assert "wants a client certificate" in error
    wait_until(lambda: "the client showed no certificate, the listener requires one" in mutual_echo.output(), "the line")


def test_a_refused_client_certificate_is_named_at_both_ends(mutual_echo, certificates):
    code, report = load(mutual_echo, "--requests", 10,
                        *trusting(certificates, *showing(certificates.stranger, certificates.stranger_key)))
    assert (code, report["requests"]) == (1, 0)
    assert report["errors"] == {"connect: TLS: it does not know who issued the client certificate (TLS alert unknown_ca)": 1}
    wait_until(lambda: "the client's certificate is from an unknown authority" in mutual_echo.output(), "the line")


def test_an_unknown_authority_is_named_at_both_ends(tls_echo, certificates):
    code, report = load(tls_echo, "--requests", 10, "--connections", 3, "--upstream-tls", "--upstream-ca", certificates.stranger_ca)
    assert (code, report["requests"]) == (1, 0)
    error, = report["errors"]
    assert error.startswith("connect: TLS: its certificate is from an unknown authority")
    assert report["errors"][error] == 3
    wait_until(lambda: "TLS alert unknown_ca" in tls_echo.output(), "the line")
    assert tls_echo.output().count("TLS alert unknown_ca") == 1


def test_cleartext_to_tls_is_named_at_both_ends(tls_echo):
    code, report = load(tls_echo, "--requests", 1)
    assert code == 1
    assert report["errors"]["connection lost: it speaks TLS, and was spoken to in cleartext"] == 1
    wait_until(lambda: "the client speaks HTTP/2 in cleartext" in tls_echo.output(), "the line")


def test_tls_to_cleartext_is_named_at_both_ends(echo, certificates):
    code, report = load(echo, "--requests", 1, *trusting(certificates))
    assert (code, report["requests"]) == (1, 0)
    assert report["errors"] == {"connect: TLS: it speaks HTTP/2 in cleartext": 1}
    wait_until(lambda: "the client speaks TLS to a listener in cleartext" in echo.output(), "the line")


def test_load_says_that_a_handshake_was_cut_off(certificates):
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = Process([str(BUILD / "ringway-load"), "--target", f"127.0.0.1:{server.getsockname()[1]}", "--path", PATH,
                           "--requests", "1", *trusting(certificates)])
        peer, _ = server.accept()
        with peer:
            peer.recv(65536)
        assert process.wait(20) == 1
    assert "connect: closed by peer in the TLS handshake" in process.output()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_h2load_speaks_tls_to_echo(tool, certificates, tmp_path, version):
    echo_of_one = tool("ringway-echo", "--tls-cert", certificates.server, "--tls-key", certificates.server_key,
                       "--tls-version", version)
    message = tmp_path / "message"
    message.write_bytes(b"\0\0\0\0\x05hello")
    done = subprocess.run(["h2load", "-n", "500", "-c", "4", "-m", "5", "-d", str(message), f"https://{echo_of_one.address}{PATH}"],
                          capture_output=True, text=True, timeout=60, check=True)
    assert "500 succeeded, 0 failed" in done.stdout, done.stdout
    assert f"TLS Protocol: TLSv{version}" in done.stdout
    assert "Application protocol: h2" in done.stdout


def test_openssl_sees_what_echo_shows(mutual_echo, certificates):
    done = subprocess.run(["openssl", "s_client", "-connect", mutual_echo.address, "-alpn", "h2", "-CAfile", certificates.ca,
                           "-cert", certificates.client, "-key", certificates.client_key, "-verify_return_error",
                           "-verify_ip", "127.0.0.1"], input="", capture_output=True, text=True, errors="replace",
                          timeout=60, check=False)
    assert "Verification: OK" in done.stdout, done.stdout + done.stderr
    assert "ALPN protocol: h2" in done.stdout
    assert re.search(r"New, TLSv1.3, Cipher is TLS_", done.stdout)


def test_echo_says_that_it_ends(certificates):
    """After SIGTERM a client gets a GOAWAY and a close_notify: without one, Python's ssl raises."""
    context = ssl.create_default_context(cafile=certificates.ca)
    context.set_alpn_protocols(["h2"])
    with Tool("ringway-echo", "--tls-cert", certificates.server, "--tls-key", certificates.server_key) as ending, \
         socket.create_connection(("127.0.0.1", ending.port), 20) as plain, \
         context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as secured:
        secured.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        received = secured.recv(65536)
        ending.signal(signal.SIGTERM)
        while chunk := secured.recv(65536):
            received += chunk
        goaway = bytes([0, 0, 8, 7, 0, 0, 0, 0, 0])
        assert goaway in received


def test_echo_wants_alpn(tls_echo):
    done = subprocess.run(["openssl", "s_client", "-connect", tls_echo.address], input="", capture_output=True, text=True,
                          timeout=60, check=False)
    assert "CONNECTED" in done.stdout
    wait_until(lambda: "the client does not ask for HTTP/2 (no ALPN)" in tls_echo.output(), "the line")


def pem(*paths):
    return [pathlib.Path(path).read_bytes() for path in paths]


def test_a_grpc_client_calls_echo_with_mutual_tls(mutual_echo, certificates):
    credentials = grpc.ssl_channel_credentials(*pem(certificates.ca, certificates.client_key, certificates.client))
    with grpc.secure_channel(mutual_echo.address, credentials) as channel:
        assert raw_call(channel)(b"hello" * 10_000, timeout=20) == b"hello" * 10_000


@pytest.mark.parametrize("is_mutual", [False, True], ids=["tls", "mutual"])
def test_load_calls_a_grpc_server_with_tls(certificates, is_mutual):
    class Echo(grpc.GenericRpcHandler):
        def service(self, _):
            return grpc.unary_unary_rpc_method_handler(lambda request, _: request)

    pair = pem(certificates.server_key, certificates.server)
    credentials = grpc.ssl_server_credentials([pair], *(pem(certificates.ca) if is_mutual else [None]), is_mutual)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2), handlers=[Echo()])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        mine = showing(certificates.client, certificates.client_key) if is_mutual else ()
        code, report = load(f"127.0.0.1:{port}", "--requests", 50, "--connections", 2, "--streams", 2,
                            *trusting(certificates, *mine))
        assert (code, report["succeeded"]) == (0, 50), report
        assert sum(report["tls"]["kinds"].values()) == 2
    finally:
        server.stop(None).wait(20)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_load_measures_full_handshakes(tls_echo, certificates, version):
    code, report = load(tls_echo, "--handshakes", "--requests", 60, "--connections", 4, "--threads", 2,
                        *trusting(certificates, "--tls-version", version))
    assert (code, report["counts"], report["requests"], report["succeeded"]) == (0, "connections", 60, 60)
    assert report["tls"]["kinds"] == {f"TLSv{version} AES-128-GCM X25519": 60}
    assert (report["tls"]["handshakes"], report["tls"]["resumed"]) == (60, 0)
    assert report["rate_achieved"] == pytest.approx(60 / report["duration_s"], rel=0.01)
    # A connection is more than its handshake: TCP's before it, the target's SETTINGS behind it.
    assert report["latency_us"]["mean"] > report["tls"]["handshake_us"]["mean"] > 0


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_load_measures_resumed_handshakes(tls_echo, certificates, version):
    code, report = load(tls_echo, "--handshakes", "--resume", "--requests", 60, "--connections", 4,
                        *trusting(certificates, "--tls-version", version))
    assert (code, report["requests"], report["succeeded"]) == (0, 60, 60)
    assert (report["tls"]["handshakes"], report["tls"]["resumed"]) == (60, 60)


def test_load_makes_no_more_connections_than_wanted(tls_echo, certificates):
    code, report = load(tls_echo, "--handshakes", "--requests", 2, "--connections", 5, *trusting(certificates))
    assert (code, report["requests"], report["tls"]["handshakes"]) == (0, 2, 2)


def test_load_makes_connections_for_a_time(tls_echo, certificates):
    code, report = load(tls_echo, "--handshakes", "--duration", "200ms", "--warmup", "50ms", "--connections", 2,
                        *trusting(certificates))
    assert code == 0
    assert report["duration_s"] == pytest.approx(0.2)
    assert report["requests"] == report["tls"]["handshakes"] > 0


def test_load_makes_a_call_on_each_connection(tls_echo, certificates):
    arguments = ("--handshakes", "--call-each", "--requests", 40, "--connections", 3, *trusting(certificates))
    code, report = load(tls_echo, *arguments)
    assert (code, report["succeeded"], report["tls"]["handshakes"]) == (0, 40, 40)
    assert report["message_bytes_per_s"] * report["duration_s"] == pytest.approx(40 * 2 * 37, rel=0.01)
    code, report = load(tls_echo, *arguments, "--header", "x-echo-status:5")
    assert (code, report["errors"]) == (1, {"grpc-status 5": 40})


def test_load_measures_connections_in_cleartext_too(echo):
    code, report = load(echo, "--handshakes", "--requests", 100, "--connections", 4)
    assert (code, report["succeeded"], report["tls"]) == (0, 100, None)


def test_load_says_that_sessions_are_not_resumed(certificates):
    """By a server that gives no tickets."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server, certificates.server_key)
    context.set_alpn_protocols(["h2"])
    context.num_tickets = 0
    settings = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])

    def serve(server):
        for _ in range(3):
            with contextlib.suppress(OSError), context.wrap_socket(server.accept()[0], server_side=True) as peer:
                peer.sendall(settings)
                while peer.recv(65536):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        code, report = load(f"127.0.0.1:{server.getsockname()[1]}", "--handshakes", "--resume", "--requests", 2,
                            *trusting(certificates))
        thread.join()
    assert (code, report["errors"]) == (1, {"not resumed": 2})
    assert (report["tls"]["handshakes"], report["tls"]["resumed"]) == (2, 0)


def test_load_does_not_measure_handshakes_with_nobody(certificates):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    code, report = load(address, "--handshakes", "--resume", "--duration", "10s", "--connections", 3, *trusting(certificates))
    assert (code, report["requests"], report["errors"]) == (1, 0, {"connect: connection refused": 3})
    code, report = load(address, "--handshakes", "--duration", "10s", *trusting(certificates))
    assert (code, report["requests"], report["errors"]) == (1, 100, {"connect: connection refused": 100})


@pytest.mark.parametrize("name, arguments, sentence", [
    ("ringway-echo", ["--tls-cert", "{server}"], "--tls-cert: needs --tls-key"),
    ("ringway-echo", ["--tls-key", "{server_key}"], "--tls-key: needs --tls-cert"),
    ("ringway-echo", ["--tls-client-ca", "{ca}"], "--tls-client-ca: needs --tls-cert and --tls-key"),
    ("ringway-echo", ["--tls-version", "1.2"], "--tls-version: needs --tls-cert and --tls-key"),
    ("ringway-echo", ["--tls-version", "1.1", "--tls-cert", "{server}"], "--tls-version: '1.1' is not 1.2 or 1.3"),
    ("ringway-echo", ["--tls-cert", "/nowhere.pem", "--tls-key", "{server_key}"], "/nowhere.pem: No such file or directory"),
    ("ringway-echo", ["--tls-cert", "{server}", "--tls-key", "{client_key}"],
     "{client_key}: is not the key of the first certificate in {server}"),
    ("ringway-load", ["--upstream-ca", "{ca}"], "--upstream-tls: is needed by the other TLS options"),
    ("ringway-load", ["--tls-cipher", "aes-128-gcm"], "--upstream-tls: is needed by the other TLS options"),
    ("ringway-load", ["--upstream-tls", "--upstream-cert", "{client}"], "--upstream-cert: needs --upstream-key"),
    ("ringway-load", ["--upstream-tls", "--upstream-key", "{client_key}"], "--upstream-key: needs --upstream-cert"),
    ("ringway-load", ["--upstream-tls", "--tls-cipher", "rc4"],
     "--tls-cipher: 'rc4' is not aes-128-gcm, aes-256-gcm or chacha20-poly1305"),
    ("ringway-load", ["--resume"], "--resume requires --handshakes"),
    ("ringway-load", ["--handshakes", "--resume"], "--resume: needs --upstream-tls, sessions are those of TLS"),
    ("ringway-load", ["--call-each"], "--call-each requires --handshakes"),
    ("ringway-load", ["--handshakes", "--streams", "2"], "--streams: not with --handshakes"),
    ("ringway-load", ["--handshakes", "--rate", "20"], "--rate: not with --handshakes"),
    ("ringway-load", ["--upstream-tls", "--upstream-ca", "{server_key}"], "{server_key}: holds no certificate in PEM form"),
])
def test_wrong_tls_options_are_named(certificates, name, arguments, sentence):
    fixed = ["--listen", "127.0.0.1:0"] if name == "ringway-echo" else \
        ["--target", "127.0.0.1:1", "--path", PATH, "--requests", "1"]
    done = run(name, *fixed, *(word.format(**vars(certificates)) for word in arguments))
    assert done.returncode == 2
    assert f"{name}: {sentence.format(**vars(certificates))}" in done.stderr
