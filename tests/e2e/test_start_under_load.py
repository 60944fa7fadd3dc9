"""The first moments of a proxy: calls by the thousand while its first connection to the endpoint is still to be made."""

from tool_fixtures import echo, load, tool  # noqa: F401


def test_no_call_of_a_first_burst_is_refused(proxy, echo):
    """3,072 calls at once: more than any usual bound on waiting calls, and all of them wait."""
    started = proxy(echo)
    code, report = load(started, "--requests", 6144, "--connections", 48, "--streams", 64)
    assert (code, report["errors"]) == (0, {}), report
    assert report["succeeded"] == 6144
