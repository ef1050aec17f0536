"""A voter adopts tested weights from its own folder, and keeps only the round's proposals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from colearn_learner.agent.errors import FolderNotWritable
from colearn_learner.agent.loop import Agent
from colearn_learner.agent.observation import Action
from colearn_learner.agent.weights_cache import WeightsCache
from colearn_ledger.protocol import ContentRef, Outcome
from colearn_ledger.weights.store import ContentUnavailable
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_ledger.weights.stores.layered import LayeredStore
from colearn_ledger.weights.stores.layers import Layer, Role
from colearn_ledger.weights.unixfs import content_of
from tests.support.toyworld import TowardsTarget, World

DATA = b"weights" * 1_000
CONTENT = content_of(DATA)


class CountingStore:
    """A store that counts fetches, and delivers nothing once it is `lost`."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self.fetched: Counter[str] = Counter()
        self.lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def has(self, content: ContentRef) -> bool:
        return not self.lost and self._target.has(content)

    def get(self, content: ContentRef, **how: Any) -> Any:
        if self.lost:
            raise ContentUnavailable("the node is down")
        self.fetched[content.cid] += 1
        return self._target.get(content, **how)

    def read(self, content: ContentRef, *where: int, **how: Any) -> Any:
        self.fetched[content.cid] += 1
        return self._target.read(content, *where, **how)


def find_tested_files(w: World, index: int) -> list[Path]:
    return list((w.folder / f"agent-{index}" / "weights").glob("*/*.safetensors"))


def step_until_voted(w: World, agents: list[Agent], voter: Agent) -> None:
    """Step the agents until the voter has voted on round 0, and the other one has not."""
    for _ in range(20):
        agents[0].step()
        if voter.step() == Action.VOTED:
            return
    raise TimeoutError("the voter did not vote")


@pytest.mark.parametrize("reveal_window", [0, 100], ids=["open", "secret"])
def test_voter_fetches_each_proposal_once(world, reveal_window: int):
    w = world([TowardsTarget(4), TowardsTarget(5), TowardsTarget(-9)], reveal_window=reveal_window)
    stores = [CountingStore(w.store(i)) for i in range(3)]
    w.drive([w.agent(i, store=store) for i, store in enumerate(stores)])
    others = [r for r in w.rounds() if r.slots[0].proposer != w.wallets[1].address]
    voted_on = [r.contents[0].cid for r in others]
    accepted = [r for r in w.rounds() if r.outcome == Outcome.ACCEPTED]
    assert 0 < len(accepted) < len(w.rounds())
    assert [stores[1].fetched[cid] for cid in voted_on] == [1] * len(voted_on)


def test_agent_with_two_stores_fetches_no_weights_twice(world, tmp_path: Path):
    """The folder lacks what the node delivers; it gets the agent's copy."""
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=2)
    folder, node = DirectoryStore(tmp_path / "folder"), CountingStore(w.store(1))
    layers = [Layer("folder", folder, Role.FOLDER), Layer("node", node, Role.NODE)]
    w.drive([w.agent(0), w.agent(1, store=LayeredStore(layers))])
    first, second = w.accepted()
    initial = w.ledger.experiment(w.experiment).params.initial
    assert [node.fetched[content.cid] for content in (initial, first, second)] == [1, 1, 0]
    assert folder.pinned(first)
    assert folder.pinned(second)


def test_tested_copy_is_adopted_and_restored_to_the_store_that_lost_it(world):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=1)
    store = CountingStore(w.store(1))
    agents = [w.agent(0), w.agent(1, store=store)]
    step_until_voted(w, agents, agents[1])
    content = w.rounds()[0].contents[0]
    [kept] = (w.folder / "store" / "files").glob(f"*/{content.cid}")
    kept.unlink()
    store.lost = True
    assert agents[1].step() == Action.ADOPTED
    assert w.store(0).has(content)
    assert w.store(1).pinned(content)
    assert w.learners[1].weights[0].tolist() == [1.0] * 3


def test_restarted_agent_adopts_the_tested_copy_without_fetching(world):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=1)
    agents = [w.agent(0), w.agent(1)]
    step_until_voted(w, agents, agents[1])
    agents[1].close()
    store = CountingStore(w.store(1))
    with w.agent(1, store=store) as again:
        assert again.step() == Action.ADOPTED
    assert store.fetched[w.rounds()[0].contents[0].cid] == 0


def test_damaged_copy_is_fetched_again(world):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=1)
    store = CountingStore(w.store(1))
    agents = [w.agent(0), w.agent(1, store=store)]
    step_until_voted(w, agents, agents[1])
    [copy] = find_tested_files(w, 1)
    copy.write_bytes(copy.read_bytes()[:-1] + b"!")
    assert agents[1].step() == Action.ADOPTED
    assert store.fetched[w.rounds()[0].contents[0].cid] == 2
    assert w.learners[1].weights[0].tolist() == [1.0] * 3


def test_tested_proposal_is_kept_until_its_round_ends(world):
    w = world([TowardsTarget(4), TowardsTarget(5), TowardsTarget(-9)])
    agents, seen = w.agents(), []
    agents[1].on_observation(lambda _: seen.append(len(find_tested_files(w, 1))))
    w.drive(agents)
    assert set(seen) == {0, 1}
    assert [find_tested_files(w, i) for i in range(3)] == [[], [], []]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make writes of weights fail in folders whose paths end with this."""
    replace, full = Path.replace, set()

    def refuse(path: Path, target: Path) -> Any:
        folder, suffix = str(Path(target).parent), Path(target).suffix
        if suffix == ".safetensors" and any(folder.endswith(end) for end in full):
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    return full.add


def test_full_disk_does_not_stop_a_voter(world, full_disk, caplog):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=2)
    agents = w.agents()
    for _ in range(2):
        for agent in agents:
            agent.step()
    full_disk("agent-1/weights/0")
    w.drive(agents)
    assert [r.outcome for r in w.rounds()] == [Outcome.REJECTED, Outcome.ACCEPTED]
    assert not any(r.by_deadline for r in w.rounds())
    assert "its local copy could not be written: No space left on device" in caplog.text
    assert not list(w.folder.glob("agent-*/weights/**/*.part"))


class TestWeightsCache:
    @pytest.fixture
    def cache(self, tmp_path: Path) -> WeightsCache:
        return WeightsCache(tmp_path / "weights")

    def test_proposals_are_kept_until_their_round_is_over(self, cache: WeightsCache):
        other = content_of(b"other")
        assert cache.save_proposal(4, [DATA]) == CONTENT
        assert cache.save_proposal(4, [b"oth", b"er"]) == other
        cache.remove_proposals(except_round=4)
        assert cache.load_proposal(4, CONTENT) == DATA
        assert cache.load_proposal(4, other) == b"other"
        assert (cache.load_proposal(5, CONTENT), cache.load(CONTENT)) == (None, None)
        cache.remove_proposals(except_round=40)
        assert cache.load_proposal(4, other) is None

    def test_removing_leftovers_keeps_proposals(self, cache: WeightsCache, tmp_path: Path):
        cache.save(CONTENT, DATA)
        cache.save_proposal(1, [DATA])
        for leftover in ("killed.part", "1/killed.part"):
            (tmp_path / "weights" / leftover).write_bytes(b"half")
        cache.remove_all_except([])
        assert (cache.load(CONTENT), cache.load_proposal(1, CONTENT)) == (None, DATA)
        assert len(list((tmp_path / "weights").rglob("*"))) == 2

    def test_begun_files_survive_a_restart_but_not_their_round(
        self, cache: WeightsCache, tmp_path: Path
    ):
        begun = cache.open_round(1) / "begun.partial"
        begun.write_bytes(b"half")
        again = WeightsCache(tmp_path / "weights")
        again.remove_all_except([])
        assert begun.exists()
        again.remove_proposals(except_round=2)
        assert not begun.exists()

    def test_unwritable_folder_is_reported(self, cache: WeightsCache, full_disk, tmp_path: Path):
        full_disk("/weights")
        full_disk("/1")
        for act in (
            lambda: cache.save(CONTENT, DATA),
            lambda: cache.save_proposal(1, [DATA]),
        ):
            with pytest.raises(FolderNotWritable, match="No space left on device"):
                act()
