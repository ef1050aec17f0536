"""A folder of named, encrypted keys; each file is an Ethereum keystore (version 3).

    <folder>/<name>.json           mode 0600, in a folder of mode 0700
    <folder>/<name>.cosmos.json    only if the key has a separate key for Cosmos chains

Any Ethereum wallet can read these files. A keystore written by another program can be copied into
the folder; its key is then used on both kinds of chains.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from eth_utils.address import is_hex_address, to_checksum_address

from colearn_ledger.home import config_home, private_folder, write_private
from colearn_ledger.keys.wallet import InvalidKey, Wallet, WrongPassword
from colearn_ledger.protocol import Account, LedgerError
from colearn_ledger.text.address import encode_bech32

__all__ = ["BadKeyName", "KeyExists", "Keystore", "StoredKey", "UnknownKey"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LARGEST = 65_536  # bytes; a keystore has 500
_COSMOS = ".cosmos"
"""Suffix of the name of a key's second file, before ``.json``."""


class BadKeyName(LedgerError):
    """The name of a key is not valid. The message does not repeat it, as it may be a key itself."""


class KeyExists(LedgerError):
    """A key of this name exists already; keys are never overwritten."""


class UnknownKey(LedgerError):
    """No key has this name."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key's name, its accounts and its file.

    ``address`` is the account on EVM chains. ``cosmos_account`` is the 20 bytes of the account on
    Cosmos chains. Each is ``None`` if the file does not contain it.
    """

    name: str
    address: Account | None
    path: Path
    cosmos_account: bytes | None = None

    def cosmos_address(self, prefix: str) -> Account | None:
        """Return the address on the Cosmos chains with a prefix, if the file has the account."""
        if self.cosmos_account is None:
            return None
        return Account(encode_bech32(prefix, self.cosmos_account))


class Keystore:
    """The keys in a folder.

    Args:
        folder: the folder; ``colearn/keys`` in the user's configuration folder by default.
        work: scrypt's cost for new keys, a power of two; the default of eth-account if ``None``.
    """

    def __init__(self, folder: Path | None = None, *, work: int | None = None) -> None:
        self.folder = folder or config_home() / "keys"
        self._work = work

    def all(self) -> list[StoredKey]:
        """Return all keys by name; skip files that are not keystores."""
        if not self.folder.is_dir():
            return []
        named = [path.stem for path in sorted(self.folder.glob("*.json"))]
        found = []
        for name in filter(_NAME.fullmatch, named):
            if name.endswith(_COSMOS):
                continue
            try:
                found.append(self.key(name))
            except InvalidKey:
                continue
        return found

    def key(self, name: str) -> StoredKey:
        """Return the public data of a key, which needs no password.

        Raises:
            UnknownKey: no key has this name.
            InvalidKey: the file is not a keystore.
        """
        document = self._read(name)
        address = _address_in(document)
        return StoredKey(name, address, self.path_of(name), _cosmos_account_in(document))

    def save(self, name: str, wallet: Wallet, password: str) -> StoredKey:
        """Encrypt a wallet's key and save it; a wallet made from a mnemonic may have two keys.

        Raises:
            BadKeyName: the name is not valid.
            KeyExists: the name is taken.
            HomeNotWritable: the file cannot be written.
        """
        path = self.path_of(name)
        if path.exists():  # fail before encrypting, which takes a second
            raise _exists(name, path)
        sealed = [(path, wallet.encrypted(password, work=self._work))]
        if wallet.has_own_cosmos_key:
            second = wallet.encrypted(password, work=self._work, cosmos=True)
            sealed.append((_cosmos_path(path), second))
        private_folder(self.folder, tighten=True)
        _write_all(name, sealed)
        return self.key(name)

    def open(self, name: str, password: str) -> Wallet:
        """Decrypt a key and return its wallet.

        Raises:
            UnknownKey: no key has this name.
            WrongPassword: the password does not open the key.
            InvalidKey: a file is not a keystore, or its key does not match its address.
        """
        document = self._read(name)
        second = _cosmos_path(self.path_of(name))
        cosmos = _text_of(second) if second.exists() else None
        try:
            wallet = Wallet.decrypted(document, password, cosmos)
        except WrongPassword:
            raise WrongPassword(f"the password does not open the key {name}") from None
        except InvalidKey:
            raise _no_keystore(self.path_of(name)) from None
        if _address_in(document) not in (None, wallet.address):
            raise InvalidKey(f"{self.path_of(name)} holds another key than that of its address")
        found = StoredKey(name, None, second, _cosmos_account_in(document)).cosmos_address("x")
        if found not in (None, wallet.cosmos_address("x")):
            raise InvalidKey(
                f"the key {name} has another account on Cosmos chains than its file says; is "
                f"{second} missing, or another key's?"
            )
        return wallet

    def document(self, name: str, *, cosmos: bool = False) -> str:
        """Return the text of an encrypted key file.

        Args:
            name: the name of the key.
            cosmos: return the file of the separate key for Cosmos chains, if there is one.

        Raises:
            UnknownKey: no key has this name.
        """
        first = self._read(name)
        second = _cosmos_path(self.path_of(name))
        return _text_of(second) if cosmos and second.exists() else first

    def path_of(self, name: str) -> Path:
        """Return the path of a key's file, whether or not the file exists.

        Raises:
            BadKeyName: the name is not valid.
        """
        if not _NAME.fullmatch(name) or _looks_like_a_key(name) or name.endswith(_COSMOS):
            raise BadKeyName(
                "a key's name has up to 64 letters, digits, '_', '.' and '-', and is not itself a "
                f"private key; it does not end with {_COSMOS}"
            )
        return self.folder / f"{name}.json"

    def _read(self, name: str) -> str:
        path = self.path_of(name)
        try:
            return _text_of(path)
        except FileNotFoundError:
            names = [path.stem for path in sorted(self.folder.glob("*.json"))]
            known = ", ".join(name for name in names if not name.endswith(_COSMOS))
            there = f"there are {known}" if known else "there are none yet"
            raise UnknownKey(
                f"there is no key {name} in {self.folder} ({there}); make one: colearn key new "
                f"{name}"
            ) from None


def _cosmos_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}{_COSMOS}.json")


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode()
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise InvalidKey(f"cannot read {path}: {why}") from error


def _write_all(name: str, files: list[tuple[Path, str]]) -> None:
    """Write all files of a key, or none. If two processes race, the first file decides it."""
    written: list[Path] = []
    try:
        for path, text in files:
            write_private(path, text.encode(), replace=False)
            written.append(path)
    except FileExistsError as error:
        raise _exists(name, Path(error.filename2 or path)) from error
    finally:
        if len(written) < len(files):
            for path in written:
                path.unlink()


def _exists(name: str, path: Path) -> KeyExists:
    return KeyExists(f"there is a key {name} already, {path}; keys are not overwritten")


def _no_keystore(path: Path) -> InvalidKey:
    return InvalidKey(f"{path} is not an Ethereum keystore of version 3")


def _looks_like_a_key(text: str) -> bool:
    return re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", text) is not None


def _address_in(document: str) -> Account | None:
    try:
        parsed = json.loads(document)
        if not isinstance(parsed, dict) or not isinstance(parsed["crypto"], dict):
            raise InvalidKey("not an Ethereum keystore of version 3")
    except (ValueError, KeyError):
        raise InvalidKey("not an Ethereum keystore of version 3") from None
    address = parsed.get("address")
    if not isinstance(address, str) or not is_hex_address(address):
        return None
    return Account(to_checksum_address("0x" + address.removeprefix("0x")))


def _cosmos_account_in(document: str) -> bytes | None:
    found = json.loads(document).get("cosmos_account")  # `_address_in` checked that it is an object
    if not isinstance(found, str) or not re.fullmatch("[0-9a-f]{40}", found):
        return None
    return bytes.fromhex(found)
