"""Play honest experiments of all shapes, with decisions drawn from a seed.

The files exist: a play stores its specification, and weights for every proposal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from colearn_ledger.protocol import (
    Account,
    Admission,
    ContentRef,
    ExperimentId,
    Merge,
    Outcome,
    Phase,
    Scores,
    Selection,
    SignedBallot,
    Status,
    Vote,
)
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.announced import TOPIC
from colearn_ledger.weights.codec import encode_weights, write_weights
from colearn_ledger.weights.fetching import fetch_files, file_name
from colearn_ledger.weights.merge import AcceptedFile, merge_files
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.store import ContentStore
from tests.support.samples import ANYONE, CREATOR
from tests.support.world import World

PEOPLE = ("ana", "bob", "cy", "dan", "eve", "late")
START = [np.zeros(3)]
SCHEMA = WeightsSchema.of(START)
_MOST_STEPS = 40
"""Number of steps after which a play, which has four rounds, does not end."""


@dataclass(frozen=True)
class Shape:
    """How an experiment is played.

    Args:
        params: its parameters.
        learners: the number of people that join before the start.
        ballots: ``cast``, or ``signed`` for batches that one account submits.
        absence: how likely somebody misses a duty, so that a deadline has to pass.
        declines: how likely a proposer declines.
        moves: whether learners leave and others join while it runs.
        cancelled_in: the round in which the creator cancels, during the vote if it is odd.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    learners: int = 4
    ballots: str = "cast"
    absence: float = 0.0
    declines: float = 0.0
    moves: bool = False
    cancelled_in: int | None = None

    @property
    def waits(self) -> bool:
        """Return whether a deadline may have to pass."""
        return bool(self.absence)


SHAPES: dict[str, Shape] = {
    "open": Shape(),
    "secret": Shape({"reveal_window": 1}),
    "random": Shape({"selection": Selection.RANDOM}, declines=0.2),
    "secret and random": Shape({"reveal_window": 1, "selection": Selection.RANDOM}),
    "plural": Shape({"proposers": 3}, declines=0.2),
    "plural, secret and random": Shape(
        {"proposers": 2, "reveal_window": 1, "selection": Selection.RANDOM}
    ),
    "best": Shape({"proposers": 3, "merge": Merge.BEST}, learners=5),
    "signed": Shape(ballots="signed"),
    "plural and signed": Shape({"proposers": 2}, learners=5, ballots="signed"),
    "settled early": Shape({"proposers": 2, "settle_early": True, "approval_bps": 2_500}),
    "without initial weights": Shape({"initial": None}),
    "allowlist": Shape({"admission": Admission.ALLOWLIST, "late_join": True}, moves=True),
    "moves": Shape({"late_join": True, "selection": Selection.RANDOM}, moves=True, declines=0.2),
    "cancelled": Shape(cancelled_in=2),
    "cancelled in a vote": Shape({"proposers": 2}, cancelled_in=1),
    "absences": Shape({"max_strikes": 2}, absence=0.25),
    "secret with absences": Shape(
        {"reveal_window": 1, "proposers": 2, "late_join": True}, absence=0.2, moves=True
    ),
    "patience": Shape({"approval_bps": 10_000, "patience": 2}, absence=0.2),
}
"""A ``reveal_window`` of 1 stands for the world's window."""


class Play:
    """One experiment, from its creation to its end.

    Args:
        world: the people and their ledger.
        store: the store for the files.
        random: the source of all decisions.
        shape: the shape of the experiment.
    """

    def __init__(self, world: World, store: ContentStore, random: Random, shape: Shape) -> None:
        self._world = world
        self._store = store
        self._random = random
        self._shape = shape
        self._current: ContentRef | None = None
        self._names: dict[Account, str] = {}
        self._waiting = list(PEOPLE[shape.learners :])

    def run(self) -> ExperimentId:
        """Play the experiment to its end and return its id."""
        self.begin()
        for _ in range(_MOST_STEPS):
            if self._world.experiment().status != Status.RUNNING:
                return self._world.id
            self.play_round()
        raise LookupError(f"experiment {self._world.id} did not end")

    def begin(self) -> None:
        """Create the experiment, let people join it, and start it."""
        world, shape = self._world, self._shape
        spec = ExperimentSpec("play", SCHEMA, "score", higher_is_better=True)
        terms: dict[str, Any] = {
            "spec": spec.put(self._store),
            "initial": write_weights(self._store, START),
            "rounds": 4,
            "max_learners": len(PEOPLE),
            **shape.params,
        }
        if "reveal_window" in terms:
            terms["reveal_window"] = world.window
        self._current = terms["initial"]
        world.create(**terms)
        self._names = {world.account(name): name for name in PEOPLE}
        joining = PEOPLE[: shape.learners]
        if shape.params.get("admission") == Admission.ALLOWLIST:
            world.admit(*joining)
        for name in joining:
            world.join(name, self._random.randbytes(32))
        world.start()

    def play_round(self) -> None:
        """Play the current round until it is closed."""
        world, index = self._world, self._world.current_index()
        if self._shape.moves:
            self._let_people_move()
            if not self._is_in(index, Phase.PROPOSING):
                return
        if self._shape.cancelled_in == index and index % 2 == 0:
            world.cancel()
            return
        self.interfere(index)
        self._propose(index)
        if self._is_in(index, Phase.PROPOSING):
            world.end_phase()
        if self._shape.cancelled_in == index and self._is_in(index, Phase.VOTING):
            world.cancel()
        self.interfere(index)
        if self._is_in(index, Phase.VOTING):
            self._vote(index)
        self._follow(index)

    def interfere(self, index: int) -> None:
        """Do something else in the round that may begin, vote, reveal or close."""

    def _is_in(self, index: int, phase: Phase) -> bool:
        """Return whether a round is in a phase."""
        return self._world.round(index).phase == phase

    def _is_absent(self) -> bool:
        return self._random.random() < self._shape.absence

    # ------------------------------------------------------------------ learners

    def _let_people_move(self) -> None:
        world, random = self._world, self._random
        if self._waiting and random.random() < 0.6:
            name = self._waiting.pop(0)
            if self._shape.params.get("admission") == Admission.ALLOWLIST:
                world.admit(name)
            world.join(name, random.randbytes(32))
        present = [each for each in world.view(ANYONE).learners(world.id) if each.active]
        if len(present) > 3 and random.random() < 0.4:
            world.leave(self._names[random.choice(present).account])

    # ------------------------------------------------------------------ proposals

    def _propose(self, index: int) -> None:
        world, random = self._world, self._random
        for name in world.proposers(index):
            if not self._is_in(index, Phase.PROPOSING) or self._is_absent():
                continue
            if world.round(index).slots[world.proposers(index).index(name)].content is not None:
                continue
            if name not in self._list_open(index):
                continue
            if random.random() < self._shape.declines:
                world.decline(name, index)
                continue
            weights = [np.array([random.random() for _ in range(3)])]
            base = self._current.sha256 if self._current else None
            content = self._store.put([encode_weights(weights, base=base)])
            world.do(name, "propose", index, content, self._draw_scores())

    def _list_open(self, index: int) -> list[str]:
        slots = self._world.round(index).slots
        return [self._names[slot.proposer] for slot in slots if slot.state.name == "OPEN"]

    def _draw_scores(self) -> Scores:
        random = self._random
        return Scores(random.random(), random.choice((None, random.random())))

    # ------------------------------------------------------------------ ballots

    def _vote(self, index: int) -> None:
        world = self._world
        rows = world.view(ANYONE).ballots(world.id, index)
        voters = [self._names[row.learner] for row in rows if row.eligible]
        self._random.shuffle(voters)
        votes = {name: self._draw_vote(name) for name in voters if not self._is_absent()}
        if world.experiment().params.reveal_window:
            self._vote_secretly(index, votes)
        elif self._shape.ballots == "signed":
            self._vote_signed(index, votes)
        else:
            basis = world.make_basis()
            for name, vote in votes.items():
                if self._is_in(index, Phase.VOTING):
                    world.do(name, "vote", index, basis.proposals, vote)
        if not self._is_in(index, Phase.CLOSED):
            world.end_phase()

    def _draw_vote(self, name: str) -> Vote:
        """Return a ballot that approves most proposals, with its own scores."""
        vote = self._world.make_vote(name)
        bits = [bit for bit in range(16) if vote.approvals >> bit & 1]
        approvals = sum(1 << bit for bit in bits if self._random.random() < 0.75)
        return Vote(approvals, tuple(self._draw_scores() for _ in vote.scores))

    def _vote_secretly(self, index: int, votes: Mapping[str, Vote]) -> None:
        from colearn_ledger.protocol import commitment_hash

        world, random = self._world, self._random
        basis, salts = world.make_basis(), {name: random.randbytes(32) for name in votes}
        for name, vote in votes.items():
            account, domain = world.account(name), world.view(ANYONE).domain
            hash_ = commitment_hash(domain, basis, account, vote, salts[name])
            world.do(name, "commit", index, basis.proposals, hash_)
        if self._is_in(index, Phase.VOTING):
            world.end_phase()
        self.interfere(index)
        for name, vote in votes.items():
            if self._is_in(index, Phase.REVEALING) and not self._is_absent():
                world.do(name, "reveal", index, vote, salts[name])

    def _vote_signed(self, index: int, votes: Mapping[str, Vote]) -> None:
        """Submit all ballots in two batches, the first with some that are skipped."""
        from colearn_ledger.keys.signing import sign_ballot
        from tests.support.samples import wallet_of

        world, random = self._world, self._random
        basis, domain = world.make_basis(), world.view(ANYONE).domain
        ballots = [sign_ballot(wallet_of(n), domain, basis, vote) for n, vote in votes.items()]
        cut = random.randrange(1, len(ballots))
        name = self._names[ballots[0].learner]
        approvals = world.make_vote(name).approvals ^ ballots[0].vote.approvals
        wrong = replace(ballots[0], vote=replace(ballots[0].vote, approvals=approvals))
        first = self._shuffle([wrong, *ballots[:cut], ballots[0]])
        world.do(ANYONE, "vote_signed", index, basis.proposals, first)
        world.do(CREATOR, "vote_signed", index, basis.proposals, ballots[cut:])

    def _shuffle(self, ballots: Sequence[SignedBallot]) -> list[SignedBallot]:
        return self._random.sample(list(ballots), len(ballots))

    # ------------------------------------------------------------------ current weights

    def _follow(self, index: int) -> None:
        """Compute the weights that a round made current, and let a learner announce a merge."""
        round_ = self._world.round(index)
        if round_.outcome != Outcome.ACCEPTED:
            return
        accepted = [slot.content for slot in round_.slots if slot.accepted and slot.content]
        if len(accepted) == 1:
            self._current = accepted[0]
            return
        with TemporaryDirectory() as name:
            folder = Path(name)
            fetch_files(self._store, accepted, folder, max_size=10_000)
            files = [AcceptedFile(each, folder / file_name(each)) for each in accepted]
            self._current = merge_files(files, folder / "mean", schema=SCHEMA, round_index=index)
        active = [e for e in self._world.view(ANYONE).learners(self._world.id) if e.active]
        name = self._names[self._random.choice(active).account]
        if self._world.experiment().status == Status.RUNNING:
            self._world.do(name, "announce", TOPIC, self._current)
