"""A folder of named, encrypted keys; each file is an Ethereum keystore (version 3).

    <folder>/<name>.json           mode 0600, in a folder of mode 0700
    <folder>/<name>.cosmos.json    only if the key has a separate key for Cosmos chains

Any Ethereum wallet can read these files. A keystore written by another program can be copied into
the folder; its key is then used on both kinds of chains.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from colearn_ledger.home import config_home, private_folder, write_private
from colearn_ledger.keys.limits import CostlyKeystore
from colearn_ledger.keys.wallet import InvalidKey, Wallet, WrongPassword
from colearn_ledger.protocol import Account, LedgerError
from colearn_ledger.text import strict_json
from colearn_ledger.text.address import encode_bech32

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MAX_BYTES = 65_536  # a keystore has about 500
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
        address = _read_address(document)
        return StoredKey(name, address, self.path_of(name), _read_cosmos_account(document))

    def save(self, name: str, wallet: Wallet, password: str) -> StoredKey:
        """Encrypt a wallet's key and save it; a wallet made from a mnemonic may have two keys.

        Raises:
            BadKeyName: the name is not valid.
            KeyExists: the name is taken.
            HomeNotWritable: the file cannot be written.
        """
        path = self.path_of(name)
        if path.exists():  # fail before encrypting, which takes a second
            raise _key_exists(name, path)
        documents = [(path, wallet.encrypt(password, work=self._work))]
        if wallet.has_own_cosmos_key:
            second = wallet.encrypt(password, work=self._work, cosmos=True)
            documents.append((_cosmos_path(path), second))
        private_folder(self.folder, tighten=True)
        _write_all(name, documents)
        return self.key(name)

    def open(self, name: str, password: str) -> Wallet:
        """Decrypt a key and return its wallet.

        Raises:
            UnknownKey: no key has this name.
            WrongPassword: the password does not open the key.
            InvalidKey: a file is not a keystore, or its key does not match its address.
            CostlyKeystore: decrypting a file would take too much memory or time.
        """
        document = self._read(name)
        second = _cosmos_path(self.path_of(name))
        cosmos = _read_text(second) if second.exists() else None
        try:
            wallet = Wallet.decrypt(document, password, cosmos)
        except WrongPassword:
            raise WrongPassword(f"the password does not open the key {name}") from None
        except CostlyKeystore as error:
            raise CostlyKeystore(f"the key {name} is not opened: {error}") from None
        except InvalidKey:
            raise _not_a_keystore(self.path_of(name)) from None
        if _read_address(document) not in (None, wallet.address):
            raise InvalidKey(
                f"the key in {self.path_of(name)} does not match the address in that file; "
                "restore the file from a backup"
            )
        recorded = StoredKey(name, None, second, _read_cosmos_account(document))
        if recorded.cosmos_address("x") not in (None, wallet.cosmos_address("x")):
            raise InvalidKey(
                f"the key {name} does not match the Cosmos account in its file; check that "
                f"{second} exists and belongs to this key"
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
        return _read_text(second) if cosmos and second.exists() else first

    def path_of(self, name: str) -> Path:
        """Return the path of a key's file, whether or not the file exists.

        Raises:
            BadKeyName: the name is not valid.
        """
        if not _NAME.fullmatch(name) or _is_private_key(name) or name.endswith(_COSMOS):
            raise BadKeyName(
                "the name of the key is not valid; use 1 to 64 of the characters a-z, A-Z, 0-9, "
                f"'_', '.' and '-', beginning with a letter or digit, and no {_COSMOS} at the end. "
                "A private key is not a name: import it with colearn key import NAME"
            )
        return self.folder / f"{name}.json"

    def _read(self, name: str) -> str:
        path = self.path_of(name)
        try:
            return _read_text(path)
        except FileNotFoundError:
            names = [path.stem for path in sorted(self.folder.glob("*.json"))]
            known = ", ".join(name for name in names if not name.endswith(_COSMOS)) or "none"
            raise UnknownKey(
                f"the key {name} does not exist in {self.folder} (existing keys: {known}); create "
                f"it: colearn key new {name}"
            ) from None


def _cosmos_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}{_COSMOS}.json")


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode()
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
        raise _key_exists(name, Path(error.filename2 or path)) from error
    finally:
        if len(written) < len(files):
            for path in written:
                path.unlink()


def _key_exists(name: str, path: Path) -> KeyExists:
    return KeyExists(f"the key {name} already exists: {path}; choose another name")


def _not_a_keystore(path: Path) -> InvalidKey:
    return InvalidKey(f"{path} is not an Ethereum keystore of version 3")


def _is_private_key(text: str) -> bool:
    return re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", text) is not None


def _read_address(document: str) -> Account | None:
    try:
        parsed = strict_json.load(document)
        if not isinstance(parsed, dict) or not isinstance(parsed["crypto"], dict):
            raise InvalidKey("not an Ethereum keystore of version 3")
    except (ValueError, KeyError):
        raise InvalidKey("not an Ethereum keystore of version 3") from None
    address = parsed.get("address")
    from eth_utils.address import is_hex_address, to_checksum_address

    if not isinstance(address, str) or not is_hex_address(address):
        return None
    return Account(to_checksum_address("0x" + address.removeprefix("0x")))


def _read_cosmos_account(document: str) -> bytes | None:
    # `_read_address` checked that it is an object
    found = strict_json.load(document).get("cosmos_account")
    if not isinstance(found, str) or not re.fullmatch("[0-9a-f]{40}", found):
        return None
    return bytes.fromhex(found)
