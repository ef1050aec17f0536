"""URLs are shown, and logged, without what may be a key in them."""

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
def test_urls_are_shown_without_their_keys(url: str, shown: str):
    assert masked(url) == shown


def test_what_other_packages_log_shows_no_keys(caplog: pytest.LogCaptureFixture):
    logger = logging.getLogger("another.package")
    logger.addFilter(UrlMask())
    logger.warning("no head (url=%s): %d bytes of 'https://u:SECRET@b/'", "http://a:1/v3/SECRET", 7)
    assert caplog.messages == ["no head (url=http://a:1/…): 7 bytes of 'https://b/…'"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_this_machine_is_known(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.evil.org", "gpu", ""])
def test_what_may_be_another_machine_is_not_taken_for_this_one(host: str):
    assert not is_loopback(host)
