"""The wire tests share processes, raw peers and fixtures with the end-to-end tests."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

from ringway_fixtures import backend, channel, grpc_server, loop, proxy  # noqa: E402,F401
