"""Connect to learners on other machines, and configure servers of learners."""

from __future__ import annotations

import importlib.util
import logging
import os
import ssl
import stat
from collections.abc import Mapping
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
            f"--learner-arg {unknown[0]}: a learner's server is given its factory's arguments "
            f"where it runs; to reach it there is {', '.join(_ARGUMENTS)}"
        )
    given = dict(arguments)
    given["token"] = _token(given.get("token"))
    if "ca" in given:
        given["ca"] = _file("--learner-arg ca", Path(str(given["ca"])))
    learner = RemoteLearner(address, RemoteConfig(**given))
    try:
        learner.reach()
    except LearnerUnavailable as error:  # an agent also has work that needs no learner
        _log.warning("%s", error)
    except BaseException:
        learner.close()
        raise
    return learner


def server_config(
    host: str,
    port: int,
    *,
    certificate: Path | None,
    key: Path | None,
    token_file: Path | None,
    max_bytes: int,
) -> ServerConfig:
    """Return the configuration of a server, with its files read.

    Raises:
        MissingPackage: grpc is not installed.
        click.UsageError: a file cannot be read, or certificate and key do not belong together.
        Unprotected: others than this machine could reach it without TLS or a token.
        InvalidToken: the token is not valid.
    """
    _need_grpc()
    from colearn_learner.remote.server import ServerConfig

    if certificate is not None and key is not None:
        _check_pair(certificate, key)
    return ServerConfig(
        host,
        port,
        certificate=None if certificate is None else _file("--tls-cert", certificate),
        key=None if key is None else _file("--tls-key", key),
        token=_token(None if token_file is None else f"file:{token_file}"),
        max_bytes=max_bytes,
    )


def _need_grpc() -> None:
    if importlib.util.find_spec("grpc") is None or importlib.util.find_spec("grpc_health") is None:
        raise MissingPackage("remote learners need: pip install 'colearn-ledger[remote]'")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # our errors report the same, once


def _token(source: object) -> str | None:
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
            f"other users can read the token in {path}; make a new token, and keep it in a file "
            f"that only you can read: chmod 600 {path}"
        )


def _file(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise click.UsageError(f"{option}: cannot read {path}: {error.strerror}") from error


def _check_pair(certificate: Path, key: Path) -> None:
    """Check that TLS works with these files; gRPC itself would not report what is wrong."""
    for option, path in (("--tls-cert", certificate), ("--tls-key", key)):
        _file(option, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")  # never asks for one
    except (ssl.SSLError, ValueError) as error:
        raise click.UsageError(
            f"{certificate} and {key} are not a certificate and its private key; both must be PEM, "
            f"and the key without a password: {error}"
        ) from error
