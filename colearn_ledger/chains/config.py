"""Settings of a connection that every chain has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from colearn_ledger.chains.errors import WrongChain

ChainId = TypeVar("ChainId", int, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderConfig:
    """Limits on the cost of transactions on any chain. Each chain adds its own to them.

    Args:
        gas_ceiling: the most gas of a single transaction.
        gas_headroom: the factor by which a gas limit exceeds the estimate, because the state may
            change in between.
        gas_margin: gas on top of that: a ballot may turn out to be the last of its round, and then
            also closes it.
        daily_budget: the most that the transactions of one key may cost a day, in the chain's
            smallest unit; no limit if ``None``.
        journal: the folder of the journals of transactions; the user's data folder by default.
            Processes that use the same key have to use the same folder.
    """

    gas_ceiling: int
    gas_headroom: float
    gas_margin: int
    daily_budget: int | None = None
    journal: Path | None = None


def check_chain_id(node: str, found: ChainId, wanted: ChainId | None) -> ChainId:
    """Return the id of a node's chain.

    Args:
        node: the node's name, for the error.
        found: the id that the node reports.
        wanted: the required id; any if ``None``.

    Raises:
        WrongChain: the node is on another chain than ``wanted``.
    """
    if wanted not in (None, found):
        raise WrongChain(
            f"{node} is on chain {found!s:.60}, not on chain {wanted}; connect to a node of chain "
            f"{wanted}, or correct the network's profile"
        )
    return found
