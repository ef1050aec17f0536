"""URLs are displayed and logged without the keys that they may contain."""

from __future__ import annotations

import logging

import pytest

from colearn_ledger.text.urls import UrlMask, is_loopback, masked


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("https://eth.example/v3/SECRET", "https://eth.example/…"),
        ("https://user:SECRET@eth.example:1/?key=SECRET", "https://eth.example:1/…"),
        ("http://[::1]:8545", "http://[::1]:8545"),
        ("http://a:1/SECRET,https://u:SECRET@b,folder:/x", "http://a:1/…,https://b/…,folder:/x"),
        ("http://a:port/SECRET", "?"),
    ],
)
def test_displayed_urls_contain_no_keys(url: str, shown: str):
    assert masked(url) == shown


def test_log_messages_of_other_packages_contain_no_keys(caplog: pytest.LogCaptureFixture):
    logger = logging.getLogger("another.package")
    logger.addFilter(UrlMask())
    logger.warning("no head (url=%s): %d bytes of 'https://u:SECRET@b/'", "http://a:1/v3/SECRET", 7)
    assert caplog.messages == ["no head (url=http://a:1/…): 7 bytes of 'https://b/…'"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_loopback_hosts_are_recognised(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.evil.org", "gpu", ""])
def test_other_hosts_are_not_loopback(host: str):
    assert not is_loopback(host)
