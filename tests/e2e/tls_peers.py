"""What tests of TLS share: certificates of one authority, ringway configured with them, and raw HTTP/2 over TLS.

    pki = Pki(tmp_path)
    started = proxy(config=tls_config([backend.address], listener=pki.listener()))
    client = connect(loop, started, pki.context(), "localhost")
"""

import contextlib
import pathlib
import socket
import ssl

import certs
from rawh2 import Peer

HANDSHAKE_LIMIT_S = 20


class Pki:
    """An authority in a folder, and what was issued by it, each made when it is asked for first."""

    def __init__(self, folder, **authority):
        self.folder = pathlib.Path(folder)
        self.root = certs.authority(**authority)
        self.ca = self.root.write(folder, f"ca-{id(self)}")
        self._files = {}

    def files(self, name="localhost", names=("localhost", "127.0.0.1"), issuer=None, **how):
        """Certificate and key of that name; the arguments are those of certs.Authority.issue."""
        if name not in self._files:
            leaf = (issuer or self.root).issue(names, common_name=name, **how)
            self._files[name] = leaf, leaf.write(self.folder, f"{name}-{id(self)}")
        return self._files[name][1]

    def leaf(self, name):
        return self._files[name][0]

    def write(self, name, octets):
        path = self.folder / name
        path.write_bytes(octets)
        return str(path)

    def pair(self, name="localhost", **how):
        """As configurations have it."""
        files = self.files(name, **how)
        return {"certificate": files.certificate, "private_key": files.private_key}

    def listener(self, *names, **more):
        """The `tls` of a listener with certificates of these names."""
        return {"certificates": [self.pair(name) for name in names or ("localhost",)], **more}

    def context(self, client=None, version=None, protocols=("h2",)):
        """A client's: it trusts the authority and shows the certificate `client`, if one is named."""
        context = ssl.create_default_context(cafile=self.ca)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        if client:
            files = self.files(client)
            context.load_cert_chain(files.certificate, files.private_key)
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def client_environment(self, client=None):
        """For the clients in python/, node/ and cpp/."""
        return {"E2E_TLS_CA": self.ca, **(self._shown(client) if client else {})}

    def server_environment(self, name="localhost", client_ca=None):
        """For the servers there."""
        return {**self._shown(name), **({"E2E_TLS_CLIENT_CA": client_ca} if client_ca else {})}

    def _shown(self, name):
        files = self.files(name)
        return {"E2E_TLS_CERT": files.certificate, "E2E_TLS_KEY": files.private_key}


def tls_config(endpoints, listener=None, cluster=None, limits=None, **of_listener):
    """The mapping of a configuration file: one listener, one cluster, with these `tls` each."""
    return {
        "shards": {"count": 1},
        "listeners": [{"address": "127.0.0.1:0", "routes": [{"cluster": "all"}],
                       **({"tls": listener} if listener is not None else {}), **of_listener}],
        "clusters": [{"name": "all", "endpoints": [{"address": address} for address in endpoints],
                      **({"tls": cluster} if cluster is not None else {})}],
        "drain": {"timeout": "3s"},
        **({"limits": limits} if limits else {}),
    }


class TlsSocket:
    """An SSLSocket that a Peer can drive: what waits inside it is never left there when the socket is read."""

    def __init__(self, wrapped):
        self.wrapped = wrapped

    def __getattr__(self, name):
        return getattr(self.wrapped, name)

    def recv(self, size):
        try:
            octets = self.wrapped.recv(size)
            with contextlib.suppress(ssl.SSLWantReadError):
                while self.wrapped.pending():
                    octets += self.wrapped.recv(size)
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        except ssl.SSLError as error:
            raise ConnectionError(str(error)) from None
        return octets

    def send(self, octets):
        try:
            return self.wrapped.send(octets)
        except ssl.SSLWantWriteError:
            raise BlockingIOError from None


def shake_hands(started, context, name, session=None, prefix=b""):
    """A connection to ringway with the handshake behind it; an ssl.SSLError if that fails on this side."""
    plain = socket.create_connection(("127.0.0.1", started.port), timeout=HANDSHAKE_LIMIT_S)
    try:
        if prefix:
            plain.sendall(prefix)
        return context.wrap_socket(plain, server_hostname=name, session=session)
    except BaseException:
        plain.close()
        raise


def connect(loop, started, context, name="localhost", session=None, prefix=b""):
    """A raw HTTP/2 client of the loop, over TLS. Its `socket` has the session and what was agreed on."""
    peer = Peer(TlsSocket(shake_hands(started, context, name, session, prefix)), is_client=True)
    loop.peers.append(peer)
    return peer
