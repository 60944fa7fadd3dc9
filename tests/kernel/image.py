"""The guest's file system: an archive that the kernel unpacks into memory (initramfs), so that no disk is needed."""

import gzip
import pathlib
import re
import stat
import subprocess
import tempfile


class Image:
    """An archive in cpio's format "newc"."""

    def __init__(self):
        self.parts = []
        self.names = set()

    def _entry(self, name, mode, data=b""):
        if name in self.names:
            return
        self.names.add(name)
        encoded = name.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device, its minor, special device, its minor, size of the name, check
        fields = (len(self.names), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (header + encoded, data):
            self.parts.append(part + b"\0" * (-len(part) % 4))

    def folder(self, path):
        name = str(path).strip("/")
        if not name:
            return
        self.folder(pathlib.PurePosixPath(name).parent if "/" in name else "")
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, path, data, mode=0o755):
        name = str(path).strip("/")
        self.folder(pathlib.PurePosixPath(name).parent if "/" in name else "")
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, path, target):
        self._entry(str(path).strip("/"), stat.S_IFLNK | 0o777, target.encode())

    def program(self, path, source):
        """A program and the libraries that it says it needs, these at the same paths as here."""
        for library in libraries_of(source):
            self.file(library, pathlib.Path(library).read_bytes())
        self.file(path, stripped(source))

    def write(self, path):
        self._entry("TRAILER!!!", 0)
        # What is smaller loads faster, and what packs better takes longer than it saves.
        path.write_bytes(gzip.compress(b"".join(self.parts), 1, mtime=0))


def libraries_of(program):
    done = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=30, check=False)
    if "not a dynamic executable" in done.stdout + done.stderr:
        return []
    if done.returncode != 0 or "not found" in done.stdout:
        raise RuntimeError(f"ldd {program}: {done.stdout}{done.stderr}")
    return re.findall(r"(/\S+) \(0x", done.stdout)


def stripped(program):
    """Without what only a debugger needs, which is most of it."""
    with tempfile.NamedTemporaryFile() as small:
        subprocess.run(["strip", "-o", small.name, program], timeout=60, check=True)
        return pathlib.Path(small.name).read_bytes()
