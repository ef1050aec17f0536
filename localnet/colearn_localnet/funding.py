"""Send ether to accounts on a local chain, which creates as much as needed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from colearn_ledger.networks.references import InvalidReference, address
from colearn_localnet.errors import AddressRefused, NodeFailed
from colearn_localnet.processes import wait_until
from colearn_localnet.rpc import json_rpc

_ETHER = 10**18


def fund(
    url: str, addresses: Sequence[str], amount: Decimal, *, seconds: float = 30.0
) -> dict[str, Decimal]:
    """Send ether to addresses in transactions, so that it survives a restart of the chain.

    Args:
        url: URL of an anvil's RPC.
        addresses: the accounts' different addresses, in hex; their checksums, if any, are checked.
        amount: amount in ether for each address.
        seconds: longest wait for the transactions' blocks.

    Returns:
        The accounts' new balances by address, in ether.

    Raises:
        AddressRefused: an address is not valid, or the amount is not a positive number of whole
            wei.
        NodeFailed: the chain does not answer, or did not mine a block in time.
    """
    accounts, wei = check_payment(addresses, amount)
    bank = json_rpc(url, "eth_accounts")[-1]
    needed = wei * len(accounts) + _ETHER
    if int(json_rpc(url, "eth_getBalance", bank, "latest"), 16) < needed:
        json_rpc(url, "anvil_addBalance", bank, hex(needed))
    payments = [{"from": bank, "to": account, "value": hex(wei)} for account in accounts]
    sent = [json_rpc(url, "eth_sendTransaction", payment) for payment in payments]

    def are_mined() -> bool:
        return all(json_rpc(url, "eth_getTransactionReceipt", one) is not None for one in sent)

    if not wait_until(are_mined, seconds=seconds):
        raise NodeFailed(f"the chain did not mine the payments within {seconds:g} s")
    return {
        text: _read_balance(url, account) for text, account in zip(addresses, accounts, strict=True)
    }


def check_payment(addresses: Sequence[str], amount: Decimal) -> tuple[list[str], int]:
    """Return the addresses in their normal form, and an amount of ether in wei.

    Raises:
        AddressRefused: an address or the amount is not valid.
    """
    try:
        accounts = [str(address(text)) for text in addresses]
    except InvalidReference as error:
        raise AddressRefused(str(error)) from error
    return accounts, _parse_wei(amount)


def _read_balance(url: str, account: str) -> Decimal:
    return Decimal(int(json_rpc(url, "eth_getBalance", account, "latest"), 16)) / _ETHER


def _parse_wei(amount: Decimal) -> int:
    """Return an amount of ether in wei."""
    if amount.is_finite() and -18 <= amount.adjusted() < 18:
        wei = amount * _ETHER
        if wei == wei.to_integral_value() and wei > 0:
            return int(wei)
    raise AddressRefused(f"{amount} is not an amount: send ether, at least 1e-18 and below 1e18")
