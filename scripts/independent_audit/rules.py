"""Replay events by the rules of docs/protocol.md."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from types import SimpleNamespace as Row
from typing import Any

from .calls import CALLS, check_call
from .encoding import hash_bytes, hash_experiment, is_well_formed, pack
from .facts import (
    ABANDONED,
    ACCEPTED,
    ALREADY_VOTED,
    BAD_SIGNATURE,
    CANCELLED,
    CLOSED,
    COMPLETED,
    DECLINED,
    ENROLLING,
    INVALID,
    MISSED,
    NO_PROPOSAL,
    NOT_A_LEARNER,
    NOT_ELIGIBLE,
    OPEN,
    PROPOSED,
    PROPOSING,
    REJECTED,
    REVEALING,
    RUNNING,
    VOTING,
    Impossible,
    list_allowed,
    list_made,
    list_voters,
    need,
)
from .reading import Reader


class Replay:
    """Replays events by the rules, and keeps the state to which they lead."""

    def __init__(self, reader: Reader) -> None:
        self.id, self.domain, self.stopped = reader.id, reader.domain, False
        self.findings: list[dict[str, Any]] = []
        self.events = self.unknown = 0
        times = {"createdAt": 0, "startedAt": 0, "endedAt": 0, "started": False}
        lists: dict[str, Any] = {"current": [], "params": Row()}
        self.state = Row(creator="", hash=b"", status=ENROLLING, cancelRequested=False, round=0)
        vars(self.state).update(**times, **lists, currentRound=0, seed=bytes(32))
        self.rounds, self.learners, self.active, self.admitted = [], {}, [], set()
        self.cursor, self.due, self.batch, self.may_close, self.caused = 0, "", [], False, False
        self.last = Row(name="", tx="", order=(-1, -1), time=0)

    def compare(self, place: int | None, subject: str, expected: Any, found: Any) -> None:
        """Add a finding for each difference. A row may have more fields than expected."""
        if isinstance(expected, Row):
            for name, value in vars(expected).items():
                self.compare(place, f"{subject}.{name}", value, getattr(found, name))
        elif isinstance(expected, list) and len(expected) == len(found):
            for number, pair in enumerate(zip(expected, found, strict=True)):
                self.compare(place, f"{subject}[{number}]", *pair)
        elif expected != found:
            texts = {"expected": _show(expected), "found": _show(found)}
            self.findings.append({"round": place, "subject": subject, **texts})

    def run(self, events: Iterable[Row]) -> None:
        """Replay the events, up to the first one that cannot have happened."""
        for event in chain(events, [Row(name="the end", tx="", call=None, fields=Row())]):
            name = "RoundClosed" if self.may_close else self.due or event.name
            begins = name == "RoundStarted" and (not self.rounds or self.rounds[-1].phase == CLOSED)
            place = len(self.rounds) - (not begins)
            try:
                self._take(event, None if place < 0 else place)
            except Impossible as rule:
                place = min(place, getattr(event.fields, "round", place))
                self.compare(None if place < 0 else place, "events", str(rule), event.name)
                self.stopped = True
                return

    def _take(self, event: Row, place: int | None) -> None:
        again, is_ballot = event.tx == self.last.tx, event.name in ("VoteCast", "BallotSkipped")
        need(not self.batch or (again and is_ballot), "an event for each signed ballot")
        if self.may_close and not (again and is_ballot and (self.batch or not event.call)):
            self.due = "RoundClosed"
        need(
            not self.due or (self.due, True) == (event.name, again),
            f"{self.due} in the same transaction",
        )
        if event.name not in CALLS:
            return
        need(
            event.order > self.last.order and event.time >= self.last.time,
            "a later place than that of the event before",
        )
        self.caused, self.may_close = bool(self.due), self.may_close and not self.due
        self.due = ""
        self.last, self.now, self.events, e = event, event.time, self.events + 1, event.fields
        if not hasattr(e, "round"):
            wanted = self._change_experiment(event.name, e)
        elif event.name == "RoundStarted":
            wanted = self._begin_round(e, event.entropy)
        else:
            need(self.state.status == RUNNING and e.round == place, f"an event of round {place}")
            wanted = self._change_round(event.name, e, self.rounds[-1])
        self.compare(place, event.name, Row(**wanted), e)
        if not self.caused and event.call:
            check_call(self, event, place, again=again)
        elif not self.caused:
            self.unknown += 1
            p = self.state.params
            if p.revealWindow and p.selection and event.name == "VoteCast":
                self.state.seed = None  # the salt is unknown

    def _change_experiment(self, name: str, e: Row) -> dict[str, Any]:
        s, p, learner = self.state, self.state.params, self.learners.get(getattr(e, "learner", ""))
        phase = self.rounds[-1].phase if self.rounds else CLOSED
        need(s.creator or name == "ExperimentCreated", "ExperimentCreated first")
        if name == "ExperimentCreated":
            need(not s.creator, "one ExperimentCreated")
            s.params, s.creator, s.createdAt = e.params, e.creator, self.now
            s.hash = hash_experiment(e.creator, e.params)
            s.current = [e.params.initial] if e.params.initial.size else []
        elif name == "LearnerAdmitted":
            need(s.status <= RUNNING and p.admission, "an experiment with an allowlist")
            need(e.learner not in self.admitted, "an account that is not admitted yet")
            self.admitted.add(e.learner)
        elif name == "LearnerJoined":
            need(s.status <= p.lateJoin and not learner, "a new account while joining is possible")
            need(not p.admission or e.learner in self.admitted, "an admitted account")
            need(len(self.active) < p.maxLearners, "a free place")
            learner = Row(account=e.learner, index=len(self.learners), active=True)
            learner.fromRound, learner.untilRound = len(self.rounds), 2**32 - 1
            learner.missedProposals = learner.missedBallots = 0
            self.learners[e.learner] = learner
            self.active.append(e.learner)
            is_full = s.status == ENROLLING and len(self.active) == p.maxLearners
            self.due = "ExperimentStarted" if is_full else ""
            return {"index": learner.index}
        elif name in ("LearnerLeft", "LearnerRemoved"):
            need(s.status <= RUNNING and learner and learner.active, "an active learner")
            strikes = max(learner.missedProposals, learner.missedBallots)
            is_due = s.status == RUNNING and 0 < p.maxStrikes <= strikes
            need(name == "LearnerLeft" or is_due, "a learner with enough strikes")
            learner.active, learner.untilRound = False, len(self.rounds)
            at = self.active.index(e.learner)
            if p.selection and at < self.cursor:
                self.cursor -= 1
                self.active[at], at = self.active[self.cursor], self.cursor
            self.active[at] = self.active[-1]
            self.active.pop()
            for slot in self.rounds[-1].slots if phase == PROPOSING else []:
                if (slot.proposer, slot.state) == (e.learner, OPEN):
                    self._end_slot(slot, DECLINED)
        elif name == "ExperimentStarted":
            enough = s.status == ENROLLING and len(self.active) >= p.minLearners
            need(self.caused or enough, "enough learners")
            s.status, s.startedAt, s.started, self.due = RUNNING, self.now, True, "RoundStarted"
        elif name == "CancelRequested":
            need(phase in (VOTING, REVEALING) and not s.cancelRequested, "one, during a vote")
            s.cancelRequested = True
        elif name == "Announced":
            need(learner and learner.active, "an active learner")
            need(0 < len(e.topic.encode()) <= 32 and is_well_formed(e.content), "a file")
        else:
            is_cancel = name == "ExperimentCancelled" and s.status == ENROLLING
            need(self.caused or is_cancel, "a reason to end")
            s.status = COMPLETED if name == "ExperimentCompleted" else CANCELLED
            s.endedAt = self.now
        return {}

    def _begin_round(self, e: Row, entropy: bytes) -> dict[str, Any]:
        need(self.caused, "the round before to close")
        s, p, size, chosen = self.state, self.state.params, len(self.active), []
        if p.selection and s.seed is not None:
            start = [self.domain, pack(self.id, 8), entropy]
            more = [s.seed, entropy, self.rounds[-1].hidden.salts] if self.rounds else start
            s.seed = hash_bytes(*more) if entropy else None
        end = size
        for slot in range(min(p.proposers, size)):
            if self.cursor >= size:
                self.cursor, end = (0, size - slot) if p.selection else (self.cursor % size, end)
            at = self.cursor
            if p.selection and s.seed:
                at += int.from_bytes(hash_bytes(s.seed, bytes([slot]))) % (end - self.cursor)
            elif p.selection:
                could = self.active[at:end]
                named = e.proposers[slot] if slot < len(e.proposers) else ""
                need(named in could, "a learner that could be drawn")
                at += could.index(named)
            order, here = self.active, self.cursor
            order[at], order[here] = order[here], order[at]
            chosen.append(order[here])
            self.cursor += 1
        blank = Row(codec=0, digest=bytes(32), sha256Hash=bytes(32), size=0)
        no = {"state": OPEN, "content": blank, "proposedAt": 0, "approvals": 0, "accepted": False}
        slots = [Row(proposer=account, **no) for account in chosen]
        r = Row(index=len(self.rounds), phase=PROPOSING, slots=slots)
        r.eligible, r.needed = size - 1, max(1, -((1 - size) * p.approvalBps // 10_000))
        r.startedAt, r.deadline, r.byDeadline = self.now, self.now + p.proposeWindow, False
        r.outcome = r.ballots = r.commitments = r.votingStartedAt = 0
        r.revealStartedAt = r.closedAt = 0
        r.proposals, s.round = bytes(32), r.index
        given = {"proposers": chosen, "eligible": r.eligible, "needed": r.needed}
        members = list(self.active)
        r.hidden = Row(electorate=members, cast={}, pledges={}, salts=bytes(32))
        self.rounds.append(r)
        return {"round": r.index, "deadline": r.deadline, **given}

    def _change_round(self, name: str, e: Row, r: Row) -> dict[str, Any]:
        p, made, cast, pledges = self.state.params, list_made(r), r.hidden.cast, r.hidden.pledges
        secret, voters, now = p.revealWindow > 0, list_voters(r), self.now
        phase = REVEALING if secret and name == "VoteCast" else VOTING
        phase = PROPOSING if name in ("WeightsProposed", "ProposalDeclined") else phase
        if name not in ("VotingStarted", "RevealStarted", "RoundClosed"):
            need(r.phase == phase and now < r.deadline, "the right phase, before its deadline")
        if name == "RoundClosed":
            return self._close_round(e, r, voters)
        if phase == PROPOSING:
            mine = [s for s in r.slots if (s.proposer, s.state) == (e.proposer, OPEN)]
            need(mine, "an account with an open slot")
            if name == "WeightsProposed":
                current = [content.sha256Hash for content in self.state.current]
                need(current != [e.content.sha256Hash], "other weights than the current ones")
                need(is_well_formed(e.content), "a well-formed reference")
                mine[0].content, mine[0].proposedAt = e.content, now
                self.learners[e.proposer].missedProposals = 0
            self._end_slot(mine[0], PROPOSED if name == "WeightsProposed" else DECLINED)
            return {"slot": r.slots.index(mine[0])}
        if name == "VotingStarted":
            self._pass_deadline(r, PROPOSING)
            need(made, "a proposal")
            parts = [bytes([i]) + r.slots[i].content.sha256Hash for i in made]
            r.proposals = hash_bytes(*parts) if len(made) > 1 else parts[0][1:]
            r.phase, r.votingStartedAt, r.deadline = VOTING, now, now + p.voteWindow
            return {"proposals": r.proposals, "deadline": r.deadline}
        if name == "RevealStarted":
            self._pass_deadline(r, VOTING)
            is_fixed = not self.caused and self._is_fixed(r, len(pledges))
            need(secret and not is_fixed, "RoundClosed")
            r.phase, r.revealStartedAt, r.deadline = REVEALING, now, now + p.revealWindow
            return {"deadline": r.deadline}
        if name == "BallotSkipped":
            need(not secret, "open ballots")
            reason = ALREADY_VOTED if e.learner in cast else INVALID
            reason = reason if e.learner in voters else NOT_ELIGIBLE
            reason = reason if e.learner in self.learners else NOT_A_LEARNER
            return {"reason": reason if e.reason else BAD_SIGNATURE}
        need(e.learner in voters, "a voter")
        if name == "VoteCommitted":
            need(
                secret and e.learner not in pledges and any(e.commitment),
                "one commitment of each voter to a secret ballot",
            )
            pledges[e.learner], r.commitments = e.commitment, r.commitments + 1
            self.due = "RevealStarted" if len(pledges) == len(voters) else ""
            return {}
        need(
            e.learner not in cast and (not secret or e.learner in pledges),
            "one ballot of each voter, committed before if secret",
        )
        need(not e.approvals & ~list_allowed(r, e.learner), "approvals of others' proposals")
        need(
            len(e.scores) == 16 * (1 + len(made)),
            "two scores for each proposal and the current weights",
        )
        cast[e.learner], r.ballots = e.approvals, r.ballots + 1
        self.learners[e.learner].missedBallots = 0
        for i in made:
            r.slots[i].approvals += e.approvals >> i & 1
        left = len(pledges if secret else voters) - len(cast)
        self.may_close = len(cast) == len(voters) or self._is_fixed(r, left)
        return {}

    def _close_round(self, e: Row, r: Row, voters: list[str]) -> dict[str, Any]:
        s, p, made, passed = self.state, self.state.params, list_made(r), []
        if e.outcome == ABANDONED and not self.caused:
            need(r.phase == PROPOSING and not s.cancelRequested, "a round in Proposing")
            r.outcome, self.due = ABANDONED, "ExperimentCancelled"
        else:
            r.byDeadline, phase = not self.caused, r.phase
            self._pass_deadline(r, phase)
            if r.byDeadline:
                is_open = phase == REVEALING or not p.revealWindow
                fixed = phase == VOTING and self._is_fixed(r, len(r.hidden.pledges))
                need(not made if phase == PROPOSING else is_open or fixed, "the next phase")
            for account in voters if r.byDeadline and made else []:
                learner = self.learners[account]
                learner.missedBallots += learner.active and account not in r.hidden.cast
            passed = [i for i in made if r.slots[i].approvals >= r.needed]
            best = [max(passed, key=lambda i: (r.slots[i].approvals, -i))] if passed else []
            passed = best if p.merge else passed
            r.outcome = ACCEPTED if passed else REJECTED if made else NO_PROPOSAL
            for i in passed:
                r.slots[i].accepted = True
            if passed:
                s.current, s.currentRound = [r.slots[i].content for i in passed], len(self.rounds)
            is_last = len(self.rounds) == p.rounds
            idle = 0 < p.patience <= len(self.rounds) - s.currentRound
            ends = s.cancelRequested or len(self.active) < 2
            self.due = "ExperimentCancelled" if ends else "RoundStarted"
            if is_last or (idle and not s.cancelRequested):
                self.due = "ExperimentCompleted"
        r.phase, r.closedAt, r.deadline = CLOSED, self.now, 0
        tally = {"approvals": [slot.approvals for slot in r.slots], "eligible": r.eligible}
        return {"outcome": r.outcome, "accepted": sum(1 << i for i in passed), **tally}

    def _end_slot(self, slot: Row, state: int) -> None:
        slot.state, r = state, self.rounds[-1]
        if all(each.state != OPEN for each in r.slots):
            self.due = "VotingStarted" if list_made(r) else "RoundClosed"

    def _pass_deadline(self, r: Row, phase: int) -> None:
        """End a phase by ``advance``, unless the event before ended it."""
        in_time = r.phase == phase != CLOSED and self.now >= r.deadline
        need(self.caused or in_time, "the deadline to pass before")
        for slot in r.slots if phase == PROPOSING else []:
            if slot.state == OPEN:
                slot.state = MISSED
                self.learners[slot.proposer].missedProposals += 1

    def _is_fixed(self, r: Row, left: int) -> bool:
        p, counts = self.state.params, [r.slots[i].approvals for i in list_made(r)]
        several = p.merge and sum(count >= r.needed for count in counts) > 1
        is_open = any(count < r.needed <= count + left for count in counts)
        return bool(p.settleEarly and not is_open and not several)


def _show(value: Any) -> str:
    return json.dumps(value, default=lambda v: v.hex() if isinstance(v, bytes) else vars(v))
