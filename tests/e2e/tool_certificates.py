"""Certificates for the tests of the tools: an authority, a server's and a client's; and another authority that neither knows."""

import subprocess
import types

import pytest

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2")


def _request(*arguments):
    subprocess.run(["openssl", "req", "-x509", *NEW_KEY, *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Paths by name: ca, server, server_key, client, client_key, stranger_ca, stranger, stranger_key."""
    folder = tmp_path_factory.mktemp("certificates")
    paths = {}

    def make(name, issuer=None, *more):
        paths[name], paths[f"{name}_key"] = folder / f"{name}.pem", folder / f"{name}-key.pem"
        signer = () if issuer is None else ("-CA", paths[issuer], "-CAkey", paths[f"{issuer}_key"], "-addext",
                                            "basicConstraints=CA:FALSE")
        _request("-subj", f"/CN={name}", "-out", paths[name], "-keyout", paths[f"{name}_key"], *signer, *more)

    make("ca")
    make("server", "ca", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    make("client", "ca", "-addext", "subjectAltName=DNS:client.example")
    make("stranger_ca")
    make("stranger", "stranger_ca", "-addext", "subjectAltName=DNS:stranger.example")
    return types.SimpleNamespace(**{name: str(path) for name, path in paths.items()})
