"""Create a local Cosmos chain: the validators' homes and keys, and the initial balances."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from colearn_ledger.text.address import encode_bech32
from colearn_localnet.errors import NetStateError, NodeFailed
from colearn_localnet.install import find_binary
from colearn_localnet.wasmd_releases import RELEASES, Release

CHAIN_ID = "colearn-local"
PREFIX = "wasm"
DENOMINATION = "stake"
GAS_PRICE = f"0.025{DENOMINATION}"
"""Minimum gas price."""

BLOCK_TIME = 0.5
"""Default number of seconds between blocks."""

FAUCET = "validator0"
"""Name of the faucet's key in the first validator's key ring; it is the validator's key."""

MNEMONIC = "test test test test test test test test test test test junk"
"""Mnemonic of the test accounts; it is public knowledge, so never use it for real value."""

_STAKE = 10**8
"""Amount in `DENOMINATION` that each validator delegates to itself."""

_ACCOUNT_BALANCE = 10**12
_FAUCET_BALANCE = 10**18
_VALIDATOR_BALANCE = 10**9
"""Initial balances in `DENOMINATION` of an account, the faucet and any other validator."""

ACCOUNTS = (
    "wasm15yk64u7zc9g9k2yr2wmzeva5qgwxps6yvw76s4",
    "wasm1erxf3sa9q2j4vgseu7jq4a258ckmk7cy9zt7wf",
    "wasm1htamarexaxhgdsp0xu6sppeyx7avtvqr84t7ar",
    "wasm19tkvgvwht3n8pcqydrcq4cxwhr8rp2ge4p9ev0",
    "wasm164cy6j05j3kaqlzqgzn9mjz95vqjhxmhsqn856",
    "wasm18el2mdgsjwvzezu5cjsyuyx0uru4zrm2nmy5m0",
    "wasm1wqsddpelugnm7ss40puw20dacafhq8gkeyggws",
    "wasm1urv8703cxqny9mcqdu8enh4mdhx0x55d663gwv",
    "wasm1lh6cxaa5hl0wv73jjct2mk7x2z6rq7de60cvhd",
    "wasm1f84c23zhjlddsfg6n4y94v260v5yd8kttwvq69",
)
"""Addresses of the mnemonic's first ten accounts (m/44'/118'/0'/0/i), funded in the genesis."""

KEYS = (
    "e64e7928d4f6c06f01fefd31f760c51f59a16426e792761cd00529b76501c8a0",
    "bb54092b20b9793b15fb9527c860f88aeb65dbd5863a4748bd735edec5917625",
    "dae85909e4c6dae19b62b5fba2b1e6addfeca9805660af9fcac2c27a340f54ae",
    "770e15c626dc763231590ba861967214827369efac9d009337a9a6da1b18e3c5",
    "d3206c221cfb779611065240c9c7a6bda14e3c46983e3e7c9bcee5739a5e79ec",
    "8710d506d79c57f6a15f38a49a310ccb1d35e4b0bd1c755b7b42a43ebe92e027",
    "20b15d478b3bd6045a215b89a9247a34c2d258ac075afcce658c313abc2e70af",
    "d8d54027d24574b71e94bb2ac73f2b407ce334f32b5579e2e7d2ef161864afcf",
    "85a5de209bbf9312b3307949c06c7f944a45777e57cd110b687e9adf6f29c9f3",
    "ad228cb7740d2552ac50007d2f67167d481e38426b3f0a52c14a723a75875128",
)
"""Private keys of `ACCOUNTS`, in hex; they are public knowledge."""

_KEY_RING = ("--keyring-backend", "test")
_GENESIS = Path("config") / "genesis.json"
_RELEASE = "release"  # a file with the name of the release of wasmd

_ONLY_RELEASE = "0.70"
"""The release of chains that were created when there was no choice; they lack the file."""


def homes_of(folder: Path) -> tuple[Path, ...]:
    """Return the validators' homes in a chain's folder, in order; none before its creation."""
    if not (folder / "wasmd-1").exists():
        return ()
    return tuple(sorted(folder.glob("wasmd-*"), key=lambda home: int(home.name[len("wasmd-") :])))


def quiet_environment() -> dict[str, str]:
    """Return the environment without the variables that wasmd would take as settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WASMD_")}


def release_of(folder: Path) -> Release | None:
    """Return the release of wasmd that runs the chain in a folder; None before its creation.

    Raises:
        NetStateError: this package does not have that release.
    """
    homes = homes_of(folder)
    if not homes:
        return None
    file = homes[0] / _RELEASE
    name = file.read_text() if file.exists() else _ONLY_RELEASE
    if name not in RELEASES:
        raise NetStateError(
            f"the chain in {folder} runs wasmd {name[:20]}, which this version of the package does"
            f" not have (it has {', '.join(RELEASES)}); delete the chain, or use another folder"
        )
    return RELEASES[name]


def create_chain(folder: Path, validators: int, release: Release) -> tuple[Path, ...]:
    """Create the homes of a new chain's validators, either all or none.

    Args:
        folder: the chain's folder, created if it does not exist.
        validators: number of validators, which have equal power.
        release: the release of wasmd that will run the chain.

    Returns:
        The homes, ``wasmd-1`` and so on.

    Raises:
        InstallFailed: wasmd is missing and cannot be installed.
        NodeFailed: wasmd failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".creating-", dir=folder) as scratch:
        made = [Path(scratch) / f"wasmd-{number}" for number in range(1, validators + 1)]
        _write_genesis(made, release)
        for home in made:
            home.chmod(0o700)
            (home / _RELEASE).write_text(release.name)
            for name in ("config.toml", "app.toml"):  # `Wasmd` writes its own, with its ports
                (home / "config" / name).unlink()
        for leftover in folder.glob("wasmd-*"):  # from a creation that was killed
            shutil.rmtree(leftover)
        for home in reversed(made):  # the first comes last: if it exists, all do
            home.replace(folder / home.name)
    return homes_of(folder)


def _write_genesis(homes: list[Path], release: Release) -> None:
    """Create homes, each with a validator's keys, and write the same genesis to all of them."""
    binary = find_binary(release.recipe)
    for home in homes:
        _run(binary, home, "init", home.name, "--chain-id", CHAIN_ID)
        _run(binary, home, "keys", "add", FAUCET, *_KEY_RING)
    genesis = json.loads((homes[0] / _GENESIS).read_text())
    text = json.dumps(_add_balances(genesis, [_read_address(home) for home in homes]))
    for home in homes:
        (home / _GENESIS).write_text(text)
    genesis["app_state"]["genutil"]["gen_txs"] = [
        _sign_delegation(binary, home, release) for home in homes
    ]
    _find_block_params(genesis).update(release.block_params)
    text = json.dumps(genesis, indent=1)
    for home in homes:
        (home / _GENESIS).write_text(text)


def _sign_delegation(binary: Path, home: Path, release: Release) -> Any:
    """Return a validator's first transaction, which delegates its stake to itself."""
    file = home / "delegation.json"
    command = [*release.genesis_words, "gentx", FAUCET, f"{_STAKE}{DENOMINATION}", *_KEY_RING]
    command += ["--chain-id", CHAIN_ID, "--ip", "127.0.0.1", "--output-document", str(file)]
    _run(binary, home, *command)
    transaction = json.loads(file.read_text())
    file.unlink()
    return transaction


def _run(binary: Path, home: Path, *arguments: str) -> None:
    done = subprocess.run(  # noqa: S603  (our own binary)
        [str(binary), *arguments, "--home", str(home)],
        env=quiet_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NodeFailed(f"wasmd cannot create a chain: {done.stderr.strip()[-500:]}")


def _read_address(home: Path) -> str:
    """Return the address of the only key in a home's key ring; it is a file's name."""
    (file,) = (home / "keyring-test").glob("*.address")
    return encode_bech32(PREFIX, bytes.fromhex(file.stem))


def _find_block_params(genesis: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of blocks in a genesis of any release."""
    consensus = genesis.get("consensus", {}).get("params") or genesis["consensus_params"]
    params: dict[str, Any] = consensus["block"]
    return params


def _add_balances(genesis: dict[str, Any], validators: list[str]) -> dict[str, Any]:
    """Fund the mnemonic's accounts, the faucet and the other validators in a genesis."""
    state = genesis["app_state"]
    state["auth"]["accounts"] = [_account(address) for address in (*validators, *ACCOUNTS)]
    state["bank"]["balances"] = [
        _balance(validators[0], _FAUCET_BALANCE),
        *(_balance(address, _VALIDATOR_BALANCE) for address in validators[1:]),
        *(_balance(address, _ACCOUNT_BALANCE) for address in ACCOUNTS),
    ]
    state["bank"]["supply"] = []  # the chain computes it
    # a validator that was down, even for days, stays a validator
    state["slashing"]["params"]["signed_blocks_window"] = str(10**7)
    return genesis


def _account(address: str) -> dict[str, Any]:
    kind = "/cosmos.auth.v1beta1.BaseAccount"
    return {"@type": kind, "address": address, "account_number": "0", "sequence": "0"}


def _balance(address: str, amount: int) -> dict[str, Any]:
    return {"address": address, "coins": [{"denom": DENOMINATION, "amount": str(amount)}]}
