"""The fixtures that the end-to-end and the wire tests share; their conftest files take them from here."""

import contextlib

import grpc
import pytest

from harness import GrpcServer, Ringway, ringway_arguments, write_config
from rawh2 import Backend, Loop


@pytest.fixture
def proxy(tmp_path):
    """Starts ringway: proxy(upstream, ..., args=[...], shards=N) or proxy(config={...}); within=[...] as Ringway.

    At the end of the test each one still running gets SIGTERM and must end with code 0 and without any report.
    """
    with contextlib.ExitStack() as stack:
        def start(*upstreams, args=(), shards=None, config=None, within=()):
            if config is not None:
                arguments = ["--config", write_config(tmp_path, config), *args]
            else:
                addresses = [getattr(upstream, "address", upstream) for upstream in upstreams]
                arguments = ringway_arguments(addresses, args, shards)
            return stack.enter_context(Ringway(arguments, within))

        yield start


@pytest.fixture
def grpc_server():
    """Starts gRPC servers: grpc_server("python", name="a", port=0, environment={…}). They are killed at the test's end."""
    with contextlib.ExitStack() as stack:
        yield lambda kind="python", name="server", port=0, environment=None: stack.enter_context(
            GrpcServer(kind, name, port, environment))


@pytest.fixture
def channel():
    """Opens grpcio channels, each with a connection of its own: channel(address, option, ...)."""
    with contextlib.ExitStack() as stack:
        def open_channel(address, *options):
            return stack.enter_context(grpc.insecure_channel(address, options=[
                ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0),
                ("grpc.max_receive_message_length", 32 << 20), ("grpc.max_send_message_length", 32 << 20), *options]))

        yield open_channel


@pytest.fixture
def loop():
    """Drives the raw HTTP/2 peers of a test."""
    with contextlib.closing(Loop()) as made:
        yield made


@pytest.fixture
def backend(loop):
    """A raw HTTP/2 server that the test plays."""
    return Backend(loop)
