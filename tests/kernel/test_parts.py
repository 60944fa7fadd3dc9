"""What scripts/kernel-test is made of, without a virtual machine: versions, modules, the archive, the verdict."""

import gzip
import importlib.machinery
import importlib.util
import pathlib
import subprocess

import kernels
import pytest
from image import Image
from modules import Module, Modules

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "kernel-test"


@pytest.fixture(scope="module")
def script():
    loader = importlib.machinery.SourceFileLoader("kernel_test", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("kernel_test", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("release, series, is_of", [
    ("6.1.0-50", "6.1", True), ("6.12.95+deb12", "6.1", False), ("6.12.95+deb12", "6.12", True),
    ("7.3.4+deb13", "7", True), ("7.3.4+deb13", "7.3", True), ("7.3.4+deb13", "7.3.4+deb13", True),
    ("7.30.4", "7.3", False), ("17.1", "7", False)])
def test_series(release, series, is_of):
    assert kernels.is_of_series(release, series) is is_of


def archive_of(*names):
    archive = kernels.Archive.__new__(kernels.Archive)
    archive.names = set(names)
    return archive


def test_the_newest_kernel_of_a_series_in_each_kind_of_package():
    archive = archive_of("linux-image-6.1.0-9-cloud-amd64-unsigned", "linux-image-6.1.0-50-cloud-amd64-unsigned",
                         "linux-image-6.12.90+deb12-cloud-amd64", "linux-image-6.12.90+deb12-cloud-amd64-dbg",
                         "linux-image-7.2.9+deb13-cloud-amd64", "linux-binary-7.2.9+deb13-cloud-amd64",
                         "linux-modules-7.2.9+deb13-cloud-amd64")
    assert archive.newest("6.1") == ("6.1.0-50", ["linux-image-6.1.0-50-cloud-amd64-unsigned"])
    assert archive.newest("6.12") == ("6.12.90+deb12", ["linux-image-6.12.90+deb12-cloud-amd64"])
    assert archive.newest("7") == ("7.2.9+deb13", ["linux-binary-7.2.9+deb13-cloud-amd64",
                                                   "linux-modules-7.2.9+deb13-cloud-amd64"])


def test_a_series_that_is_not_there():
    with pytest.raises(kernels.Missing, match=r"no cloud kernel 5\.10; it has 6\.1\.0-50"):
        archive_of("linux-image-6.1.0-50-cloud-amd64-unsigned").newest("5.10")


def module_file(folder, name, depends="", aliases=()):
    folder.mkdir(parents=True, exist_ok=True)
    texts = [f"depends={depends}", *(f"alias={alias}" for alias in aliases)]
    (folder / name).write_bytes(b"\x7fELF\0" + b"".join(text.encode() + b"\0" for text in texts))
    return folder / name


def test_a_module_says_what_it_needs(tmp_path):
    module = Module(module_file(tmp_path, "aesni-intel.ko", "gf128mul,crypto-simd", ["crypto-aes", "aes"]))
    assert (module.name, module.depends, module.aliases) == ("aesni_intel", ["gf128mul", "crypto_simd"], {"crypto-aes", "aes"})


def test_modules_come_after_what_they_need(tmp_path):
    module_file(tmp_path / "crypto", "gcm.ko", "ghash-generic", ["crypto-gcm"])
    module_file(tmp_path / "crypto", "ghash-generic.ko", "gf128mul,built-in", ["crypto-ghash"])
    module_file(tmp_path / "lib/crypto", "gf128mul.ko")
    module_file(tmp_path / "crypto", "md4.ko", "", ["crypto-md4"])
    found = Modules(tmp_path).of_algorithms(["gcm", "ghash"])
    assert [module.name for module in found] == ["gf128mul", "ghash_generic", "gcm"]


def test_cpio_reads_the_image(tmp_path):
    image = Image()
    image.file("a/b/text", b"hello\n", 0o644)
    image.file("a/b/odd", b"x" * 4097)
    image.link("a/link", "b/text")
    image.write(tmp_path / "image.gz")
    plain = gzip.decompress((tmp_path / "image.gz").read_bytes())
    subprocess.run(["busybox", "cpio", "-i"], input=plain, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "a/link").read_text() == "hello\n"
    assert (tmp_path / "a/b/odd").read_bytes() == b"x" * 4097


GOOD = "TlsTxSw \t 3\nTlsRxSw \t 2\nMARK rc=0\n"


@pytest.mark.parametrize("code, text, sentence", [
    (0, GOOD, "qemu ended with 0"), (3, GOOD, "qemu ended with 3"), (None, GOOD, "did not end within"),
    (1, GOOD.replace("rc=0", "rc=1"), "no mark of success"), (1, GOOD.replace("MARK", "# MARK"), "no mark of success"),
    (1, GOOD.replace("3", "0"), "TlsTxSw is 0"), (1, GOOD.replace("TlsRxSw", "x"), "TlsRxSw is not there")])
def test_what_speaks_against_a_run(script, code, text, sentence):
    assert sentence in "; ".join(script.judge(code, text))


def test_nothing_speaks_against_a_good_run(script):
    assert script.judge(1, GOOD) == []


@pytest.mark.parametrize("arguments, sentence", [
    (["--modes", "rx"], "--modes: unknown mode 'rx' (allowed: rxtx, tx"),
    (["--kernel", "newest"], "--kernel: 'newest' is no version of a kernel"),
    (["--build", "/nonexistent"], "the program ringway is missing (/nonexistent/ringway): run scripts/build")])
def test_wrong_options(arguments, sentence):
    done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0
    assert sentence in done.stderr
