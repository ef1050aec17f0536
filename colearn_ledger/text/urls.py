"""Masking of URLs, which may contain secret keys, and recognition of loopback hosts."""

from __future__ import annotations

import ipaddress
import logging
import re
from urllib.parse import urlsplit

Urls = str | tuple[str, ...]
"""The URL of a server, or of several that are used as one."""

_URL = re.compile(r"\w+://[^\s'\")>]+")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, judging by its name or IP address alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def list_urls(urls: Urls) -> tuple[str, ...]:
    """Return one or several URLs as a tuple."""
    return (urls,) if isinstance(urls, str) else urls


def masked(url: str) -> str:
    """Return a URL without its path, query and user, which may contain keys.

    If the text contains several URLs separated by commas, each of them is masked.
    """
    return ",".join(_masked(part) if "://" in part else part for part in url.split(","))


def _masked(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "?"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "?"
    more = "/…" if parts.path.strip("/") or parts.query or parts.username else ""
    return f"{parts.scheme}://{host}{port}{more}"


class UrlMask(logging.Filter):
    """Logging filter that masks URLs in the messages of another package's logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the URLs of a record and let it pass."""
        message = record.getMessage()
        record.msg, record.args = _URL.sub(lambda found: _masked(found[0]), message), ()
        return True


for _name in ("urllib3.connection", "urllib3.connectionpool"):  # their warnings contain whole URLs
    logging.getLogger(_name).addFilter(UrlMask())
