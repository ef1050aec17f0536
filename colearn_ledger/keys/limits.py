"""Limit the work that a keystore may demand before its key is decrypted.

The file chooses the parameters of the function that derives a key from the password. Without limits
a file can use all memory, or take years.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colearn_ledger.protocol import LedgerError
from colearn_ledger.text import strict_json

_MOST_MEMORY = 512 * 2**20
"""Memory for scrypt in bytes; the keystores of this package need half of it."""

_MOST_REPETITIONS = 16
"""scrypt's p."""

_MOST_ITERATIONS = 10**7
"""PBKDF2's c; other wallets use 262,144 to 1,000,000."""

_KEY_BYTES = 32
_VERSION = 3

_REMEDY = (
    "encrypt the key again with usual parameters, or import the private key itself: colearn key "
    "import NAME"
)


class InvalidKey(LedgerError):
    """The text is not a secp256k1 private key; the message never repeats the text."""


class CostlyKeystore(InvalidKey):
    """Decrypting the keystore would take too much memory or time, so it is not tried."""


def read_keystore(document: str) -> dict[str, Any]:
    """Parse a keystore and check how much work it demands; names of fields become lower case.

    Raises:
        InvalidKey: the document is not an Ethereum keystore of version 3.
        CostlyKeystore: it demands more work than is allowed.
    """
    try:
        keystore: dict[str, Any] = _lower_names(strict_json.load(document))
        derivation = keystore["crypto"]["kdf"], keystore["crypto"]["kdfparams"]
        is_known = keystore["version"] == _VERSION
    except (strict_json.InvalidJson, LookupError, TypeError, AttributeError):
        is_known = False  # the error might repeat a part of the document
    if not is_known or not isinstance(derivation[1], dict):
        raise InvalidKey("not an Ethereum keystore of version 3")
    _check_work(*derivation)
    return keystore


def _check_work(function: object, parameters: Mapping[str, Any]) -> None:
    if function == "scrypt":
        _check_scrypt(*(_read_number(parameters, name) for name in ("n", "r", "p")))
    elif function == "pbkdf2":
        iterations = _read_number(parameters, "c")
        if iterations > _MOST_ITERATIONS:
            raise CostlyKeystore(
                f"its keystore demands {iterations:,} rounds of PBKDF2, which takes too long; at "
                f"most {_MOST_ITERATIONS:,} are allowed: {_REMEDY}"
            )
    else:
        raise InvalidKey("not a keystore with the key derivation scrypt or pbkdf2")
    if _read_number(parameters, "dklen") != _KEY_BYTES:
        raise CostlyKeystore(
            f"its keystore derives a key of another length than {_KEY_BYTES} bytes (dklen): "
            f"{_REMEDY}"
        )


def _check_scrypt(n: int, r: int, p: int) -> None:
    memory = 128 * r * max(n, p)
    if memory > _MOST_MEMORY:
        raise CostlyKeystore(
            f"its keystore demands {memory // 2**20:,} MiB of memory (scrypt with n={n:,}, r={r:,} "
            f"and p={p:,}); at most {_MOST_MEMORY // 2**20:,} MiB are allowed: {_REMEDY}"
        )
    if p > _MOST_REPETITIONS:
        raise CostlyKeystore(
            f"its keystore demands {p:,} repetitions of scrypt (p), which takes too long; at most "
            f"{_MOST_REPETITIONS} are allowed: {_REMEDY}"
        )


def _read_number(parameters: Mapping[str, Any], name: str) -> int:
    number = parameters.get(name)
    if type(number) is not int or number < 1:
        raise InvalidKey(f"the keystore's parameter {name} is not a positive whole number")
    return number


def _lower_names(value: Any) -> Any:
    """Return objects with names in lower case, as eth-keyfile reads them.

    Raises:
        InvalidJson: an object has names that differ only in their case.
    """
    if not isinstance(value, dict):
        return value
    lowered = {str(name).lower(): _lower_names(item) for name, item in value.items()}
    if len(lowered) != len(value):
        raise strict_json.InvalidJson("an object contains a name twice")
    return lowered
