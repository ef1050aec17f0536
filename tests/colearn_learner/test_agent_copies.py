"""A voter adopts tested weights from its own folder, and keeps at most one proposal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from colearn_learner.agent.loop import Action, Agent
from colearn_learner.agent.weights_cache import Copies, DamagedFolder
from colearn_ledger.protocol import ContentRef, Outcome
from colearn_ledger.weights.store import ContentUnavailable
from colearn_ledger.weights.unixfs import content_ref
from tests.support.toyworld import TowardsTarget, World

DATA = b"weights" * 1_000
CONTENT = content_ref([DATA])


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
            raise ContentUnavailable("its node is gone")
        self.fetched[content.cid] += 1
        return self._target.get(content, **how)


def kept_proposals(w: World, index: int) -> list[Path]:
    return list((w.folder / f"agent-{index}" / "weights").glob("*.tested"))


def until_voted(w: World, agents: list[Agent], voter: Agent) -> None:
    """Step the agents until the voter has voted on round 0, and the other one has not."""
    for _ in range(20):
        agents[0].step()
        if voter.step() == Action.VOTED:
            return
    raise TimeoutError("it does not vote")


@pytest.mark.parametrize("reveal_window", [0, 100], ids=["open", "secret"])
def test_a_voter_fetches_each_proposal_once(world, reveal_window: int):
    w = world([TowardsTarget(4), TowardsTarget(5), TowardsTarget(-9)], reveal_window=reveal_window)
    stores = [CountingStore(w.store(i)) for i in range(3)]
    w.drive([w.agent(i, store=store) for i, store in enumerate(stores)])
    voted_on = [r.content.cid for r in w.rounds() if r.proposer != w.wallets[1].address]
    accepted = [r for r in w.rounds() if r.outcome == Outcome.ACCEPTED]
    assert 0 < len(accepted) < len(w.rounds())
    assert [stores[1].fetched[cid] for cid in voted_on] == [1] * len(voted_on)


def test_what_was_tested_is_adopted_and_given_to_others_when_the_store_lost_it(world):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=1)
    store = CountingStore(w.store(1))
    agents = [w.agent(0), w.agent(1, store=store)]
    until_voted(w, agents, agents[1])
    content = w.rounds()[0].content
    [kept] = (w.folder / "store" / "files").glob(f"*/{content.cid}")
    kept.unlink()
    store.lost = True
    assert agents[1].step() == Action.ADOPTED
    assert w.store(0).has(content)
    assert w.store(1).pinned(content)
    assert w.learners[1].weights[0].tolist() == [1.0] * 3


def test_so_it_is_after_a_restart(world):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=1)
    agents = [w.agent(0), w.agent(1)]
    until_voted(w, agents, agents[1])
    agents[1].close()
    store = CountingStore(w.store(1))
    with w.agent(1, store=store) as again:
        assert again.step() == Action.ADOPTED
    assert store.fetched[w.rounds()[0].content.cid] == 0


def test_a_damaged_copy_is_fetched_again(world):
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=1)
    store = CountingStore(w.store(1))
    agents = [w.agent(0), w.agent(1, store=store)]
    until_voted(w, agents, agents[1])
    [copy] = kept_proposals(w, 1)
    copy.write_bytes(copy.read_bytes()[:-1] + b"!")
    assert agents[1].step() == Action.ADOPTED
    assert store.fetched[w.rounds()[0].content.cid] == 2
    assert w.learners[1].weights[0].tolist() == [1.0] * 3


def test_one_proposal_is_kept_at_most_and_none_when_its_round_is_over(world):
    w = world([TowardsTarget(4), TowardsTarget(5), TowardsTarget(-9)])
    agents, seen = w.agents(), []
    agents[1].on_observation(lambda _: seen.append(len(kept_proposals(w, 1))))
    w.drive(agents)
    assert set(seen) == {0, 1}
    assert [kept_proposals(w, i) for i in range(3)] == [[], [], []]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make writing of files with a suffix fail."""
    replace = Path.replace

    def refuse(suffix: str) -> None:
        def full(path: Path, target: Path) -> Any:
            if Path(target).suffix == suffix:
                raise OSError(28, "No space left on device")
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", full)

    return refuse


def test_a_disk_without_room_for_a_proposal_holds_no_voter_up(world, full_disk, caplog):
    full_disk(".tested")
    w = world([TowardsTarget(4), TowardsTarget(5)], rounds=2)
    w.drive(w.agents())
    assert [r.outcome for r in w.rounds()] == [Outcome.ACCEPTED] * 2
    assert "the proposal of round 0 is not kept: No space left on device" in caplog.text
    assert not list(w.folder.glob("agent-*/weights/*.part"))


class TestCopies:
    @pytest.fixture
    def copies(self, tmp_path: Path) -> Copies:
        return Copies(tmp_path / "weights")

    def test_what_was_tested_becomes_accepted_weights(self, copies: Copies, tmp_path: Path):
        copies.save_tested(3, CONTENT, DATA)
        assert (copies.load_tested(CONTENT), copies.load(CONTENT)) == (DATA, None)
        copies.accept_tested(CONTENT)
        assert (copies.load_tested(CONTENT), copies.load(CONTENT)) == (None, DATA)
        assert len(list((tmp_path / "weights").iterdir())) == 1

    def test_another_round_replaces_it(self, copies: Copies):
        other = content_ref([b"other"])
        copies.save_tested(3, CONTENT, DATA)
        copies.save_tested(4, other, b"other")
        assert (copies.load_tested(CONTENT), copies.load_tested(other)) == (None, b"other")
        copies.forget_tested(but_of=4)
        assert copies.load_tested(other) == b"other"
        copies.forget_tested(but_of=40)
        assert copies.load_tested(other) is None

    def test_it_outlives_the_removal_of_leftovers(self, copies: Copies, tmp_path: Path):
        copies.save(CONTENT, DATA)
        copies.save_tested(1, CONTENT, DATA)
        (tmp_path / "weights" / "killed.part").write_bytes(b"half")
        copies.remove_all_but([])
        assert (copies.load(CONTENT), copies.load_tested(CONTENT)) == (None, DATA)
        assert len(list((tmp_path / "weights").iterdir())) == 1

    def test_accepted_weights_that_can_not_be_written_are_told(self, copies: Copies, full_disk):
        full_disk(".safetensors")
        copies.save_tested(1, CONTENT, DATA)
        for act in (lambda: copies.save(CONTENT, DATA), lambda: copies.accept_tested(CONTENT)):
            with pytest.raises(DamagedFolder, match="No space left on device"):
                act()
