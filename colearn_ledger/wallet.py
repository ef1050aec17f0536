"""A wallet: one account's signing key."""

from __future__ import annotations

from typing import Any

from eth_account import Account as EthAccount
from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount

from colearn_ledger.protocol import Account, LedgerError

__all__ = ["InvalidKey", "Wallet"]


class InvalidKey(LedgerError):
    """The text is not a secp256k1 private key; the text itself is never repeated."""


class Wallet:
    """One account's secp256k1 key. Its ``repr`` and its errors never show the key."""

    def __init__(self, account: LocalAccount) -> None:
        """Wrap eth-account's account; prefer `create` or `from_key`."""
        self._account = account

    @classmethod
    def create(cls) -> Wallet:
        """Return a wallet with a new random key."""
        return cls(EthAccount.create())

    @classmethod
    def from_key(cls, key: str | bytes) -> Wallet:
        """Return the wallet of a private key: 32 bytes, or 64 hexadecimal digits."""
        try:
            return cls(EthAccount.from_key(key))
        except Exception:  # noqa: BLE001 - whatever eth-account raises for a bad key
            # from None: eth-account's message may repeat the key
            raise InvalidKey("not a private key: 64 hexadecimal digits are wanted") from None

    @property
    def address(self) -> Account:
        """Return the account's EIP-55 address."""
        return Account(self._account.address)

    def sign_message(self, message: SignableMessage) -> bytes:
        """Return the 65-byte signature r ‖ s ‖ v of an EIP-191 or EIP-712 message."""
        return bytes(self._account.sign_message(message).signature)

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """Return the raw signed Ethereum transaction."""
        return bytes(self._account.sign_transaction(transaction).raw_transaction)

    def __repr__(self) -> str:
        """Show the address only."""
        return f"Wallet({self.address})"
