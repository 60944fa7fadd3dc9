"""certs.py makes what it says: looked at with the program openssl, which knows nothing of it."""

import subprocess

import certs
import pytest


def verify(tmp_path, root, leaf, *options, crls=()):
    """What `openssl verify` says about a leaf of that root, with the chain that a server would send."""
    (tmp_path / "root.pem").write_bytes(root.certificate_pem + b"".join(crls))
    files = leaf.write(tmp_path, "leaf")
    result = subprocess.run(["openssl", "verify", "-CAfile", tmp_path / "root.pem", "-untrusted", files.certificate,
                             *options, files.certificate], capture_output=True, text=True)
    return "OK" if result.returncode == 0 else result.stderr


@pytest.mark.parametrize("depth", range(6))
def test_chains(tmp_path, depth):
    root = certs.authority()
    leaf = root.below(depth).issue()
    assert leaf.certificate_pem.count(b"BEGIN") == 1 + depth
    assert verify(tmp_path, root, leaf, "-x509_strict", "-verify_depth", str(depth)) == "OK"
    if depth > 0:
        assert "too long" in verify(tmp_path, root, leaf, "-verify_depth", str(depth - 1))
    assert "unable to get local issuer" in verify(tmp_path, certs.authority(), root.issue())


@pytest.mark.parametrize("kind, text", [(certs.P256, "prime256v1"), (certs.P384, "secp384r1"),
                                        (certs.RSA2048, "(2048 bit, 2 primes)")])
def test_kinds_of_keys(tmp_path, kind, text):
    root = certs.authority(kind=kind)
    leaf = root.intermediate(kind=kind).issue(kind=kind)
    assert verify(tmp_path, root, leaf) == "OK"
    shown = subprocess.run(["openssl", "pkey", "-text", "-noout"], input=leaf.key_pem, capture_output=True, check=True)
    assert text in shown.stdout.decode()
    assert leaf.key.private_numbers() != root.key.private_numbers()


def test_times(tmp_path):
    root = certs.authority()
    assert "certificate has expired" in verify(tmp_path, root, root.issue(period=certs.EXPIRED))
    assert "not yet valid" in verify(tmp_path, root, root.issue(period=certs.NOT_YET_VALID))
    assert "certificate has expired" in verify(
        tmp_path, root, root.intermediate(period=certs.EXPIRED).issue())


def test_names(tmp_path):
    root = certs.authority()
    leaf = root.issue(["*.example.com", "192.0.2.7", "::1", "spiffe://example.com/a"])
    assert verify(tmp_path, root, leaf, "-verify_hostname", "a.example.com") == "OK"
    assert verify(tmp_path, root, leaf, "-verify_ip", "192.0.2.7") == "OK"
    assert verify(tmp_path, root, leaf, "-verify_ip", "::1") == "OK"
    assert "hostname mismatch" in verify(tmp_path, root, leaf, "-verify_hostname", "a.b.example.com")
    hidden = root.issue(["good.example\0.evil.example"])
    assert b"good.example\0.evil.example" in hidden.certificate.extensions.get_extension_for_class(
        certs.x509.SubjectAlternativeName).value.public_bytes()
    assert "hostname mismatch" in verify(tmp_path, root, hidden, "-verify_hostname", "good.example")
    assert "hostname mismatch" in verify(tmp_path, root, root.issue([]), "-verify_hostname", "localhost")


def test_revocation(tmp_path):
    root = certs.authority()
    intermediate = root.intermediate()
    leaf, other = intermediate.issue(), intermediate.issue()
    sound = [root.crl(), intermediate.crl(other)]
    assert verify(tmp_path, root, leaf, "-crl_check_all", crls=sound) == "OK"
    assert "certificate revoked" in verify(tmp_path, root, other, "-crl_check_all", crls=sound)
    assert "certificate revoked" in verify(tmp_path, root, leaf, "-crl_check_all",
                                           crls=[root.crl(intermediate), intermediate.crl()])
    assert "CRL has expired" in verify(tmp_path, root, leaf, "-crl_check_all",
                                       crls=[root.crl(), intermediate.crl(period=certs.EXPIRED)])


def test_usages(tmp_path):
    root = certs.authority()
    leaf = root.issue(usages=[certs.ExtendedKeyUsageOID.CLIENT_AUTH])
    assert verify(tmp_path, root, leaf, "-purpose", "sslclient") == "OK"
    assert "unsuitable certificate purpose" in verify(tmp_path, root, leaf, "-purpose", "sslserver")


def test_private_keys_are_the_owners_alone(tmp_path):
    files = certs.authority().issue().write(tmp_path, "leaf")
    assert (tmp_path / "leaf-key.pem").stat().st_mode & 0o777 == 0o600
    assert files.private_key == str(tmp_path / "leaf-key.pem")
