"""Records that TLS libraries do not write: empty ones, padded ones, others than data, keys that change again and again; and
early data, which nobody may send."""

import contextlib
import re
import select
import ssl
import subprocess
import time

import pytest

from harness import wait_until
from raw_tls import ALERT, DATA, HANDSHAKE, RawTls
from tls_peers import Pki, tls_config

CHANGE_CIPHER_SPEC = 20
LIMIT_S = 20
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
INNER_SIZE_MAX = 2**14 + 1  # RFC 8446 section 5.4
# Ours, as octets of level and description (RFC 8446 section 6).
CLOSE_NOTIFY, UNEXPECTED_MESSAGE, BAD_RECORD_MAC = b"\x01\x00", b"\x02\x0a", b"\x02\x14"
RECORD_OVERFLOW, ILLEGAL_PARAMETER, DECODE_ERROR = b"\x02\x16", b"\x02\x2f", b"\x02\x32"
KEY_UPDATE = 24


def ping(word):
    return bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]) + word


@pytest.fixture
def pki(tmp_path):
    return Pki(tmp_path)


@pytest.fixture
def started(proxy, pki, backend):
    return proxy(config=tls_config([backend.address], pki.listener()))


@pytest.fixture
def client(started, pki, tmp_path):
    raw = RawTls(started, pki.context(version=ssl.TLSVersion.TLSv1_3), tmp_path)
    raw.send(DATA, GREETING)
    answers_ping(raw, b"greeting")
    yield raw
    raw.close()


def answers_ping(client, word):
    client.send(DATA, ping(word))
    return client.until(DATA, word)


def ends_with(client, alert):
    """That alert is the last word, and alone."""
    alerts = [content for kind, content in client.until(ALERT) if kind == ALERT]
    assert (alerts, client.next()) == ([alert], (None, b""))


# Padding.

@pytest.mark.parametrize("padding", [1, 1000, INNER_SIZE_MAX - 18])
def test_padding_is_taken_off(client, padding):
    client.send(DATA, ping(b"a padded"), padding)
    client.until(DATA, b"a padded")


def test_padding_counts_for_the_size_of_a_record(client, started):
    client.send(DATA, ping(b"a padded"), INNER_SIZE_MAX - 17)
    ends_with(client, RECORD_OVERFLOW)
    started.await_line(started.stderr, "client 127.0.0.1: TLS: a record is not in order .record_overflow")


def test_data_of_any_size(client):
    """A PING in pieces, one octet a record, and with an empty one in between."""
    for octet in ping(b"by bytes"):
        client.send(DATA, bytes([octet]))
        client.send(DATA)
    client.until(DATA, b"by bytes")


# Records that bring nothing.

IDLE_RECORDS_MAX = 32


@pytest.mark.parametrize("padding", [0, 100])
def test_empty_records_at_the_limit(client, started, padding):
    for _ in range(2):
        for _ in range(IDLE_RECORDS_MAX):
            client.send(DATA, b"", padding)
        answers_ping(client, b"no data!")
    for _ in range(IDLE_RECORDS_MAX + 1):
        client.send(DATA, b"", padding)
    ends_with(client, UNEXPECTED_MESSAGE)
    started.await_line(started.stderr, "client 127.0.0.1: TLS: too many records without data")


# Other kinds of records, and messages that have no place.

@pytest.mark.parametrize("size", [0, 1, 100])
def test_a_record_of_nothing_but_zeros(client, size):
    client.send(0, b"", size)
    ends_with(client, UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("kind", [CHANGE_CIPHER_SPEC, 24, 255])
def test_other_kinds(client, kind):
    client.send(kind, b"\x01")
    ends_with(client, UNEXPECTED_MESSAGE)


# {name: (messages in one record, our answer)}
MESSAGES = {
    "nothing at all": (b"", UNEXPECTED_MESSAGE),
    "a KeyUpdate that asks for neither": (bytes([KEY_UPDATE, 0, 0, 1, 2]), ILLEGAL_PARAMETER),
    "a KeyUpdate that is too short": (bytes([KEY_UPDATE, 0, 0, 0]), DECODE_ERROR),
    "a KeyUpdate that is too long": (bytes([KEY_UPDATE, 0, 0, 2, 0, 0]), DECODE_ERROR),
    "a KeyUpdate with something behind it": (bytes([KEY_UPDATE, 0, 0, 1, 0, KEY_UPDATE]), UNEXPECTED_MESSAGE),
    "a ClientHello": (bytes([1, 0, 0, 1, 0]), UNEXPECTED_MESSAGE),
    "a ticket of a client": (bytes([4, 0, 0, 1, 0]), UNEXPECTED_MESSAGE),
    "a certificate": (bytes([11, 0, 0, 1, 0]), UNEXPECTED_MESSAGE),
    "Finished": (bytes([20, 0, 0, 1, 0]), UNEXPECTED_MESSAGE),
    "a message of 16 MB": (bytes([1, 255, 255, 255]), DECODE_ERROR),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_that_have_no_place(client, name):
    content, alert = MESSAGES[name]
    client.send(HANDSHAKE, content)
    ends_with(client, alert)


def test_data_within_a_message(client):
    client.send(HANDSHAKE, bytes([KEY_UPDATE, 0]))
    client.send(DATA, ping(b"too soon"))
    ends_with(client, UNEXPECTED_MESSAGE)


# Keys.

KEY_UPDATES_MAX = 10


@pytest.mark.parametrize("wants_theirs", [False, True])
def test_new_keys_at_the_limit(client, started, wants_theirs):
    for number in range(KEY_UPDATES_MAX):
        client.update_our_keys(wants_theirs)
        kinds = [kind for kind, _ in answers_ping(client, b"new keys")]
        assert kinds == ([HANDSHAKE, DATA] if wants_theirs else [DATA]), number
    client.update_our_keys(wants_theirs)
    ends_with(client, UNEXPECTED_MESSAGE)
    started.await_line(started.stderr, "client 127.0.0.1: TLS: it changes its keys too often")


def test_a_key_update_in_pieces(client):
    message = bytes([KEY_UPDATE, 0, 0, 1, 0])
    for octet in message:
        client.send(HANDSHAKE, bytes([octet]))
    client.ours = client.ours.updated()
    answers_ping(client, b"new keys")


def test_old_keys_behind_a_key_update(client):
    client.send(HANDSHAKE, bytes([KEY_UPDATE, 0, 0, 1, 0]))
    client.send(DATA, ping(b"old keys"))
    ends_with(client, BAD_RECORD_MAC)


# Alerts.

def test_close_notify_is_answered(client):
    client.send(ALERT, CLOSE_NOTIFY)
    ends_with(client, CLOSE_NOTIFY)


def test_user_canceled_comes_before_the_end(client):
    client.send(ALERT, b"\x01\x5a")
    answers_ping(client, b"not yet!")
    client.send(ALERT, CLOSE_NOTIFY)
    ends_with(client, CLOSE_NOTIFY)


@pytest.mark.parametrize("octets", [b"", b"\x02", b"\x02\x28\x02", b"\x01\x00\x01\x00"], ids=bytes.hex)
def test_alerts_of_another_size(client, octets):
    client.send(ALERT, octets)
    ends_with(client, DECODE_ERROR if octets else UNEXPECTED_MESSAGE)


def test_a_fatal_alert_is_not_answered(client, started):
    client.send(ALERT, b"\x02\x28")
    assert client.next() == (None, b"")
    started.await_line(started.stderr, "client 127.0.0.1: TLS: .*handshake_failure")


# Records that are not sealed, or not under these keys.

def test_an_octet_changed(client, started, pki, tmp_path):
    """The other connections do not notice."""
    other = RawTls(started, pki.context(version=ssl.TLSVersion.TLSv1_3), tmp_path)
    other.send(DATA, GREETING)
    record = bytearray(client.ours.seal(DATA, ping(b"changed!")))
    record[20] ^= 1
    client.send_sealed(record)
    ends_with(client, BAD_RECORD_MAC)
    answers_ping(other, b"as ever!")
    other.close()


@pytest.mark.parametrize("record", [
    bytes([CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1]), bytes([ALERT, 3, 3, 0, 2, 1, 0]), bytes([HANDSHAKE, 3, 3, 0, 4, 0, 0, 0, 0])],
    ids=["change_cipher_spec", "alert", "hello request"])
def test_records_in_clear(client, record):
    client.send_sealed(record)
    ends_with(client, UNEXPECTED_MESSAGE)


# Early data. A ticket of another server says that some may be sent: this one does not know the ticket, and passes over it.

def test_early_data_is_passed_over(started, pki, tmp_path):
    files = pki.files()
    session, early = tmp_path / "session", tmp_path / "early"
    early.write_bytes(GREETING + ping(b"replayed"))

    @contextlib.contextmanager
    def openssl(program, *options):
        """One that reads from a pipe, at whose end it would end."""
        with subprocess.Popen(["openssl", program, "-alpn", "h2", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
            try:
                yield run
            finally:
                run.kill()

    def until(run, pattern):
        said, end = b"", time.monotonic() + LIMIT_S
        while not (found := re.search(pattern, said)):
            assert time.monotonic() < end and run.poll() is None, said
            if select.select([run.stdout], [], [], 0.1)[0]:
                said += run.stdout.read1(65536)
        return found

    def client(address, *options):
        return openssl("s_client", "-connect", address, "-servername", "localhost", "-CAfile", pki.ca, *options)

    with openssl("s_server", "-accept", "127.0.0.1:0", "-early_data", "-tls1_3", "-cert", files.certificate, "-key",
                 files.private_key) as server:
        address = until(server, rb"ACCEPT (127\.0\.0\.1:\d+)\n").group(1)
        with client(address, "-sess_out", session):
            wait_until(lambda: session.exists() and b"END SSL SESSION" in session.read_bytes(), "the other server's ticket")
    with client(started.address, "-sess_in", session, "-early_data", early) as run:
        run.stdin.write(GREETING + ping(b"in time!"))
        run.stdin.flush()
        said = until(run, b"(?s).*in time!").group()
    assert b"Early data was rejected" in said and b"replayed" not in said
