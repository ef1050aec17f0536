"""One experiment on the reference, recorded call by call."""

from __future__ import annotations

import random
from typing import Any

from colearn_ledger.keys.signing import signing_domain
from colearn_ledger.protocol import (
    CODEC_DAG_PB,
    CODEC_RAW,
    Account,
    Admission,
    ContentRef,
    ExperimentId,
    ExperimentParams,
    Merge,
    ProtocolError,
)
from colearn_ledger.reference.rounds import Transaction
from colearn_ledger.reference.rules import Rules
from colearn_ledger.reference.state import LedgerState
from colearn_ledger.reference.views import Views
from tests.traces.messages import (
    CREATOR,
    NAME_OF,
    NAMES,
    WALLETS,
    base64_of,
    hashed,
    wire_content,
    wire_error,
    wire_event,
    wire_params,
    word,
)

Json = Any

START = 1_600_000_000

DOMAIN = signing_domain(0, Account("0x" + "c0" * 20))
EXPERIMENT = ExperimentId(1)


def content_of(name: str, *, raw: bool) -> ContentRef:
    """Return the content reference of a file with this name."""
    digest = hashed(name)
    if raw:
        return ContentRef.from_digest(CODEC_RAW, digest, digest.hex(), len(name))
    return ContentRef.from_digest(CODEC_DAG_PB, hashed("root " + name), digest.hex(), len(name))


class Recording:
    """One experiment of the reference, and its recorded steps."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.state = LedgerState()
        self.rules = Rules(self.state, DOMAIN)
        self.views = Views(self.state)
        self.time = START
        self.steps: list[Json] = []
        self.create()

    def create(self) -> None:
        """Create the experiment."""
        pick = self.chance.choice
        least = self.chance.randint(2, 3)
        proposers = pick([1, 1, 2, 3, 16])
        merge = pick([Merge.MEAN, Merge.BEST])
        first = content_of("first", raw=True)
        may_be_empty = proposers == 1 or merge == Merge.BEST
        params = ExperimentParams(
            name="a trace",
            spec=content_of("spec", raw=True),
            initial=pick([None, first]) if may_be_empty else first,
            rounds=self.chance.randint(1, 9),
            min_learners=least,
            max_learners=least + self.chance.randint(0, 3),
            approval_bps=pick([1, 3_333, 3_334, 5_000, 5_001, 6_667, 10_000]),
            propose_window=pick([1, 20, 90, 90]),
            vote_window=pick([1, 20, 90, 90]),
            reveal_window=pick([0, 0, 7, 90]),
            proposers=proposers,
            merge=merge,
            admission=pick([Admission.OPEN, Admission.OPEN, Admission.ALLOWLIST]),
            late_join=pick([True, False]),
            settle_early=pick([True, False]),
            max_strikes=pick([0, 1, 1, 2]),
            patience=pick([0, 0, 0, 2, 3]),
        )
        self.record(CREATOR, "create", {"params": wire_params(params)}, params)

    def record(self, by: str, call: str, fields: Json, *arguments: Any) -> None:
        """Make a call on the reference and record its result."""
        entropy = bytes(32)  # proposers take turns, so no entropy is used
        tx = Transaction(WALLETS[by].address, self.time, entropy)
        step = {"time": self.time, "by": by, "call": call, "arguments": fields}
        try:
            events = getattr(self.rules, call)(tx, *arguments)
            step["events"] = [wire_event(event) for event in events]
        except ProtocolError as error:
            step["error"] = wire_error(error)
        step["after"] = self.after()
        self.steps.append(step)

    def after(self) -> Json:
        """Return the state in the format of the queries."""
        e = self.views.experiment(EXPERIMENT)
        learners = self.views.learners(EXPERIMENT, 0, 100)
        state: Json = {
            "experiment": [
                *(word(e.status), e.round, e.active_learners, e.joined_learners),
                e.cancel_requested,
            ],
            "current": [[wire_content(content) for content in e.current], e.current_round],
            "times": [e.created_at, e.started_at, e.ended_at],
            "learners": [
                [
                    *(NAME_OF[m.account], m.active, m.from_round, m.until_round),
                    *(m.missed_proposals, m.missed_ballots),
                ]
                for m in learners
            ],
            "duties": [
                word(self.views.duty(EXPERIMENT, WALLETS[name].address, self.time))
                for name in NAMES
            ],
        }
        if e.round is not None:
            state["rounds"] = [self.round_row(i) for i in range(max(0, e.round - 1), e.round + 1)]
        return state

    def round_row(self, index: int) -> Json:
        """Return a round with its ballots."""
        r = self.views.round(EXPERIMENT, index)
        ballots = self.views.ballots(EXPERIMENT, index, 0, 100)
        times = (r.started_at, r.voting_started_at, r.reveal_started_at, r.closed_at, r.deadline)
        return {
            "states": [r.index, word(r.phase), word(r.outcome)],
            "slots": [
                [
                    *(NAME_OF[slot.proposer], word(slot.state)),
                    *(slot.content and wire_content(slot.content), slot.proposed_at),
                    *(slot.approvals, slot.accepted),
                ]
                for slot in r.slots
            ],
            "counts": [r.eligible, r.needed, r.ballots, r.commitments],
            "proposals": r.proposals and base64_of(r.proposals),
            "times": times,
            "by_deadline": r.by_deadline,
            "ballots": [[b.eligible, word(b.state), b.approvals] for b in ballots],
        }
