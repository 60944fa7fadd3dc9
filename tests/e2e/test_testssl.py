"""What testssl.sh finds: protocols, groups of ciphers, certificates, and the attacks on TLS that have names."""

import json
import subprocess

import certs

from rawh2 import echo
from tls_peers import Pki, tls_config

LIMIT_S = 240

# What it does not like, and why that is so.
ACCEPTED = {
    # Between AES-GCM and ChaCha20 the client's order counts: it knows which its processor is made for.
    "cipher_order": "NOT a cipher order configured",
    # An authority of the test's own has neither lists nor responders, nor a record in the DNS.
    "cert_revocation": "Neither CRL nor OCSP URI provided",
    "DNS_CAArecord": "--",
    # Of a certificate of two days.
    "cert_expirationStatus": None, "cert_notAfter": None,
}


# With RSA more could be wrong than without.
def test_report(proxy, backend, tmp_path):
    pki = Pki(tmp_path)
    pki.files("localhost", kind=certs.RSA2048)
    backend.handler = echo
    started = proxy(config=tls_config([backend.address], pki.listener()))
    report = tmp_path / "report.json"
    subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--fast", "-p", "-s", "-f", "-P", "-S", "-U",
                    "--add-ca", pki.ca, "--jsonfile", report, started.address], check=False, capture_output=True, timeout=LIMIT_S)
    findings = {row["id"]: (row["severity"], row["finding"]) for row in json.loads(report.read_text())}
    for name in ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "cipherlist_NULL", "cipherlist_aNULL", "cipherlist_EXPORT", "cipherlist_LOW",
                 "cipherlist_3DES_IDEA", "cipherlist_AVERAGE"):
        assert findings[name][1].startswith("not offered"), (name, findings[name])
    for name in ("TLS1_2", "TLS1_3", "cipherlist_STRONG", "PFS"):
        assert findings[name][1].startswith("offered"), (name, findings[name])
    assert findings["ALPN_HTTP2"][1] == "h2"
    for name in ("heartbleed", "CCS", "ROBOT", "CRIME_TLS", "POODLE_SSL", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13",
                 "secure_renego", "secure_client_renego", "cert_trust", "cert_chain_of_trust"):
        assert findings[name][0] == "OK", (name, findings[name])
    disliked = {name: finding for name, finding in findings.items() if finding[0] in ("LOW", "MEDIUM", "HIGH", "CRITICAL")}
    assert not {name: finding for name, finding in disliked.items()
                if name not in ACCEPTED or ACCEPTED[name] not in (None, finding[1])}
