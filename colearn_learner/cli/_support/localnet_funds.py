"""Find the accounts to fund on a local network, and pay them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import click

from colearn_learner.cli._support.localnet_profiles import find_profile
from colearn_ledger.keys.keystore import BadKeyName, Keystore, UnknownKey
from colearn_ledger.keys.wallet import Wallet

if TYPE_CHECKING:
    from colearn_learner.cli._support.secrets import Passwords
    from colearn_localnet.net import Localnet

_UNITS = {"evm": "ether", "cosmos": "stake"}
_COSMOS_ADDRESS = re.compile(r"[a-z]+1[02-9ac-hj-np-z]{38,}")


@dataclass(frozen=True, slots=True)
class Payee:
    """An account to pay, on the chain of a kind; ``name`` is that of its key, if it was given."""

    kind: str
    address: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """A payee and its new balance."""

    payee: Payee
    balance: Decimal

    def __str__(self) -> str:
        """Return the payment in words."""
        payee = self.payee
        name = f"{payee.name}  " if payee.name else ""
        amount = format(self.balance.normalize(), "f")
        return f"{name}{payee.address} now has {amount} {_UNITS[payee.kind]}"

    def as_json(self) -> dict[str, str | None]:
        """Return the payment for JSON."""
        return {
            "name": self.payee.name,
            "address": self.payee.address,
            "chain": self.payee.kind,
            "balance": format(self.balance, "f"),
            "unit": _UNITS[self.payee.kind],
        }


@dataclass(frozen=True, slots=True)
class KeyNames:
    """Names of keys to use, and to create if they do not exist."""

    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str | None) -> KeyNames:
        """Parse names separated by commas.

        Raises:
            click.BadParameter: a name is not valid.
        """
        names = tuple(dict.fromkeys(name.strip() for name in (text or "").split(",")))
        try:
            for name in names if text is not None else ():
                Keystore().path_of(name)
        except BadKeyName as error:
            raise click.BadParameter(str(error), param_hint="--keys") from error
        return cls(names if text is not None else ())

    def prepare(self, passwords: Passwords) -> Callable[[], None]:
        """Read the password of the keys that do not exist; return a function that creates them."""
        store = Keystore()
        missing = [name for name in self.names if not store.path_of(name).exists()]
        password = passwords.read(", ".join(missing), new=True) if missing else ""

        def create_keys() -> None:
            for name in missing:
                store.save(name, Wallet.create(), password)

        return create_keys


def select_payees(texts: Sequence[str], kinds: Sequence[str]) -> list[Payee]:
    """Return the accounts of addresses, and those of keys on each of some kinds of chains.

    Raises:
        click.UsageError: a text is neither an address nor a key's name, or the key's file does not
            contain the address.
    """
    payees: list[Payee] = []
    for text in texts:
        if text.startswith("0x") or _COSMOS_ADDRESS.fullmatch(text):
            payees.append(Payee("evm" if text.startswith("0x") else "cosmos", text))
        else:
            payees += _find_key_accounts(text, kinds)
    return list(dict.fromkeys(payees))


def parse_amount(text: str | None, payees: Sequence[Payee]) -> Decimal | None:
    """Return an amount for each of the payees; None if none was given.

    Raises:
        click.UsageError: it is not a number, or the payees have different currencies.
    """
    if text is None:
        return None
    units = {_UNITS[payee.kind] for payee in payees}
    if len(units) > 1:
        raise click.UsageError(
            "--amount is in ether on the EVM chain and in stake on the Cosmos chain; choose one "
            "with --chain"
        )
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise click.UsageError(
            f"{text!r} is not an amount of {' or '.join(units)}; use a number, such as 10"
        ) from error


def pay(
    net: Localnet, payees: Sequence[Payee], amount: Decimal | None, report: Callable[[str], None]
) -> list[Payment]:
    """Send each payee an amount, the default if it is None, and return the new balances.

    Raises:
        LocalnetError: as `Localnet.fund` describes.
    """
    if not payees:
        return []
    balances = net.fund([payee.address for payee in payees], amount, report=report)
    return [Payment(payee, balances[payee.address]) for payee in payees]


def _find_key_accounts(name: str, kinds: Sequence[str]) -> list[Payee]:
    try:
        key = Keystore().key(name)
    except (UnknownKey, BadKeyName) as error:
        raise click.UsageError(
            f"{name!r} is neither an address nor the name of a key; colearn key list shows the "
            "names, colearn key new creates a key"
        ) from error
    accounts = {kind: find_profile(kind).account_of(key) for kind in kinds}
    if None in accounts.values():
        raise click.UsageError(
            f"the file of the key {name} does not contain its address; pass the address instead"
        )
    return [Payee(kind, str(account), name) for kind, account in accounts.items()]
