"""Addresses as people type them, and references to experiments.

A reference identifies an experiment on any chain, for example ``eip155:31337:0x5FbD…0aa3/7`` or
``cosmos:colearn-local:wasm1…/7``. It consists of the contract's account as in CAIP-10 and the
experiment's id in that contract.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from colearn_ledger.protocol import Account, ExperimentId, LedgerError
from colearn_ledger.text.address import InvalidAddress, check_cosmos_address, check_evm_address

_REFERENCE = re.compile(
    r"(eip155:([0-9]{1,20})|cosmos:[-_a-zA-Z0-9]{1,32}):([0-9a-zA-Z]{1,128})/([0-9]{1,20})"
)
_LARGEST_CHAIN_ID = 2**64 - 1
_LARGEST_ID = 2**64 - 1


class InvalidReference(LedgerError):
    """The text is not an address, or not a reference to an experiment."""


def address(text: str) -> Account:
    """Return a 20-byte hexadecimal address in its EIP-55 form.

    Raises:
        InvalidReference: it is not an address, or its checksum does not match.
    """
    try:
        return Account(check_evm_address(text))
    except InvalidAddress as error:
        raise InvalidReference(str(error)) from error


def account_address(text: str) -> Account:
    """Return an address of any chain in the form that ledgers return.

    Raises:
        InvalidReference: it is neither a hexadecimal nor a bech32 address, or its checksum does not
            match.
    """
    if text.startswith("0x"):
        return address(text)
    try:
        return Account(check_cosmos_address(text))
    except InvalidAddress as error:
        raise InvalidReference(
            f"{error}; an address has 0x and 40 hexadecimal digits, or is bech32 on a Cosmos chain"
        ) from error


@dataclass(frozen=True, slots=True)
class ExperimentReference:
    """An experiment by chain (CAIP-2), contract and id."""

    chain: str
    contract: Account
    experiment: ExperimentId

    def __str__(self) -> str:
        """Return the reference as text."""
        return f"{self.chain}:{self.contract}/{self.experiment}"

    @classmethod
    def parse(cls, text: str) -> ExperimentReference:
        """Parse a reference.

        Raises:
            InvalidReference: the text is not a reference.
        """
        found = _REFERENCE.fullmatch(text)
        number = int(found[2]) if found and found[2] else 0
        if found is None or number > _LARGEST_CHAIN_ID or int(found[4]) > _LARGEST_ID:
            raise InvalidReference(
                f"{text[:100]!r} is not a reference to an experiment; one looks like "
                "eip155:31337:0x5FbDB2315678afecb367f032d93F642f64180aa3/7, or like "
                "cosmos:colearn-local:wasm1…/7"
            )
        is_evm = found[2] is not None
        contract = account_address(found[3])
        if contract.startswith("0x") != is_evm:
            raise InvalidReference(f"{contract} is not an address on the chain {found[1]}")
        chain = f"eip155:{number}" if is_evm else found[1]
        return cls(chain, contract, ExperimentId(int(found[4])))
