"""The agent: does one learner's duties in one experiment, on any ledger and any store.

It is level-triggered. What it does next follows from the ledger's state (`Ledger.duty`) and from
its own folder, never from having seen an event: a restart, a missed event or a doubled one
changes nothing. Every decision is on the disk before it is sent, so that after a kill the same
proposal, the same ballot and the same salt are sent, and nothing twice.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from threading import Event as StopSignal
from typing import Any

from colearn_learner.agent_folder import AgentFolder, DecidedBallot, TrainedProposal
from colearn_learner.exchange import scores_of, summary_from_json, summary_to_json, vote_of
from colearn_learner.interface import Weights
from colearn_ledger.ledger import Ledger, Pending
from colearn_ledger.protocol import (
    AlreadyJoined,
    AlreadyVoted,
    BadReveal,
    ContentRef,
    DeadlineNotPassed,
    DeadlinePassed,
    Duty,
    Event,
    Experiment,
    ExperimentId,
    LedgerError,
    NotAdmitted,
    NotALearner,
    NotEligible,
    NotProposer,
    Outcome,
    Phase,
    ProtocolError,
    Round,
    Status,
    Vote,
    WrongPhase,
    WrongRound,
    WrongStatus,
    commitment_hash,
)
from colearn_ledger.spec import ExperimentSpec, SpecError
from colearn_ledger.weights.codec import DecodedWeights, decode_weights, encode_weights
from colearn_ledger.weights.errors import WeightsError
from colearn_ledger.weights.store import (
    ContentMismatch,
    ContentStore,
    ContentTooLarge,
    ContentUnavailable,
)

__all__ = ["Action", "Agent", "AgentConfig", "Observation"]

_log = logging.getLogger(__name__)

_OVERTAKEN = (
    AlreadyJoined,
    AlreadyVoted,
    DeadlineNotPassed,
    DeadlinePassed,
    NotAdmitted,
    NotALearner,
    NotEligible,
    NotProposer,
    WrongPhase,
    WrongRound,
    WrongStatus,
)
"""Refusals that say the ledger has moved on, or that it is not yet time: look again."""


class Action(Enum):
    """What one step did."""

    WAITED = "waited"
    JOINED = "joined"
    ADOPTED = "adopted"
    PROPOSED = "proposed"
    DECLINED = "declined"
    VOTED = "voted"
    COMMITTED = "committed"
    REVEALED = "revealed"
    ADVANCED = "advanced"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """How an agent behaves; times in seconds.

    Args:
        join: whether to join the experiment when the account has not.
        poll: the longest time between two looks at the ledger.
        fetch_timeout: of one attempt to get weights.
        fetch_margin: how long before the vote's deadline to give up on getting a proposal.
        fetch_patience: give up on a proposal after this long, ``None``: not before the margin.
        stagger: how much later than the one before it each learner calls ``advance``.
        transaction_timeout: how long to wait for a transaction to take effect.
        max_backoff: the longest pause after a failure.
        keep_accepted: how many accepted weights stay pinned, the current ones included.
    """

    join: bool = True
    poll: float = 1.0
    fetch_timeout: float = 10.0
    fetch_margin: float = 15.0
    fetch_patience: float | None = None
    stagger: float = 2.0
    transaction_timeout: float = 120.0
    max_backoff: float = 30.0
    keep_accepted: int = 2


@dataclass(frozen=True, slots=True)
class Observation:
    """What an agent did, for who wants to watch.

    Args:
        account: whose agent.
        action: what it did.
        round: in which round, if in one.
        reason: why, when there is more to say than that.
        events: what its transaction made happen.
        cost: of the transaction: gas on an EVM.
    """

    account: str
    action: Action
    round: int | None
    reason: str = ""
    events: tuple[Event, ...] = ()
    cost: int = 0


Listener = Callable[[Observation], None]


class Agent:
    """One learner's agent in one experiment.

    Args:
        ledger: a view that acts for the learner's wallet.
        store: where weights are.
        learner: an object with the five methods of `MachineLearningInterface`.
        experiment: its id.
        folder: the agent's own folder, the same again after a restart.
        config: how it behaves.

    Raises:
        FolderInUse: another agent works in the folder, or it belongs to another learner.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: ContentStore,
        *,
        learner: Any,
        experiment: ExperimentId,
        folder: Path | str,
        config: AgentConfig | None = None,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._learner = learner
        self._experiment = experiment
        self._config = config or AgentConfig()
        self._listeners: list[Listener] = []
        owner = f"{ledger.domain.separator.hex()} {experiment} {ledger.account}"
        self._folder = AgentFolder(Path(folder), owner)
        self._spec: ExperimentSpec | None = None
        self._adopted: str | None = None  # what this process's learner holds
        self._unfit: str | None = None  # why the learner could not take the current weights
        self._unrevealable: set[int] = set()
        self._waiting_since: dict[tuple[object, ...], float] = {}

    def on_observation(self, listener: Listener) -> None:
        """Call ``listener`` with what the agent does, in the agent's thread."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Release the folder."""
        self._folder.close()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ the loop

    def run(self, stop: StopSignal | None = None) -> None:
        """Do every duty until the experiment is over, the learner has left, or ``stop`` is set.

        A ledger or a store that fails is asked again after a pause that grows.

        Raises:
            UnknownExperiment: the ledger has no such experiment.
            SpecError: the experiment's specification can not be read, ever.
            DamagedFolder: the agent can not write its folder.
        """
        stop = stop or StopSignal()
        failures = 0
        while not stop.is_set():
            try:
                action = self.step()
                failures = 0
            except LedgerError as error:
                if not _is_transient(error):
                    raise
                failures += 1
                pause = min(self._config.max_backoff, 0.1 * 2 ** min(failures, 20))
                _log.warning("%s: %s; trying again in %.1f s", self._name, error, pause)
                stop.wait(pause)
                continue
            if action == Action.DONE:
                return
            if action == Action.WAITED:
                self._ledger.wait_for_change(self._config.poll)

    def step(self) -> Action:
        """Look at the ledger and do what is due now, one thing at most."""
        experiment = self._ledger.experiment(self._experiment)
        try:
            if not self._has_joined():
                return self._join(experiment)
            if self._must_adopt(experiment):
                return self._adopt(experiment)
            self._tidy(experiment)
            return self._do(self._ledger.duty(self._experiment, self._ledger.account), experiment)
        except _OVERTAKEN as error:
            _log.info("%s: overtaken: %s", self._name, error)
            return Action.WAITED

    def _do(self, duty: Duty, experiment: Experiment) -> Action:
        if duty == Duty.DONE:
            return Action.DONE
        if duty == Duty.WAIT or experiment.round is None:
            return Action.WAITED
        if duty == Duty.ADVANCE:
            return self._advance(experiment.round)
        held = self._ledger.round(self._experiment, experiment.round)
        if duty == Duty.PROPOSE and held.phase == Phase.PROPOSING:
            return self._propose(held, experiment.current)
        if duty in (Duty.VOTE, Duty.COMMIT) and held.phase == Phase.VOTING and held.content:
            return self._vote(held, held.content, secret=duty == Duty.COMMIT)
        if duty == Duty.REVEAL and held.phase == Phase.REVEALING:
            return self._reveal(held)
        return Action.WAITED  # the round moved on between the two queries

    # ------------------------------------------------------------------ joining

    def _has_joined(self) -> bool:
        try:
            self._ledger.learner(self._experiment, self._ledger.account)
        except NotALearner:
            return False
        return True

    def _join(self, experiment: Experiment) -> Action:
        if experiment.status in (Status.COMPLETED, Status.CANCELLED):
            return Action.DONE
        late = experiment.status == Status.RUNNING and not experiment.params.late_join
        if late or not self._config.join:
            return Action.WAITED
        return self._send(Action.JOINED, None, self._ledger.join(self._experiment))

    # ------------------------------------------------------------------ adopting

    def _must_adopt(self, experiment: Experiment) -> bool:
        return experiment.current is not None and experiment.current.sha256 != self._adopted

    def _adopt(self, experiment: Experiment) -> Action:
        """Make the ledger's current weights the learner's; nothing else is done before."""
        content = experiment.current
        if content is None:
            return Action.WAITED
        self._unfit = None
        try:
            self._accept(self._current_weights(content))
        except (WeightsError, ContentTooLarge, ContentMismatch) as error:
            self._unfit = f"the current weights are not usable: {error}"
        except ContentUnavailable as error:
            _log.warning("%s: waiting for the current weights: %s", self._name, error)
            return Action.WAITED
        self._adopted = content.sha256
        if self._unfit is None:
            if content not in self._folder.adopted[-1:]:
                self._folder.record_adopted(content)
            self._release_superseded()
        else:
            _log.error("%s: %s; it rejects and declines until others are", self._name, self._unfit)
        self._tell(Observation(self._name, Action.ADOPTED, experiment.round, self._unfit or ""))
        return Action.ADOPTED

    def _current_weights(self, content: ContentRef) -> Weights:
        """Return them from the folder, else from the store; then they are pinned and kept."""
        kept = self._folder.load_weights(content)
        data = self._fetch(content, self._config.fetch_timeout) if kept is None else kept
        decoded = decode_weights(data, schema=self._schema())
        if kept is None:
            self._store.pin(content)
            self._folder.save_weights(content, data)
        return _for_learner(decoded)

    def _accept(self, weights: Weights) -> None:
        try:
            self._learner.mli_accept_weights(weights)
        except Exception as error:  # noqa: BLE001 - a learner may raise anything
            _log.exception("%s: the learner failed to accept weights", self._name)
            self._unfit = f"the learner could not accept the current weights: {_said(error)}"

    def _release_superseded(self) -> None:
        for content in self._folder.adopted[: -self._config.keep_accepted]:
            self._store.unpin(content)
            self._folder.record_released(content)

    # ------------------------------------------------------------------ proposing

    def _propose(self, held: Round, current: ContentRef | None) -> Action:
        base = current.sha256 if current else None
        proposal = self._folder.trained(held.index)
        if proposal is None or proposal.base != base or not self._store.has(proposal.content):
            if self._unfit is not None:
                return self._decline(held, self._unfit)
            trained = self._train(held.index, base)
            if isinstance(trained, str):
                return self._decline(held, trained)
            proposal = trained
        pending = self._ledger.propose(
            self._experiment, held.index, proposal.content, proposal.scores
        )
        return self._send(Action.PROPOSED, held.index, pending)

    def _train(self, round_index: int, base: str | None) -> TrainedProposal | str:
        """Return the proposal, stored, pinned and in the journal, or why there is none."""
        try:
            weights = self._learner.mli_propose_weights()
            summary = summary_to_json(getattr(weights, "training_summary", None))
            if summary is not None and summary["error_code"] is not None:
                return f"the learner reports error code {summary['error_code']} in its training"
            scores = scores_of(self._learner.mli_test_weights(weights))
            data = encode_weights(weights.weights, summary=summary)
            decode_weights(data, schema=self._schema())
        except WeightsError as error:
            return f"what the learner trained are not weights of this experiment: {error}"
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - a learner may raise anything
            _log.exception("%s: the learner failed to train", self._name)
            return f"the learner failed to train: {_said(error)}"
        content = self._store.put([data])
        if content.sha256 == base:
            return "training changed nothing"
        self._store.pin(content)
        proposal = TrainedProposal(round_index, content, scores, base)
        self._folder.record_trained(proposal)
        return proposal

    def _decline(self, held: Round, reason: str) -> Action:
        _log.warning("%s: declines round %d: %s", self._name, held.index, reason)
        pending = self._ledger.decline(self._experiment, held.index)
        return self._send(Action.DECLINED, held.index, pending, reason)

    # ------------------------------------------------------------------ voting

    def _vote(self, held: Round, content: ContentRef, *, secret: bool) -> Action:
        ballot = self._folder.ballot(held.index)
        if ballot is None or ballot.content != content or (ballot.salt is not None) != secret:
            decision = self._decide(held, content)
            if decision is None:
                return Action.WAITED
            vote, reason = decision
            salt = secrets.token_bytes(32) if secret else None
            ballot = DecidedBallot(held.index, content, vote, salt, reason)
            self._folder.record_ballot(ballot)
        if ballot.salt is None:
            pending = self._ledger.vote(self._experiment, held.index, ballot.vote)
            return self._send(Action.VOTED, held.index, pending, ballot.reason)
        commitment = commitment_hash(
            self._ledger.domain,
            self._experiment,
            held.index,
            self._ledger.account,
            (ballot.vote, ballot.salt),
        )
        pending = self._ledger.commit(self._experiment, held.index, commitment)
        return self._send(Action.COMMITTED, held.index, pending, ballot.reason)

    def _decide(self, held: Round, content: ContentRef) -> tuple[Vote, str] | None:
        """Return the ballot and why, ``None`` while there is time to get the proposal."""
        if self._unfit is not None:
            return self._reject(held, self._unfit)
        seconds_left = self._seconds_to_fetch(held)
        try:
            timeout = max(0.1, min(self._config.fetch_timeout, seconds_left))
            decoded = decode_weights(self._fetch(content, timeout), schema=self._schema())
        except ContentUnavailable as error:
            if self._seconds_to_fetch(held) > 0:
                _log.info("%s: waiting for the proposal: %s", self._name, error)
                return None
            return self._reject(held, f"the proposal could not be had: {error}")
        except (ContentTooLarge, ContentMismatch, WeightsError) as error:
            return self._reject(held, f"the proposal is not usable: {error}")
        try:
            return vote_of(self._learner.mli_test_weights(_for_learner(decoded))), ""
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - a learner may raise anything
            _log.exception("%s: the learner failed to test a proposal", self._name)
            return self._reject(held, f"the learner failed to test the proposal: {_said(error)}")

    def _seconds_to_fetch(self, held: Round) -> float:
        """Return for how much longer to try to get the round's proposal."""
        left = (held.deadline or 0) - self._ledger.now() - self._config.fetch_margin
        if self._config.fetch_patience is None:
            return left
        tried = self._waited_for("proposal", held.index)
        return min(left, self._config.fetch_patience - tried)

    def _reject(self, held: Round, reason: str) -> tuple[Vote, str]:
        _log.warning("%s: rejects the proposal of round %d: %s", self._name, held.index, reason)
        return Vote(approve=False), reason

    def _reveal(self, held: Round) -> Action:
        ballot = self._folder.ballot(held.index)
        if held.index in self._unrevealable:
            return Action.WAITED
        if ballot is None or ballot.salt is None:
            return self._cannot_reveal(held, "the salt is not in the agent's folder")
        try:
            pending = self._ledger.reveal(self._experiment, held.index, ballot.vote, ballot.salt)
            return self._send(Action.REVEALED, held.index, pending, ballot.reason)
        except BadReveal as error:
            return self._cannot_reveal(held, str(error))

    def _cannot_reveal(self, held: Round, why: str) -> Action:
        self._unrevealable.add(held.index)
        _log.error(
            "%s: can not reveal its ballot of round %d: %s; it will not count",
            *(self._name, held.index, why),
        )
        return Action.WAITED

    # ------------------------------------------------------------------ the rest

    def _advance(self, round_index: int) -> Action:
        """Move the ledger on; learners take turns, so that seldom more than one pays for it."""
        phase = self._ledger.round(self._experiment, round_index).phase
        index = self._ledger.learner(self._experiment, self._ledger.account).index
        if self._waited_for("advance", round_index, phase) < index * self._config.stagger:
            return Action.WAITED
        return self._send(Action.ADVANCED, round_index, self._ledger.advance(self._experiment))

    def _tidy(self, experiment: Experiment) -> None:
        """Let go of own proposals that were not accepted."""
        for proposal in self._folder.own_proposals():
            over = experiment.round is not None and proposal.round < experiment.round
            if not over and experiment.ended_at is None:
                continue
            held = self._ledger.round(self._experiment, proposal.round)
            accepted = held.outcome == Outcome.ACCEPTED and held.content == proposal.content
            if not accepted and proposal.content not in self._folder.adopted:
                self._store.unpin(proposal.content)
            self._folder.record_dropped(proposal.round)

    def _schema(self) -> Any:
        if self._spec is None:
            params = self._ledger.experiment(self._experiment).params
            self._spec = ExperimentSpec.read(
                self._store, params.spec, timeout=self._config.fetch_timeout
            )
        return self._spec.schema

    def _fetch(self, content: ContentRef, timeout: float) -> bytes:
        """Get a file under the experiment's size limit; the store verifies every piece."""
        limit = self._schema().max_bytes
        with self._store.get(content, max_size=limit, timeout=timeout) as pieces:
            return b"".join(pieces)

    def _send(
        self, action: Action, round_index: int | None, pending: Pending, reason: str = ""
    ) -> Action:
        receipt = pending.wait(self._config.transaction_timeout)
        self._folder.record_sent(action.value, round_index, receipt.transaction)
        self._tell(
            Observation(self._name, action, round_index, reason, receipt.events, cost=receipt.cost)
        )
        return action

    def _waited_for(self, *what: object) -> float:
        now = time.monotonic()
        return now - self._waiting_since.setdefault(what, now)

    def _tell(self, observation: Observation) -> None:
        for listener in self._listeners:
            listener(observation)

    @property
    def _name(self) -> str:
        return str(self._ledger.account)


def _for_learner(decoded: DecodedWeights) -> Weights:
    return Weights(weights=decoded.weights, training_summary=summary_from_json(decoded.summary))


def _is_transient(error: LedgerError) -> bool:
    """Tell whether trying again may help."""
    return not isinstance(error, SpecError | ProtocolError)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
