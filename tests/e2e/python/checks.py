"""The questions that every case asks; each raises AssertionError with what was got and what was expected."""

import grpc


def check_equal(got, expected, what):
    if got != expected:
        raise AssertionError(f"{what}: got {str(got)[:300]!r}, expected {str(expected)[:300]!r}")


def check_status(error, code, message=None):
    """`error` is what a call raised; `message` None takes any."""
    check_equal(error.code(), code, f"status code (message {error.details()!r})")
    if message is not None:
        check_equal(error.details(), message, "status message")


def status_of(action):
    """The error that `action` raises, which must be a call's status."""
    try:
        action()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call succeeded but an error status was expected")
