"""One play on an embedded chain, and an EVM node that lies about it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from functools import cached_property
from random import Random
from typing import Any, TypeVar

from eth_utils.abi import event_abi_to_log_topic

from tests.support.evm_world import FaultyNode
from tests.support.frauds.cases import Fraud, NotHere, Played, alter
from tests.support.frauds.worlds import EvmWorld
from tests.support.samples import wallet_of
from tests.support.second_audit import EVENTS, Log, list_rounds

T = TypeVar("T")

_NAMES = {"0x" + event_abi_to_log_topic(entry).hex(): name for name, entry in EVENTS.items()}
_SCORE = struct.pack(">d", 2.5)


class NodeCase:
    """One play on an embedded chain, and a node that lies about it.

    Args:
        world: the world of the play.
        played: the play.
        random: the source of all decisions.
    """

    def __init__(self, world: EvmWorld, played: Played, random: Random) -> None:
        self.world = world
        self.played = played
        self.random = random
        self.node = FaultyNode(world.chain.provider)

    @cached_property
    def logs(self) -> list[Log]:
        return [log for log in self.world.chain.provider._logs if log["topics"][0] in _NAMES]

    @cached_property
    def places(self) -> list[int | None]:
        """Return the round of each event; ``None`` before the start."""
        places: list[int | None] = []
        begun: int | None = None
        for log in self.logs:
            inputs = [each["name"] for each in EVENTS[self.name_of(log)]["inputs"]]
            own = int(log["topics"][2], 16) if "round" in inputs else None
            if self.name_of(log) == "RoundStarted":
                begun = own
            places.append(begun if own is None else own)
        return places

    def name_of(self, log: Log) -> str:
        return _NAMES[log["topics"][0]]

    @property
    def last(self) -> int:
        return max(place for place in self.places if place is not None)

    def pick(self, places: Iterable[T]) -> T:
        found = list(places)
        if not found:
            raise NotHere
        return self.random.choice(found)

    def pick_log(self, *names: str) -> int:
        """Return the position of an event, by default of any but an announcement."""
        return self.pick(
            at
            for at, log in enumerate(self.logs)
            if (self.name_of(log) in names if names else self.name_of(log) != "Announced")
        )

    def fraud(self, at: int, what: str, *others: int | None) -> Fraud:
        text = f"{what}: {self.name_of(self.logs[at])} at {at}"
        start = (0,) if self.name_of(self.logs[at]) == "ExperimentStarted" else ()
        return Fraud(text, frozenset({self.places[at], *others, *start}))

    def list_rounds(self) -> tuple[Any, Any]:
        """Return the rounds of the findings of both implementations."""
        return list_rounds(self.node, self.world.ledger.contract, self.played.experiment)

    def change_value(self, value: Any) -> Any:
        """Return another value of the same type."""
        if isinstance(value, str) and value.startswith("0x"):
            return wallet_of("stranger").address.lower()
        if isinstance(value, str):
            return "x" + value[1:]
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1 << 62:
            return value ^ 1 << 62  # a score other than NaN
        if isinstance(value, list | tuple):
            if not value:
                raise NotHere
            at = self.random.randrange(len(value))
            return (*value[:at], self.change_value(value[at]), *value[at + 1 :])
        if isinstance(value, bytes) and not value:
            raise NotHere
        return alter(self.random, value)

    def find_change(self, field: str) -> Callable[[Any], Any]:
        """Return a change of a field that no NaN hides: all of them mean that a score is absent."""
        if field == "scores":
            at = 8 * self.random.randrange(4)
            return lambda scores: scores[:at] + _SCORE + scores[at + 8 :]
        if field == "ballots":  # the first learner; a wrong signature may be wrong in any case
            return lambda ballots: alter(self.random, ballots[:20]) + ballots[20:]
        return self.change_value
