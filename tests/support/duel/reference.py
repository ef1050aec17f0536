"""What the contract is compared with: the reference, with accounts of whichever chain it is on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Receipt, RecordedEvent
from colearn_ledger.protocol import (
    Account,
    ContentRef,
    Duty,
    Experiment,
    ExperimentId,
    SigningDomain,
    SigningScheme,
)
from colearn_ledger.reference import LocalLedger
from colearn_ledger.reference.calls import decode_arguments, encode_arguments
from colearn_ledger.reference.ledger import Done
from colearn_ledger.reference.rounds import Transaction
from colearn_ledger.reference.rules import Rules
from colearn_ledger.reference.state import LedgerState
from colearn_ledger.reference.views import Views


def reference_on(
    domain: SigningDomain, creator: Wallet, clock: Callable[[], int], entropy: Callable[[], bytes]
) -> LocalLedger | BareReference:
    """Return a new reference whose signatures are bound to a domain."""
    if domain.scheme == SigningScheme.ADR036:
        return BareReference(domain, clock, entropy)
    return LocalLedger.new(creator, clock=clock, entropy=entropy, domain=domain)


class BareReference(Views):
    """The rules and views of `LocalLedger` without its log, which has Ethereum's accounts only."""

    def __init__(
        self, domain: SigningDomain, clock: Callable[[], int], entropy: Callable[[], bytes]
    ) -> None:
        state = LedgerState()
        super().__init__(state)
        self.domain = domain
        self._rules = Rules(state, domain)
        self._clock = clock
        self._entropy = entropy
        self._time = 0
        self._recorded: list[RecordedEvent] = []

    def acting_for(self, wallet: Wallet) -> _Caller:
        return _Caller(self, wallet.account_on(self.domain))

    def submit(self, caller: Account, name: str, arguments: Sequence[Any]) -> Done:
        """Make a call, or raise what the protocol refuses it with."""
        sent = _as_sent(name, arguments)
        tx = Transaction(caller, self._now(), self._entropy())
        events = tuple(getattr(self._rules, name)(tx, *sent))
        self._time = tx.time
        for event in events:
            self._recorded.append(RecordedEvent(len(self._recorded), tx.time, "", event))
        return Done(Receipt("", tx.time, 0, events))

    def experiments(self, start: int = 0, limit: int = 100) -> list[Experiment]:
        return super().experiments(start, limit)

    def current_weights(self, experiment: ExperimentId) -> ContentRef | None:
        return self.experiment(experiment).current

    def duty(self, experiment: ExperimentId, account: Account) -> Duty:  # type: ignore[override]
        return super().duty(experiment, account, self._now())

    def events(self, experiment: ExperimentId) -> list[RecordedEvent]:
        return [r for r in self._recorded if r.event.experiment == experiment]

    def _now(self) -> int:
        return max(self._clock(), self._time)


class _Caller:
    """Makes calls for an account, by the names that a ledger has."""

    def __init__(self, reference: BareReference, account: Account) -> None:
        self._reference = reference
        self._account = account

    def __getattr__(self, name: str) -> Callable[..., Done]:
        return lambda *arguments: self._reference.submit(self._account, name, arguments)


def _as_sent(name: str, arguments: Sequence[Any]) -> Sequence[Any]:
    """Return arguments as they are once they were on a wire: a score that is NaN is absent."""
    if name in ("admit", "remove"):
        return arguments
    if name == "vote_signed":
        *place, ballots = arguments
        sent = partial(_as_sent, "vote")
        return [*place, [replace(b, vote=sent((*place, b.vote))[-1]) for b in ballots]]
    return decode_arguments(name, encode_arguments(name, arguments))
