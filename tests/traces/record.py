"""Record the results of random calls of the reference, for the Rust tests to replay.

Usage: .venv/bin/python -m tests.traces.record [STEPS [SEED]]   (24,000 and 1 by default)

Writes contracts/cosmwasm/traces/SEED.json, or SEED.json in the folder COLEARN_TRACES: a list of
traces, each of one experiment from its creation on. Accounts are written as names. A step has the
time, the caller, the call with its arguments in the format of contracts/cosmwasm/MESSAGES.md, and
the result: the events or the error, and the whole state afterwards. Values that depend on addresses
are written as their sources: a commitment as its ballot, salt and account, a signature as its
signer.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from colearn_ledger.keys.signing import sign_ballot, signing_domain
from colearn_ledger.protocol import (
    CODEC_DAG_PB,
    CODEC_RAW,
    Account,
    Admission,
    ContentRef,
    Duty,
    ExperimentId,
    ExperimentParams,
    ProtocolError,
    Scores,
    SignedBallot,
    Status,
    Vote,
    bits_to_score,
    commitment_hash,
    score_to_bits,
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
    wire_event,
    wire_params,
    wire_values,
    word,
)

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "contracts" / "cosmwasm" / "traces"

Json = Any

START = 1_600_000_000
LONGEST = 120
"""Maximum number of steps in a trace."""

DOMAIN = signing_domain(0, Account("0x" + "c0" * 20))
EXPERIMENT = ExperimentId(1)
SCORE_BITS = [score_to_bits(score) for score in (None, 0.0, 0.75, -1e300, float("inf"))]


def content_of(name: str, *, raw: bool) -> ContentRef:
    """Return the content reference of a file with this name."""
    digest = hashed(name)
    if raw:
        return ContentRef.from_digest(CODEC_RAW, digest, digest.hex(), len(name))
    return ContentRef.from_digest(CODEC_DAG_PB, hashed("root " + name), digest.hex(), len(name))


class Trace:
    """One experiment of the reference, and its recorded steps."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.state = LedgerState()
        self.rules = Rules(self.state, DOMAIN)
        self.views = Views(self.state)
        self.time = START
        self.steps: list[Json] = []
        self.create()

    def is_over(self) -> bool:
        """Return whether enough is recorded; some calls follow the end of the experiment."""
        ended = self.views.experiment(EXPERIMENT).status in (Status.COMPLETED, Status.CANCELLED)
        return len(self.steps) >= LONGEST or (ended and self.chance.random() < 0.25)

    # ------------------------------------------------------------------ recording

    def create(self) -> None:
        """Create the experiment."""
        pick = self.chance.choice
        least = self.chance.randint(2, 3)
        params = ExperimentParams(
            name="a trace",
            spec=content_of("spec", raw=True),
            initial=pick([None, content_of("first", raw=True)]),
            rounds=self.chance.randint(1, 9),
            min_learners=least,
            max_learners=least + self.chance.randint(0, 3),
            approval_bps=pick([1, 3_333, 3_334, 5_000, 5_001, 6_667, 10_000]),
            propose_window=pick([1, 20, 90, 90]),
            vote_window=pick([1, 20, 90, 90]),
            reveal_window=pick([0, 0, 7, 90]),
            admission=pick([Admission.OPEN, Admission.OPEN, Admission.ALLOWLIST]),
            late_join=pick([True, False]),
            settle_early=pick([True, False]),
            max_strikes=pick([0, 1, 1, 2]),
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
            step["error"] = {"name": type(error).__name__, "values": wire_values(error.args)}
        step["after"] = self.after()
        self.steps.append(step)

    def after(self) -> Json:
        """Return the state in the format of the queries."""
        e = self.views.experiment(EXPERIMENT)
        learners = self.views.learners(EXPERIMENT, 0, 100)
        state: Json = {
            "experiment": [word(e.status), e.round, e.active_learners, e.joined_learners],
            "current": [e.current and wire_content(e.current), e.current_round],
            "times": [e.created_at, e.started_at, e.ended_at],
            "learners": [
                [NAME_OF[m.account], m.active, m.from_round, m.until_round, m.strikes]
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
        return {
            "states": [r.index, word(r.phase), word(r.outcome), NAME_OF[r.proposer]],
            "counts": [r.eligible, r.needed, r.approvals, r.rejections, r.commitments],
            "times": [r.started_at, r.proposed_at, r.reveal_started_at, r.closed_at, r.deadline],
            "by_deadline": r.by_deadline,
            "content": r.content and wire_content(r.content),
            "ballots": [[b.eligible, word(b.state)] for b in ballots],
        }

    # ------------------------------------------------------------------ choosing

    def step(self) -> None:
        """Make a call: mostly one that is due, otherwise any call."""
        self.pass_time()
        name = self.chance.choice(NAMES)
        e = self.views.experiment(EXPERIMENT)
        if e.status == Status.ENROLLING and self.chance.random() < 0.8:
            return self.enrol(name)
        due = self.views.duty(EXPERIMENT, WALLETS[name].address, self.time)
        dutiful = {
            Duty.PROPOSE: self.propose,
            Duty.VOTE: self.vote,
            Duty.COMMIT: self.commit,
            Duty.REVEAL: self.reveal,
            Duty.ADVANCE: self.advance,
        }
        if due in dutiful and self.chance.random() < 0.85:
            return dutiful[due](name)
        return self.anything(name)

    def pass_time(self) -> None:
        """Advance the clock by some seconds: often by none, sometimes exactly to a deadline."""
        e = self.views.experiment(EXPERIMENT)
        deadline = e.round is not None and self.views.round(EXPERIMENT, e.round).deadline
        if deadline and deadline > self.time and self.chance.random() < 0.04:
            self.time = deadline - self.chance.randint(0, 1)
        elif self.chance.random() < 0.1:
            self.time += self.chance.choice([1, 1, 2, 30])

    def enrol(self, name: str) -> None:
        """Make a call that brings the experiment closer to its start."""
        if name == "stranger":
            return self.record(CREATOR, "start", {}, EXPERIMENT)
        account = WALLETS[name].address
        state = self.state.experiments[EXPERIMENT]
        closed = state.params.admission == Admission.ALLOWLIST
        if closed and account not in state.admitted and self.chance.random() < 0.8:
            return self.record(CREATOR, "admit", {"accounts": [name]}, EXPERIMENT, [account])
        return self.join(name)

    def anything(self, name: str) -> None:
        """Make a random call by a random account."""
        calls = {
            self.propose: 3, self.decline: 3, self.vote: 4, self.commit: 3, self.reveal: 3,
            self.vote_signed: 5, self.advance: 4, self.join: 3, self.remove: 4, self.leave: 1,
            self.start: 1, self.cancel: 1, self.admit: 1,
        }  # fmt: skip
        fitting = {Duty.VOTE: self.vote, Duty.COMMIT: self.commit, Duty.REVEAL: self.reveal}
        dues = {self.views.duty(EXPERIMENT, WALLETS[n].address, self.time) for n in NAMES}
        for due, call in fitting.items():
            if due in dues:
                calls[call] += 20
                calls[self.vote_signed] += 5 * (due == Duty.VOTE)
        chosen = self.chance.choices(list(calls), list(calls.values()))[0]
        if chosen == self.cancel and self.chance.random() < 0.7:
            return None
        return chosen(name)

    def the_round(self) -> int:
        """Return the current round, rarely another one."""
        current = self.views.experiment(EXPERIMENT).round or 0
        return current if self.chance.random() < 0.95 else self.chance.choice([0, current + 1])

    def a_vote(self) -> tuple[Vote, Json]:
        """Return a vote, and its fields in a message."""
        approve = self.chance.random() < 0.6
        vote_bits, test_bits = self.chance.choices(SCORE_BITS, k=2)
        vote = Vote(approve, Scores(bits_to_score(vote_bits), bits_to_score(test_bits)))
        fields = {"approve": approve, "vote_score": str(vote_bits), "test_score": str(test_bits)}
        return vote, fields

    # ------------------------------------------------------------------ calls

    def join(self, name: str) -> None:
        """Join with the account's own key."""
        key = hashed("key of " + name)
        self.record(name, "join", {"encryption_key": base64_of(key)}, EXPERIMENT, key)

    def leave(self, name: str) -> None:
        """Leave the experiment."""
        self.record(name, "leave", {}, EXPERIMENT)

    def remove(self, name: str) -> None:
        """Remove a learner, mostly one with enough strikes."""
        struck = [NAME_OF[m.account] for m in self.views.learners(EXPERIMENT, 0, 100) if m.strikes]
        whom = self.chance.choice(struck or NAMES)
        fields = {"learner": whom}
        self.record(name, "remove", fields, EXPERIMENT, WALLETS[whom].address)

    def start(self, name: str) -> None:
        """Start the experiment."""
        self.record(self.chance.choice([name, CREATOR]), "start", {}, EXPERIMENT)

    def cancel(self, name: str) -> None:
        """Cancel the experiment."""
        self.record(self.chance.choice([name, CREATOR]), "cancel", {}, EXPERIMENT)

    def admit(self, name: str) -> None:
        """Admit two accounts."""
        names = self.chance.choices(NAMES, k=2)
        accounts = [WALLETS[n].address for n in names]
        by = self.chance.choice([name, CREATOR])
        self.record(by, "admit", {"accounts": names}, EXPERIMENT, accounts)

    def advance(self, name: str) -> None:
        """Advance the experiment."""
        self.record(name, "advance", {}, EXPERIMENT)

    def propose(self, name: str) -> None:
        """Propose weights, sometimes the current ones."""
        index = self.the_round()
        file = self.chance.choice(["first", "a", f"of {index}", f"more of {index}"])
        content = content_of(file, raw=self.chance.random() < 0.5)
        vote, fields = self.a_vote()
        fields = {"round": index, "content": wire_content(content), **fields}
        del fields["approve"]
        self.record(name, "propose", fields, EXPERIMENT, index, content, vote.scores)

    def decline(self, name: str) -> None:
        """Decline to propose."""
        index = self.the_round()
        self.record(name, "decline", {"round": index}, EXPERIMENT, index)

    def vote(self, name: str) -> None:
        """Cast an open vote."""
        index = self.the_round()
        vote, fields = self.a_vote()
        self.record(name, "vote", {"round": index, **fields}, EXPERIMENT, index, vote)

    def secret(self, name: str, index: int) -> tuple[Vote, Json, bytes]:
        """Return an account's vote for a round; it is the same at each call."""
        approve = hashed(f"{name} {index}")[0] % 3 > 0
        fields = {"approve": approve, "vote_score": str(SCORE_BITS[2]), "test_score": "0"}
        return Vote(approve, Scores(0.75, 0.0)), fields, hashed(f"salt of {name} {index}")

    def commit(self, name: str) -> None:
        """Commit to a vote, sometimes to another account's vote or to nothing."""
        index = self.the_round()
        whose = name if self.chance.random() < 0.9 else self.chance.choice(NAMES)
        vote, fields, salt = self.secret(whose, index)
        account = WALLETS[whose].address
        commitment = commitment_hash(DOMAIN, EXPERIMENT, index, account, vote, salt)
        zero = self.chance.random() < 0.05
        fields = {"round": index, "of": whose, "salt": base64_of(salt), "zero": zero, **fields}
        self.record(name, "commit", fields, EXPERIMENT, index, bytes(32) if zero else commitment)

    def reveal(self, name: str) -> None:
        """Reveal a vote, sometimes one without a commitment."""
        index = self.the_round()
        whose = name if self.chance.random() < 0.9 else self.chance.choice(NAMES)
        vote, fields, salt = self.secret(whose, index)
        fields = {"round": index, "salt": base64_of(salt), **fields}
        self.record(name, "reveal", fields, EXPERIMENT, index, vote, salt)

    def vote_signed(self, name: str) -> None:
        """Submit some signed ballots, valid and invalid."""
        index = self.the_round()
        ballots, entries = [], []
        for _ in range(self.chance.randint(0, 3)):
            learner = self.chance.choice(NAMES)
            signer = learner if self.chance.random() < 0.85 else self.chance.choice(NAMES)
            vote, fields = self.a_vote()
            signed = sign_ballot(WALLETS[signer], DOMAIN, EXPERIMENT, index, vote)
            account = WALLETS[learner].address
            ballots.append(SignedBallot(account, vote, signed.signature))
            entries.append({"learner": learner, "signer": signer, **fields})
        self.record(
            name, "vote_signed", {"round": index, "ballots": entries}, EXPERIMENT, index, ballots
        )


def main(arguments: list[str]) -> int:
    """Write the traces and return the exit status."""
    wanted, seed = [int(a) for a in arguments] + [24_000, 1][len(arguments) :]
    chance = random.Random(seed)
    traces: list[list[Json]] = []
    while sum(map(len, traces)) < wanted:
        trace = Trace(chance)
        while not trace.is_over():
            trace.step()
        traces.append(trace.steps)
    folder = Path(os.environ.get("COLEARN_TRACES") or FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{seed}.json"
    file.write_text(json.dumps(traces, separators=(",", ":")))
    report(traces, file)
    return 0


def report(traces: list[list[Json]], file: Path) -> None:
    """Print how often each call and error occurs in the traces."""
    steps = [step for trace in traces for step in trace]
    results = Counter(step["error"]["name"] if "error" in step else "ok" for step in steps)
    events = Counter(name for step in steps for name, _ in step.get("events", ()))
    print(f"{len(steps):,} steps in {len(traces):,} traces, {file.stat().st_size:,} bytes: {file}")
    print("results:", ", ".join(f"{name} {count:,}" for name, count in sorted(results.items())))
    print("events:", ", ".join(f"{name} {count:,}" for name, count in sorted(events.items())))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
