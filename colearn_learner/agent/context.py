"""Context shared by the parts of an agent: ledger, store, learner, folder and configuration."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from colearn_learner.agent.folder import AgentFolder
from colearn_learner.agent.progress import FileInPieces, ProgressReporter, Work
from colearn_learner.conversion import summary_from_json
from colearn_learner.errors import InvalidArgument
from colearn_learner.interface import Weights
from colearn_ledger.ledger import Ledger
from colearn_ledger.protocol import ContentRef, ExperimentId
from colearn_ledger.relay.relay import BallotCarrier
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import decode_weights
from colearn_ledger.weights.pickles import check_no_pickle
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.store import ContentStore


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Configuration of an agent; times are in seconds.

    Args:
        join: whether to join the experiment if the account has not joined yet.
        poll: longest time between two reads of the ledger.
        fetch_timeout: timeout of one attempt to fetch weights.
        fetch_margin: how long before the vote's deadline to stop fetching a proposal; at most a
            quarter of the voting window.
        fetch_patience: how long to try to fetch a proposal; ``None``: until the margin.
        stagger: delay between the ``advance`` calls of one learner and the next.
        transaction_timeout: how long to wait for a transaction to take effect.
        max_backoff: longest pause after a failure.
        keep_accepted: number of accepted weights to keep pinned, including the current ones;
            ``None``: all of them.
        keep_proposals: whether the learner's proposals stay pinned even if they are not accepted.
        carrier: submits open ballots to the ledger; by default the ledger itself.

    Raises:
        InvalidArgument: ``keep_accepted`` is below 1.
    """

    join: bool = True
    poll: float = 1.0
    fetch_timeout: float = 10.0
    fetch_margin: float = 15.0
    fetch_patience: float | None = None
    stagger: float = 2.0
    transaction_timeout: float = 120.0
    max_backoff: float = 30.0
    keep_accepted: int | None = 2
    keep_proposals: bool = False
    carrier: BallotCarrier | None = None

    def __post_init__(self) -> None:
        """Check that the current weights stay pinned."""
        if self.keep_accepted is not None and self.keep_accepted < 1:
            raise InvalidArgument(
                f"keep_accepted is {self.keep_accepted}, but the current weights must stay pinned; "
                "set it to at least 1"
            )


@dataclass(slots=True)
class AgentContext:
    """Context of one agent, with methods to transfer and decode files of weights."""

    ledger: Ledger
    store: ContentStore
    learner: Any
    experiment: ExperimentId
    folder: AgentFolder
    config: AgentConfig
    progress: ProgressReporter = field(default_factory=ProgressReporter, init=False)
    _spec: ExperimentSpec | None = field(default=None, init=False)
    _waiting_since: dict[tuple[object, ...], float] = field(default_factory=dict, init=False)

    @property
    def name(self) -> str:
        """The learner's account, for log messages."""
        return str(self.ledger.account)

    def schema(self) -> WeightsSchema:
        """Return the schema of the experiment's weights.

        Raises:
            ContentUnavailable, ContentTooLarge, ContentMismatch, SpecError: the experiment's
                specification cannot be fetched or read.
        """
        if self._spec is None:
            wanted = self.ledger.experiment(self.experiment).params.spec
            spec = ExperimentSpec.read(self.store, wanted, timeout=self.config.fetch_timeout)
            self.store.pin(wanted)  # needed again at every start
            self._spec = spec
        return self._spec.schema

    def fetch(self, content: ContentRef, timeout: float) -> bytes:
        """Fetch a file within the experiment's size limit; the store verifies every piece."""
        limit = self.schema().max_bytes
        with (
            self.progress.track(Work.FETCHING, content.size) as report_done,
            self.store.get(content, max_size=limit, timeout=timeout) as pieces,
        ):
            return b"".join(_report_pieces(pieces, report_done))

    def send(self, data: bytes, content: ContentRef) -> None:
        """Put a file into the store.

        Args:
            data: bytes of the file.
            content: reference of the file.

        Raises:
            ContentNotStored: the store cannot store the file.
        """
        with self.progress.track(Work.SENDING, len(data)) as report_done:
            self.store.put(FileInPieces(data, content, report_done))

    def decode(self, data: bytes) -> Weights:
        """Decode a stranger's file into the `Weights` that a learner accepts.

        Raises:
            WeightsError: the file does not match the experiment's schema, or contains a pickle.
        """
        decoded = decode_weights(data, schema=self.schema())
        check_no_pickle(decoded.weights)
        return Weights(weights=decoded.weights, training_summary=summary_from_json(decoded.summary))

    def seconds_since_first(self, *what: object) -> float:
        """Return the seconds since the first call with these arguments; 0 on that call."""
        now = time.monotonic()
        return now - self._waiting_since.setdefault(what, now)


def _report_pieces(pieces: Iterator[bytes], report_done: Callable[[int], None]) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        done += len(piece)
        report_done(done)
        yield piece


def describe(error: Exception) -> str:
    """Format a learner's exception as part of a reason."""
    return f"{type(error).__name__}: {error}"
