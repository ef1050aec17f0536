"""Addresses and tokens of learners' servers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from colearn_learner.remote.errors import InvalidAddress, InvalidToken

_SHORTEST_TOKEN = 16
_HIGHEST_PORT = 65_535
_SCHEMES = {"grpc": False, "grpcs": True}
_ADDRESS = re.compile(
    r"(?P<scheme>grpcs?)://(?:(?P<name>[a-z0-9._-]+)|\[(?P<number>[0-9a-f:.]+)\])"
    r":(?P<port>[0-9]{1,5})/?",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Address:
    """Address of a learner's server: ``grpc://host:port``, or ``grpcs://host:port`` with TLS."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        return f"{'grpcs' if self.tls else 'grpc'}://{format_target(self.host, self.port)}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse an address.

        Raises:
            InvalidAddress: the text is not an address.
        """
        found = _ADDRESS.fullmatch(text)
        host = found["name"] or found["number"] if found else None
        port = int(found["port"]) if found else 0
        if found is None or host is None or not 0 < port <= _HIGHEST_PORT:
            raise InvalidAddress(
                "this is not the address of a learner's server; write grpc://host:port, or "
                "grpcs://host:port with TLS"
            )
        return cls(host, port, _SCHEMES[found["scheme"].lower()])


def is_address(text: str) -> bool:
    """Return whether a text starts like the address of a learner's server."""
    return text.partition("://")[0].lower() in _SCHEMES and "://" in text


def format_target(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 host."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def clean_token(token: str) -> str:
    """Check a token, and return it without surrounding whitespace.

    Raises:
        InvalidToken: the token is too short to be secret, or has characters that a header
            cannot contain.
    """
    token = token.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise InvalidToken(
            "the token is empty or contains a space, a control character or a non-ASCII character; "
            "generate one with: openssl rand -hex 32"
        )
    if len(token) < _SHORTEST_TOKEN:
        raise InvalidToken(
            f"the token has {len(token)} characters and needs at least {_SHORTEST_TOKEN}; generate "
            "one with: openssl rand -hex 32"
        )
    return token
