"""Certificates as the tests want them: chains of any depth, wrong times, odd names, revoked ones.

    root = certs.authority()
    server = root.intermediate().issue(["localhost", "127.0.0.1"]).write(tmp_path, "server")
    tls = {"certificates": [{"certificate": server.certificate, "private_key": server.private_key}]}
"""

import dataclasses
import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
# Kinds of keys.
P256, P384, RSA2048 = "p256", "p384", "rsa2048"
BOTH_USAGES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclasses.dataclass(frozen=True)
class Period:
    """Validity in days from now."""

    begin: float = -1
    end: float = 30

    @property
    def times(self):
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        return now + self.begin * DAY, now + self.end * DAY


VALID = Period()
EXPIRED = Period(-30, -1)
NOT_YET_VALID = Period(1, 30)


def new_key(kind):
    """RSA takes a tenth of a second, the others nothing."""
    if kind == RSA2048:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key({P256: ec.SECP256R1, P384: ec.SECP384R1}[kind]())


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "ringway tests"),
                      x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def alternative(name):
    """localhost, *.example.com, 192.0.2.7, ::1, spiffe://…; any text becomes a DNS name as it is, with NULs in it too."""
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _begin(subject, public_key, period):
    begin, end = period.times
    return (x509.CertificateBuilder().subject_name(subject).public_key(public_key).serial_number(x509.random_serial_number())
            .not_valid_before(begin).not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False))


def _usage(**given):
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: given.get(name, False) for name in names})


@dataclasses.dataclass(frozen=True)
class Files:
    """Paths, as configurations have them."""

    certificate: str
    private_key: str


@dataclasses.dataclass(frozen=True)
class Leaf:
    certificate: x509.Certificate
    key: object
    chain: tuple  # of authorities, from its issuer on, without the root

    @property
    def certificate_pem(self):
        """The leaf and what leads to the root, as a server sends it."""
        return _pem(self.certificate) + b"".join(_pem(authority.certificate) for authority in self.chain)

    @property
    def key_pem(self):
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption())

    def write(self, folder, name):
        files = Files(str(pathlib.Path(folder) / f"{name}-cert.pem"), str(pathlib.Path(folder) / f"{name}-key.pem"))
        pathlib.Path(files.certificate).write_bytes(self.certificate_pem)
        pathlib.Path(files.private_key).touch(mode=0o600)
        pathlib.Path(files.private_key).write_bytes(self.key_pem)
        return files


@dataclasses.dataclass(frozen=True)
class Authority:
    certificate: x509.Certificate
    key: object
    issuer: "Authority | None" = None  # None: a root

    @property
    def certificate_pem(self):
        return _pem(self.certificate)

    @property
    def chain(self):
        """From this one up to below the root."""
        return () if self.issuer is None else (self, *self.issuer.chain)

    def intermediate(self, common_name="intermediate", kind=P256, period=VALID):
        key = new_key(kind)
        builder = _authority_builder(_name(common_name), key, period)
        return Authority(self._sign(builder), key, self)

    def below(self, depth):
        """The last of `depth` intermediates, one under the other; with 0 this one."""
        last = self
        for level in range(depth):
            last = last.intermediate(f"intermediate {level + 1}")
        return last

    def issue(self, names=("localhost", "127.0.0.1", "::1"), common_name="leaf", kind=P256, period=VALID,
              usages=BOTH_USAGES):
        """A certificate for an end, with these alternative names; without any, with none."""
        key = new_key(kind)
        builder = (_begin(_name(common_name), key.public_key(), period)
                   .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                   .add_extension(_usage(digital_signature=True), critical=True)
                   .add_extension(x509.ExtendedKeyUsage(usages), critical=False))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(alternative, names))), critical=False)
        return Leaf(self._sign(builder), key, self.chain)

    def crl(self, *revoked, period=VALID):
        """The revocation list of this authority, as PEM: of these leaves and authorities. EXPIRED: a stale one."""
        begin, end = period.times
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(begin).next_update(end)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        for victim in revoked:
            assert victim.certificate.issuer == self.certificate.subject, "revoked by who issued it"
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(victim.certificate.serial_number)
                .revocation_date(begin).build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def write(self, folder, name="ca"):
        """The path of the certificate; the key stays here."""
        path = pathlib.Path(folder) / f"{name}-cert.pem"
        path.write_bytes(self.certificate_pem)
        return str(path)

    def _sign(self, builder):
        builder = builder.issuer_name(self.certificate.subject).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def _authority_builder(subject, key, period):
    return (_begin(subject, key.public_key(), period)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True))


def authority(common_name="authority", kind=P256, period=VALID):
    """A root of its own: two of the same name are two authorities all the same."""
    key, subject = new_key(kind), _name(common_name)
    builder = _authority_builder(subject, key, period).issuer_name(subject)
    return Authority(builder.sign(key, hashes.SHA256()), key)
