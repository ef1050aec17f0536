"""The attacks of the benches."""

from __future__ import annotations

import numpy as np
import pytest

from bench.attacks import ATTACKS, Scene, fill_ballots, propose
from bench.networks import Network
from colearn_learner.agent.screening import measure_reach
from colearn_ledger.weights.comparison import hash_tensors

NETWORK = Network(4, 8, 3)
SIZE = sum(int(np.prod(shape)) for shape in NETWORK.shapes.values())
CROOKS = [1, 4]


@pytest.fixture
def scene() -> Scene:
    rng = np.random.default_rng(2)
    current = rng.standard_normal(SIZE)
    trained = current + 0.5 * rng.standard_normal(SIZE) + 0.3 * rng.standard_normal((6, SIZE))
    return Scene(NETWORK, current, trained, CROOKS, rng)


@pytest.mark.parametrize("attack", ATTACKS)
def test_screening_objects_to_no_attack(scene, attack):
    proposals = propose(attack, scene)
    distances = np.linalg.norm(proposals - scene.current, axis=1)
    assert max(measure_reach(dict(enumerate(distances.tolist()))).values()) <= 5.0
    hashes = {hash_tensors(NETWORK.to_tree(row)) for row in proposals}
    assert len(hashes) == len(proposals)
    others = [slot for slot in range(6) if slot not in CROOKS]
    assert (proposals[others] == scene.trained[others]).all()


def test_permuted_network_has_the_same_outputs_and_a_useless_mean(scene):
    inputs = np.random.default_rng(3).standard_normal((20, 4))
    changed, own = propose("permuted", scene)[1], scene.trained[1]
    outputs = NETWORK.compute_outputs(np.array([own, changed, (own + changed) / 2]), inputs)
    assert np.abs(outputs[0] - outputs[1]).max() < 1e-4
    assert np.abs(outputs[0] - outputs[2]).max() > 0.1
    assert np.abs(own - changed).max() > 0.1


def test_directions_and_lengths(scene):
    def find_step(attack: str) -> np.ndarray:
        return propose(attack, scene)[1] - scene.current

    own, honest = scene.trained[1] - scene.current, scene.honest.mean(axis=0) - scene.current
    assert find_step("reversed") == pytest.approx(-own, abs=1e-4)
    reach = 4.5 * scene.median
    assert find_step("scaled") == pytest.approx(reach * own / np.linalg.norm(own), abs=1e-4)
    far = -reach * honest / np.linalg.norm(honest)
    assert find_step("reversed-far") == pytest.approx(far, abs=1e-4)
    assert np.linalg.norm(find_step("noise")) == pytest.approx(reach, rel=1e-4)
    assert np.abs(find_step("copy-current")).max() < 1e-4
    little = scene.honest.mean(axis=0) - scene.honest.std(axis=0) - scene.current
    assert find_step("a-little") == pytest.approx(little, abs=1e-4)


@pytest.mark.parametrize(
    ("attack", "row"),
    [("noise", [0, 1, 0, 0, 1, 0]), ("always-yes", [1] * 6), ("always-no", [0] * 6)],
)
def test_dishonest_ballots(attack, row):
    approvals = np.eye(6, dtype=bool)
    fill_ballots(attack, approvals, CROOKS)
    assert approvals[1].tolist() == approvals[4].tolist() == [bool(each) for each in row]
    assert approvals[0].tolist() == [True, *[False] * 5]
