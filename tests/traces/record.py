"""Record the results of random calls of the reference, for the Rust tests to replay.

Usage: .venv/bin/python -m tests.traces.record [STEPS [SEED]]   (24,000 and 1 by default)

Writes contracts/cosmwasm/traces/SEED.json, or SEED.json in the folder COLEARN_TRACES: a list of
traces, each of one experiment from its creation on. Accounts are written as names. A step has the
time, the caller, the call with its arguments in the format of contracts/cosmwasm/MESSAGES.md, and
the result: the events or the error, and the whole state afterwards. Values that depend on addresses
are written as their sources: a commitment as its ballot, salt and account, a signature as its
signer, the experiment's hash as whether it is a wrong one.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.protocol import (
    Admission,
    Basis,
    Duty,
    Scores,
    SignedBallot,
    Status,
    Vote,
    commitment_hash,
    score_to_bits,
)
from tests.traces.messages import (
    CREATOR,
    NAME_OF,
    NAMES,
    WALLETS,
    base64_of,
    hashed,
    wire_content,
    wire_vote,
)
from tests.traces.recording import DOMAIN, EXPERIMENT, Recording, content_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "contracts" / "cosmwasm" / "traces"

Json = Any

LONGEST = 120
"""Maximum number of steps in a trace."""

SCORES = (None, 0.0, 0.75, -1e300, float("inf"))
TOPICS = ("adapter", "x" * 32, "x" * 33, "", "a\nb", "\x9f")


class Trace(Recording):
    """An experiment with random calls."""

    def is_over(self) -> bool:
        """Return whether enough is recorded; some calls follow the end of the experiment."""
        ended = self.views.experiment(EXPERIMENT).status in (Status.COMPLETED, Status.CANCELLED)
        return len(self.steps) >= LONGEST or (ended and self.chance.random() < 0.25)

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
            Duty.PROPOSE: self.propose if self.chance.random() < 0.85 else self.decline,
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
            self.start: 1, self.cancel: 2, self.admit: 1, self.set_encryption_key: 1,
            self.announce: 1,
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

    def the_basis(self) -> Basis:
        """Return what ballots of the current round judge, rarely other proposals."""
        proposals = None
        index = self.views.experiment(EXPERIMENT).round
        if index is not None and self.chance.random() < 0.97:
            proposals = self.views.round(EXPERIMENT, index).proposals
        return Basis(EXPERIMENT, self.the_round(), proposals or hashed("other proposals"))

    def make_vote(self, name: str, chance: random.Random) -> Vote:
        """Return a vote on the proposals of the current round, rarely an invalid one."""
        index = self.views.experiment(EXPERIMENT).round
        round_ = None if index is None else self.views.round(EXPERIMENT, index)
        contents = round_.contents if round_ else {}
        approvals = 0
        for slot in contents:
            own = round_ is not None and round_.slots[slot].proposer == WALLETS[name].address
            approvals |= (chance.random() < (0.03 if own else 0.6)) << slot
        if chance.random() < 0.04:
            approvals |= 1 << chance.choice([0, 1, 2, 15])
        length = 1 + len(contents) + (chance.choice([-1, 1]) if chance.random() < 0.03 else 0)
        pairs = [chance.choices(SCORES, k=2) for _ in range(length)]
        return Vote(approvals, tuple(Scores(*pair) for pair in pairs))

    # ------------------------------------------------------------------ calls

    def join(self, name: str) -> None:
        """Join with the account's own key, rarely with another experiment's hash."""
        key, wrong = hashed("key of " + name), self.chance.random() < 0.05
        expected = bytes(32) if wrong else self.views.experiment(EXPERIMENT).hash
        fields = {"wrong": wrong, "encryption_key": base64_of(key)}
        self.record(name, "join", fields, EXPERIMENT, expected, key)

    def set_encryption_key(self, name: str) -> None:
        """Replace the account's key."""
        key = hashed("another key of " + name)
        fields = {"encryption_key": base64_of(key)}
        self.record(name, "set_encryption_key", fields, EXPERIMENT, key)

    def announce(self, name: str) -> None:
        """Announce a file under a topic, sometimes a malformed one."""
        topic, content = self.chance.choice(TOPICS), content_of("help", raw=True)
        fields = {"topic": topic, "content": wire_content(content)}
        self.record(name, "announce", fields, EXPERIMENT, topic, content)

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
        """Propose weights, sometimes the current ones or another proposer's."""
        index = self.the_round()
        file = self.chance.choice(["first", "a", f"of {index}", f"of {name} in {index}"])
        content = content_of(file, raw=self.chance.random() < 0.5)
        scores = Scores(*self.chance.choices(SCORES, k=2))
        bits = {
            "vote_score": str(score_to_bits(scores.vote_score)),
            "test_score": str(score_to_bits(scores.test_score)),
        }
        fields = {"round": index, "content": wire_content(content), **bits}
        self.record(name, "propose", fields, EXPERIMENT, index, content, scores)

    def decline(self, name: str) -> None:
        """Decline to propose."""
        index = self.the_round()
        self.record(name, "decline", {"round": index}, EXPERIMENT, index)

    def vote(self, name: str) -> None:
        """Cast an open vote."""
        basis, vote = self.the_basis(), self.make_vote(name, self.chance)
        fields = {**wire_basis(basis), **wire_vote(vote)}
        self.record(name, "vote", fields, EXPERIMENT, basis.round, basis.proposals, vote)

    def secret(self, name: str, index: int) -> tuple[Vote, bytes]:
        """Return an account's vote and salt for a round; they are the same at each call."""
        secret = f"{name} {index}"
        return self.make_vote(name, random.Random(secret)), hashed(f"salt of {secret}")

    def commit(self, name: str) -> None:
        """Commit to a vote, sometimes to another account's vote or to nothing."""
        basis = self.the_basis()
        whose = name if self.chance.random() < 0.9 else self.chance.choice(NAMES)
        vote, salt = self.secret(whose, basis.round)
        commitment = commitment_hash(DOMAIN, basis, WALLETS[whose].address, vote, salt)
        zero = self.chance.random() < 0.05
        source = {"of": whose, "salt": base64_of(salt), "zero": zero}
        fields = {**wire_basis(basis), **source, **wire_vote(vote)}
        sent = bytes(32) if zero else commitment
        self.record(name, "commit", fields, EXPERIMENT, basis.round, basis.proposals, sent)

    def reveal(self, name: str) -> None:
        """Reveal a vote, sometimes one without a commitment."""
        index = self.the_round()
        whose = name if self.chance.random() < 0.9 else self.chance.choice(NAMES)
        vote, salt = self.secret(whose, index)
        fields = {"round": index, "salt": base64_of(salt), **wire_vote(vote)}
        self.record(name, "reveal", fields, EXPERIMENT, index, vote, salt)

    def vote_signed(self, name: str) -> None:
        """Submit some signed ballots, valid and invalid."""
        basis = self.the_basis()
        ballots, entries = [], []
        for _ in range(self.chance.randint(0, 3)):
            learner = self.chance.choice(NAMES)
            signer = learner if self.chance.random() < 0.85 else self.chance.choice(NAMES)
            vote = self.make_vote(learner, self.chance)
            signed = sign_ballot(WALLETS[signer], DOMAIN, basis, vote)
            ballots.append(SignedBallot(WALLETS[learner].address, vote, signed.signature))
            entries.append({"learner": learner, "signer": signer, **wire_vote(vote)})
        fields = {**wire_basis(basis), "ballots": entries}
        self.record(name, "vote_signed", fields, EXPERIMENT, basis.round, basis.proposals, ballots)


def wire_basis(basis: Basis) -> Json:
    """Return the round and the proposals of a ballot in the format of messages."""
    return {"round": basis.round, "proposals": base64_of(basis.proposals)}


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
