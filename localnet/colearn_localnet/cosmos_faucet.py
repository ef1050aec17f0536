"""Payments from the faucet of a local Cosmos chain: the first validator's key, kept in its home."""

from __future__ import annotations

import base64
import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

from colearn_ledger.text.address import InvalidAddress, check_cosmos_address, decode_bech32
from colearn_localnet.cosmos_genesis import CHAIN_ID, DENOMINATION, FAUCET, PREFIX
from colearn_localnet.errors import AddressRefused, NodeFailed
from colearn_localnet.install import WASMD, find_binary
from colearn_localnet.locking import lock_file
from colearn_localnet.processes import wait_until
from colearn_localnet.rpc import get, json_rpc
from colearn_localnet.wasmd import Wasmd, quiet_environment

__all__ = ["pay"]

_GAS = 200_000
_FEE = f"5000{DENOMINATION}"


def pay(home: Path, node: Wasmd, address: str, amount: Decimal, *, seconds: float) -> Decimal:
    """Send an amount to an address and wait until it is in a block.

    Args:
        home: that holds the faucet's key.
        node: that takes the payment; it answers.
        address: bech32 with the chain's prefix.
        amount: whole and positive, in `DENOMINATION`.
        seconds: to wait for the block.

    Returns:
        the address's balance then.

    Raises:
        AddressRefused: no address of this chain, or no amount.
        NodeFailed: the node does not answer, or the payment failed.
    """
    whole = _whole(amount)
    _check(address)
    # one after another: a payment's sequence number follows from the last one's block
    with lock_file(home / "faucet.lock"):
        sent = _send(home, node, address, whole)
        _await_block(node, sent, seconds)
    return _balance(node, address)


def _whole(amount: Decimal) -> int:
    if amount.is_finite() and amount.adjusted() < 18:
        whole = int(amount)
        if whole == amount and whole > 0:
            return whole
    raise AddressRefused(
        f"{amount} is no amount: a whole number of {DENOMINATION}, above 0 and below 1e18"
    )


def _check(address: str) -> None:
    try:
        prefix, _ = decode_bech32(check_cosmos_address(address))
    except InvalidAddress as error:
        raise AddressRefused(str(error)) from error
    if prefix != PREFIX:
        raise AddressRefused(
            f"{address} is an address of another chain: here they begin with {PREFIX}1"
        )


def _send(home: Path, node: Wasmd, address: str, amount: int) -> str:
    """Broadcast a payment and return its hash, in hex."""
    command = [str(find_binary(WASMD)), "tx", "bank", "send", FAUCET, address]
    command += [f"{amount}{DENOMINATION}", "--home", str(home), "--keyring-backend", "test"]
    command += ["--node", node.rpc.replace("http:", "tcp:"), "--chain-id", CHAIN_ID]
    command += ["--gas", str(_GAS), "--fees", _FEE, "--yes", "--output", "json"]
    done = subprocess.run(  # noqa: S603  (our own binary)
        command, env=quiet_environment(), capture_output=True, text=True, check=False
    )
    try:
        said: dict[str, Any] = json.loads(done.stdout)
        problem = said["raw_log"] if said["code"] else ""
        sent = str(said["txhash"])
    except (ValueError, KeyError, TypeError):
        problem = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-1:])
        problem = problem or f"wasmd ended with status {done.returncode}"
    if problem:
        raise NodeFailed(f"the payment was refused: {problem}")
    return sent


def _await_block(node: Wasmd, sent: str, seconds: float) -> None:
    encoded = base64.b64encode(bytes.fromhex(sent)).decode()
    found: list[dict[str, Any]] = []
    problem = NodeFailed("it was not asked for")

    def is_in_a_block() -> bool:
        nonlocal problem
        try:
            found.append(json_rpc(node.rpc, "tx", encoded, False))
        except NodeFailed as error:  # not yet, or the node was lost
            problem = error
        return bool(found)

    if not wait_until(is_in_a_block, seconds=seconds):
        raise NodeFailed(f"the payment is in no block after {seconds:g} s: {problem}")
    result = found[0]["tx_result"]
    if result["code"]:
        raise NodeFailed(f"the payment failed: {result['log']}")


def _balance(node: Wasmd, address: str) -> Decimal:
    path = f"/cosmos/bank/v1beta1/balances/{address}/by_denom?denom={DENOMINATION}"
    return Decimal(json.loads(get(f"{node.rest}{path}"))["balance"]["amount"])
