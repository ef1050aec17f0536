"""Send ether to an account on a local chain, which creates as much as needed."""

from __future__ import annotations

from decimal import Decimal

from colearn_ledger.networks.references import InvalidReference
from colearn_ledger.networks.references import address as checked_address
from colearn_localnet.errors import AddressRefused, NodeFailed
from colearn_localnet.processes import wait_until
from colearn_localnet.rpc import json_rpc

_ETHER = 10**18


def fund(url: str, address: str, amount: Decimal, *, seconds: float = 30.0) -> Decimal:
    """Send ether to an address in a transaction, so that it survives a restart of the chain.

    Args:
        url: URL of an anvil's RPC.
        address: the account's address, in hex; its checksum, if any, is checked.
        amount: amount in ether.
        seconds: longest wait for the transaction's block.

    Returns:
        The account's new balance, in ether.

    Raises:
        AddressRefused: the address is not valid, or the amount is not a positive number of whole
            wei.
        NodeFailed: the chain does not answer, or did not mine a block in time.
    """
    try:
        account = checked_address(address)
    except InvalidReference as error:
        raise AddressRefused(str(error)) from error
    wei = _parse_wei(amount)
    bank = json_rpc(url, "eth_accounts")[-1]
    if int(json_rpc(url, "eth_getBalance", bank, "latest"), 16) < wei + _ETHER:
        json_rpc(url, "anvil_addBalance", bank, hex(wei + _ETHER))
    payment = {"from": bank, "to": account, "value": hex(wei)}
    sent = json_rpc(url, "eth_sendTransaction", payment)

    def is_mined() -> bool:
        return json_rpc(url, "eth_getTransactionReceipt", sent) is not None

    if not wait_until(is_mined, seconds=seconds):
        raise NodeFailed(f"the chain did not mine the payment within {seconds:g} s")
    balance = int(json_rpc(url, "eth_getBalance", account, "latest"), 16)
    return Decimal(balance) / _ETHER


def _parse_wei(amount: Decimal) -> int:
    """Return an amount of ether in wei."""
    if amount.is_finite() and -18 <= amount.adjusted() < 18:
        wei = amount * _ETHER
        if wei == wei.to_integral_value() and wei > 0:
            return int(wei)
    raise AddressRefused(f"{amount} is not an amount: send ether, at least 1e-18 and below 1e18")
