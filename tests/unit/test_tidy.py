"""Every rule of scripts/tidy fires on a snippet that breaks it, and stays silent on the nearest one that does not."""

import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIDY = ROOT / "scripts" / "tidy"


def findings(root, files):
    shutil.copy(ROOT / ".clang-format", root)
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    result = subprocess.run([sys.executable, TIDY, "--root", root], capture_output=True, text=True, timeout=60)
    assert result.stderr == ""
    lines = [line for line in result.stdout.splitlines() if line != "tidy: nothing to say"]
    assert result.returncode == (1 if lines else 0)
    return lines


def body(lines):
    return "void f() {\n" + "  g();\n" * (lines - 2) + "}\n"


WORD = "TO" + "DO"

BAD = {
    "a folder includes what stands below it": ("src/base/a.h", '#include "io/ring.h"\n', "[include]"),
    "grpc stands above config": ("src/grpc/a.h", '#include "config/snapshot.h"\n', "[include]"),
    "main stands last": ("src/control/a.h", '#include "main/a.h"\n', "[include]"),
    "an include without its folder": ("src/base/a.cc", '#include "a.h"\n', "[include]"),
    "liburing outside io": ("src/shard/a.cc", "#include <liburing.h>\n", "[include]"),
    "liburing in tools": ("tools/relay/a.cc", "#include <liburing.h>\n", "[include]"),
    "nghttp2 in the data plane": ("src/h2/a.cc", "#include <nghttp2/nghttp2.h>\n", "[include]"),
    "openssl outside tls": ("src/io/a.cc", "#include <openssl/ssl.h>\n", "[include]"),
    "openssl by Debian's path": ("src/io/a.cc", "#include <android/openssl/ssl.h>\n", "[include]"),
    "tools lean on the proxy": ("tools/load/a.cc", '#include "proxy/exchange.h"\n', "[include]"),
    "a file above the ratchet": ("src/base/a.h", "// x\n" * 601, "[size]"),
    "a file above the hard stop": ("src/base/a.h", "// x\n" * 1001, "[size]"),
    "a long script": ("scripts/a", "#!/usr/bin/env bash\n" + "true\n" * 601, "[size]"),
    "a long function": ("src/base/a.cc", body(71), "[function-length]"),
    "a long member function": ("src/base/a.h", "namespace a {\nclass B {\n public:\n" + body(71) + "};\n}\n", "[function-length]"),
    "a long template function": ("src/base/a.h", "template <class T>\n" + body(71), "[function-length]"),
    "a long constructor": ("src/base/a.cc", "A::A() : a_(1), b_{2} " + body(71)[9:], "[function-length]"),
    "a long operator": ("src/base/a.cc", "bool A::operator==(const A&) const noexcept " + body(71)[9:], "[function-length]"),
    "a long test": ("tests/unit/base/a_test.cc", "TEST(A, B) " + body(71)[9:], "[function-length]"),
    "a long function in Python": ("tests/e2e/a.py", "def f():\n" + "    g()\n" * 70, "[function-length]"),
    "a folder without a meaning": ("src/util/a.h", "\n", "[folder]"),
    "a folder without a meaning in tools": ("tools/common/a.cc", "\n", "[folder]"),
    "a folder that is not in the map": ("src/extra/a.h", "\n", "[folder]"),
    "a manager": ("src/control/a.h", "class PoolManager {};\n", "[name]"),
    "a handler": ("tools/echo/a.h", "struct EventHandler {};\n", "[name]"),
    "a getter": ("src/config/a.h", "int get_port() const;\n", "[name]"),
    "a getter by reference": ("src/config/a.h", "const std::string& get_name();\n", "[name]"),
    "std::function": ("src/h2/a.h", "std::function<void()> f;\n", "[data-plane]"),
    "shared_ptr": ("src/proxy/a.h", "std::shared_ptr<int> p;\n", "[data-plane]"),
    "unordered_map": ("src/routing/a.h", "std::unordered_map<int, int> m;\n", "[data-plane]"),
    "iostream": ("src/shard/a.cc", "#include <iostream>\n", "[data-plane]"),
    "virtual": ("src/io/a.h", "struct A {\n  virtual void f();\n};\n", "[data-plane]"),
    "throw": ("src/tls/a.cc", "void f() { throw 1; }\n", "[data-plane]"),
    "try": ("src/grpc/a.cc", "void f() {\n  try {\n    g();\n  } catch (...) {\n  }\n}\n", "[data-plane]"),
    "layout": ("src/base/a.cc", "int   a;\n", "[format]"),
    "white space at the end of a line": ("docs/a.md", "text \n", "[whitespace]"),
    "work left undone": ("src/base/a.cc", f"// {WORD}: later\n", "[word]"),
    "a script that does not parse": ("scripts/a", "#!/usr/bin/env bash\nif true; then\n", "[shell]"),
    "Python that does not parse": ("tests/e2e/a.py", "def f(:\n", "[python]"),
    "a useless exception": ("scripts/tidy-size-exceptions", "src/base/a.h 700\n", "[size]"),
}

GOOD = {
    "a folder includes itself and what stands above": ("src/io/a.h", '#include "base/b.h"\n#include "io/b.h"\n'),
    "main includes everything": ("src/main.cc", '#include "control/a.h"\n#include "shard/a.h"\n'),
    "liburing in io": ("src/io/a.cc", "#include <liburing.h>\n"),
    "nghttp2 in tests": ("tests/unit/h2/a.cc", "#include <nghttp2/nghttp2.h>\n"),
    "tools stand on io": ("tools/load/a.cc", '#include "io/ring.h"\n'),
    "600 lines": ("src/base/a.h", "// x\n" * 600),
    "a function of 70 lines": ("src/base/a.cc", body(70)),
    "a long table": ("src/base/a.cc", "constexpr int kRows[] = {\n" + "    f(1),\n" * 80 + "};\n"),
    "a long class": ("src/base/a.h", "class A {\n" + "  void f() { g(); }\n" * 80 + "};\n"),
    "a constructor with braces": ("src/base/a.h", "struct A {\n  A() : a_{1}, b_{2} {}\n" + "  void f() { g(); }\n" * 80 + "};\n"),
    "a call of a library's getter": ("src/config/a.cc", "int a = get_nprocs();\nint f() { return get_nprocs(); }\n"),
    "a word in a comment": ("src/h2/a.h", "// No virtual call and no std::function here; try_push is a name.\n"),
    "a word in a string": ("src/h2/a.cc", 'auto a = "throw";\n'),
    "exceptions where they are allowed": ("src/config/a.cc", "void f() { throw 1; }\n"),
    "a name that only contains a suffix": ("src/io/a.h", "class Basement {};\n"),
}


@pytest.mark.parametrize("name", BAD)
def test_rule_fires(tmp_path, name):
    path, text, rule = BAD[name]
    found = findings(tmp_path, {path: text})
    assert any(line.startswith(path + ":") and line.endswith(rule) for line in found), found


@pytest.mark.parametrize("name", GOOD)
def test_rule_stays_silent(tmp_path, name):
    path, text = GOOD[name]
    # The snippets are laid out for reading; layout has a test of its own.
    assert [line for line in findings(tmp_path, {path: text}) if not line.endswith("[format]")] == []


def test_an_exception_lifts_the_ratchet_to_its_number(tmp_path):
    exceptions = {"scripts/tidy-size-exceptions": "src/base/a.h 700  # why\n"}
    assert findings(tmp_path, {**exceptions, "src/base/a.h": "// x\n" * 700}) == []
    assert any(line.endswith("[size]") for line in findings(tmp_path, {"src/base/a.h": "// x\n" * 701}))


def test_fix_lays_out(tmp_path):
    files = {"src/base/a.cc": "int   a;\n"}
    assert findings(tmp_path, files) != []
    result = subprocess.run([sys.executable, TIDY, "--root", tmp_path, "--fix"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout
    assert (tmp_path / "src/base/a.cc").read_text() == "int a;\n"
    assert findings(tmp_path, {}) == []
