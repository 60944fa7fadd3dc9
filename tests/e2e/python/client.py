"""The Python client of the end-to-end tests: runs every case against the address given as its one argument.

It prints a line per case, "ok NAME" or "not ok NAME: why", and ends with code 0 once all have run. The generated stubs
are found through PYTHONPATH.
"""

import os
import pathlib
import sys
import time
import uuid

import grpc

import course_cases
import interop_pb2
import interop_pb2_grpc
import metadata_cases
import streaming_cases
import unary_cases

CALL_LIMIT_S = 30


def open_channel(target, options):
    """With TLS where the environment names an authority, and with a client certificate where it names one."""
    ca, certificate, key = (os.environ.get(f"E2E_TLS_{name}") for name in ("CA", "CERT", "KEY"))
    if not ca:
        return grpc.insecure_channel(target, options=options)
    read = [pathlib.Path(path).read_bytes() if path else None for path in (ca, key, certificate)]
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(*read), options=options)


class Case:
    """What a case needs: the channel, the stub and the questions that several cases ask."""

    def __init__(self, target):
        self.target = target
        self.channel = self.open_channel()
        self.stub = interop_pb2_grpc.InteropStub(self.channel)

    def open_channel(self, *options):
        return open_channel(self.target, [
            ("grpc.max_receive_message_length", 32 << 20), ("grpc.max_send_message_length", 32 << 20),
            ("grpc.max_metadata_size", 64 << 10), ("grpc.use_local_subchannel_pool", 1), *options])

    def new_call_id(self):
        return str(uuid.uuid4())

    def await_report(self, call_id, condition, what):
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            report = self.stub.Report(interop_pb2.ReportRequest(call_id=call_id), timeout=CALL_LIMIT_S)
            if condition(report):
                return
            time.sleep(0.01)
        raise AssertionError(f"within 10 s the server did not report that {what}")


def describe(error):
    if isinstance(error, grpc.RpcError):
        text = f"{error.code().name}: {error.details()}"
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def main():
    case = Case(sys.argv[1])
    for module in (unary_cases, streaming_cases, metadata_cases, course_cases):
        for name, function in module.CASES.items():
            try:
                function(case)
                print(f"ok {name}", flush=True)
            except (AssertionError, grpc.RpcError, ValueError) as error:
                print(f"not ok {name}: {describe(error)}", flush=True)


if __name__ == "__main__":
    main()
