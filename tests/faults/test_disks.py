"""Agents whose disk is full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.faults.disk import SmallDisk, can_mount, mount_small_disk
from tests.support.faults.harness import World


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if not can_mount():
        pytest.skip("mounting a file system needs root")
    with mount_small_disk(tmp_path / "disk", 1_000_000) as disk:
        yield disk


def test_proposer_and_voter_with_a_full_disk_wait_until_there_is_space(
    disk: SmallDisk, world: Callable[..., World]
):
    w = world("alice", "bob", "carol", rounds=2)
    alice, bob = w.agent("alice"), w.agent("bob")
    for agent in (alice, bob):
        agent.data_dir = disk.path / agent.name
    bob.hold("before-testing")
    w.start()
    bob.wait_until_stopped_at("before-testing")
    disk.fill()
    bob.release("before-testing")
    for agent in (alice, bob):  # they cannot keep a copy of the accepted weights
        agent.wait_log("No space left on device; free disk space", times=3)
    disk.free()
    w.final_check()
    assert w.reader.outcomes() == ["accepted"] * 2
    assert [len(agent.calls("before-training")) for agent in (alice, bob)] == [1, 1]
