"""The modules of a kernel: which ones an algorithm needs, in the order in which they load."""

import lzma


class Module:
    """What a module says about itself in its section .modinfo, which is text with NULs in between."""

    def __init__(self, path):
        self.name = path.name.partition(".")[0].replace("-", "_")
        data = path.read_bytes()
        self.data = lzma.decompress(data) if path.suffix == ".xz" else data
        self.depends = [name.replace("-", "_") for text in self._values(b"depends=") for name in text.split(",") if name]
        self.aliases = set(self._values(b"alias="))

    def _values(self, key):
        at, values = 0, []
        while (at := self.data.find(b"\0" + key, at)) >= 0:
            at += 1
            values.append(self.data[at + len(key):self.data.index(b"\0", at)].decode("ascii", "replace"))
        return values


class Modules:
    # Folders that can have what TLS and a slow network need; all others are thousands of drivers.
    FOLDERS = ("crypto", "lib/crypto", "arch/x86/crypto", "net/tls", "lib/crypto/x86", "arch/x86/lib/crypto", "net/sched")

    def __init__(self, folder):
        paths = {path for part in self.FOLDERS for path in (folder / part).glob("*.ko*")}
        self.by_name = {module.name: module for module in map(Module, sorted(paths))}

    def _add(self, name, order):
        module = self.by_name.get(name)
        if module is None or module in order:
            return  # built in, or part of what TLS does not reach
        for needed in module.depends:
            self._add(needed, order)
        order.append(module)

    def in_order(self, names):
        order = []
        for name in names:
            self._add(name, order)
        return order

    def of_algorithms(self, algorithms):
        """All that offer one of them: in plain C, and for special processors, which may refuse to load elsewhere."""
        offers = [module for algorithm in algorithms for module in self.by_name.values()
                  if f"crypto-{algorithm}" in module.aliases]
        return self.in_order(module.name for module in offers)
