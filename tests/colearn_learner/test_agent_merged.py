"""Agents merge the accepted proposals of a round, and keep what others need for that."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from colearn_learner.agent.errors import AgentStopped
from colearn_learner.agent.folder import AgentFolder, DecidedBallot, MergedWeights
from colearn_learner.agent.observation import Action
from colearn_ledger.protocol import Announced, ContentRef, Outcome, Scores, SlotState, Vote
from colearn_ledger.weights.errors import SubnormalsFlushed
from colearn_ledger.weights.store import ContentUnavailable
from colearn_ledger.weights.unixfs import content_of
from tests.support.plural_agents import (
    LossyStore,
    make_file,
    make_learners,
    propose_by_hand,
    step_until,
)
from tests.support.toyworld import TowardsTarget, World


class PinCheckingLedger:
    """A ledger view of a voter that checks that approved proposals are pinned first."""

    def __init__(self, w: World, index: int) -> None:
        self._w, self._index = w, index
        self.pinned: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._w.views[self._index], name)

    def vote(self, experiment: Any, index: int, proposals: bytes, vote: Vote) -> Any:
        contents = self._w.rounds()[index].contents
        self.pinned = {c.cid for slot, c in contents.items() if vote.approves(slot)}
        assert self.pinned <= self._w.pins(self._index)
        return self._w.views[self._index].vote(experiment, index, proposals, vote)


def test_approved_proposals_are_pinned_from_the_vote_until_they_are_merged(world):
    w = world(make_learners(4, 5, 6), rounds=1, proposers=2)
    ledger = PinCheckingLedger(w, 2)
    w.drive([w.agent(0), w.agent(1), w.agent(2, ledger=ledger)])
    assert len(ledger.pinned) == 2
    experiment = w.ledger.experiment(w.experiment)
    [merged] = [line["content"][0] for line in w.journal(2) if line["kind"] == "merged"]
    params = experiment.params
    assert w.pins(2) == {params.spec.cid, params.initial.cid, merged}
    own = experiment.current[0].cid  # whoever merges later still needs it
    assert w.pins(0) == {params.spec.cid, params.initial.cid, merged, own}


def test_proposals_are_unpinned_once_they_are_superseded(world):
    w = world(make_learners(4, 5, 6), rounds=4, proposers=2)
    w.drive(w.agents(keep_accepted=1))
    experiment = w.ledger.experiment(w.experiment)
    [merged] = [x["content"][0] for x in w.journal(0) if x["kind"] == "merged" and x["round"] == 3]
    sources = {content.cid for content in experiment.current}
    for index in range(3):
        own = {
            c.cid
            for s in w.rounds()[3].slots
            if s.proposer == w.wallets[index].address
            for c in [s.content]
            if c
        }
        assert w.pins(index) == {experiment.params.spec.cid, merged, *(own & sources)}
        assert {path.name for path in (w.folder / f"agent-{index}" / "weights").iterdir()} == {
            f"{x['content'][1]}.safetensors"
            for x in w.journal(index)
            if x["kind"] == "merged" and x["round"] == 3
        }


def accept_by_hand(w: World, *files: ContentRef) -> None:
    """Propose two files as the first two learners, who approve each other's."""
    agent = propose_by_hand(w, *files)
    agent.close()
    digest, scores = w.rounds()[0].proposals, (Scores(),) * 3
    w.views[0].vote(w.experiment, 0, digest, Vote(0b10, scores)).wait()
    w.views[1].vote(w.experiment, 0, digest, Vote(0b01, scores)).wait()
    w.views[2].vote(w.experiment, 0, digest, Vote(0, scores)).wait()
    assert len(w.ledger.experiment(w.experiment).current) == 2


def test_missing_accepted_file_is_named_and_awaited(world, caplog):
    w = world(make_learners(4, 5, 6), rounds=2, proposers=2)
    files = [make_file(w, [1.0] * 3), make_file(w, [2.0] * 3)]
    accept_by_hand(w, *files)
    store = LossyStore(w.store(2))
    store.lost.add(files[1].cid)
    with w.agent(2, store=store) as agent:
        assert [agent.step() for _ in range(3)] == [Action.WAITED] * 3
        assert "1 of the 2 accepted files that make up the current weights" in caplog.text
        assert files[1].cid in caplog.text
        assert files[0].cid in w.pins(2)  # so that it does not vanish in the meantime
        store.lost.clear()
        assert agent.step() == Action.ADOPTED
        assert w.learners[2].weights[0].tolist() == [1.5] * 3
        agent.step()
        assert files[0].cid not in w.pins(2)


@pytest.mark.parametrize("loss", ["nothing", "copy", "copy and sources", "copy and merged file"])
def test_restarted_agent_adopts_the_same_mean(world, loss: str):
    w = world(make_learners(4, 5, 6), rounds=2, proposers=2)
    files = [make_file(w, [1.0] * 3), make_file(w, [2.0] * 3)]
    accept_by_hand(w, *files)
    with w.agent(2) as agent:
        step_until(agent, Action.ADOPTED)
        agent.step()
    [line] = [x for x in w.journal(2) if x["kind"] == "merged"]
    store = LossyStore(w.store(2))
    if loss != "nothing":
        (w.folder / f"agent-2/weights/{line['content'][1]}.safetensors").unlink()
    if loss == "copy and sources":
        store.lost |= {content.cid for content in files}
    if loss == "copy and merged file":
        [path] = (w.folder / "store" / "files").rglob(line["content"][0])
        path.unlink()
    w.learners[2] = TowardsTarget(6)
    with w.agent(2, store=store) as agent:
        assert step_until(agent, Action.ADOPTED)
    assert w.learners[2].weights[0].tolist() == [1.5] * 3
    assert line["content"][0] in w.pins(2)
    assert w.store(2).has(ContentRef(*line["content"]))


def test_accepted_file_that_is_not_finite_is_left_out_of_the_mean(world, caplog):
    w = world(make_learners(4, 5, 6), rounds=2, proposers=2)
    accept_by_hand(w, make_file(w, [np.nan] * 3), make_file(w, [2.0] * 3))
    with w.agent(2) as agent:
        step_until(agent, Action.ADOPTED)
        assert step_until(agent, Action.PROPOSED)
    assert "is left out of the mean" in caplog.text
    assert w.learners[2].weights[0].tolist() == [2.0] * 3


def test_agent_declines_if_no_accepted_file_is_usable(world, caplog):
    w = world(make_learners(4, 5, 6), rounds=2, proposers=2)
    accept_by_hand(w, make_file(w, [np.nan] * 3), make_file(w, [np.inf] * 3))
    with w.agent(2) as agent:
        assert step_until(agent, Action.DECLINED)
    mine = next(s for s in w.rounds()[1].slots if s.proposer == w.wallets[2].address)
    assert mine.state == SlotState.DECLINED
    assert "none of the accepted weights can be used" in caplog.text


def find_announced(w: World) -> list[Announced]:
    """Return the announcements, once those that are being sent have arrived."""
    for thread in threading.enumerate():
        if thread.name == "announce":
            thread.join()
    events = [recorded.event for recorded in w.ledger.events(w.experiment)]
    return [event for event in events if isinstance(event, Announced)]


def find_merged(w: World, index: int) -> ContentRef:
    [line] = [x for x in w.journal(index) if x["kind"] == "merged"]
    return ContentRef(*line["content"])


def test_proposer_of_the_lowest_accepted_slot_announces_the_merged_file(world):
    w = world(make_learners(4, 5, 6), rounds=2, proposers=2)
    accept_by_hand(w, make_file(w, [1.0] * 3), make_file(w, [2.0] * 3))
    for index in range(3):
        with w.agent(index) as agent:
            step_until(agent, Action.ADOPTED)
    [announced] = find_announced(w)
    assert (announced.learner, announced.topic) == (w.wallets[0].address, "merge")
    assert announced.content == find_merged(w, 2)


def test_as_many_learners_as_must_approve_announce_the_last_merge(world):
    w = world(make_learners(4, 5, 6, 7, 8), rounds=1, proposers=2)
    w.drive(w.agents())
    assert w.rounds()[0].needed == 2
    announced = find_announced(w)
    assert len({each.learner for each in announced}) == len(announced) == 2
    assert {each.content for each in announced} == {find_merged(w, 4)}


def test_finished_agent_announces_only_what_it_approved_or_proposed(world):
    w = world(make_learners(4, 5, 6), rounds=1, proposers=2)
    accept_by_hand(w, make_file(w, [1.0] * 3), make_file(w, [2.0] * 3))
    for index in (2, 1, 1):
        with w.agent(index) as agent:
            step_until(agent, Action.DONE)
    # learner 2 approved nothing, and learner 1 was restarted
    assert [each.learner for each in find_announced(w)] == [w.wallets[1].address]


def test_agent_without_copies_adopts_the_announced_mean(world, caplog):
    w = world(make_learners(4, 5, 6, 7, 8), rounds=1, proposers=2)
    w.drive(w.agents())
    merged = find_merged(w, 4)
    store = LossyStore(w.store(4))
    store.lost.add(w.ledger.experiment(w.experiment).current[0].cid)
    with w.agent(4, folder=w.folder / "empty", store=store) as agent:
        assert step_until(agent, Action.ADOPTED, Action.DONE) == Action.ADOPTED
    assert f"adopting their mean {merged.cid}, announced by" in caplog.text
    assert merged.cid in w.pins(4)


def test_agent_does_not_attest_a_mean_that_it_only_fetched(world):
    w = world(make_learners(4, 5, 6), rounds=2, proposers=2)
    files = [make_file(w, [1.0] * 3), make_file(w, [2.0] * 3)]
    accept_by_hand(w, *files)
    with w.agent(2) as agent:
        step_until(agent, Action.ADOPTED)
    w.views[2].announce(w.experiment, "merge", find_merged(w, 2))
    store = LossyStore(w.store(0))
    store.lost.add(files[1].cid)
    with w.agent(0, store=store) as agent:
        step_until(agent, Action.ADOPTED)
    assert w.learners[0].weights[0].tolist() == [1.5] * 3
    assert [each.learner for each in find_announced(w)] == [w.wallets[2].address]


class CannotAnnounce:
    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        if name == "announce":
            raise ContentUnavailable("not today")
        return getattr(self._ledger, name)


def test_failing_announcement_does_not_stop_an_agent(world):
    w = world(make_learners(4, 5, 6), rounds=2, proposers=2)
    w.drive([w.agent(0, ledger=CannotAnnounce(w.views[0])), w.agent(1), w.agent(2)])
    assert [r.outcome for r in w.rounds()] == [Outcome.ACCEPTED] * 2


def test_agent_stops_if_its_process_cannot_merge(world, monkeypatch):
    def refuse(*_: Any, **__: Any) -> Any:
        raise SubnormalsFlushed("this thread flushes subnormal numbers to zero")

    w = world(make_learners(4, 5, 6), rounds=2, proposers=2)
    accept_by_hand(w, make_file(w, [1.0] * 3), make_file(w, [2.0] * 3))
    with monkeypatch.context() as patched:
        patched.setattr("colearn_learner.agent.adopt.merge_current", refuse)
        with w.agent(2) as agent, pytest.raises(AgentStopped, match="flushes subnormal"):
            agent.run()
    with w.agent(2) as agent:
        assert step_until(agent, Action.ADOPTED)


def test_journal_restores_ballots_pins_and_the_merge(tmp_path):
    content, other = content_of(b"one"), content_of(b"two")
    ballots = [
        DecidedBallot(3, digest * 32, Vote(0b101, (Scores(1.5), Scores())), salt, "why")
        for digest, salt in ((b"a", None), (b"b", b"s" * 32))
    ]
    with AgentFolder(tmp_path, "me") as folder:
        for ballot in ballots:
            folder.record_ballot(ballot)
        folder.record_pinned(3, [content])
        folder.record_pinned(3, [content, other])
        folder.record_pinned(2, [other])
        folder.record_unpinned(2)
        folder.record_merged(MergedWeights(3, (content, other), other))
    with AgentFolder(tmp_path, "me") as folder:
        assert [folder.ballot(3, ballot.proposals) for ballot in ballots] == ballots
        assert folder.ballot(3, b"c" * 32) is folder.ballot(4, b"a" * 32) is None
        assert (folder.has_ballot(3), folder.has_ballot(4)) == (True, False)
        assert folder.pinned() == {3: (content, other)}
        assert folder.merged(3, [content, other]) == other
        assert folder.merged(3, [other, content]) is folder.merged(2, [content, other]) is None
