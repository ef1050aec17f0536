"""Context shared by the parts of an agent: ledger, store, learner, folder and configuration."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from threading import Event as StopSignal
from typing import Any

from colearn_learner.agent.folder import AgentFolder
from colearn_learner.agent.progress import FileInPieces, ProgressReporter, Work
from colearn_learner.agent.schedule import StepSchedule
from colearn_learner.conversion import summary_from_json
from colearn_learner.errors import InvalidArgument
from colearn_learner.interface import Weights
from colearn_ledger.ledger import Ledger
from colearn_ledger.protocol import ContentRef, ExperimentId, LedgerError
from colearn_ledger.relay.relay import BallotCarrier
from colearn_ledger.spec import (
    ExperimentSpec,
    SpecError,
    VoteRule,
    parse_tolerance,
    parse_vote_rule,
)
from colearn_ledger.weights.codec import DecodedWeights, decode_weights
from colearn_ledger.weights.fetching import fetch_files, file_name, is_intact
from colearn_ledger.weights.pickles import check_no_pickle
from colearn_ledger.weights.store import ContentStore, ContentUnavailable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Configuration of an agent; times are in seconds.

    Args:
        join: whether to join the experiment if the account has not joined yet.
        hash: hash of the experiment that the learner's owner agreed to; the agent joins no other.
            ``None``: it joins the experiment that it finds.
        poll: longest time between two checks for a change of the ledger or a deadline. The node is
            asked less often: at most once for each check, and not at all if it announces blocks.
        fetch_patience: how long to try to fetch proposals, at most until half of the voting window;
            ``None``: until then.
        stagger: delay between the ``advance`` calls of one learner and the next.
        transaction_timeout: how long to wait for a transaction to take effect.
        max_backoff: longest pause after a failure.
        keep_accepted: number of accepted weights to keep pinned, including the current ones;
            ``None``: all of them.
        keep_proposals: whether the learner's proposals stay pinned even if they are not accepted.
        carrier: submits open ballots to the ledger; by default the ledger itself.
        vote_rule: the rule by which this agent votes; ``None``: the experiment's.
        tolerance: how much better the mean must be without a proposal before the rule
            `VoteRule.LEAVE_ONE_OUT` rejects it, as a share of its score; ``None``: the
            experiment's.
        name: name of the learner in log messages; ``None``: its account.

    Raises:
        InvalidArgument: ``keep_accepted`` is below 1, there is no such vote rule, or the tolerance
            is not a finite number of at least 0 or the vote rule uses none.
    """

    join: bool = True
    hash: bytes | None = None
    poll: float = 1.0
    fetch_patience: float | None = None
    stagger: float = 2.0
    transaction_timeout: float = 120.0
    max_backoff: float = 30.0
    keep_accepted: int | None = 2
    keep_proposals: bool = False
    carrier: BallotCarrier | None = None
    vote_rule: VoteRule | None = None
    tolerance: float | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        """Check that the current weights stay pinned, and how the agent votes."""
        if self.keep_accepted is not None and self.keep_accepted < 1:
            raise InvalidArgument(
                f"keep_accepted is {self.keep_accepted}, but the current weights must stay pinned; "
                "set it to at least 1"
            )
        try:
            if self.vote_rule is not None:
                object.__setattr__(self, "vote_rule", parse_vote_rule(self.vote_rule, "vote_rule"))
            if self.tolerance is not None:
                object.__setattr__(self, "tolerance", parse_tolerance(self.tolerance, "tolerance"))
        except SpecError as error:
            raise InvalidArgument(str(error)) from error
        if self.vote_rule is not None:
            self._check_tolerance_is_used(self.vote_rule)

    def override_voting(self, agreed: ExperimentSpec) -> ExperimentSpec:
        """Return a specification with this agent's vote rule and tolerance, if it has its own.

        Raises:
            InvalidArgument: this agent has its own tolerance, but the vote rule uses none.
        """
        rule = self.vote_rule or agreed.vote_rule
        self._check_tolerance_is_used(rule)
        tolerance = agreed.tolerance if self.tolerance is None else self.tolerance
        return replace(agreed, vote_rule=rule, tolerance=tolerance)

    def _check_tolerance_is_used(self, rule: VoteRule) -> None:
        if self.tolerance is not None and rule != VoteRule.LEAVE_ONE_OUT:
            raise InvalidArgument(
                f"the tolerance is {self.tolerance}, but this agent votes by {rule}, which uses "
                f"none; set no tolerance, or the vote rule {VoteRule.LEAVE_ONE_OUT}"
            )


@dataclass(slots=True)
class AgentContext:
    """Context of one agent, with methods to read the spec and to transfer and decode weights."""

    ledger: Ledger
    store: ContentStore
    learner: Any
    experiment: ExperimentId
    folder: AgentFolder
    config: AgentConfig
    progress: ProgressReporter = field(default_factory=ProgressReporter, init=False)
    schedule: StepSchedule = field(init=False)
    stop: StopSignal = field(default_factory=StopSignal, init=False)
    _loaded: ContentRef | None = field(default=None, init=False)
    _spec: ExperimentSpec | None = field(default=None, init=False)
    _waiting_since: dict[tuple[object, ...], float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Create the schedule from the configuration."""
        self.schedule = StepSchedule(self.config.poll)

    @property
    def name(self) -> str:
        """The learner's name in log messages: the configured one, or its account."""
        return self.config.name or str(self.ledger.account)

    def load_spec(self, content: ContentRef) -> None:
        """Read the experiment's specification, unless it is the one read last.

        Raises:
            InvalidArgument: the configuration has a tolerance, but the vote rule uses none.
            ContentUnavailable, ContentTooLarge, WrongReference, SpecError: the specification
                cannot be fetched or read.
        """
        if self._loaded != content:
            agreed = ExperimentSpec.read(self.store, content)
            spec = self.config.override_voting(agreed)
            self.store.pin(content)  # needed again at every start
            self._loaded, self._spec = content, spec
            if spec != agreed:
                rules = _describe_rule(spec), _describe_rule(agreed)
                _log.info(
                    "%s: votes by %s, although the experiment agreed on %s", self.name, *rules
                )

    @property
    def spec(self) -> ExperimentSpec:
        """Return the specification, with the agent's own vote rule and tolerance if it has any.

        Raises:
            SpecError: `load_spec` has not been called.
        """
        if self._spec is None:
            raise SpecError("the specification was not read yet; call load_spec first")
        return self._spec

    def fetch(self, content: ContentRef, *, max_size: int | None = None) -> memoryview:
        """Fetch a file of weights into the folder, and map it.

        Args:
            content: reference of the file.
            max_size: the most bytes to fetch; ``None``: the experiment's limit.

        Raises:
            ContentUnavailable, ContentTooLarge, WrongReference: it could not be fetched.
        """
        cache, limit = self.folder.cache, self.spec.schema.max_bytes
        failures = self._fetch(
            [content],
            cache.open_incoming(),
            limit if max_size is None else max_size,
            None,
        )
        if failures:
            raise failures[content]
        data = cache.load_incoming(content)
        if data is None:
            raise ContentUnavailable(f"the local copy of {content.cid} was removed or damaged")
        return data

    def fetch_proposals(
        self, round_index: int, contents: Sequence[ContentRef], timeout: float | None = None
    ) -> dict[ContentRef, LedgerError]:
        """Fetch a round's proposals into the folder; return those that failed, with the reason.

        Args:
            round_index: the round.
            contents: the proposals.
            timeout: most seconds; ``None``: the limit of the store, which gives up earlier if
                nothing arrives.
        """
        folder = self.folder.cache.open_round(round_index)
        return self._fetch(contents, folder, self.spec.schema.max_bytes, timeout)

    def _fetch(
        self, contents: Sequence[ContentRef], folder: Path, max_size: int, timeout: float | None
    ) -> dict[ContentRef, LedgerError]:
        missing = [c for c in contents if not is_intact(folder / file_name(c), c)]
        if not missing:
            return {}
        with self.progress.track(Work.FETCHING, sum(c.size for c in missing)) as report_done:

            def report(done: int) -> None:
                report_done(done)
                if self.stop.is_set():
                    raise ContentUnavailable("the agent stops before it has fetched all")

            return fetch_files(
                self.store,
                missing,
                folder,
                max_size=max_size,
                timeout=timeout,
                report_done=report,
            )

    def send(self, data: memoryview, content: ContentRef) -> None:
        """Put a file into the store.

        Args:
            data: bytes of the file.
            content: reference of the file.

        Raises:
            ContentNotStored: the store cannot store the file.
        """
        with self.progress.track(Work.SENDING, len(data)) as report_done:
            self.store.put(FileInPieces(data, content, report_done))

    def pin(
        self, content: ContentRef, load_own: Callable[[], memoryview | None] = lambda: None
    ) -> None:
        """Pin a file in the store, from our own copy if we have one rather than from elsewhere.

        Args:
            content: reference of the file.
            load_own: returns our own copy; called only if a store does not have the file.

        Raises:
            ContentUnavailable, ContentNotStored: the file cannot be fetched or kept.
        """
        with ExitStack() as sending:

            def load() -> FileInPieces | None:
                own = load_own()
                if own is None:
                    return None
                report_done = sending.enter_context(self.progress.track(Work.SENDING, len(own)))
                return FileInPieces(own, content, report_done)

            self.store.pin(content, cache(load))

    def decode(self, data: memoryview, *, is_merged: bool = False) -> DecodedWeights:
        """Decode a stranger's file and check all that can be checked without its base.

        Args:
            data: bytes of the file.
            is_merged: whether this program merged the file; see `decode_weights`.

        Raises:
            WeightsError: the file does not match the experiment's schema, or contains a pickle.
        """
        decoded = decode_weights(data, schema=self.spec.schema, is_merged=is_merged)
        check_no_pickle(decoded.weights)
        return decoded

    def seconds_since_first(self, *what: object) -> float:
        """Return the seconds since the first call with these arguments; 0 on that call."""
        now = time.monotonic()
        return now - self._waiting_since.setdefault(what, now)


def _describe_rule(spec: ExperimentSpec) -> str:
    has_tolerance = spec.vote_rule == VoteRule.LEAVE_ONE_OUT
    return spec.vote_rule + (f" with a tolerance of {spec.tolerance}" if has_tolerance else "")


def weights_of(decoded: DecodedWeights) -> Weights:
    """Return the `Weights` that a learner accepts."""
    return Weights(weights=decoded.weights, training_summary=summary_from_json(decoded.summary))


def describe(error: Exception) -> str:
    """Format a learner's exception as part of a reason."""
    return f"{type(error).__name__}: {error}"
