"""Wallets: the signing keys of one account on EVM chains and on Cosmos chains.

A private key is used on both kinds of chains. A mnemonic yields a separate key for each kind, at
the derivation paths that other wallets use by default.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from colearn_ledger.keys.limits import InvalidKey as InvalidKey
from colearn_ledger.keys.limits import read_keystore
from colearn_ledger.protocol import Account, LedgerError, SigningDomain, SigningScheme
from colearn_ledger.text.address import decode_bech32, encode_bech32

if TYPE_CHECKING:
    from eth_account import Account as EthAccount
    from eth_account.messages import SignableMessage
    from eth_account.signers.local import LocalAccount

MNEMONIC_PATH = "m/44'/60'/0'/0/0"
"""Default derivation path of the key for EVM chains (BIP-44): the first account."""

COSMOS_PATH = "m/44'/118'/0'/0/0"
"""Default derivation path of the key for Cosmos chains (BIP-44): the first account."""

_FEWEST_WORDS = 12
_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}")
_KEY_BYTES = 32


class WrongPassword(LedgerError):
    """The password does not open this key file."""


def cosmos_address(prefix: str, public_key: bytes) -> Account:
    """Return the address of a compressed public key on a Cosmos chain.

    Args:
        prefix: the prefix of the chain's addresses, for example ``fetch``.
        public_key: the compressed key, 33 bytes.
    """
    return Account(encode_bech32(prefix, _cosmos_bytes(public_key)))


def _cosmos_bytes(public_key: bytes) -> bytes:
    from Crypto.Hash import RIPEMD160

    return RIPEMD160.new(hashlib.sha256(public_key).digest()).digest()


class Wallet:
    """One account's secp256k1 keys. Neither its ``repr`` nor its errors ever show them."""

    def __init__(self, account: LocalAccount, cosmos: LocalAccount | None = None) -> None:
        """Wrap eth-account's accounts; prefer `create` or `from_key`.

        Args:
            account: contains the key for EVM chains.
            cosmos: contains the key for Cosmos chains; ``account`` by default.
        """
        self._account = account
        self._cosmos = cosmos or account

    @classmethod
    def create(cls) -> Wallet:
        """Return a wallet with a new, random key."""
        return cls(_eth_account().create())

    @classmethod
    def from_key(cls, key: str | bytes) -> Wallet:
        """Return the wallet of a private key, given as 32 bytes or 64 hexadecimal digits."""
        is_complete = len(key) == _KEY_BYTES if isinstance(key, bytes) else _KEY.fullmatch(key)
        account = _try(lambda: _eth_account().from_key(key)) if is_complete else None
        if account is None:  # eth-account would accept a key with missing digits
            raise InvalidKey("the text is not a private key; expected 64 hexadecimal digits")
        return cls(account)

    @classmethod
    def from_mnemonic(
        cls, words: str, *, path: str = MNEMONIC_PATH, cosmos_path: str = COSMOS_PATH
    ) -> Wallet:
        """Return the wallet of a BIP-39 mnemonic.

        Args:
            words: 12 to 24 words.
            path: the BIP-32 path of the key for EVM chains.
            cosmos_path: the BIP-32 path of the key for Cosmos chains.

        Raises:
            InvalidKey: the mnemonic, its checksum or a path is not valid.
        """
        _eth_account().enable_unaudited_hdwallet_features()
        mnemonic = " ".join(words.split())
        account = _try(lambda: _eth_account().from_mnemonic(mnemonic, account_path=path))
        cosmos = _try(lambda: _eth_account().from_mnemonic(mnemonic, account_path=cosmos_path))
        if account is None or cosmos is None:
            raise InvalidKey(
                "the text is not a mnemonic, or a path is not valid; expected 12 to 24 words of "
                f"the BIP-39 list in their order, and a path like {MNEMONIC_PATH}"
            )
        return cls(account, cosmos)

    @classmethod
    def from_secret(
        cls, text: str, *, path: str = MNEMONIC_PATH, cosmos_path: str = COSMOS_PATH
    ) -> Wallet:
        """Return the wallet of a text that is either a private key or a mnemonic.

        Raises:
            InvalidKey: the text is neither.
        """
        if len(text.split()) >= _FEWEST_WORDS:
            return cls.from_mnemonic(text, path=path, cosmos_path=cosmos_path)
        return cls.from_key(text.strip())

    @classmethod
    def decrypt(cls, document: str, password: str, cosmos: str | None = None) -> Wallet:
        """Decrypt an Ethereum keystore (version 3) and return its wallet.

        Args:
            document: the keystore, JSON.
            password: the password of the keystore.
            cosmos: the keystore of the separate key for Cosmos chains, if there is one.

        Raises:
            WrongPassword: the password does not open it.
            InvalidKey: a document is not a keystore of version 3.
            CostlyKeystore: decrypting it would take too much memory or time.
        """
        account = _decrypt_account(document, password)
        return cls(account, _decrypt_account(cosmos, password) if cosmos is not None else None)

    def encrypt(self, password: str, *, work: int | None = None, cosmos: bool = False) -> str:
        """Encrypt a key and return it as an Ethereum keystore (version 3), JSON.

        The keystore has an additional field with the wallet's account on Cosmos chains.

        Args:
            password: the password that will open it.
            work: scrypt's cost, a power of two; the default of eth-account if ``None``.
            cosmos: encrypt the key for Cosmos chains instead of the one for EVM chains.
        """
        key = (self._cosmos if cosmos else self._account).key
        keystore = _eth_account().encrypt(key, password, kdf="scrypt", iterations=work)
        account = _cosmos_bytes(self.cosmos_public_key).hex()
        return json.dumps({**keystore, "cosmos_account": account}, indent=2) + "\n"

    def reveal_key(self, *, cosmos: bool = False) -> str:
        """Return a private key as ``0x`` and 64 hexadecimal digits. Use it for export only.

        Args:
            cosmos: return the key for Cosmos chains instead of the one for EVM chains.
        """
        return "0x" + bytes((self._cosmos if cosmos else self._account).key).hex()

    @property
    def address(self) -> Account:
        """Return the account's EIP-55 address on EVM chains and the local ledger."""
        return Account(self._account.address)

    def cosmos_address(self, prefix: str) -> Account:
        """Return the account's address on the Cosmos chains with a prefix, such as ``fetch``."""
        return cosmos_address(prefix, self.cosmos_public_key)

    def account_on(self, domain: SigningDomain) -> Account:
        """Return the account's address on the chain of a signing domain."""
        if domain.scheme == SigningScheme.ADR036:
            return self.cosmos_address(decode_bech32(domain.contract)[0])
        return self.address

    @property
    def has_own_cosmos_key(self) -> bool:
        """Return whether the key for Cosmos chains differs from the one for EVM chains."""
        return bool(self._cosmos.key != self._account.key)

    @property
    def cosmos_public_key(self) -> bytes:
        """Return the compressed public key for Cosmos chains, 33 bytes."""
        from coincurve import PrivateKey

        return PrivateKey(bytes(self._cosmos.key)).public_key.format()

    def sign_for_cosmos(self, document: bytes) -> bytes:
        """Sign a document's sha256; return 64 bytes, r ‖ s with a low s."""
        from coincurve import PrivateKey

        return PrivateKey(bytes(self._cosmos.key)).sign_recoverable(document)[:64]

    def sign_message(self, message: SignableMessage) -> bytes:
        """Sign an EIP-191 or EIP-712 message; return 65 bytes, r ‖ s ‖ v."""
        return bytes(self._account.sign_message(message).signature)

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """Sign an Ethereum transaction; return its raw bytes."""
        return bytes(self._account.sign_transaction(transaction).raw_transaction)

    def __repr__(self) -> str:
        """Return a text with the address only."""
        return f"Wallet({self.address})"


def _eth_account() -> type[EthAccount]:
    """Import late what takes longer than all the rest of a command's start."""
    from eth_account import Account

    return Account


def _decrypt_account(document: str, password: str) -> LocalAccount:
    keystore = read_keystore(document)
    wrong_password = False
    try:
        account: LocalAccount = _eth_account().from_key(_eth_account().decrypt(keystore, password))
        return account
    except Exception as error:  # noqa: BLE001 - eth-account raises many types
        wrong_password = "MAC mismatch" in str(error)
    if wrong_password:
        raise WrongPassword("the password does not open this key")
    raise InvalidKey("not an Ethereum keystore of version 3")


def _try(make: Callable[[], LocalAccount]) -> LocalAccount | None:
    """Return the account, ``None`` on any error: eth-account's message may repeat the key."""
    try:
        return make()
    except Exception:  # noqa: BLE001 - eth-account raises many types
        return None
