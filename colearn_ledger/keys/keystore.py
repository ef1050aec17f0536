"""Keys by name: encrypted files of a folder, each an Ethereum keystore of version 3.

    <folder>/<name>.json           mode 0600, in a folder of mode 0700
    <folder>/<name>.cosmos.json    beside it, when Cosmos chains have a key of their own

Any Ethereum wallet reads them, and one that another program wrote may be put beside them: its key
then serves both kinds of chains.
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
"""How the name of a key's second file ends, before ``.json``."""


class BadKeyName(LedgerError):
    """The name of a key is not valid. It is not repeated, as it may be a key itself."""


class KeyExists(LedgerError):
    """There is a key of this name already; keys are never overwritten."""


class UnknownKey(LedgerError):
    """No key has this name."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key's name, its accounts and its file.

    ``address`` is that on Ethereum's chains, ``cosmos_account`` the 20 bytes of that on Cosmos
    chains; each is ``None`` if the file does not tell it.
    """

    name: str
    address: Account | None
    path: Path
    cosmos_account: bytes | None = None

    def cosmos_address(self, prefix: str) -> Account | None:
        """Return the account's address on the Cosmos chains with a prefix, if the file tells it."""
        if self.cosmos_account is None:
            return None
        return Account(encode_bech32(prefix, self.cosmos_account))


class Keystore:
    """The keys of a folder.

    Args:
        folder: where; ``colearn/keys`` in the user's configuration by default.
        work: scrypt's cost for new keys, a power of two; eth-account's own by default.
    """

    def __init__(self, folder: Path | None = None, *, work: int | None = None) -> None:
        self.folder = folder or config_home() / "keys"
        self._work = work

    def all(self) -> list[StoredKey]:
        """Return all keys by name; what is no keystore is left out."""
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
        """Return what is known of a key without its password.

        Raises:
            UnknownKey: there is none.
            InvalidKey: the file is no keystore.
        """
        document = self._read(name)
        address = _address_in(document)
        return StoredKey(name, address, self.path_of(name), _cosmos_account_in(document))

    def save(self, name: str, wallet: Wallet, password: str) -> StoredKey:
        """Encrypt a key and keep it; of a mnemonic both keys.

        Raises:
            BadKeyName: the name is no name.
            KeyExists: it is taken.
            HomeNotWritable: the disk does not take it.
        """
        path = self.path_of(name)
        if path.exists():  # before the second that encrypting takes
            raise _exists(name, path)
        sealed = [(path, wallet.encrypted(password, work=self._work))]
        if wallet.has_own_cosmos_key:
            second = wallet.encrypted(password, work=self._work, cosmos=True)
            sealed.append((_cosmos_path(path), second))
        private_folder(self.folder, tighten=True)
        _write_all(name, sealed)
        return self.key(name)

    def open(self, name: str, password: str) -> Wallet:
        """Return the wallet of a key.

        Raises:
            UnknownKey: no key has this name.
            WrongPassword: the password does not open it.
            InvalidKey: a file is no keystore, or its key is not that of its address.
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
        """Return an encrypted key file as it is.

        Args:
            name: of the key.
            cosmos: the file of the key for Cosmos chains.

        Raises:
            UnknownKey: no key has this name.
        """
        first = self._read(name)
        second = _cosmos_path(self.path_of(name))
        return _text_of(second) if cosmos and second.exists() else first

    def path_of(self, name: str) -> Path:
        """Return the file of a key of this name, be there one or not.

        Raises:
            BadKeyName: the name is no name.
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
    """Write a key's files or none of them; the first one's name is what is fought for."""
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
    found = json.loads(document).get("cosmos_account")  # `_address_in` has looked at the rest
    if not isinstance(found, str) or not re.fullmatch("[0-9a-f]{40}", found):
        return None
    return bytes.fromhex(found)
