"""Attacks of dishonest learners on a round in which all learners propose.

The attackers know everything: the honest proposals, which real ones are shown only after all have
been made, and the limit on distances. They stay within a `REACH` of that limit, a multiple of the
honest proposals' median distance from the current weights. They also differ from each other in the
last digits, so that they are not taken for copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.networks import Network, Rows

REACH = 0.9
"""Distance of the strongest attacks, as a share of the largest allowed distance."""

_ALIKE = 1e-6
"""Size of the differences between attackers, relative to the median distance."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the attackers know when they propose.

    Args:
        network: the network of all learners.
        current: the current weights.
        trained: what each learner's training made, shape (learners, parameters).
        dishonest: the attackers.
        random: their source of randomness.
        max_distance: the largest allowed distance, in median distances.
        progress: the share of the rounds that are over.
    """

    network: Network
    current: NDArray[np.float64]
    trained: Rows
    dishonest: Sequence[int]
    random: np.random.Generator
    max_distance: float = 5.0
    progress: float = 0.0

    @property
    def honest(self) -> Rows:
        """Return the honest proposals."""
        return np.delete(self.trained, self.dishonest, axis=0)

    @property
    def median(self) -> float:
        """Return the median distance of honest proposals from the current weights."""
        return float(np.median(np.linalg.norm(self.honest - self.current, axis=1)))

    @property
    def reach(self) -> float:
        """Return the distance of the strongest attacks."""
        return REACH * self.max_distance * self.median

    def draw_noise(self, length: float) -> NDArray[np.float64]:
        """Return a random vector of a length."""
        noise = self.random.standard_normal(self.current.shape)
        return np.asarray(length * noise / np.linalg.norm(noise))


Craft = Callable[[Scene, int], NDArray[np.float64]]
"""Returns what an attacker proposes."""


def _propose_trained(scene: Scene, attacker: int) -> NDArray[np.float64]:
    return np.asarray(scene.trained[attacker])


def _reverse(scene: Scene, attacker: int) -> NDArray[np.float64]:
    return np.asarray(2 * scene.current - scene.trained[attacker])


def _sleep(scene: Scene, attacker: int) -> NDArray[np.float64]:
    """Propose honestly in the first half of the rounds, and reverse the steps afterwards."""
    act = _propose_trained if scene.progress < 0.5 else _reverse
    return act(scene, attacker)


def _reverse_far(scene: Scene, attacker: int) -> NDArray[np.float64]:
    """Step against the honest mean, as far as the limit on distances allows."""
    step = scene.honest.mean(axis=0) - scene.current
    return np.asarray(scene.current - scene.reach * step / np.linalg.norm(step))


def _scale(scene: Scene, attacker: int) -> NDArray[np.float64]:
    step = scene.trained[attacker] - scene.current
    return np.asarray(scene.current + scene.reach * step / np.linalg.norm(step))


def _add_noise(scene: Scene, attacker: int) -> NDArray[np.float64]:
    return np.asarray(scene.current + scene.draw_noise(scene.reach))


def _stay_a_little_below(scene: Scene, attacker: int) -> NDArray[np.float64]:
    """Propose the mean of the honest minus their standard deviation, in each coordinate.

    Source: Baruch et al., A little is enough (NeurIPS 2019).
    """
    return np.asarray(scene.honest.mean(axis=0) - scene.honest.std(axis=0))


def _permute(scene: Scene, attacker: int) -> NDArray[np.float64]:
    """Permute and rescale as many hidden units as the limit on distances allows.

    The outputs stay those of the attacker's training. Neighbours in a cycle change places, so that
    each further unit adds to the distance.
    """
    own = scene.trained[attacker]
    units = scene.random.permutation(scene.network.hidden)
    best = own
    for count in range(2, len(units) + 1):
        changed = own.copy()
        arrays = {name: a[0] for name, a in scene.network.take_arrays(changed[None]).items()}
        places, sources = units[:count], np.roll(units[:count], 1)
        arrays["coefs_0"][:, places] = 1.25 * arrays["coefs_0"][:, sources]
        arrays["intercepts_0"][places] = 1.25 * arrays["intercepts_0"][sources]
        arrays["coefs_1"][places] = arrays["coefs_1"][sources] / 1.25
        if np.linalg.norm(changed - scene.current) > scene.reach:
            break
        best = changed
    return np.asarray(best)


def _copy_current(scene: Scene, attacker: int) -> NDArray[np.float64]:
    return scene.current


def _copy_other(scene: Scene, attacker: int) -> NDArray[np.float64]:
    return np.asarray(scene.honest[0])


ATTACKS: dict[str, Craft] = {
    "reversed": _reverse,
    "reversed-far": _reverse_far,
    "sleeper": _sleep,
    "labels": _propose_trained,  # their training had flipped labels
    "scaled": _scale,
    "noise": _add_noise,
    "a-little": _stay_a_little_below,
    "permuted": _permute,
    "copy-current": _copy_current,
    "copy-other": _copy_other,
    "always-yes": _propose_trained,
    "always-no": _propose_trained,
}
"""The attacks by name."""

BALLOT_ATTACKS = ("always-yes", "always-no")
"""The attacks in which only the ballots are dishonest."""


def propose(attack: str, scene: Scene) -> Rows:
    """Return the proposals of all learners, those of the dishonest replaced by attacks."""
    proposals = scene.trained.copy()
    for attacker in scene.dishonest:
        proposal = ATTACKS[attack](scene, attacker)
        if attack not in ("labels", *BALLOT_ATTACKS):
            proposal = proposal + scene.draw_noise(_ALIKE * scene.median)
        proposals[attacker] = proposal
    return proposals


def fill_ballots(attack: str, approvals: NDArray[np.bool_], dishonest: Sequence[int]) -> None:
    """Replace the ballots of the dishonest, in place: they approve each other and nobody else.

    Args:
        attack: the attack; `always-yes` and `always-no` vote as they are called.
        approvals: whether a learner (row) approves a proposal (column).
        dishonest: the attackers.
    """
    for attacker in dishonest:
        approvals[attacker] = attack == "always-yes"
        if attack not in BALLOT_ATTACKS:
            approvals[attacker, list(dishonest)] = True
