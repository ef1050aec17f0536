"""Connect to learners on other machines, and configure servers of learners."""

from __future__ import annotations

import importlib.util
import logging
import os
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colearn_learner.cli._support.secrets import read_secret
from colearn_learner.errors import MissingPackage

if TYPE_CHECKING:
    from colearn_learner.remote.client import RemoteLearner
    from colearn_learner.remote.server import ServerConfig

_log = logging.getLogger(__name__)

TOKEN_VARIABLE = "COLEARN_LEARNER_TOKEN"  # noqa: S105 - the name of one

_ARGUMENTS = ("token", "ca", "server_name", "deadline", "patience", "max_bytes")


def open_remote_learner(address: str, arguments: Mapping[str, Any]) -> RemoteLearner:
    """Return the learner behind a server, even if it does not answer at the moment.

    Args:
        address: ``grpc://host:port`` or ``grpcs://host:port``.
        arguments: those of `RemoteConfig`, by name; ``ca`` is a file, ``token`` is
            ``env:VARIABLE`` or ``file:PATH``, by default ``env:COLEARN_LEARNER_TOKEN`` if it is
            set.

    Raises:
        click.UsageError: there is no such argument, or a file cannot be read.
        MissingPackage: grpc is not installed.
        LearnerRefused: the server has another version or token, or an untrusted certificate.
        LearnerError: the address or an argument is not valid.
    """
    _need_grpc()
    from colearn_learner.remote.client import RemoteConfig, RemoteLearner
    from colearn_learner.remote.errors import LearnerUnavailable

    if unknown := [name for name in arguments if name not in _ARGUMENTS]:
        raise click.UsageError(
            f"--learner-arg {unknown[0]} does not apply to a learner's server: pass the arguments "
            f"of its factory where it runs. Here, use only {', '.join(_ARGUMENTS)}"
        )
    given = dict(arguments)
    given["token"] = _read_token(given.get("token"))
    if "ca" in given:
        given["ca"] = _read_file("--learner-arg ca", Path(str(given["ca"])))
    learner = RemoteLearner(address, RemoteConfig(**given))
    try:
        learner.reach()
    except LearnerUnavailable as error:  # an agent also has work that needs no learner
        _log.warning("%s", error)
    except BaseException:
        learner.close()
        raise
    return learner


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The options of a server of a learner: its address, its files and its limit."""

    host: str
    port: int
    certificate: Path | None
    key: Path | None
    token_file: Path | None
    max_bytes: int

    def read(self) -> ServerConfig:
        """Return the configuration of the server, with its files read.

        Raises:
            MissingPackage: grpc is not installed.
            click.UsageError: a file cannot be read, or certificate and key do not match.
            Unprotected: other machines could reach the server without TLS or a token.
            InvalidToken: the token is not valid.
        """
        _need_grpc()
        from colearn_learner.remote.server import ServerConfig

        if self.certificate is not None and self.key is not None:
            _check_pair(self.certificate, self.key)
        return ServerConfig(
            self.host,
            self.port,
            certificate=_read_optional("--tls-cert", self.certificate),
            key=_read_optional("--tls-key", self.key),
            token=_read_token(None if self.token_file is None else f"file:{self.token_file}"),
            max_bytes=self.max_bytes,
        )


def _need_grpc() -> None:
    if importlib.util.find_spec("grpc") is None or importlib.util.find_spec("grpc_health") is None:
        raise MissingPackage(
            "remote learners need gRPC, which is not installed: "
            "pip install 'colearn-ledger[remote]'"
        )
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # our errors report the same, once


def _read_token(source: object) -> str | None:
    if source is not None:
        _check_private(str(source))
        return read_secret(str(source))
    return os.environ.get(TOKEN_VARIABLE) or None


def _check_private(source: str) -> None:
    """Refuse a token in a file that other users can read."""
    kind, _, path = source.partition(":")
    try:
        mode = Path(path).stat().st_mode if kind == "file" else 0
    except OSError:
        return  # the error is reported when the file is read
    if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        raise click.UsageError(
            f"other users can read the token in {path}; create a new token, and keep it in a file "
            f"that only you can read: chmod 600 {path}"
        )


def _read_optional(option: str, path: Path | None) -> bytes | None:
    return None if path is None else _read_file(option, path)


def _read_file(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise click.UsageError(f"{option}: cannot read {path}: {error.strerror}") from error


def _check_pair(certificate: Path, key: Path) -> None:
    """Check that TLS works with these files; gRPC itself would not report what is wrong."""
    for option, path in (("--tls-cert", certificate), ("--tls-key", key)):
        _read_file(option, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")  # never asks for one
    except (ssl.SSLError, ValueError) as error:
        raise click.UsageError(
            f"{certificate} and {key} are not a certificate and its private key. Both must be in "
            f"PEM format, and the key must not have a password: {error}"
        ) from error
