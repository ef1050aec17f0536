"""Parse the addresses of stores (URLs and multiaddrs) and hide the secrets in them."""

from __future__ import annotations

import base64
import ipaddress
import logging
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from colearn_ledger.protocol import LedgerError
from colearn_ledger.text.urls import is_loopback

_log = logging.getLogger(__name__)

_HOST_KINDS = ("ip4", "ip6", "dns", "dns4", "dns6")
_SCHEMES = ("http", "https")
_MAX_PORT = 65_535
_EXAMPLES = (
    "write http://host:port, https://host/path or a multiaddr such as /ip4/127.0.0.1/tcp/5001/http"
)


class StoreNotUsable(LedgerError):
    """The store's address is malformed, or a package that it needs is missing."""


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """The address of a node's RPC.

    Args:
        shown: the address without secrets, for messages.
        host: host name or IP address.
        port: TCP port.
        scheme: ``http`` or ``https``.
        path: path before ``api/v0`` in the URL, without leading and trailing slashes.
        authorization: value of the ``Authorization`` header; empty for none.
    """

    shown: str
    host: str
    port: int
    scheme: str
    path: str = ""
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, api: str, *, token: str | None = None) -> NodeAddress:
        """Parse a URL (``user:password@`` means basic authentication) or a multiaddr.

        Raises:
            StoreNotUsable: the text is neither, or has two kinds of authentication.
        """
        if is_multiaddr(api):
            host, port, scheme = _parse_multiaddr(api)
            return cls(api, host, port, scheme, authorization=_bearer(token))
        url, authorization = web_address(api, what="an IPFS node", token=token)
        host = url.hostname or ""
        if authorization and url.scheme == "http" and not is_loopback(host):
            _log.warning("%s gets its token over plain http; use https", url.geturl())
        path = url.path.strip("/")
        return cls(url.geturl(), host, url.port or 0, url.scheme, path, authorization)

    @property
    def url(self) -> str:
        """Return the URL of the RPC's commands, without secrets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = f"/{self.path}" if self.path else ""
        return f"{self.scheme}://{host}:{self.port}{path}/api/v0"

    @property
    def multiaddr(self) -> str:
        """Return host, port and scheme as a multiaddr."""
        try:
            kind = f"ip{ipaddress.ip_address(self.host).version}"
        except ValueError:
            kind = "dns"
        return f"/{kind}/{self.host}/tcp/{self.port}/{self.scheme}"


def web_address(text: str, *, what: str, token: str | None = None) -> tuple[SplitResult, str]:
    """Return a URL with a port and without secrets, and the ``Authorization`` header.

    Raises:
        StoreNotUsable: the text is not an http or https URL, or has two kinds of authentication.
    """
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        url, host, port = urlsplit(""), None, None
    if url.scheme not in _SCHEMES or not host or url.query or url.fragment:
        raise _malformed(text.rpartition("@")[2], what)
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
    """Return whether a text begins like the multiaddr of a host."""
    return text.startswith("/") and text.split("/")[1] in (*_HOST_KINDS, "unix")


def _parse_multiaddr(text: str) -> tuple[str, int, str]:
    """Return host, port and scheme of ``/ip4/127.0.0.1/tcp/5001``, ``…/http`` or ``…/https``."""
    _, kind, host, protocol, port, scheme = (*text.split("/"), "http", "", "", "")[:6]
    rest = text.split("/")[6:]
    try:
        if kind in ("ip4", "ip6") and f"ip{ipaddress.ip_address(host).version}" != kind:
            raise ValueError(host)
        number = int(port) if port.isdecimal() else -1
    except ValueError:
        number = -1
    is_valid = protocol == "tcp" and 0 < number <= _MAX_PORT and scheme in _SCHEMES and not rest
    if kind not in _HOST_KINDS or not host or not is_valid:
        raise _malformed(text, "an IPFS node")
    return host, number, scheme


def _malformed(shown: str, what: str) -> StoreNotUsable:
    return StoreNotUsable(f"{ascii(shown)[:80]} is not the address of {what}; {_EXAMPLES}")


def _bearer(token: str | None) -> str:
    if token is None:
        return ""
    if not token or not token.isascii() or not token.isprintable():
        raise StoreNotUsable("the token is empty or has characters that no token has")
    return f"Bearer {token}"
