"""What the parts of an agent share: its ledger, store, learner and folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from colearn_learner.agent.folder import AgentFolder
from colearn_learner.agent.progress import Busy, FileInPieces, Work
from colearn_learner.conversion import summary_from_json
from colearn_learner.errors import InvalidArgument
from colearn_learner.interface import Weights
from colearn_ledger.ledger import Ledger
from colearn_ledger.protocol import ContentRef, ExperimentId
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import WeightsSchema, decode_weights
from colearn_ledger.weights.pickles import check_no_pickle
from colearn_ledger.weights.store import ContentStore

__all__ = ["AgentConfig", "Workbench", "said"]


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """How an agent behaves; times in seconds.

    Args:
        join: whether to join the experiment when the account has not.
        poll: the longest time between two looks at the ledger.
        fetch_timeout: of one attempt to get weights.
        fetch_margin: how long before the vote's deadline to give up on getting a proposal; a
            quarter of the window if that is shorter.
        fetch_patience: give up on a proposal after this long, ``None``: not before the margin.
        stagger: how much later than the one before it each learner calls ``advance``.
        transaction_timeout: how long to wait for a transaction to take effect.
        max_backoff: the longest pause after a failure.
        keep_accepted: how many accepted weights stay pinned, the current ones included; ``None``
            for all of them.
        keep_proposals: whether what the learner proposed stays pinned when it is not accepted.

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

    def __post_init__(self) -> None:
        """Refuse to let the current weights go."""
        if self.keep_accepted is not None and self.keep_accepted < 1:
            raise InvalidArgument(
                f"keep_accepted is {self.keep_accepted}; the current weights stay: give at least 1"
            )


@dataclass(slots=True)
class Workbench:
    """What one agent works with, and the reading of files in it."""

    ledger: Ledger
    store: ContentStore
    learner: Any
    experiment: ExperimentId
    folder: AgentFolder
    config: AgentConfig
    busy: Busy = field(default_factory=Busy, init=False)
    _spec: ExperimentSpec | None = field(default=None, init=False)
    _waiting_since: dict[tuple[object, ...], float] = field(default_factory=dict, init=False)

    @property
    def name(self) -> str:
        """The learner's account, for the log."""
        return str(self.ledger.account)

    def schema(self) -> WeightsSchema:
        """Return what weights of the experiment look like.

        Raises:
            ContentUnavailable, ContentTooLarge, ContentMismatch, SpecError: the experiment's
                specification can not be had or read.
        """
        if self._spec is None:
            wanted = self.ledger.experiment(self.experiment).params.spec
            spec = ExperimentSpec.read(self.store, wanted, timeout=self.config.fetch_timeout)
            self.store.pin(wanted)  # it is read again at every start
            self._spec = spec
        return self._spec.schema

    def fetch(self, content: ContentRef, timeout: float) -> bytes:
        """Get a file under the experiment's size limit; the store verifies every piece."""
        limit = self.schema().max_bytes
        with (
            self.busy.at(Work.FETCHING, content.size) as reached,
            self.store.get(content, max_size=limit, timeout=timeout) as pieces,
        ):
            return b"".join(_counted(pieces, reached))

    def send(self, data: bytes, content: ContentRef) -> None:
        """Put a file into the store.

        Args:
            data: the file.
            content: its reference.

        Raises:
            ContentNotStored: the store does not take it.
        """
        with self.busy.at(Work.SENDING, len(data)) as reached:
            self.store.put(FileInPieces(data, content, reached))

    def weights_in(self, data: bytes) -> Weights:
        """Return the weights in a stranger's file as a learner takes them.

        Raises:
            WeightsError: they are not weights of this experiment, or contain a pickle.
        """
        decoded = decode_weights(data, schema=self.schema())
        check_no_pickle(decoded.weights)
        return Weights(weights=decoded.weights, training_summary=summary_from_json(decoded.summary))

    def waited_for(self, *what: object) -> float:
        """Return for how many seconds this was waited for, 0 at the first time of asking."""
        now = time.monotonic()
        return now - self._waiting_since.setdefault(what, now)


def _counted(pieces: Iterator[bytes], reached: Callable[[int], None]) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        done += len(piece)
        reached(done)
        yield piece


def said(error: Exception) -> str:
    """Return a learner's error as one says it in a reason."""
    return f"{type(error).__name__}: {error}"
