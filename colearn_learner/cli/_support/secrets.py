"""Read keys and passwords from the keystore, the environment, a descriptor or a prompt.

Secrets are never arguments, because every user of the machine can see arguments with ``ps``.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from colearn_learner.cli._support.collect import Command, collect
from colearn_learner.cli._support.core_dumps import forbid_core_dumps
from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.keys.wallet import Wallet

PASSWORD_VARIABLE = "COLEARN_PASSWORD"  # noqa: S105 - the name of one

_LARGEST = 65_536  # bytes
_SHORTEST = 8  # characters of a new password
_NO_STANDARD_STREAM = 3


@dataclass(frozen=True, slots=True)
class Passwords:
    """The source of the keystore's password: a file, a descriptor, the environment or a prompt."""

    password_file: Path | None
    password_fd: int | None

    def __post_init__(self) -> None:
        if self.password_file is not None and self.password_fd is not None:
            raise click.UsageError("use either --password-file or --password-fd, not both")

    def read(self, name: str, *, new: bool = False) -> str:
        """Return the password of a key; the prompt asks for a new one twice.

        From here on, this process leaves no core file.

        Raises:
            click.UsageError: no source of the password was given, and there is no terminal.
        """
        forbid_core_dumps()
        if self.password_file is not None:
            password = _first_line(_read_file(self.password_file), "the password file")
        elif self.password_fd is not None:
            password = _first_line(
                _read_descriptor(self.password_fd), f"the descriptor {self.password_fd}"
            )
        elif (given := os.environ.get(PASSWORD_VARIABLE)) is not None:
            password = given
        else:
            password = _prompt(
                f"Password of the key {name}",
                twice=new,
                remedy=f"set {PASSWORD_VARIABLE}, or use --password-file or --password-fd",
            )
        if new and len(password) < _SHORTEST:
            length = "is too short" if password else "is empty"
            raise click.UsageError(
                f"the password {length} and would protect nothing; choose one of at least "
                f"{_SHORTEST} characters"
            )
        return password


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """The key that signs, and the source of its password."""

    key: str
    passwords: Passwords

    def open_wallet(self) -> Wallet:
        """Return the key's wallet. Call it last, after all checks that do not need the key.

        Raises:
            UnknownKey, WrongPassword, InvalidKey: the key cannot be opened.
            click.UsageError: the argument is itself a key; the message does not repeat it.
        """
        if _is_secret(self.key):
            raise click.UsageError(
                "--key takes the name of a key, but this looks like a private key or a mnemonic. "
                "It is now visible in the list of processes and in the shell's history: do not "
                "use it again. Import keys with colearn key import, or pass them as env:VARIABLE"
            )
        if self.key.startswith(("env:", "fd:")):
            return Wallet.from_secret(read_key(self.key))
        store = Keystore()
        store.key(self.key)  # reports an unknown name before asking for a password
        return store.open(self.key, self.passwords.read(self.key))


def password_options(command: Command) -> Command:
    """Add ``--password-file`` and ``--password-fd``; the command gets ``passwords``."""
    from_file = click.option(
        "--password-file",
        type=click.Path(path_type=Path),
        help="A file whose first line is the keystore's password. "
        f"[default: ${PASSWORD_VARIABLE}, or a prompt]",
    )
    from_descriptor = click.option(
        "--password-fd",
        type=click.IntRange(0),
        help="An open file descriptor to read the keystore's password from.",
    )
    return from_file(from_descriptor(collect(Passwords, "passwords")(command)))


def key_options(command: Command) -> Command:
    """Add ``--key`` and the options of its password; the command gets ``signer``."""
    option = click.option(
        "--key",
        required=True,
        metavar="NAME",
        envvar="COLEARN_KEY",
        help="The key that signs: its name in the keystore (see colearn key list), or "
        "env:VARIABLE or fd:NUMBER to read a private key or mnemonic from.",
    )
    return option(password_options(collect(KeyOptions, "signer")(command)))


def read_key(source: str) -> str:
    """Return a private key or a mnemonic from a source of `read_secret`.

    From here on, this process leaves no core file.

    Raises:
        click.UsageError: there is no such source, or it is empty.
    """
    forbid_core_dumps()
    return read_secret(source)


def read_secret(source: str) -> str:
    """Return a secret from ``env:VARIABLE``, ``fd:NUMBER``, ``file:PATH``, ``stdin`` or ``prompt``.

    Raises:
        click.UsageError: there is no such source, or it is empty.
    """
    kind, _, place = source.partition(":")
    if kind == "env" and place:
        found = os.environ.get(place)
        if not found:
            raise click.UsageError(f"the environment variable {place} is not set, or is empty")
        return found
    if kind == "fd" and place.isdecimal():
        return _text(_read_descriptor(int(place)), f"the descriptor {place}")
    if kind == "file" and place:
        return _text(_read_file(Path(place)), place)
    if source == "stdin":
        return _text(sys.stdin.buffer.read(_LARGEST), "standard input")
    if source == "prompt":
        return _prompt("Private key or mnemonic", twice=False, remedy="use --from")
    raise click.UsageError(
        "the source of a secret must be env:VARIABLE, fd:NUMBER, file:PATH, stdin or prompt; never "
        "pass the secret itself as an argument"
    )


def _is_secret(text: str) -> bool:
    return len(text.split()) > 1 or re.fullmatch(r"(0x)?[0-9a-fA-F]{40,}", text) is not None


def _prompt(what: str, *, twice: bool, remedy: str) -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(f"{what}: there is no terminal for a prompt; {remedy}")
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
        raise click.UsageError(f"{what} is empty or not UTF-8 text")
    return text
