"""The protocol's queries on the local ledger's state."""

from __future__ import annotations

from itertools import islice

from colearn_ledger.protocol import (
    NO_ROUND,
    Account,
    Ballot,
    BallotState,
    ContentRef,
    Duty,
    Experiment,
    ExperimentId,
    Learner,
    NotALearner,
    Phase,
    Round,
    Status,
    WrongRound,
)
from colearn_ledger.reference.state import ExperimentState, LedgerState, Member, RoundState

__all__ = ["Views"]


class Views:
    """The queries of the protocol on a `LedgerState`."""

    def __init__(self, state: LedgerState) -> None:
        self._state = state

    def experiment(self, experiment: ExperimentId) -> Experiment:
        """Return an experiment."""
        return _experiment_row(self._state.find(experiment))

    def experiments(self, start: int, limit: int) -> list[Experiment]:
        """Return experiments in order of id."""
        every = self._state.experiments.values()
        return [_experiment_row(e) for e in islice(every, start, start + limit)]

    def learner(self, experiment: ExperimentId, account: Account) -> Learner:
        """Return a learner."""
        e = self._state.find(experiment)
        return _learner_row(e, _member(e, account))

    def learners(self, experiment: ExperimentId, start: int, limit: int) -> list[Learner]:
        """Return learners in order of index."""
        e = self._state.find(experiment)
        return [_learner_row(e, m) for m in islice(e.members.values(), start, start + limit)]

    def round(self, experiment: ExperimentId, round_index: int) -> Round:
        """Return a round."""
        e = self._state.find(experiment)
        return _round_row(e, _begun(e, round_index))

    def rounds(self, experiment: ExperimentId, start: int, limit: int) -> list[Round]:
        """Return rounds in order."""
        e = self._state.find(experiment)
        return [_round_row(e, held) for held in islice(e.rounds, start, start + limit)]

    def ballot(self, experiment: ExperimentId, round_index: int, account: Account) -> Ballot:
        """Return what is recorded of a learner in a round."""
        e = self._state.find(experiment)
        held = _begun(e, round_index)
        return _ballot_row(e, held, _member(e, account))

    def ballots(
        self, experiment: ExperimentId, round_index: int, start: int, limit: int
    ) -> list[Ballot]:
        """Return a row for each learner in order of index."""
        e = self._state.find(experiment)
        held = _begun(e, round_index)
        return [_ballot_row(e, held, m) for m in islice(e.members.values(), start, start + limit)]

    def current_weights(self, experiment: ExperimentId) -> ContentRef | None:
        """Return the current weights, ``None`` while there are none."""
        return self._state.find(experiment).current

    def duty(self, experiment: ExperimentId, account: Account, now: int) -> Duty:
        """Return what an account should do at a time."""
        e = self._state.find(experiment)
        if e.status in (Status.COMPLETED, Status.CANCELLED):
            return Duty.DONE
        member = e.members.get(account)
        if e.status == Status.ENROLLING or member is None:
            return Duty.WAIT
        if not member.active:
            return Duty.DONE
        if now >= e.open_round.deadline:
            return Duty.ADVANCE
        return _duty_in_round(e, account)


def _duty_in_round(e: ExperimentState, account: Account) -> Duty:
    held = e.open_round
    if held.phase == Phase.PROPOSING:
        return Duty.PROPOSE if account == held.proposer else Duty.WAIT
    if not e.is_eligible(account, held):
        return Duty.WAIT
    recorded = held.ballot_of(account)
    if held.phase == Phase.REVEALING:
        return Duty.REVEAL if recorded == BallotState.COMMITTED else Duty.WAIT
    if recorded != BallotState.NONE:
        return Duty.WAIT
    return Duty.COMMIT if e.secret else Duty.VOTE


def _begun(e: ExperimentState, round_index: int) -> RoundState:
    if not 0 <= round_index < len(e.rounds):
        raise WrongRound(len(e.rounds) - 1 if e.rounds else NO_ROUND)
    return e.rounds[round_index]


def _member(e: ExperimentState, account: Account) -> Member:
    member = e.members.get(account)
    if member is None:
        raise NotALearner(account)
    return member


def _experiment_row(e: ExperimentState) -> Experiment:
    return Experiment(
        id=e.id,
        creator=e.creator,
        params=e.params,
        status=e.status,
        created_at=e.created_at,
        started_at=e.started_at,
        ended_at=e.ended_at,
        round=len(e.rounds) - 1 if e.rounds else None,
        active_learners=len(e.active),
        joined_learners=len(e.members),
        current=e.current,
        current_round=e.accepted.index if e.accepted else None,
        seed=e.seed,
    )


def _learner_row(e: ExperimentState, member: Member) -> Learner:
    return Learner(
        experiment=e.id,
        account=member.account,
        index=member.index,
        active=member.active,
        from_round=member.from_round,
        until_round=member.until_round,
        strikes=member.strikes,
        encryption_key=member.encryption_key,
    )


def _round_row(e: ExperimentState, held: RoundState) -> Round:
    return Round(
        experiment=e.id,
        index=held.index,
        phase=held.phase,
        outcome=held.outcome,
        proposer=held.proposer,
        eligible=held.eligible,
        needed=held.needed,
        approvals=held.approvals,
        rejections=held.rejections,
        commitments=len(held.commitments),
        content=held.content,
        started_at=held.started_at,
        proposed_at=held.proposed_at,
        reveal_started_at=held.reveal_started_at,
        closed_at=held.closed_at,
        deadline=None if held.phase == Phase.CLOSED else held.deadline,
        by_deadline=held.by_deadline,
    )


def _ballot_row(e: ExperimentState, held: RoundState, member: Member) -> Ballot:
    return Ballot(
        experiment=e.id,
        round=held.index,
        learner=member.account,
        eligible=e.is_eligible(member.account, held),
        state=held.ballot_of(member.account),
    )
