"""A wallet: one account's signing key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from eth_account import Account as EthAccount
from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount

from colearn_ledger.protocol import Account, LedgerError

__all__ = ["MNEMONIC_PATH", "InvalidKey", "Wallet", "WrongPassword"]

MNEMONIC_PATH = "m/44'/60'/0'/0/0"
"""Which of a mnemonic's keys is meant unless the caller says otherwise (BIP-44): the first."""

_FEWEST_WORDS = 12
_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}")
_KEY_BYTES = 32


class InvalidKey(LedgerError):
    """The text is not a secp256k1 private key; the text itself is never repeated."""


class WrongPassword(LedgerError):
    """The password does not open this key file."""


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
        whole = len(key) == _KEY_BYTES if isinstance(key, bytes) else _KEY.fullmatch(key)
        account = _made(lambda: EthAccount.from_key(key)) if whole else None
        if account is None:  # eth-account would take one that lacks digits
            raise InvalidKey("not a private key: 64 hexadecimal digits are wanted")
        return cls(account)

    @classmethod
    def from_mnemonic(cls, words: str, *, path: str = MNEMONIC_PATH) -> Wallet:
        """Return the wallet of a BIP-39 mnemonic.

        Args:
            words: 12 to 24 of them.
            path: which of its keys, BIP-32.

        Raises:
            InvalidKey: the words are no mnemonic, their checksum included, or the path is none.
        """
        EthAccount.enable_unaudited_hdwallet_features()
        account = _made(
            lambda: EthAccount.from_mnemonic(" ".join(words.split()), account_path=path)
        )
        if account is None:
            raise InvalidKey(
                "not a mnemonic: 12 to 24 words of the BIP-39 list are wanted, in their order, and "
                f"a path like {MNEMONIC_PATH}"
            )
        return cls(account)

    @classmethod
    def from_secret(cls, text: str, *, path: str = MNEMONIC_PATH) -> Wallet:
        """Return the wallet of a private key or a mnemonic, whichever the text is.

        Raises:
            InvalidKey: it is neither.
        """
        if len(text.split()) >= _FEWEST_WORDS:
            return cls.from_mnemonic(text, path=path)
        return cls.from_key(text.strip())

    @classmethod
    def decrypted(cls, document: str, password: str) -> Wallet:
        """Return the wallet in an Ethereum keystore (version 3).

        Args:
            document: the keystore, JSON.
            password: that opens it.

        Raises:
            WrongPassword: it does not.
            InvalidKey: the document is no such keystore.
        """
        wrong_password = False
        try:
            return cls(EthAccount.from_key(EthAccount.decrypt(document, password)))
        except Exception as error:  # noqa: BLE001 - whatever eth-account raises
            wrong_password = "MAC mismatch" in str(error)
        if wrong_password:
            raise WrongPassword("the password does not open this key")
        raise InvalidKey("not an Ethereum keystore of version 3")

    def encrypted(self, password: str, *, work: int | None = None) -> str:
        """Return the key as an Ethereum keystore (version 3), JSON.

        Args:
            password: that opens it again.
            work: scrypt's cost, a power of two; eth-account's own by default.
        """
        sealed = EthAccount.encrypt(self._account.key, password, kdf="scrypt", iterations=work)
        return json.dumps(sealed, indent=2) + "\n"

    def reveal_key(self) -> str:
        """Return the private key, ``0x`` and 64 hexadecimal digits: for export only."""
        return "0x" + bytes(self._account.key).hex()

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


def _made(make: Callable[[], LocalAccount]) -> LocalAccount | None:
    """Return an account, or nothing: an error of eth-account's may repeat the key it refuses."""
    try:
        return make()
    except Exception:  # noqa: BLE001 - whatever it raises
        return None
