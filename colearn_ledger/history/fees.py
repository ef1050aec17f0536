"""Read what each account paid for its transactions in an experiment, by round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from colearn_ledger.history.columns import (
    draw_columns,
    draw_legend,
    fit_columns,
    make_columns,
    make_text,
    wrap_text,
)
from colearn_ledger.history.reading import iterate_events
from colearn_ledger.history.table import describe_history
from colearn_ledger.protocol import Account, ExperimentId, RoundStarted

if TYPE_CHECKING:
    from rich.text import Text

    from colearn_ledger.history.records import History
    from colearn_ledger.ledger import LedgerView, TransactionCost

_AT_ONCE = 100
_WEI_IN_GWEI = 9  # decimals


@dataclass(frozen=True, slots=True)
class RoundFee:
    """What one account paid in one round.

    Args:
        account: the account that paid; a relay pays for the ballots of others.
        round: the round; None for what belongs to none, such as joining.
        transactions: the number of its transactions that took effect.
        gas: the gas that they used.
        fee: their fees in ``unit``; None if the node did not report one of them.
        unit: ``wei`` on an EVM chain, the denomination on a Cosmos chain.
    """

    account: Account
    round: int | None
    transactions: int
    gas: int
    fee: int | None
    unit: str


def read_fees(
    ledger: LedgerView,
    experiment: ExperimentId,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[RoundFee, ...]:
    """Read what accounts paid, from the receipt of each transaction that emitted an event.

    A ledger without gas has no fees.

    Args:
        ledger: the ledger.
        experiment: the id of the experiment.
        on_progress: called with the numbers of receipts that are read, and of all.

    Raises:
        UnknownExperiment: the ledger has no such experiment.
        LedgerUnavailable: the node did not return every event and receipt.
    """
    rounds = _find_rounds(ledger, experiment)
    names = list(rounds)
    costs: list[tuple[int | None, TransactionCost]] = []
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        found = ledger.costs(some)
        if not found:
            return ()
        costs += zip((rounds[name] for name in some), found, strict=True)
        on_progress(start + len(some), len(names))
    return tuple(_add_up(costs))


def fee_lines(
    history: History, *, round_index: int | None = None, width: int | None = None
) -> list[Text]:
    """Return the lines of a table with a line for each account.

    Args:
        history: a history with fees.
        round_index: the round to show; by default all, and what belongs to none.
        width: the most characters in a line; by default as many as all columns need.
    """
    fees = [each for each in history.fees or () if round_index in (None, each.round)]
    scope = "" if round_index is None else f" in round {round_index}"
    lines = wrap_text(f"Fees{scope} of {describe_history(history)}", width)
    if not fees:
        return [*lines, *wrap_text("No account has paid a fee here.", width)]
    totals = _add_up_rounds(fees)
    rows = [_row(history.name_of(each.account), each) for each in totals]
    columns = fit_columns(
        make_columns(
            rows, importance={"transactions": 1}, left={"account", "unit"}, flexible={"account"}
        ),
        width,
    )
    legend = [
        ("gas", "gas used by the transactions that took effect; refused ones are not included"),
        ("fee", "what the account paid for this gas, without what a rollup charges for data"),
    ]
    return [
        *lines,
        make_text(),
        *draw_columns(columns, width),
        make_text(),
        *draw_legend(legend, width),
    ]


def _find_rounds(ledger: LedgerView, experiment: ExperimentId) -> dict[str, int | None]:
    """Return the round of each transaction: that of its first event that is about a round."""
    rounds: dict[str, int | None] = {}
    for recorded in iterate_events(ledger, experiment):
        # the beginning of a round follows the end of another one, or a call to start or join
        begins = isinstance(recorded.event, RoundStarted)
        index = None if begins else getattr(recorded.event, "round", None)
        if rounds.get(recorded.transaction) is None:
            rounds[recorded.transaction] = index
    return rounds


def _add_up(costs: Sequence[tuple[int | None, TransactionCost]]) -> Iterator[RoundFee]:
    """Yield a fee for each round, account and unit; those of no round are first."""
    groups: dict[tuple[int, Account, str], list[TransactionCost]] = {}
    for index, cost in costs:
        key = (-1 if index is None else index, cost.payer, cost.unit)
        groups.setdefault(key, []).append(cost)
    for (index, account, unit), some in sorted(groups.items(), key=lambda item: item[0][0]):
        gas = sum(cost.gas for cost in some)
        fee = _add_known([cost.fee for cost in some])
        yield RoundFee(account, None if index < 0 else index, len(some), gas, fee, unit)


def _add_up_rounds(fees: Sequence[RoundFee]) -> list[RoundFee]:
    """Return the sums of each account over all rounds."""
    groups: dict[tuple[Account, str], list[RoundFee]] = {}
    for each in fees:
        groups.setdefault((each.account, each.unit), []).append(each)
    return [
        RoundFee(
            account,
            None,
            sum(each.transactions for each in some),
            sum(each.gas for each in some),
            _add_known([each.fee for each in some]),
            unit,
        )
        for (account, unit), some in groups.items()
    ]


def _add_known(fees: Sequence[int | None]) -> int | None:
    known = [fee for fee in fees if fee is not None]
    return sum(known) if len(known) == len(fees) else None


def _row(name: str, total: RoundFee) -> dict[str, str]:
    fee, unit = Decimal(total.fee or 0), total.unit
    if unit == "wei":
        fee, unit = fee.scaleb(-_WEI_IN_GWEI), "gwei"
    return {
        "account": name,
        "transactions": str(total.transactions),
        "gas": f"{total.gas:,}",
        "fee": "-" if total.fee is None else f"{fee:,.0f}",
        "unit": unit,
    }
