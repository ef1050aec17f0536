"""The agent's main loop: perform one learner's duties in one experiment.

The agent is level-triggered. Its next action depends only on the ledger's state (`Ledger.agenda`)
and on its own folder, never on events. A restart, a missed event or a duplicate event therefore
changes nothing.

Every decision is on disk before it is sent. After a kill, the agent sends the same proposal,
ballot and salt, and it sends nothing twice.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as StopSignal
from typing import Any

from colearn_learner.agent.adopt import WeightsAdopter
from colearn_learner.agent.announce import confirm_merge
from colearn_learner.agent.context import AgentConfig, AgentContext
from colearn_learner.agent.errors import OVERTAKEN, RETRIED, AgentStopped, max_retries
from colearn_learner.agent.fit import LearnerDoesNotFit, LearnerSendsPickles, check_fit, check_safe
from colearn_learner.agent.folder import AgentFolder
from colearn_learner.agent.key_watch import KeyWatch
from colearn_learner.agent.observation import Action, Listener, Observation, list_verdicts
from colearn_learner.agent.progress import ProgressListener
from colearn_learner.agent.propose import ProposalMaker
from colearn_learner.agent.vote import BallotMaker
from colearn_learner.agent.waiting import WaitingReporter
from colearn_ledger.backoff import Backoff
from colearn_ledger.ledger import Ledger, Pending
from colearn_ledger.protocol import (
    Agenda,
    BadReveal,
    Basis,
    Duty,
    Experiment,
    ExperimentId,
    Learner,
    Round,
    Status,
    WrongExperiment,
    commitment_hash,
)
from colearn_ledger.weights.store import ContentStore

_log = logging.getLogger(__name__)


class Agent:
    """One learner's agent in one experiment.

    Args:
        ledger: ledger that sends transactions as the learner's account.
        store: content store of the weights.
        learner: an object with the five methods of `MachineLearningInterface`.
        experiment: id of the experiment.
        folder: folder that only this agent uses, the same after every restart.
        config: configuration; by default `AgentConfig()`.

    Raises:
        FolderInUse: another agent uses the folder, or it belongs to another learner.
        DamagedFolder: the folder's journal is damaged.
        FolderNotWritable: the folder cannot be written now.
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
        config = config or AgentConfig()
        owner = f"{ledger.domain.separator.hex()} {experiment} {ledger.account}"
        self._folder = AgentFolder(Path(folder), owner)
        self._ledger = ledger
        self._carrier = config.carrier or ledger
        self._experiment, self._account = experiment, str(ledger.account)
        self._config = config
        self._backoff = Backoff(first=0.2, longest=config.max_backoff)
        self._context = AgentContext(ledger, store, learner, experiment, self._folder, config)
        self._name = self._context.name
        self._adopter = WeightsAdopter(self._context)
        self._proposal_maker = ProposalMaker(self._context, self._adopter)
        self._ballot_maker = BallotMaker(self._context, self._adopter)
        self._key_watch = KeyWatch(ledger, experiment, self._folder)
        self._listeners: list[Listener] = []
        self._waiting = WaitingReporter(self._name)
        self._not_revealable: set[tuple[int, bytes | None]] = set()
        self._learner_checked = False
        self._agenda: Agenda | None = None
        self._failures: Counter[type[Exception]] = Counter()
        self._stepped_at = time.monotonic()

    def on_observation(self, listener: Listener) -> None:
        """Call ``listener`` with each action of the agent, in the agent's thread."""
        self._listeners.append(listener)

    def on_progress(self, listener: ProgressListener) -> None:
        """Call ``listener`` with the progress of long-running work, in the agent's thread."""
        self._context.progress.on_progress(listener)

    @property
    def stepped_at(self) -> float:
        """End of the last step of `run`, successful or not, in seconds of `time.monotonic`."""
        return self._stepped_at

    def close(self) -> None:
        """Release the folder."""
        self._folder.close()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ the loop

    def run(self, stop: StopSignal | None = None) -> None:
        """Perform all duties until the experiment ends, the learner leaves, or ``stop`` is set.

        Failures that may pass, such as a full disk, are retried after growing pauses.

        Raises:
            LearnerSendsPickles: the learner's own weights contain a pickle.
            LearnerDoesNotFit: the learner's weights differ from the experiment's.
            InvalidArgument: the configuration has a tolerance, but the experiment's vote rule uses
                none.
            KeyUsedElsewhere: another agent uses the same key.
            AgentStopped: retrying would not help; the message explains why and what to do.
        """
        stop = stop or StopSignal()
        while not self.perform_duties(stop) and not stop.is_set():
            with self._retrying(stop):
                self._context.schedule.wait(self._ledger, self._agenda, stop)

    def perform_duties(self, stop: StopSignal) -> bool:
        """Perform the duties that are due now, without waiting for others.

        Args:
            stop: ends the work between two duties, and the pauses after failures.

        Returns:
            Whether the experiment has ended, for this learner.

        Raises: the errors of `run`.
        """
        self._context.stop = stop
        action: Action | None = None
        while not stop.is_set() and action not in (Action.WAITED, Action.DONE):
            last, action = action, None
            with self._retrying(stop):
                is_new = self._ledger.wait_for_change(0)  # later changes lead to another step
                agenda = self._agenda if last == Action.ADOPTED and not is_new else None
                action = self.step() if agenda is None else self._act(agenda)
                self._failures.clear()
        if action == Action.WAITED and self._agenda is not None:
            self._waiting.report(self._agenda)
        return action == Action.DONE

    def wait_for_change(self, timeout: float, stop: StopSignal) -> None:
        """Wait until the ledger has changed since the last step, up to ``timeout`` seconds."""
        with self._retrying(stop):
            self._ledger.wait_for_change(timeout)

    @contextmanager
    def _retrying(self, stop: StopSignal) -> Iterator[None]:
        """Pause after a failure that may pass, and raise `AgentStopped` after too many."""
        try:
            yield
        except RETRIED as error:
            self._failures[type(error)] += 1
            most = max_retries(error, has_read=self._agenda is not None)
            if self._failures[type(error)] > most:
                raise AgentStopped(self._ledger.account, self._folder.path, error) from error
            pause = self._backoff.pause(self._failures.total())
            _log.warning("%s: %s; trying again in %.1f s", self._name, error, pause)
            stop.wait(pause)
        finally:
            self._stepped_at = time.monotonic()

    def step(self) -> Action:
        """Read the ledger and perform at most one action that is due now."""
        self._agenda = self._ledger.agenda(self._experiment, self._ledger.account)
        return self._act(self._agenda)

    def _act(self, agenda: Agenda) -> Action:
        experiment, learner = agenda.experiment, agenda.learner
        self._key_watch.check(agenda)
        try:
            if learner is None:
                return self._join(experiment)
            self._check_learner(experiment, has_joined=True)
            if self._adopter.is_due(experiment):
                return self._adopt(experiment)
            self._proposal_maker.drop_past(experiment)
            self._ballot_maker.drop_past(experiment)
            return self._key_watch.run(lambda: self._perform(agenda, learner), Action.WAITED)
        except OVERTAKEN as error:
            _log.info("%s: overtaken: %s", self._name, error)
            self._context.schedule.retry()
            return Action.WAITED

    def _perform(self, agenda: Agenda, learner: Learner) -> Action:
        duty, round_ = agenda.duty, agenda.round
        if duty == Duty.DONE:
            confirm_merge(self._context, agenda.experiment)
            return Action.DONE
        if round_ is None:
            return Action.WAITED
        self._proposal_maker.serve(round_)
        if duty == Duty.ADVANCE:
            return self._advance(round_, learner)
        if duty == Duty.PROPOSE:
            return self._propose(round_)
        if duty in (Duty.VOTE, Duty.COMMIT):
            return self._vote(round_, agenda.experiment)
        if duty == Duty.REVEAL:
            return self._reveal(round_)
        return Action.WAITED

    # ------------------------------------------------------------------ one duty each

    def _join(self, experiment: Experiment) -> Action:
        if experiment.status.is_over:
            return Action.DONE
        if experiment.status == Status.RUNNING and not experiment.params.late_join:
            return Action.WAITED
        agreed = self._config.hash
        if agreed not in (None, experiment.hash):  # before anything of it is used
            raise WrongExperiment(experiment.hash)
        self._check_learner(experiment, has_joined=False)
        if not self._config.join:
            return Action.WAITED
        pending = self._ledger.join(self._experiment, experiment.hash)  # only what was checked
        return self._send(Action.JOINED, None, pending)

    def _check_learner(self, experiment: Experiment, *, has_joined: bool) -> None:
        """Refuse an unsafe or unfit learner, before it joins and after each restart."""
        self._context.load_spec(experiment.params.spec)
        if self._learner_checked:
            return
        try:
            check_safe(self._context.learner)
            check_fit(self._context.learner, self._context.spec.schema)
        except (LearnerDoesNotFit, LearnerSendsPickles):
            raise
        except Exception as error:  # a learner may raise anything
            if not has_joined:
                raise
            _log.warning("%s: the learner's own weights were not checked: %s", self._name, error)
        self._learner_checked = True

    def _adopt(self, experiment: Experiment) -> Action:
        """Adopt the ledger's current weights, before any other duty."""
        if not self._adopter.adopt(experiment):
            return Action.WAITED
        adopted = Observation(
            self._account,
            Action.ADOPTED,
            experiment.round,
            self._adopter.unfit or "",
            weights=self._adopter.cid,
        )
        self._notify(adopted)
        return Action.ADOPTED

    def _propose(self, round_: Round) -> Action:
        proposal = (
            self._proposal_maker.find_trained(round_)
            or self._adopter.unfit
            or self._proposal_maker.train(round_)
        )
        if isinstance(proposal, str):
            return self._decline(round_, proposal)
        pending = self._ledger.propose(
            self._experiment, round_.index, proposal.content, proposal.scores
        )
        scores = {"score_name": self._context.spec.score_name, "score": proposal.scores.vote_score}
        return self._send(
            Action.PROPOSED, round_.index, pending, weights=proposal.content.cid, **scores
        )

    def _decline(self, round_: Round, reason: str) -> Action:
        _log.warning("%s: declines round %d: %s", self._name, round_.index, reason)
        pending = self._ledger.decline(self._experiment, round_.index)
        return self._send(Action.DECLINED, round_.index, pending, reason=reason)

    def _vote(self, round_: Round, experiment: Experiment) -> Action:
        ballot = self._ballot_maker.decide(round_, experiment.params)
        if ballot is None:
            return Action.WAITED
        decided = {
            "reason": ballot.reason,
            "score_name": self._context.spec.score_name,
            "verdicts": list_verdicts(round_, ballot, self._ledger.account),
        }
        # The ledger refuses the ballot if the round has other proposals by now.
        if ballot.salt is None:
            pending = self._carrier.vote(
                self._experiment, round_.index, ballot.proposals, ballot.vote
            )
            return self._send(Action.VOTED, round_.index, pending, **decided)
        basis = Basis(self._experiment, round_.index, ballot.proposals)
        commitment = commitment_hash(
            self._ledger.domain, basis, self._ledger.account, ballot.vote, ballot.salt
        )
        pending = self._ledger.commit(self._experiment, round_.index, ballot.proposals, commitment)
        return self._send(Action.COMMITTED, round_.index, pending, **decided)

    def _reveal(self, round_: Round) -> Action:
        place = (round_.index, round_.proposals)
        ballot = self._folder.ballot(round_.index, round_.proposals)
        if place in self._not_revealable:
            return Action.WAITED
        if ballot is None and self._folder.has_ballot(round_.index):
            return self._cannot_reveal(round_, "the round now contains other proposals")
        if ballot is None or ballot.salt is None:
            return self._cannot_reveal(
                round_,
                "the salt is not in the agent's folder; always restart it with the same folder",
            )
        try:
            pending = self._ledger.reveal(self._experiment, round_.index, ballot.vote, ballot.salt)
            return self._send(Action.REVEALED, round_.index, pending, reason=ballot.reason)
        except BadReveal as error:
            return self._cannot_reveal(
                round_,
                f"the ledger has another commitment of this account ({error}). Another agent with"
                " the same key may be running, or this folder may be an old copy; run one agent per"
                " key, always with the same folder",
            )

    def _cannot_reveal(self, round_: Round, reason: str) -> Action:
        self._not_revealable.add((round_.index, round_.proposals))
        _log.error(
            "%s: cannot reveal its ballot of round %d, so the ballot does not count: %s",
            self._name,
            round_.index,
            reason,
        )
        return Action.WAITED

    def _advance(self, round_: Round, learner: Learner) -> Action:
        """Advance the ledger when it is our turn, so that rarely more than one learner pays."""
        waited = self._context.seconds_since_first("advance", round_.index, round_.phase)
        left = learner.index * self._config.stagger - waited
        if left > 0:
            self._context.schedule.look_again_in(left)
            return Action.WAITED
        return self._send(Action.ADVANCED, round_.index, self._ledger.advance(self._experiment))

    # ------------------------------------------------------------------ parts

    def _send(
        self, action: Action, round_index: int | None, pending: Pending, **more: Any
    ) -> Action:
        """Wait until a transaction takes effect; report it with further fields of `Observation`."""
        receipt = pending.wait(self._config.transaction_timeout)
        self._folder.record_sent(action.value, round_index, receipt.transaction)
        sent = Observation(
            self._account, action, round_index, events=receipt.events, cost=receipt.cost, **more
        )
        self._notify(sent)
        return action

    def _notify(self, observation: Observation) -> None:
        for listener in self._listeners:
            listener(observation)
