"""Inspect the proposals of a round before they are tested."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from colearn_learner.agent.adopt import WeightsAdopter
from colearn_learner.agent.context import AgentContext
from colearn_learner.agent.folder import TrainedProposal
from colearn_ledger.protocol import ContentRef, Round
from colearn_ledger.weights.codec import DecodedWeights
from colearn_ledger.weights.comparison import hash_tensors, measure_distance
from colearn_ledger.weights.errors import TruncatedWeights, WeightsError, WrongBase

_LEAST_FOR_MEDIAN = 3
"""Smallest number of usable proposals whose median distance is meaningful."""


@dataclass(slots=True)
class Proposal:
    """A proposal of the round, and what is wrong with it.

    Args:
        slot: its slot.
        label: its name in messages.
        content: its reference.
        context: the agent's context.
        round: index of the round.
        is_own: whether this account proposed it.
        own: its record in the journal, if this agent trained it.
        defect: why it cannot be tested, or ``None``.
        objection: why it is not approved whatever its scores are, or ``None``.
        reach: its distance from the current weights, in units of the median distance.
    """

    slot: int
    label: str
    content: ContentRef
    context: AgentContext
    round: int
    is_own: bool = False
    own: TrainedProposal | None = None
    defect: str | None = None
    objection: str | None = None
    reach: float = 1.0
    _decoded: DecodedWeights | None = field(default=None, init=False, repr=False)

    @property
    def is_sound(self) -> bool:
        """Return whether nothing is wrong with the proposal."""
        return self.defect is None and self.objection is None

    @property
    def can_be_approved(self) -> bool:
        """Return whether the scores alone decide about the proposal."""
        return not self.is_own and self.is_sound

    def load(self) -> DecodedWeights:
        """Return the decoded local copy; not for learners, which may change what they get.

        Raises:
            WeightsError: the file is defective, or the copy was removed or damaged.
        """
        if self._decoded is None:
            self._decoded = self.decode()
        return self._decoded

    def decode(self) -> DecodedWeights:
        """Read and decode the local copy again.

        Raises:
            WeightsError: the file is defective, or the copy was removed or damaged.
        """
        data = self.context.folder.cache.load_proposal(self.round, self.content)
        if data is None:
            raise TruncatedWeights("its local copy was removed or damaged")
        return self.context.decode(data)


def find_defects(
    context: AgentContext, adopter: WeightsAdopter, round_: Round, proposals: Sequence[Proposal]
) -> None:
    """Set the defects of proposals, and the objections to copies and to distant ones."""
    distances: dict[int, float] = {}
    seen: dict[bytes, Proposal] = {}
    current = adopter.load_current() if len(round_.slots) > 1 else None
    for each in proposals:
        if each.defect is not None:
            continue
        try:
            decoded = each.load()
            _check_base(decoded, adopter.base)
            tensors = hash_tensors(decoded.weights)
        except WeightsError as error:
            each.defect = f"{each.label} is not usable: {error}"
            continue
        first = seen.setdefault(tensors, each)
        if first is not each:
            each.objection = f"{each.label} has the same tensors as {first.label}"
        elif current is not None:
            distances[each.slot] = measure_distance(decoded.weights, current.weights)
    reach = measure_reach(distances)
    for each in proposals:
        if each.slot not in reach:
            continue
        each.reach = reach[each.slot]
        if not each.reach <= context.spec.max_distance:
            each.objection = (
                f"{each.label} is {distances[each.slot]:.4g} away from the current weights, more "
                f"than {context.spec.max_distance:g} times the median distance"
            )


def measure_reach(distances: Mapping[int, float]) -> dict[int, float]:
    """Return distances from the current weights in units of their median.

    They mean nothing if there are fewer than three; then none is returned. A distance of 0, which
    weights without floating tensors have, stays 0. NaN stands for what cannot be compared.
    """
    if len(distances) < _LEAST_FOR_MEDIAN:
        return {}
    median = statistics.median(distances.values())
    with np.errstate(all="ignore"):
        return {
            slot: float(np.divide(each, median)) if each else 0.0
            for slot, each in distances.items()
        }


def _check_base(decoded: DecodedWeights, base: str | None) -> None:
    if decoded.base != base:
        raise WrongBase(
            f"it was trained from {decoded.base or 'nothing'}, but the current weights are "
            f"{base or 'none'}"
        )
