"""URLs in what people read, which may hold a key that one pays for; and what a host is."""

from __future__ import annotations

import ipaddress
import logging
import re
from urllib.parse import urlsplit

__all__ = ["UrlMask", "is_loopback", "masked"]

_URL = re.compile(r"\w+://[^\s'\")>]+")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, by its name or number alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def masked(url: str) -> str:
    """Return where a URL leads, without the keys that its path, query or user part may hold.

    Of several with commas between, each.
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
    """Masks the URLs in what another package's logger says."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask and let through."""
        said = record.getMessage()
        record.msg, record.args = _URL.sub(lambda found: _masked(found[0]), said), ()
        return True


for _name in ("urllib3.connection", "urllib3.connectionpool"):  # they warn with whole URLs
    logging.getLogger(_name).addFilter(UrlMask())
