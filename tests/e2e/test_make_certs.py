"""scripts/make-certs: what it makes is good for mutual TLS and for the examples, and it never replaces what is there."""

import re
import shlex
import ssl
import stat
import subprocess

import certs
import pytest
import yaml

from harness import BUILD, ROOT

EC = {f"{owner}-{part}.pem" for owner in ("server", "client") for part in ("cert", "key")}
RSA = {name.replace(".pem", "-rsa.pem") for name in EC}
AUTHORITY = {"ca-cert.pem", "ca-key.pem"}


def run(*arguments, cwd=ROOT):
    return subprocess.run([ROOT / "scripts" / "make-certs", *arguments], cwd=cwd, capture_output=True, text=True)


def make(folder, *arguments):
    result = run("--out", folder, *arguments)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("certificates"), "pcbook", "*.pcbook.example", "192.0.2.7", "2001:db8::1")


def octets(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def handshake(folder, name, suffix="", client=True):
    """Mutual TLS in memory: the name that the server sees for the client."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(folder / f"server-cert{suffix}.pem", folder / f"server-key{suffix}.pem")
    server_context.load_verify_locations(folder / "ca-cert.pem")
    server_context.verify_mode = ssl.CERT_REQUIRED
    client_context = ssl.create_default_context(cafile=folder / "ca-cert.pem")
    if client:
        client_context.load_cert_chain(folder / f"client-cert{suffix}.pem", folder / f"client-key{suffix}.pem")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client_context.wrap_bio(to_client, to_server, server_hostname=name),
            server_context.wrap_bio(to_server, to_client, server_side=True)]
    waiting = list(ends)
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
    assert not waiting
    return dict(pair[0] for pair in ends[1].getpeercert()["subject"])["commonName"]


@pytest.mark.parametrize("suffix", ["", "-rsa"])
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "pcbook", "any.pcbook.example", "192.0.2.7",
                                  "2001:db8::1"])
def test_mutual_tls(made, name, suffix):
    assert handshake(made, name, suffix) == "client"


def test_mutual_tls_can_fail(made):
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(made, "other.example")
    with pytest.raises(ssl.SSLError, match="did not return a certificate"):
        handshake(made, "localhost", client=False)


def test_files_and_their_modes(made):
    assert {path.name for path in made.iterdir()} == EC | RSA | AUTHORITY
    for path in made.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if "-key" in path.name else 0o644), path.name
    for suffix, algorithm in (("", "prime256v1"), ("-rsa", "(2048 bit, 2 primes)")):
        shown = subprocess.run(["openssl", "pkey", "-text", "-noout", "-in", made / f"server-key{suffix}.pem"],
                               capture_output=True, text=True, check=True)
        assert algorithm in shown.stdout


def test_what_is_there_stays(made):
    before = octets(made)
    result = run("--out", made, "pcbook", "any.pcbook.example")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{made}: all there already\n", "")
    result = run("--out", made, "other.example")
    assert result.returncode == 1
    assert result.stderr == (f"scripts/make-certs: {made}/server-cert.pem is not for other.example; --force makes all of "
                             "them anew\n")
    assert octets(made) == before


def test_what_is_wrong_is_said_and_force_makes_all_anew(tmp_path):
    folder = make(tmp_path / "new" / "folder", "--ec")
    assert {path.name for path in folder.iterdir()} == EC | AUTHORITY
    result = run("--out", folder)
    assert result.returncode == 1 and "but not server-cert-rsa.pem server-key-rsa.pem" in result.stderr

    def fault():
        result = run("--out", folder, "--ec")
        assert result.returncode == 1
        return result.stderr.removeprefix(f"scripts/make-certs: {folder}/").removesuffix(
            "; --force makes all of them anew\n")

    sound = octets(folder)
    (folder / "client-key.pem").write_bytes(sound["server-key.pem"])
    assert fault() == f"client-key.pem is not the key of {folder}/client-cert.pem"
    root = certs.authority()
    (folder / "ca-cert.pem").write_bytes(root.certificate_pem)
    assert fault() == f"server-cert.pem is not of the authority {folder}/ca-cert.pem"
    (folder / "server-cert.pem").write_bytes(root.issue(period=certs.EXPIRED).certificate_pem)
    assert fault() == "server-cert.pem has expired"
    make(folder, "--ec", "--force")
    renewed = octets(folder)
    assert renewed.keys() == sound.keys() and not set(renewed.values()) & set(sound.values())
    assert handshake(folder, "localhost") == "client"


def test_only_rsa_and_relative_folders(tmp_path):
    result = run("--out", "here", "--rsa", "--days", "2", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "here"
    assert {path.name for path in folder.iterdir()} == RSA | AUTHORITY
    assert handshake(folder, "localhost", "-rsa") == "client"
    for days, status in ((1, 0), (3, 1)):
        check = ["openssl", "x509", "-noout", "-checkend", str(days * 86400), "-in", folder / "server-cert-rsa.pem"]
        assert subprocess.run(check, capture_output=True).returncode == status


@pytest.mark.parametrize("arguments, message", [
    (["--out"], "--out: the value is missing"),
    (["--days", "0"], "--days: '0' is not a number of days, allowed: 1 to 9999"),
    (["--days", "10000"], "--days: '10000' is not a number of days, allowed: 1 to 9999"),
    (["--dsa"], "unknown option --dsa (allowed: --out DIR, --days N, --ec, --rsa, --force, --help, NAME...)"),
    (["a b"], "'a b' is not a host name, allowed: as api.example.com, *.example.com or an IP address"),
    (["a,IP:192.0.2.1"], "'a,IP:192.0.2.1' is not an IP address, allowed: as 192.0.2.7 or 2001:db8::1"),
    (["1.2.3.400"], "'1.2.3.400' is not an IP address, allowed: as 192.0.2.7 or 2001:db8::1"),
])
def test_mistakes(tmp_path, arguments, message):
    result = run("--out", tmp_path / "none", *arguments) if arguments != ["--out"] else run(*arguments)
    assert (result.returncode, result.stderr) == (2, f"scripts/make-certs: {message}\n")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("example", ["tls-front", "tls-both", "mutual-tls"])
def test_examples_find_them_beside_themselves(made, tmp_path, example):
    (tmp_path / "cert").symlink_to(made)
    config = tmp_path / f"{example}.yaml"
    config.write_bytes((ROOT / "configs" / f"{example}.yaml").read_bytes())
    check = [BUILD / "ringway", "--check", "--config", config]
    result = subprocess.run(check, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert f'certificate: "{tmp_path}/cert/server-cert.pem"' in result.stdout
    for path in made.glob("*-key*.pem"):
        assert path.read_text().splitlines()[1] not in result.stdout
    # What is printed means the same wherever it is read.
    printed = tmp_path / "elsewhere" / "printed.yaml"
    printed.parent.mkdir()
    printed.write_text(result.stdout)
    again = subprocess.run([*check[:-1], printed], capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (0, result.stdout)

    (tmp_path / "cert").unlink()
    missing = subprocess.run(check, capture_output=True, text=True)
    assert missing.returncode == 2
    assert f"listeners[0].tls.certificates[0].certificate: '{tmp_path}/cert/server-cert.pem' cannot be read: No such file " \
           "or directory, allowed: a PEM file with a certificate and its chain\n" in missing.stderr


@pytest.mark.parametrize("example", ["tls-front", "tls-both"])
def test_flags_in_the_examples_say_the_same(made, tmp_path, example):
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "cert").symlink_to(made)
    text = (ROOT / "configs" / f"{example}.yaml").read_text()
    (configs / f"{example}.yaml").write_text(text)
    command = re.search(r"^#   ringway ((?:.*\\\n)*.*)", text, re.MULTILINE).group(1)
    flags = shlex.split(re.sub(r"\\\n#", " ", command))

    def checked(*arguments):
        result = subprocess.run([BUILD / "ringway", "--check", *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        config = yaml.safe_load(result.stdout)
        return config["listeners"][0], config["clusters"][0]

    (listener, cluster), (flag_listener, flag_cluster) = checked("--config", f"configs/{example}.yaml"), checked(*flags)
    for key in ("address", "tls"):
        assert flag_listener[key] == listener[key]
    for key in {"endpoints", "tls"} & {*cluster, *flag_cluster}:
        assert flag_cluster[key] == cluster[key]
    assert ("tls" in cluster) == (example == "tls-both")
