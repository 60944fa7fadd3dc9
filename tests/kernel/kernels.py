"""Debian's kernels for virtual machines: found in the archive that this machine already uses, kept in a cache folder.

apt works on lists of its own in that folder, so that no other package can come from these suites, and nobody has to be
root. A kernel that is in the cache is not looked for again.
"""

import os
import pathlib
import re
import shutil
import subprocess

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ringway" / "kernels"
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITES = ("bookworm", "bookworm-backports", "trixie", "trixie-backports")
# The oldest kernel that ringway claims, the one of Debian 12's backports and Debian 13, and the newest that there is.
SERIES = ("6.1", "6.12", "7")
# Newer ones are split into two packages, and a third that has nothing but names.
PACKAGES = (("linux-binary-{}-cloud-amd64", "linux-modules-{}-cloud-amd64"), ("linux-image-{}-cloud-amd64-unsigned",),
            ("linux-image-{}-cloud-amd64",))


class Missing(Exception):
    """A sentence: what is missing and what to do."""


class Kernel:
    """A kernel that lies in the cache."""

    def __init__(self, folder):
        self.release = folder.name
        images = [path for pattern in ("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz") for path in folder.glob(pattern)]
        modules = [path for pattern in ("lib/modules/*/kernel", "usr/lib/modules/*/kernel") for path in folder.glob(pattern)]
        if len(images) != 1 or len(modules) != 1:
            raise Missing(f"{folder} is no unpacked kernel: remove it")
        self.image, self.modules = images[0], modules[0]


def version_key(release):
    return [int(number) for number in re.findall(r"\d+", release)]


def is_of_series(release, series):
    """6.1 is the series of 6.1.0-50 and not of 6.12.95."""
    return release == series or re.match(re.escape(series) + r"[.+-]", release) is not None


def mirror():
    """The address of the archive, in either of apt's two file formats."""
    apt = pathlib.Path("/etc/apt")
    texts = [path.read_text() for path in [*sorted(apt.glob("sources.list.d/*.sources")), apt / "sources.list",
                                           *sorted(apt.glob("sources.list.d/*.list"))] if path.is_file()]
    # A release's own suite, not its updates: "Suites: bookworm bookworm-updates", "deb [...] ADDRESS bookworm main".
    for text in texts:
        for stanza in text.split("\n\n"):
            suites = re.search(r"^Suites:(.*)$", stanza, re.MULTILINE)
            address = re.search(r"^URIs:\s*(\S+)", stanza, re.MULTILINE)
            if suites and address and set(suites[1].split()) & {"bookworm", "trixie"}:
                return address[1]
        if line := re.search(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(?:bookworm|trixie)\s", text, re.MULTILINE):
            return line[1]
    raise Missing("/etc/apt names no archive of Debian 12 or 13")


class Archive:
    """What apt says of SUITES."""

    def __init__(self):
        folder = CACHE / "apt"
        for part in ("lists/partial", "archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        sources = folder / "sources.list"
        sources.write_text("".join(f"deb [arch=amd64 signed-by={KEYS}] {mirror()} {suite} main\n" for suite in SUITES))
        settings = {"Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "/dev/null", "Dir::Etc::preferences": "/dev/null",
                    "Dir::Etc::preferencesparts": "/dev/null", "Dir::State::lists": folder / "lists", "Dir::Cache": folder,
                    "Acquire::Languages": "none", "APT::Sandbox::User": "root"}
        self.options = [option for name, value in settings.items() for option in ("-o", f"{name}={value}")]
        self.run("apt-get", "update", "-qq")
        self.names = set(self.run("apt-cache", "pkgnames", "linux-").split())

    def run(self, program, *arguments, folder=None):
        done = subprocess.run([program, *self.options, *arguments], cwd=folder, capture_output=True, text=True, timeout=300,
                              check=False)
        if done.returncode != 0:
            raise Missing(f"{program} {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def newest(self, series):
        """Release and packages."""
        releases = {found[1] for name in self.names
                    if (found := re.fullmatch(r"linux-(?:image|binary)-(\d[^_]*)-cloud-amd64(?:-unsigned)?", name))}
        for release in sorted((r for r in releases if is_of_series(r, series)), key=version_key, reverse=True):
            for names in PACKAGES:
                packages = [name.format(release) for name in names]
                if self.names.issuperset(packages):
                    return release, packages
        raise Missing(f"the archive has no cloud kernel {series}; it has {', '.join(sorted(releases, key=version_key))}")

    def fetch(self, release, packages):
        unpacked = CACHE / "partial"
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir(parents=True)
        self.run("apt-get", "download", "-qq", *packages, folder=unpacked)
        for package in list(unpacked.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True, timeout=120)
            package.unlink()
        # Whole, or not at all.
        return unpacked.rename(CACHE / release)


def cached(series):
    folders = [path for path in CACHE.glob("[0-9]*") if is_of_series(path.name, series)]
    return max(folders, key=lambda path: version_key(path.name), default=None)


def find(series):
    """The newest kernel of a series (6.1, 6.12, 7, or a whole release): of the cache, else of the archive."""
    folder = cached(series)
    if folder is None:
        archive = Archive()
        folder = archive.fetch(*archive.newest(series))
    return Kernel(folder)
