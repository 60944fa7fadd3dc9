"""The test modules import the generated stubs, so these are made before any of them is collected."""

import harness

harness.generate_stubs()

from ringway_fixtures import backend, channel, grpc_server, loop, proxy  # noqa: E402,F401
