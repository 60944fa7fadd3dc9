"""A client of TLS 1.3 whose records are written by hand: OpenSSL makes the handshake, its key log gives the keys.

    client = RawTls(started, pki.context(version=TLSv1_3), tmp_path)
    client.send(DATA, PREFACE)
    client.until(DATA)
"""

import pathlib
import socket
import ssl
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

ALERT, HANDSHAKE, DATA = 21, 22, 23
HEADER_SIZE = 5
LIMIT_S = 10


class Keys:
    """Of one direction, from their secret (RFC 8446 section 7)."""

    def __init__(self, secret):
        self.hash, key_size = (hashes.SHA256(), 16) if len(secret) == 32 else (hashes.SHA384(), 32)
        self.secret = secret
        self.cipher = AESGCM(self._expand(b"key", key_size))
        self.iv = self._expand(b"iv", 12)
        self.sequence = 0

    def _expand(self, label, size):
        info = struct.pack(">HB", size, 6 + len(label)) + b"tls13 " + label + b"\0"
        return HKDFExpand(self.hash, size, info).derive(self.secret)

    def updated(self):
        return Keys(self._expand(b"traffic upd", self.hash.digest_size))

    def nonce(self):
        number = int.from_bytes(self.iv, "big") ^ self.sequence
        self.sequence += 1
        return number.to_bytes(12, "big")

    def seal(self, kind, content, padding=0):
        inner = content + bytes([kind]) + bytes(padding)
        header = struct.pack(">BHH", DATA, 0x303, len(inner) + 16)
        return header + self.cipher.encrypt(self.nonce(), inner, header)

    def open(self, record):
        inner = self.cipher.decrypt(self.nonce(), record[HEADER_SIZE:], record[:HEADER_SIZE]).rstrip(b"\0")
        return inner[-1], inner[:-1]


class RawTls:
    def __init__(self, started, context, folder, name="localhost"):
        log = pathlib.Path(folder) / f"keys-{id(self)}"
        context.keylog_filename = str(log)
        self.socket = socket.create_connection(("127.0.0.1", started.port), timeout=LIMIT_S)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context.wrap_bio(incoming, outgoing, server_hostname=name)
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.socket.sendall(outgoing.read())
                incoming.write(self._record_of_handshake())
        self.socket.sendall(outgoing.read())
        assert session.version() == "TLSv1.3" and incoming.pending == 0
        secrets = dict((line.split()[0], bytes.fromhex(line.split()[2])) for line in log.read_text().splitlines()
                       if not line.startswith("#"))
        self.ours, self.theirs = Keys(secrets["CLIENT_TRAFFIC_SECRET_0"]), Keys(secrets["SERVER_TRAFFIC_SECRET_0"])

    def _exactly(self, size):
        octets = b""
        while len(octets) < size:
            piece = self.socket.recv(size - len(octets))
            if not piece:
                raise EOFError
            octets += piece
        return octets

    # Nothing behind the handshake may be read by OpenSSL.
    def _record_of_handshake(self):
        header = self._exactly(HEADER_SIZE)
        return header + self._exactly(struct.unpack(">H", header[3:])[0])

    def send(self, kind, content=b"", padding=0):
        self.socket.sendall(self.ours.seal(kind, content, padding))

    def send_sealed(self, record):
        self.socket.sendall(record)

    def update_our_keys(self, wants_theirs=False):
        self.send(HANDSHAKE, bytes([24, 0, 0, 1, wants_theirs]))
        self.ours = self.ours.updated()

    def next(self):
        """(kind, content) of a record; at the end of the connection (None, b"")."""
        try:
            kind, content = self.theirs.open(self._record_of_handshake())
        except (EOFError, ConnectionError):
            return None, b""
        if kind == HANDSHAKE and content[0] == 24:
            self.theirs = self.theirs.updated()
        return kind, content

    def until(self, kind, content=b""):
        """The next record of the kind that has the content, and those before it."""
        passed = []
        while True:
            passed.append(self.next())
            if passed[-1][0] == kind and content in passed[-1][1]:
                return passed
            assert passed[-1][0] is not None, f"the end, after {passed}"

    def close(self):
        self.socket.close()
