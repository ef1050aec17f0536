"""The protocol's queries on the state of the reference."""

from __future__ import annotations

from itertools import islice

from colearn_ledger.protocol import (
    NO_ROUND,
    Account,
    Agenda,
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
    Slot,
    Status,
    WrongRound,
)
from colearn_ledger.reference.state import ExperimentState, LedgerState, Member, RoundState


class Views:
    """The queries of the protocol on a `LedgerState`."""

    def __init__(self, state: LedgerState) -> None:
        self._state = state

    def experiment(self, experiment: ExperimentId) -> Experiment:
        """Return an experiment."""
        return _experiment_row(self._state.find(experiment))

    def experiments(self, start: int, limit: int) -> list[Experiment]:
        """Return a page of experiments in order of id."""
        every = self._state.experiments.values()
        return [_experiment_row(state) for state in islice(every, start, start + limit)]

    def learner(self, experiment: ExperimentId, account: Account) -> Learner:
        """Return a learner."""
        state = self._state.find(experiment)
        return _learner_row(state, _member(state, account))

    def learners(self, experiment: ExperimentId, start: int, limit: int) -> list[Learner]:
        """Return a page of learners in order of index."""
        state = self._state.find(experiment)
        return [
            _learner_row(state, m) for m in islice(state.members.values(), start, start + limit)
        ]

    def round(self, experiment: ExperimentId, round_index: int) -> Round:
        """Return a round."""
        state = self._state.find(experiment)
        return _round_row(state, _begun_round(state, round_index))

    def rounds(self, experiment: ExperimentId, start: int, limit: int) -> list[Round]:
        """Return a page of rounds in order of index."""
        state = self._state.find(experiment)
        return [_round_row(state, round_) for round_ in islice(state.rounds, start, start + limit)]

    def ballot(self, experiment: ExperimentId, round_index: int, account: Account) -> Ballot:
        """Return the recorded ballot of a learner in a round."""
        state = self._state.find(experiment)
        round_ = _begun_round(state, round_index)
        return _ballot_row(state, round_, _member(state, account))

    def ballots(
        self, experiment: ExperimentId, round_index: int, start: int, limit: int
    ) -> list[Ballot]:
        """Return a page of ballots, one for each learner in order of index."""
        state = self._state.find(experiment)
        round_ = _begun_round(state, round_index)
        return [
            _ballot_row(state, round_, m)
            for m in islice(state.members.values(), start, start + limit)
        ]

    def current_weights(self, experiment: ExperimentId) -> list[ContentRef]:
        """Return the files of which the current weights are made."""
        return list(self._state.find(experiment).current)

    def agenda(self, experiment: ExperimentId, account: Account, now: int) -> Agenda:
        """Return all that an account needs to know for its next step."""
        state = self._state.find(experiment)
        member = state.members.get(account)
        return Agenda(
            experiment=_experiment_row(state),
            round=_round_row(state, state.open_round) if state.rounds else None,
            learner=_learner_row(state, member) if member else None,
            duty=self.duty(experiment, account, now),
        )

    def duty(self, experiment: ExperimentId, account: Account, now: int) -> Duty:
        """Return the action that an account should take at the time ``now``."""
        state = self._state.find(experiment)
        if state.status.is_over:
            return Duty.DONE
        member = state.members.get(account)
        if state.status == Status.ENROLLING or member is None:
            return Duty.WAIT
        if not member.active:
            return Duty.DONE
        if now >= state.open_round.deadline:
            return Duty.ADVANCE
        return _duty_in_round(state, account)


def _duty_in_round(state: ExperimentState, account: Account) -> Duty:
    round_ = state.open_round
    if round_.phase == Phase.PROPOSING:
        return Duty.PROPOSE if round_.open_slot_of(account) else Duty.WAIT
    if not state.is_eligible(account, round_):
        return Duty.WAIT
    recorded = round_.ballot_state(account)
    if round_.phase == Phase.REVEALING:
        return Duty.REVEAL if recorded == BallotState.COMMITTED else Duty.WAIT
    if recorded != BallotState.NONE:
        return Duty.WAIT
    return Duty.COMMIT if state.secret else Duty.VOTE


def _begun_round(state: ExperimentState, round_index: int) -> RoundState:
    if not 0 <= round_index < len(state.rounds):
        raise WrongRound(len(state.rounds) - 1 if state.rounds else NO_ROUND)
    return state.rounds[round_index]


def _member(state: ExperimentState, account: Account) -> Member:
    member = state.members.get(account)
    if member is None:
        raise NotALearner(account)
    return member


def _experiment_row(state: ExperimentState) -> Experiment:
    return Experiment(
        id=state.id,
        creator=state.creator,
        params=state.params,
        hash=state.hash,
        status=state.status,
        cancel_requested=state.cancel_requested,
        created_at=state.created_at,
        started_at=state.started_at,
        ended_at=state.ended_at,
        round=len(state.rounds) - 1 if state.rounds else None,
        active_learners=len(state.active),
        joined_learners=len(state.members),
        current=state.current,
        current_round=state.accepted.index if state.accepted else None,
        seed=state.seed,
    )


def _learner_row(state: ExperimentState, member: Member) -> Learner:
    return Learner(
        experiment=state.id,
        account=member.account,
        index=member.index,
        active=member.active,
        from_round=member.from_round,
        until_round=member.until_round,
        missed_proposals=member.missed_proposals,
        missed_ballots=member.missed_ballots,
        encryption_key=member.encryption_key,
    )


def _round_row(state: ExperimentState, round_: RoundState) -> Round:
    return Round(
        experiment=state.id,
        index=round_.index,
        phase=round_.phase,
        outcome=round_.outcome,
        slots=tuple(_slot_row(round_, slot) for slot in range(len(round_.slots))),
        eligible=round_.eligible,
        needed=round_.needed,
        ballots=len(round_.ballots),
        commitments=len(round_.commitments),
        proposals=round_.proposals,
        started_at=round_.started_at,
        voting_started_at=round_.voting_started_at,
        reveal_started_at=round_.reveal_started_at,
        closed_at=round_.closed_at,
        deadline=None if round_.phase == Phase.CLOSED else round_.deadline,
        by_deadline=round_.by_deadline,
    )


def _slot_row(round_: RoundState, index: int) -> Slot:
    slot = round_.slots[index]
    return Slot(
        proposer=slot.proposer,
        state=slot.state,
        content=slot.content,
        proposed_at=slot.proposed_at,
        approvals=round_.approvals(index),
        accepted=index in round_.accepted,
    )


def _ballot_row(state: ExperimentState, round_: RoundState, member: Member) -> Ballot:
    return Ballot(
        experiment=state.id,
        round=round_.index,
        learner=member.account,
        eligible=state.is_eligible(member.account, round_),
        state=round_.ballot_state(member.account),
        approvals=round_.ballots.get(member.account, 0),
    )
