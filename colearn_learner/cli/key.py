"""The commands `colearn key`: manage the encrypted keystore."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import click

from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.options import json_option
from colearn_learner.cli._support.output import (
    note,
    print_fields,
    print_json,
    print_table,
    print_text,
)
from colearn_learner.cli._support.secrets import Passwords, password_options, read_secret
from colearn_ledger.home import write_private
from colearn_ledger.keys.keystore import BadKeyName, KeyExists, Keystore, StoredKey
from colearn_ledger.keys.wallet import COSMOS_PATH, MNEMONIC_PATH, InvalidKey, Wallet
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import CosmosNetwork

_OWN_OUTPUT = Path("-")
_UNKNOWN = "not in the file"

_prefix = click.option(
    "--prefix",
    callback=lambda _context, _option, given: _choose_prefix(given),
    metavar="TEXT",
    help="The beginning of Cosmos addresses.  [default: as on $COLEARN_NETWORK, else wasm]",
)


@click.group()
def key() -> None:
    """Keys: encrypted files (Ethereum keystore v3) in $COLEARN_HOME/keys or ~/.config/colearn/keys.

    A key serves Ethereum's chains and Cosmos chains; a mnemonic gives each a key of its own.

    A password comes from a prompt, from $COLEARN_PASSWORD, or by --password-file or
    --password-fd; a key to import from a prompt, or by --from. Neither is ever an argument.
    """


@key.command()
@click.argument("name")
@_prefix
@password_options
@json_option
@report_errors
def new(*, name: str, prefix: str, passwords: Passwords, as_json: bool) -> None:
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
    help="env:VARIABLE, fd:NUMBER, file:PATH, stdin or prompt.  [default: prompt at a terminal, "
    "else stdin]",
)
@click.option(
    "--path",
    default=MNEMONIC_PATH,
    show_default=True,
    help="Which key of a mnemonic (BIP-32).",
)
@click.option(
    "--cosmos-path",
    default=COSMOS_PATH,
    show_default=True,
    help="Which key of a mnemonic on Cosmos chains.",
)
@_prefix
@password_options
@json_option
@report_errors
def import_key(
    *,
    name: str,
    key_as_argument: tuple[str, ...],
    source: str | None,
    path: str,
    cosmos_path: str,
    prefix: str,
    passwords: Passwords,
    as_json: bool,
) -> None:
    """Save a private key or a mnemonic that you already have.

    By default it is read from a prompt that does not show it.
    """
    if key_as_argument:  # the error must not repeat the key
        raise click.UsageError(
            "a key is never an argument: others can see it in the list of processes. Give its "
            "source by --from"
        )
    _check_free(name)
    secret = read_secret(source or ("prompt" if sys.stdin.isatty() else "stdin"))
    try:
        wallet = Wallet.from_secret(secret, path=path, cosmos_path=cosmos_path)
    except InvalidKey as error:
        raise click.ClickException(f"nothing was imported: {error}") from None
    _show(_save_key(name, lambda: wallet, passwords), prefix, as_json=as_json)


@key.command("list")
@_prefix
@json_option
@report_errors
def list_keys(*, prefix: str, as_json: bool) -> None:
    """List the keys and their accounts; no password is needed."""
    store = Keystore()
    keys = store.all()
    if as_json:
        print_json([_as_json(k, prefix) for k in keys])
        return
    print_table(
        ("name", "account", "on Cosmos chains"),
        [[k.name, k.address or _UNKNOWN, k.cosmos_address(prefix) or _UNKNOWN] for k in keys],
        empty=f"There are no keys in {store.folder} yet. Make one: colearn key new NAME",
    )


@key.command()
@click.argument("name")
@_prefix
@json_option
@report_errors
def show(*, name: str, prefix: str, as_json: bool) -> None:
    """Show a key's accounts and file, nothing secret; no password is needed."""
    _show(Keystore().key(name), prefix, as_json=as_json)


@key.command()
@click.argument("name")
@click.option(
    "--private-key",
    is_flag=True,
    help="The key itself instead of the encrypted file: whoever sees it has the account.",
)
@click.option("--cosmos", is_flag=True, help="The key for Cosmos chains, if that is another one.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, allow_dash=True),
    help="A new file, readable by its owner only; - is standard output.  [default: - for the "
    "encrypted file; required for a private key]",
)
@password_options
@report_errors
def export(
    *, name: str, private_key: bool, cosmos: bool, out: Path | None, passwords: Passwords
) -> None:
    """Write a key's encrypted file, for another wallet, or the private key itself."""
    store = Keystore()
    store.key(name)
    if not private_key:
        _write(out or _OWN_OUTPUT, store.document(name, cosmos=cosmos))
        return
    if out is None:
        raise click.UsageError("choose where to write the private key: --out FILE, or --out -")
    _check_absent(out)
    wallet = store.open(name, passwords.ask(name))
    _write(out, wallet.reveal_key(cosmos=cosmos) + "\n")


def _choose_prefix(given: str | None) -> str:
    """Return the prefix that was given, or the default network's."""
    if given is not None:
        if not re.fullmatch("[a-z]{1,20}", given):
            raise click.UsageError("--prefix takes up to 20 lower-case letters, such as fetch")
        return given
    network = Networks().all().get(os.environ.get("COLEARN_NETWORK", ""))
    return network.access.prefix if isinstance(network, CosmosNetwork) else "wasm"


def _save_key(name: str, make: Callable[[], Wallet], passwords: Passwords) -> StoredKey:
    password = passwords.ask(name, new=True)
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
        raise click.UsageError(f"{out} already exists; nothing was written")


def _write(out: Path, text: str) -> None:
    if out == _OWN_OUTPUT:
        print_text(text)
        return
    _check_absent(out)
    write_private(out, text.encode(), replace=False)
    note(f"written to {out}")


def _show(stored: StoredKey, prefix: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(stored, prefix))
        return
    print_fields(
        [
            ("name", stored.name),
            ("account", stored.address or _UNKNOWN),
            ("on Cosmos", stored.cosmos_address(prefix) or _UNKNOWN),
            ("file", str(stored.path)),
        ]
    )


def _as_json(stored: StoredKey, prefix: str) -> dict[str, str | None]:
    return {
        "name": stored.name,
        "account": stored.address,
        "cosmos_account": stored.cosmos_address(prefix),
        "file": str(stored.path),
    }
