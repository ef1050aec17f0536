"""Read keys and passwords from the keystore, the environment, a descriptor or a prompt.

Secrets are never arguments, because every user of the machine can see arguments with ``ps``.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.keys.wallet import Wallet

PASSWORD_VARIABLE = "COLEARN_PASSWORD"  # noqa: S105 - the name of one

_LARGEST = 65_536  # bytes
_NO_STANDARD_STREAM = 3


@dataclass(frozen=True, slots=True)
class Passwords:
    """The place to read the keystore's password from."""

    file: Path | None
    descriptor: int | None

    def ask(self, name: str, *, new: bool = False) -> str:
        """Return the password of a key; the prompt asks for a new one twice.

        Raises:
            click.UsageError: no source of the password was given, and there is no terminal.
        """
        if self.file is not None:
            password = _first_line(_read_file(self.file), "the password file")
        elif self.descriptor is not None:
            password = _first_line(_read_descriptor(self.descriptor), "the descriptor")
        elif (given := os.environ.get(PASSWORD_VARIABLE)) is not None:
            password = given
        else:
            password = _prompt(f"Password of the key {name}", twice=new)
        if new and not password:
            raise click.UsageError("an empty password protects nothing; choose another")
        return password


def password_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--password-file`` and ``--password-fd``; the command gets ``passwords``."""

    @functools.wraps(command)
    def wrapped(
        *args: Any, password_file: Path | None, password_fd: int | None, **kwargs: Any
    ) -> Any:
        if password_file is not None and password_fd is not None:
            raise click.UsageError("--password-file and --password-fd exclude each other")
        return command(*args, passwords=Passwords(password_file, password_fd), **kwargs)

    from_file = click.option(
        "--password-file",
        type=click.Path(path_type=Path),
        help=f"The keystore's password is its first line. [default: ${PASSWORD_VARIABLE}, "
        "or a prompt]",
    )
    from_descriptor = click.option(
        "--password-fd", type=click.IntRange(0), help="The same, from an open file descriptor."
    )
    return from_file(from_descriptor(wrapped))


def key_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--key`` and the options of its password; the command gets ``wallet``, a function.

    The function opens the key. Call it last, after all checks that do not need the key.
    """

    @functools.wraps(command)
    def wrapped(*args: Any, key: str, passwords: Passwords, **kwargs: Any) -> Any:
        return command(*args, wallet=lambda: open_wallet(key, passwords), **kwargs)

    option = click.option(
        "--key",
        required=True,
        metavar="NAME",
        envvar="COLEARN_KEY",
        help="The key that signs: its name in the keystore (colearn key list), or "
        "env:VARIABLE or fd:NUMBER with a private key or mnemonic.",
    )
    return option(password_options(wrapped))


def open_wallet(key: str, passwords: Passwords) -> Wallet:
    """Return the wallet that ``--key`` names.

    Raises:
        UnknownKey, WrongPassword, InvalidKey: the key cannot be opened.
        click.UsageError: the argument is itself a key; the message does not repeat it.
    """
    if _is_secret(key):
        raise click.UsageError(
            "--key takes the name of a key, but this looks like a key itself, which "
            "others can now see in the list of processes and in the shell's history: do not use "
            "that key again. Keep keys by colearn key import, or pass them as env:VARIABLE"
        )
    if key.startswith(("env:", "fd:")):
        return Wallet.from_secret(read_secret(key))
    store = Keystore()
    store.key(key)  # reports an unknown name before asking for a password
    return store.open(key, passwords.ask(key))


def read_secret(source: str) -> str:
    """Return a secret from ``env:VARIABLE``, ``fd:NUMBER``, ``file:PATH``, ``stdin`` or ``prompt``.

    Raises:
        click.UsageError: there is no such source, or it is empty.
    """
    kind, _, place = source.partition(":")
    if kind == "env" and place:
        found = os.environ.get(place)
        if not found:
            raise click.UsageError(f"the environment variable {place} is not set")
        return found
    if kind == "fd" and place.isdecimal():
        return _text(_read_descriptor(int(place)), f"descriptor {place}")
    if kind == "file" and place:
        return _text(_read_file(Path(place)), place)
    if source == "stdin":
        return _text(sys.stdin.buffer.read(_LARGEST), "standard input")
    if source == "prompt":
        return _prompt("Private key or mnemonic", twice=False)
    raise click.UsageError(
        "a secret comes from env:VARIABLE, fd:NUMBER, file:PATH, stdin or prompt; it is never "
        "itself an argument"
    )


def _is_secret(text: str) -> bool:
    return len(text.split()) > 1 or re.fullmatch(r"(0x)?[0-9a-fA-F]{40,}", text) is not None


def _prompt(what: str, *, twice: bool) -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"{what}: there is no terminal to ask at; set {PASSWORD_VARIABLE}, or give "
            "--password-file or --password-fd"
            if what.startswith("Password")
            else f"{what}: there is no terminal to ask at; give it by --from"
        )
    answer: str = click.prompt(what, hide_input=True, confirmation_prompt=twice, err=True)
    return answer


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError as error:
        raise click.UsageError(f"cannot read {path}: {error.strerror}") from error


def _read_descriptor(number: int) -> bytes:
    try:
        with os.fdopen(number, "rb", closefd=number >= _NO_STANDARD_STREAM) as file:
            return file.read(_LARGEST)
    except OSError as error:
        raise click.UsageError(
            f"cannot read the file descriptor {number}: {error.strerror}"
        ) from error


def _first_line(data: bytes, what: str) -> str:
    return _text(data.split(b"\n", 1)[0].removesuffix(b"\r"), what)


def _text(data: bytes, what: str) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""  # its error would repeat the bytes
    if not text:
        raise click.UsageError(f"there is no text in {what}")
    return text
