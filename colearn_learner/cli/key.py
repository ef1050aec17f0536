"""`colearn key`: the encrypted keystore."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from colearn_learner.cli.asking import Passwords, password_options, read_secret
from colearn_learner.cli.failing import failing_clearly
from colearn_learner.cli.showing import note, print_fields, print_json, print_table
from colearn_ledger.home import write_private
from colearn_ledger.keystore import BadKeyName, KeyExists, Keystore, StoredKey
from colearn_ledger.wallet import MNEMONIC_PATH, InvalidKey, Wallet

__all__ = ["key"]

_OWN_OUTPUT = Path("-")


@click.group()
def key() -> None:
    """Keys: encrypted files (Ethereum keystore v3) in $COLEARN_HOME/keys or ~/.config/colearn/keys.

    A password comes from a prompt, from $COLEARN_PASSWORD, or by --password-file or
    --password-fd; a key to import from a prompt, or by --from. Neither is ever an argument.
    """


@key.command()
@click.argument("name")
@password_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@failing_clearly
def new(*, name: str, passwords: Passwords, as_json: bool) -> None:
    """Make a new random key."""
    _save(name, Wallet.create, passwords, as_json=as_json)


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
@password_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@failing_clearly
def import_key(
    *,
    name: str,
    key_as_argument: tuple[str, ...],
    source: str | None,
    path: str,
    passwords: Passwords,
    as_json: bool,
) -> None:
    """Keep a private key or a mnemonic that you have already.

    The default is to ask for it at the terminal, which shows nothing of it.
    """
    if key_as_argument:  # and is not repeated
        raise click.UsageError(
            "a key is never an argument: others can see it in the list of processes. Give its "
            "source by --from"
        )
    _check_free(name)
    secret = read_secret(source or ("prompt" if sys.stdin.isatty() else "stdin"))
    try:
        wallet = Wallet.from_secret(secret, path=path)
    except InvalidKey as error:
        raise click.ClickException(f"nothing was imported: {error}") from None
    _save(name, lambda: wallet, passwords, as_json=as_json)


@key.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@failing_clearly
def list_keys(*, as_json: bool) -> None:
    """List the keys and their accounts; no password is needed."""
    store = Keystore()
    keys = store.all()
    if as_json:
        print_json([_as_json(k) for k in keys])
        return
    print_table(
        ("name", "account"),
        [[k.name, k.address or "not told by the file"] for k in keys],
        empty=f"There are no keys in {store.folder} yet. Make one: colearn key new NAME",
    )


@key.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@failing_clearly
def show(*, name: str, as_json: bool) -> None:
    """Show a key's account and file, nothing secret; no password is needed."""
    _show(Keystore().key(name), as_json=as_json)


@key.command()
@click.argument("name")
@click.option(
    "--private-key",
    is_flag=True,
    help="The key itself instead of the encrypted file: whoever sees it has the account.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, allow_dash=True),
    help="A new file, readable by its owner only; - is standard output.  [default: - for the "
    "encrypted file; a private key needs to be told]",
)
@password_options
@failing_clearly
def export(*, name: str, private_key: bool, out: Path | None, passwords: Passwords) -> None:
    """Write a key's encrypted file, for another wallet, or the private key itself."""
    store = Keystore()
    store.key(name)
    if not private_key:
        _write(out or _OWN_OUTPUT, store.document(name))
        return
    if out is None:
        raise click.UsageError("say where the private key is to go: --out FILE, or --out -")
    _check_absent(out)
    _write(out, store.open(name, passwords.ask(name)).reveal_key() + "\n")


def _save(name: str, make: Callable[[], Wallet], passwords: Passwords, *, as_json: bool) -> None:
    _check_free(name)
    password = passwords.ask(name, new=True)
    _show(Keystore().save(name, make(), password), as_json=as_json)


def _check_free(name: str) -> None:
    """Refuse a name before a secret is asked for."""
    store = Keystore()
    try:
        if (path := store.path_of(name)).exists():
            raise KeyExists(f"there is a key {name} already, {path}; keys are not overwritten")
    except BadKeyName as error:
        raise click.UsageError(str(error)) from None


def _check_absent(out: Path) -> None:
    if out != _OWN_OUTPUT and os.path.lexists(out):
        raise click.UsageError(f"{out} is there already; nothing was written")


def _write(out: Path, text: str) -> None:
    if out == _OWN_OUTPUT:
        click.echo(text, nl=False)
        return
    _check_absent(out)
    write_private(out, text.encode(), replace=False)
    note(f"written to {out}")


def _show(stored: StoredKey, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(stored))
        return
    print_fields(
        [
            ("name", stored.name),
            ("account", stored.address or "not told by the file"),
            ("file", str(stored.path)),
        ]
    )


def _as_json(stored: StoredKey) -> dict[str, str | None]:
    return {"name": stored.name, "account": stored.address, "file": str(stored.path)}
