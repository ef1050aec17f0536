"""The commands `colearn key`: manage the encrypted keystore."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from colearn_learner.cli._support.collect import collect
from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.options import json_option
from colearn_learner.cli._support.output import (
    note,
    print_fields,
    print_json,
    print_table,
    print_text,
)
from colearn_learner.cli._support.secrets import Passwords, password_options, read_key
from colearn_ledger.home import write_private
from colearn_ledger.keys.keystore import BadKeyName, KeyExists, Keystore, StoredKey
from colearn_ledger.keys.wallet import COSMOS_PATH, MNEMONIC_PATH, InvalidKey, Wallet
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import CosmosNetwork

_OWN_OUTPUT = Path("-")
_UNKNOWN = "not in the file"

_prefix = click.option(
    "--prefix",
    callback=lambda _context, _option, given: _check_prefix(given),
    metavar="TEXT",
    help="Also show the account with this prefix of Cosmos addresses. The prefixes of all known "
    "networks are always shown.",
)


@dataclass(frozen=True, slots=True)
class _ImportOptions:
    """The source of a secret, and which of a mnemonic's keys to derive from it."""

    source: str | None
    path: str
    cosmos_path: str


@click.group()
def key() -> None:
    """Create, import and list keys, in encrypted files.

    The files are Ethereum keystores (version 3) in $COLEARN_HOME/keys or ~/.config/colearn/keys. A
    private key works on EVM chains and on Cosmos chains; a mnemonic yields a separate key for each.

    Passwords come from a prompt, $COLEARN_PASSWORD, --password-file or --password-fd. A key to
    import comes from a prompt or --from. Never pass a password or a key as an argument.
    """


@key.command()
@click.argument("name")
@_prefix
@password_options
@json_option
@report_errors
def new(*, name: str, prefix: str | None, passwords: Passwords, as_json: bool) -> None:
    """Create a new random key."""
    _check_free(name)
    _show(_save_key(name, Wallet.create, passwords), prefix, as_json=as_json)


@key.command(
    "import",
    epilog="\b\nExamples:\n  colearn key import alice\n  colearn key import alice --from env:ALICE"
    "\n  colearn key import alice --from file:key.txt",
)
@click.argument("name")
@click.argument("key_as_argument", nargs=-1, metavar="")
@click.option(
    "--from",
    "source",
    metavar="SOURCE",
    help="The source of the private key or mnemonic: env:VARIABLE, fd:NUMBER, file:PATH, stdin or "
    "prompt.  [default: prompt at a terminal, else stdin]",
)
@click.option(
    "--path",
    default=MNEMONIC_PATH,
    show_default=True,
    help="The derivation path (BIP-32) of a mnemonic's key for EVM chains.",
)
@click.option(
    "--cosmos-path",
    default=COSMOS_PATH,
    show_default=True,
    help="The derivation path of a mnemonic's key for Cosmos chains.",
)
@collect(_ImportOptions, "options")
@_prefix
@password_options
@json_option
@report_errors
def import_key(
    *,
    name: str,
    key_as_argument: tuple[str, ...],
    options: _ImportOptions,
    prefix: str | None,
    passwords: Passwords,
    as_json: bool,
) -> None:
    """Save a private key or a mnemonic that you already have.

    By default you type it at a prompt, which does not show it.
    """
    if key_as_argument:  # the error must not repeat the key
        raise click.UsageError(
            "a key must not be an argument, because other users can see it in the list of "
            "processes; choose its source with --from"
        )
    _check_free(name)
    secret = read_key(options.source or ("prompt" if sys.stdin.isatty() else "stdin"))
    try:
        wallet = Wallet.from_secret(secret, path=options.path, cosmos_path=options.cosmos_path)
    except InvalidKey as error:
        raise click.ClickException(f"nothing was imported: {error}") from None
    _show(_save_key(name, lambda: wallet, passwords), prefix, as_json=as_json)


@key.command("list")
@_prefix
@json_option
@report_errors
def list_keys(*, prefix: str | None, as_json: bool) -> None:
    """List the keys and their accounts. No password is needed."""
    store = Keystore()
    keys = store.all()
    if as_json:
        print_json([_as_json(k, prefix) for k in keys])
        return
    rows = []
    for k in keys:
        names = [k.name, *[""] * 100]
        rows += [
            [name, account, where]
            for name, (account, where) in zip(names, _list_accounts(k, prefix), strict=False)
        ]
    print_table(
        ("name", "account", "networks"),
        rows,
        empty=f"There are no keys in {store.folder} yet. Create one: colearn key new NAME",
    )


@key.command()
@click.argument("name")
@_prefix
@json_option
@report_errors
def show(*, name: str, prefix: str | None, as_json: bool) -> None:
    """Show a key's accounts and its file, but no secret. No password is needed."""
    _show(Keystore().key(name), prefix, as_json=as_json)


@key.command()
@click.argument("name")
@click.option(
    "--private-key",
    is_flag=True,
    help="Write the private key instead of the encrypted file. Anyone who sees it controls the "
    "account.",
)
@click.option(
    "--cosmos", is_flag=True, help="Export the key for Cosmos chains, if it is a different one."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, allow_dash=True),
    help="A new file that only its owner can read, or - for standard output.  [default: - for the "
    "encrypted file; required for a private key]",
)
@password_options
@report_errors
def export(
    *, name: str, private_key: bool, cosmos: bool, out: Path | None, passwords: Passwords
) -> None:
    """Write a key's encrypted file, for use in another wallet, or its private key."""
    store = Keystore()
    store.key(name)
    if not private_key:
        _write(out or _OWN_OUTPUT, store.document(name, cosmos=cosmos))
        return
    if out is None:
        raise click.UsageError(
            "choose where to write the private key: --out FILE, or --out - for standard output"
        )
    _check_absent(out)
    wallet = store.open(name, passwords.read(name))
    _write(out, wallet.reveal_key(cosmos=cosmos) + "\n")


def _check_prefix(given: str | None) -> str | None:
    if given is not None and not re.fullmatch("[a-z]{1,20}", given):
        raise click.UsageError(
            f"--prefix {given!r} is not valid; use 1 to 20 lower-case letters, such as fetch"
        )
    return given


def _find_prefixes(more: str | None) -> dict[str, list[str]]:
    """Return the prefixes of Cosmos addresses, each with the names of the networks that use it."""
    found: dict[str, list[str]] = {}
    for network in Networks().all().values():
        if isinstance(network, CosmosNetwork):
            found.setdefault(network.access.prefix, []).append(network.name)
    return found if more is None else {**found, more: found.get(more, [])}


def _list_accounts(stored: StoredKey, prefix: str | None) -> list[tuple[str, str]]:
    """Return a key's accounts, each with the networks that it is for."""
    accounts = [(stored.address or _UNKNOWN, "EVM networks")]
    for known, networks in _find_prefixes(prefix).items():
        where = ", ".join(networks) or f"Cosmos networks with {known}1…"
        accounts.append((stored.cosmos_address(known) or _UNKNOWN, where))
    return accounts


def _save_key(name: str, make: Callable[[], Wallet], passwords: Passwords) -> StoredKey:
    password = passwords.read(name, new=True)
    return Keystore().save(name, make(), password)


def _check_free(name: str) -> None:
    """Check that a key name is valid and free, before the user types a secret."""
    store = Keystore()
    try:
        if (path := store.path_of(name)).exists():
            raise KeyExists(f"the key {name} already exists: {path}; choose another name")
    except BadKeyName as error:
        raise click.UsageError(str(error)) from None


def _check_absent(out: Path) -> None:
    if out != _OWN_OUTPUT and os.path.lexists(out):
        raise click.UsageError(
            f"{out} already exists, and nothing was written; choose another file"
        )


def _write(out: Path, text: str) -> None:
    if out == _OWN_OUTPUT:
        print_text(text)
        return
    _check_absent(out)
    write_private(out, text.encode(), replace=False)
    note(f"written to {out}")


def _show(stored: StoredKey, prefix: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(stored, prefix))
        return
    (account, _), *others = _list_accounts(stored, prefix)
    cosmos = [("", f"{address}  ({where})") for address, where in others]
    print_fields([("name", stored.name), ("account", account), *cosmos, ("file", str(stored.path))])


def _as_json(stored: StoredKey, prefix: str | None) -> dict[str, Any]:
    return {
        "name": stored.name,
        "account": stored.address,
        "cosmos_accounts": {
            known: stored.cosmos_address(known) for known in _find_prefixes(prefix)
        },
        "file": str(stored.path),
    }
