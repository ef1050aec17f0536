"""A play with people who also try what the rules refuse."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

from colearn_ledger.chains.errors import TransactionFailed
from colearn_ledger.protocol import (
    Admission,
    Phase,
    ProtocolError,
    Scores,
    Vote,
)
from tests.support.frauds.plays import PEOPLE, Play
from tests.support.samples import ANYONE


class CheatingPlay(Play):
    """A play in which somebody tries to cheat at each step; honest contracts refuse all of it."""

    def interfere(self, index: int) -> None:
        """Try whatever the phase's rules forbid."""
        world = self._world
        round_, params = world.round(index), world.experiment().params
        tries: list[tuple[str, str, tuple[Any, ...]]] = [(ANYONE, "advance", ())]
        random = Random(index)  # not the play's own: the honest decisions stay the same
        tries.append((ANYONE, "remove", (world.account(random.choice(PEOPLE[:4])),)))
        if params.admission == Admission.ALLOWLIST:
            tries.append(("late", "join", (world.experiment().hash, bytes(32))))
        proposer = world.proposers(index)[0]
        current = world.current_weights()
        if round_.phase == Phase.PROPOSING and len(current) == 1:
            tries.append((proposer, "propose", (index, current[0], Scores())))
        if round_.phase == Phase.VOTING and round_.proposals is not None:
            scores = (Scores(),) * (1 + len(round_.contents))
            own = world.proposers(index)[max(round_.contents)]
            bits = 1 << max(round_.contents)
            tries.append((own, "vote", (index, round_.proposals, Vote(bits, scores))))
        if round_.phase == Phase.REVEALING:
            scores = (Scores(),) * (1 + len(round_.contents))
            name = random.choice(PEOPLE[:4])
            tries.append((name, "reveal", (index, Vote(0, scores), bytes(32))))
        for name, call, arguments in tries:
            with suppress(ProtocolError, TransactionFailed):
                world.do(name, call, *arguments)
        is_open = world.round(index).phase == Phase.VOTING and not params.reveal_window
        if is_open and index % 2:
            self._vote_late(index)

    def _vote_late(self, index: int) -> None:
        """Vote after the deadline, and let the vote close."""
        world = self._world
        proposals = world.round(index).proposals
        world.pass_deadline()
        for name in PEOPLE[:4]:
            with suppress(ProtocolError, TransactionFailed):
                world.do(name, "vote", index, proposals, world.make_vote(name))
        if world.round(index).phase == Phase.VOTING:
            world.advance()
