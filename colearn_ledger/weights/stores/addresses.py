"""Where a store is: URLs and multiaddrs, with what is secret in them kept out of sight."""

from __future__ import annotations

import base64
import ipaddress
import logging
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from colearn_ledger.protocol import LedgerError
from colearn_ledger.text.urls import is_loopback

__all__ = ["NodeAddress", "StoreNotUsable", "is_multiaddr", "web_address"]

_log = logging.getLogger(__name__)

_MULTIADDR_STARTS = ("ip4", "ip6", "dns", "dns4", "dns6", "unix")


class StoreNotUsable(LedgerError):
    """A store can not be opened: its address is malformed, or a package is missing."""


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Where a node's RPC answers.

    Args:
        shown: for messages, without secrets.
        multiaddr: host, port and http or https.
        path: what stands before ``api/v0`` in the URL, without slashes at its ends.
        authorization: the header of that name, or nothing.
    """

    shown: str
    multiaddr: str
    path: str = ""
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, api: str, *, token: str | None = None) -> NodeAddress:
        """Read a URL (``user:password@`` is basic authentication) or a multiaddr.

        Raises:
            StoreNotUsable: it is neither, or has two kinds of authentication.
        """
        if is_multiaddr(api):
            return cls(api, api, authorization=_bearer(token))
        url, authorization = web_address(api, what="an IPFS node", token=token)
        host = url.hostname or ""
        multiaddr = f"/{_kind(host)}/{host}/tcp/{url.port}/{url.scheme}"
        if authorization and url.scheme == "http" and not is_loopback(host):
            _log.warning("%s gets its token over plain http; use https", url.geturl())
        return cls(url.geturl(), multiaddr, url.path.strip("/"), authorization)


def web_address(text: str, *, what: str, token: str | None = None) -> tuple[SplitResult, str]:
    """Return a URL with its port, without its secrets, and the ``Authorization`` header.

    Raises:
        StoreNotUsable: it is no http or https URL of a host, or has two kinds of authentication.
    """
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        url, host, port = urlsplit(""), None, None
    shown = text.rpartition("@")[2]
    if url.scheme not in ("http", "https") or not host or url.query or url.fragment:
        raise StoreNotUsable(
            f"{ascii(shown)[:80]} is no address of {what}; "
            "write http://host:port, https://host/path or a multiaddr such as "
            "/ip4/127.0.0.1/tcp/5001/http"
        )
    authorization = _bearer(token)
    if url.username is not None or url.password is not None:
        if authorization:
            raise StoreNotUsable(f"{host} has a token and a password; give one of them")
        pair = f"{unquote(url.username or '')}:{unquote(url.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    name = f"[{host}]" if ":" in host else host
    netloc = f"{name}:{port or (443 if url.scheme == 'https' else 80)}"
    return SplitResult(url.scheme, netloc, url.path.rstrip("/"), "", ""), authorization


def is_multiaddr(text: str) -> bool:
    """Tell whether this begins as a multiaddr of a host."""
    return text.startswith("/") and text.split("/")[1] in _MULTIADDR_STARTS


def _bearer(token: str | None) -> str:
    if token is None:
        return ""
    if not token or not token.isascii() or not token.isprintable():
        raise StoreNotUsable("the token is empty or has characters that no token has")
    return f"Bearer {token}"


def _kind(host: str) -> str:
    try:
        return f"ip{ipaddress.ip_address(host).version}"
    except ValueError:
        return "dns"
