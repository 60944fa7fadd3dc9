"""limits.records_per_key: keys that have served are changed (TLS 1.3), or their connection with them (TLS 1.2)."""

import pytest

from tls_peers import Pki, tls_config
from tool_fixtures import load, tool  # noqa: F401

MOST = 1000
VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])


@pytest.fixture
def pki(tmp_path):
    return Pki(tmp_path)


@pytest.fixture
def between(proxy, tool, pki, version):
    """ringway with TLS on both sides, and its endpoint."""
    files = pki.files()
    echo = tool("ringway-echo", "--tls-cert", files.certificate, "--tls-key", files.private_key, "--tls-version", version)
    config = tls_config([echo.address], pki.listener(), {"ca": pki.ca}, limits={"records_per_key": MOST})
    return proxy(config=config, args=["--stats-at-exit"])


def call(started, pki, version, *arguments):
    return load(started, "--connections", 1, "--streams", 1, "--upstream-tls", "--upstream-ca", pki.ca, "--tls-version", version,
                *arguments)[1]


# One record a call, each way; on each side some stand before the first call.
@VERSIONS
@pytest.mark.parametrize("calls, is_passed", [(MOST - 10, False), (MOST + 10, True)])
def test_at_the_limit(between, pki, version, calls, is_passed):
    assert call(between, pki, version, "--requests", calls)["succeeded"] == calls
    end = between.end_with_counters()
    assert end["limits"]["limits.records_per_key"] == (2 if is_passed else 0)
    is_replaced = is_passed and version == "1.2"
    assert end["tls"]["handshakes"] == (4 if is_replaced else 2)


@VERSIONS
def test_far_beyond_it_no_call_fails(between, pki, version):
    report = call(between, pki, version, "--requests", 5 * MOST)
    assert (report["succeeded"], report["errors"]) == (5 * MOST, {})
    end = between.end_with_counters()
    assert end["limits"]["limits.records_per_key"] == 10
    assert end["tls"]["handshakes"] == (12 if version == "1.2" else 2)
    assert end["resets"] == end["retries"] == 0


# A call for ever cannot be brought to another connection.
@pytest.mark.parametrize("version", ["1.2"])
def test_what_goes_on_ends_at_twice_as_many(between, pki, version):
    report = call(between, pki, version, "--requests", 1, "--stream-messages", 3 * MOST)
    assert report["succeeded"] == 0 and sum(report["errors"].values()) == 1
    between.await_line(between.stderr, r"(client|endpoint) 127\.0\.0\.1[:0-9]*: TLS: its keys are used up \(limits\.records_per_key\)")


@pytest.mark.parametrize("version", ["1.3"])
def test_what_goes_on_gets_new_keys(between, pki, version):
    assert call(between, pki, version, "--requests", 1, "--stream-messages", 3 * MOST)["succeeded"] == 1
    assert between.end_with_counters()["limits"]["limits.records_per_key"] == 6
