"""Gas ceilings for each kind of call, so that a node cannot decide how much a call costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosmpy.protos.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract, MsgInstantiateContract
from google.protobuf.any_pb2 import Any as AnyMessage

from colearn_ledger.chains.cosmos.transactions import Action


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most gas of one kind of call: a fixed part, and a part for each item in its list."""

    gas: int
    for_each: int = 0
    items: str = ""


_SMALL = Ceiling(500_000)
_ANY_ROUND = Ceiling(2_000_000)
"""For calls that may close a round with 16 proposers, and begin the next one: 490,000 on wasmd."""

CEILINGS: Mapping[str, Ceiling] = {
    "create": _SMALL,
    "admit": Ceiling(500_000, 20_000, "accounts"),
    "join": _ANY_ROUND,
    "set_encryption_key": _SMALL,
    "leave": _ANY_ROUND,
    "remove": _ANY_ROUND,
    "start": _ANY_ROUND,
    "cancel": _ANY_ROUND,
    "propose": _ANY_ROUND,
    "decline": _ANY_ROUND,
    "vote": _ANY_ROUND,
    "commit": _ANY_ROUND,
    "reveal": _ANY_ROUND,
    "vote_signed": Ceiling(2_000_000, 80_000, "ballots"),
    "advance": _ANY_ROUND,
    "announce": _SMALL,
}
"""About four times the gas of the most expensive case on wasmd.

The limit's headroom (40 % by default) and the gas schedules of other chains need room. The ceilings
also cover experiments with thousands of learners, and ballots on 16 proposals.
"""

_MAY_BEGIN_A_ROUND = frozenset(
    {"join", "leave", "remove", "propose", "decline", "vote", "reveal", "vote_signed"}
)
"""Calls that end a phase if they turn out to be the last that it waits for.

Their simulation cannot show that as long as another one is outstanding. `start`, `cancel` and
`advance` do the same for every state in which they are allowed.
"""

_PAYMENT = Ceiling(250_000)
_INSTANTIATION = Ceiling(500_000)


def find_ceiling(actions: tuple[Action, ...]) -> int | None:
    """Return the most gas of a transaction; ``None`` if one of its actions has no ceiling."""
    ceilings = [_ceiling_of(action) for action in actions]
    return None if None in ceilings else sum(gas for gas in ceilings if gas is not None)


def find_experiment(message: Mapping[str, Any]) -> str | None:
    """Return the experiment of a call that may begin a round; ``None`` for all other calls."""
    [(name, fields)] = message.items()
    return str(fields["experiment"]) if name in _MAY_BEGIN_A_ROUND else None


def describe_actions(actions: tuple[Action, ...]) -> str:
    """Return the name of the call that a transaction makes, for use in messages."""
    names = [name for action in actions if (name := _read_call(action)[0])]
    return names[0] if len(names) == len(actions) == 1 else "transaction"


def _ceiling_of(action: Action) -> int | None:
    packed = AnyMessage.FromString(action)
    if packed.Is(MsgSend.DESCRIPTOR):
        return _PAYMENT.gas
    if packed.Is(MsgInstantiateContract.DESCRIPTOR):
        return _INSTANTIATION.gas
    name, fields = _read_call(action)
    ceiling = CEILINGS.get(name)
    if ceiling is None:
        return None
    items = fields.get(ceiling.items, ()) if ceiling.items else ()
    return ceiling.gas + ceiling.for_each * len(items)


def _read_call(action: Action) -> tuple[str, dict[str, Any]]:
    """Return the name and fields of a contract's call; the name is empty for other actions."""
    message = MsgExecuteContract()
    if not AnyMessage.FromString(action).Unpack(message):
        return "", {}
    [(name, fields)] = json.loads(message.msg).items()
    return str(name), fields
