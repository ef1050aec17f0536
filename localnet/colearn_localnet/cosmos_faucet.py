"""Pay from a local Cosmos chain's faucet, which is the account of its first validator."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from colearn_ledger.home import lock_file
from colearn_ledger.text import strict_json
from colearn_ledger.text.address import InvalidAddress, check_cosmos_address, decode_bech32
from colearn_localnet.cosmos_genesis import (
    CHAIN_ID,
    DENOMINATION,
    FAUCET,
    PREFIX,
    quiet_environment,
)
from colearn_localnet.errors import AddressRefused, NodeFailed
from colearn_localnet.processes import wait_until
from colearn_localnet.rpc import get_json, json_rpc

_GAS = 200_000
_FEE = f"5000{DENOMINATION}"


@dataclass(frozen=True, slots=True)
class Faucet:
    """The faucet of a chain.

    Attributes:
        binary: path of wasmd.
        home: wasmd home with the faucet's key.
        rpc: URL of the RPC of a running node.
        rest: URL of the same node's REST server.
    """

    binary: Path
    home: Path
    rpc: str
    rest: str

    def pay(self, address: str, amount: Decimal, *, seconds: float) -> Decimal:
        """Send an amount to an address and wait until the payment is in a block.

        Args:
            address: bech32 address with the chain's prefix.
            amount: positive whole number of `DENOMINATION`.
            seconds: longest wait for the block.

        Returns:
            The address's new balance.

        Raises:
            AddressRefused: the address is not one of this chain, or the amount is not a positive
                whole number.
            NodeFailed: the node does not answer, or the payment failed.
        """
        whole = check_payment([address], amount)
        # one payment at a time: its sequence number is known once the last one is in a block
        with lock_file(self.home / "faucet.lock"):
            sent = self._send(address, whole)
            self._await_block(sent, seconds)
        return self._read_balance(address)

    def _send(self, address: str, amount: int) -> str:
        """Broadcast a payment and return its hash, in hex."""
        command = [str(self.binary), "tx", "bank", "send", FAUCET, address]
        command += [
            f"{amount}{DENOMINATION}",
            "--home",
            str(self.home),
            "--keyring-backend",
            "test",
        ]
        command += ["--node", self.rpc.replace("http:", "tcp:"), "--chain-id", CHAIN_ID]
        command += ["--gas", str(_GAS), "--fees", _FEE, "--yes", "--output", "json"]
        command += ["--broadcast-mode", "sync"]
        done = subprocess.run(  # noqa: S603  (our own binary)
            command, env=quiet_environment(), capture_output=True, text=True, check=False
        )
        try:
            answer: dict[str, Any] = strict_json.load(done.stdout)
            problem = answer["raw_log"] if answer["code"] else ""
            sent = str(answer["txhash"])
        except (ValueError, KeyError, TypeError):
            problem = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-1:])
            problem = problem or f"wasmd ended with status {done.returncode}"
        if problem:
            raise NodeFailed(f"the payment was refused: {problem}")
        return sent

    def _await_block(self, sent: str, seconds: float) -> None:
        encoded = base64.b64encode(bytes.fromhex(sent)).decode()
        found: list[dict[str, Any]] = []
        problem = NodeFailed("no node was asked")

        def is_in_a_block() -> bool:
            nonlocal problem
            try:
                found.append(json_rpc(self.rpc, "tx", encoded, False))
            except NodeFailed as error:  # not in a block yet, or the node is gone
                problem = error
            return bool(found)

        if not wait_until(is_in_a_block, seconds=seconds):
            raise NodeFailed(f"the payment is not in a block after {seconds:g} s: {problem}")
        result = found[0]["tx_result"]
        if result["code"]:
            raise NodeFailed(f"the payment failed: {result['log']}")

    def _read_balance(self, address: str) -> Decimal:
        path = f"/cosmos/bank/v1beta1/balances/{address}/by_denom?denom={DENOMINATION}"
        return Decimal(get_json(f"{self.rest}{path}")["balance"]["amount"])


def check_payment(addresses: Sequence[str], amount: Decimal) -> int:
    """Check addresses of the chain, and return an amount as a whole number of `DENOMINATION`.

    Raises:
        AddressRefused: an address is not one of this chain, or the amount is not a positive whole
            number.
    """
    for address in addresses:
        _check_address(address)
    if amount.is_finite() and amount.adjusted() < 18:
        whole = int(amount)
        if whole == amount and whole > 0:
            return whole
    raise AddressRefused(
        f"{amount} is not an amount: send a whole number of {DENOMINATION}, above 0 and below 1e18"
    )


def _check_address(address: str) -> None:
    try:
        prefix, _ = decode_bech32(check_cosmos_address(address))
    except InvalidAddress as error:
        raise AddressRefused(str(error)) from error
    if prefix != PREFIX:
        raise AddressRefused(
            f"{address} is an address of another chain: here addresses begin with {PREFIX}1"
        )
