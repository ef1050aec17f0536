"""A wallet: one account's signing keys, for Ethereum's chains and for Cosmos chains.

A private key serves both kinds of chains. A mnemonic gives each kind a key of its own, at the
paths at which every other wallet looks for them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from coincurve import PrivateKey
from Crypto.Hash import RIPEMD160
from eth_account import Account as EthAccount
from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount

from colearn_ledger.protocol import Account, LedgerError, SigningDomain, SigningScheme
from colearn_ledger.text.address import decode_bech32, encode_bech32

__all__ = [
    "COSMOS_PATH",
    "MNEMONIC_PATH",
    "InvalidKey",
    "Wallet",
    "WrongPassword",
    "cosmos_address",
]

MNEMONIC_PATH = "m/44'/60'/0'/0/0"
"""Which of a mnemonic's keys is meant unless the caller says otherwise (BIP-44): the first."""

COSMOS_PATH = "m/44'/118'/0'/0/0"
"""The same on Cosmos chains."""

_FEWEST_WORDS = 12
_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}")
_KEY_BYTES = 32


class InvalidKey(LedgerError):
    """The text is not a secp256k1 private key; the text itself is never repeated."""


class WrongPassword(LedgerError):
    """The password does not open this key file."""


def cosmos_address(prefix: str, public_key: bytes) -> Account:
    """Return the account of a compressed public key on a Cosmos chain.

    Args:
        prefix: the chain's, ``fetch`` for example.
        public_key: 33 bytes.
    """
    return Account(encode_bech32(prefix, _cosmos_bytes(public_key)))


def _cosmos_bytes(public_key: bytes) -> bytes:
    return RIPEMD160.new(hashlib.sha256(public_key).digest()).digest()


class Wallet:
    """One account's secp256k1 keys. Its ``repr`` and its errors never show them."""

    def __init__(self, account: LocalAccount, cosmos: LocalAccount | None = None) -> None:
        """Wrap eth-account's accounts; prefer `create` or `from_key`.

        Args:
            account: holds the key for Ethereum's chains.
            cosmos: holds the key for Cosmos chains; the same one if ``None``.
        """
        self._account = account
        self._cosmos = cosmos or account

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
    def from_mnemonic(
        cls, words: str, *, path: str = MNEMONIC_PATH, cosmos_path: str = COSMOS_PATH
    ) -> Wallet:
        """Return the wallet of a BIP-39 mnemonic.

        Args:
            words: 12 to 24 of them.
            path: which of its keys on Ethereum's chains, BIP-32.
            cosmos_path: which on Cosmos chains.

        Raises:
            InvalidKey: the words are no mnemonic, their checksum included, or a path is none.
        """
        EthAccount.enable_unaudited_hdwallet_features()
        together = " ".join(words.split())
        account = _made(lambda: EthAccount.from_mnemonic(together, account_path=path))
        cosmos = _made(lambda: EthAccount.from_mnemonic(together, account_path=cosmos_path))
        if account is None or cosmos is None:
            raise InvalidKey(
                "not a mnemonic: 12 to 24 words of the BIP-39 list are wanted, in their order, and "
                f"a path like {MNEMONIC_PATH}"
            )
        return cls(account, cosmos)

    @classmethod
    def from_secret(
        cls, text: str, *, path: str = MNEMONIC_PATH, cosmos_path: str = COSMOS_PATH
    ) -> Wallet:
        """Return the wallet of a private key or a mnemonic, whichever the text is.

        Raises:
            InvalidKey: it is neither.
        """
        if len(text.split()) >= _FEWEST_WORDS:
            return cls.from_mnemonic(text, path=path, cosmos_path=cosmos_path)
        return cls.from_key(text.strip())

    @classmethod
    def decrypted(cls, document: str, password: str, cosmos: str | None = None) -> Wallet:
        """Return the wallet in an Ethereum keystore (version 3).

        Args:
            document: the keystore, JSON.
            password: that opens it.
            cosmos: the keystore of the key for Cosmos chains, if that is another one.

        Raises:
            WrongPassword: it does not.
            InvalidKey: a document is no such keystore.
        """
        account = _opened(document, password)
        return cls(account, _opened(cosmos, password) if cosmos is not None else None)

    def encrypted(self, password: str, *, work: int | None = None, cosmos: bool = False) -> str:
        """Return a key as an Ethereum keystore (version 3), JSON.

        Beside what that has, it says which account the wallet has on Cosmos chains.

        Args:
            password: that opens it again.
            work: scrypt's cost, a power of two; eth-account's own by default.
            cosmos: the key for Cosmos chains instead of that for Ethereum's.
        """
        key = (self._cosmos if cosmos else self._account).key
        sealed = EthAccount.encrypt(key, password, kdf="scrypt", iterations=work)
        account = _cosmos_bytes(self.cosmos_public_key).hex()
        return json.dumps({**sealed, "cosmos_account": account}, indent=2) + "\n"

    def reveal_key(self, *, cosmos: bool = False) -> str:
        """Return a private key, ``0x`` and 64 hexadecimal digits: for export only.

        Args:
            cosmos: that for Cosmos chains instead of that for Ethereum's.
        """
        return "0x" + bytes((self._cosmos if cosmos else self._account).key).hex()

    @property
    def address(self) -> Account:
        """Return the account's EIP-55 address, on Ethereum's chains and the local ledger."""
        return Account(self._account.address)

    def cosmos_address(self, prefix: str) -> Account:
        """Return the account's address on the Cosmos chains with a prefix, ``fetch`` or another."""
        return cosmos_address(prefix, self.cosmos_public_key)

    def account_on(self, domain: SigningDomain) -> Account:
        """Return the account's address where a domain's contract is."""
        if domain.scheme == SigningScheme.ADR036:
            return self.cosmos_address(decode_bech32(domain.contract)[0])
        return self.address

    @property
    def has_own_cosmos_key(self) -> bool:
        """Whether Cosmos chains have another key than Ethereum's."""
        return bool(self._cosmos.key != self._account.key)

    @property
    def cosmos_public_key(self) -> bytes:
        """Return the compressed public key on Cosmos chains, 33 bytes."""
        return PrivateKey(bytes(self._cosmos.key)).public_key.format()

    def sign_for_cosmos(self, document: bytes) -> bytes:
        """Return the 64-byte signature r ‖ s, s low, of a document's sha256."""
        return PrivateKey(bytes(self._cosmos.key)).sign_recoverable(document)[:64]

    def sign_message(self, message: SignableMessage) -> bytes:
        """Return the 65-byte signature r ‖ s ‖ v of an EIP-191 or EIP-712 message."""
        return bytes(self._account.sign_message(message).signature)

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """Return the raw signed Ethereum transaction."""
        return bytes(self._account.sign_transaction(transaction).raw_transaction)

    def __repr__(self) -> str:
        """Show the address only."""
        return f"Wallet({self.address})"


def _opened(document: str, password: str) -> LocalAccount:
    wrong_password = False
    try:
        account: LocalAccount = EthAccount.from_key(EthAccount.decrypt(document, password))
        return account
    except Exception as error:  # noqa: BLE001 - whatever eth-account raises
        wrong_password = "MAC mismatch" in str(error)
    if wrong_password:
        raise WrongPassword("the password does not open this key")
    raise InvalidKey("not an Ethereum keystore of version 3")


def _made(make: Callable[[], LocalAccount]) -> LocalAccount | None:
    """Return an account, or nothing: an error of eth-account's may repeat the key it refuses."""
    try:
        return make()
    except Exception:  # noqa: BLE001 - whatever it raises
        return None
