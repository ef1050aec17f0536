"""Encoder of the Solidity contract: calls become ABI-encoded data, answers become values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from colearn_ledger.arguments import Kind
from colearn_ledger.calls import Call, Query
from colearn_ledger.chains.consistency import check_answer, most_rows
from colearn_ledger.chains.decoding import decode_received
from colearn_ledger.chains.evm.abi import ContractAbi
from colearn_ledger.chains.evm.wire import (
    Wire,
    agenda_from_wire,
    ballot_from_wire,
    ballots_to_wire,
    content_to_wire,
    experiment_from_wire,
    learner_from_wire,
    params_to_wire,
    present_content,
    round_from_wire,
    scores_to_wire,
    vote_to_wire,
)
from colearn_ledger.protocol import (
    Agenda,
    Ballot,
    ContentRef,
    Duty,
    Experiment,
    Learner,
    Round,
)

T = TypeVar("T")


class EvmEncoder:
    """Implements `colearn_ledger.chains.contract_ledger.Encoder`; messages are call data.

    Args:
        abi: the contract's interface.
    """

    def __init__(self, abi: ContractAbi) -> None:
        self._abi = abi

    def encode(self, entry: Call | Query[Any], arguments: Sequence[Any]) -> bytes:
        """Return the data of a call or query."""
        pairs = zip(entry.arguments, arguments, strict=True)
        values = [part for argument, value in pairs for part in _to_wire(argument.kind, value)]
        return self._abi.encode_call(function_name(entry), values)

    def decode(self, query: Query[T], arguments: Sequence[Any], answer: bytes) -> T:
        """Decode the contract's answer to a query."""
        function = function_name(query)
        wire = self._abi.decode_answer(function, answer)
        value: T = decode_received(
            f"the answer to {function}",
            lambda: check_answer(query, arguments, _from_wire(query, arguments, wire)),
        )
        return value


def function_name(entry: Call | Query[Any]) -> str:
    """Return the name of the Solidity function."""
    first, *rest = entry.name.split("_")
    return first + "".join(word.capitalize() for word in rest)


_ENCODERS: dict[Kind, Callable[[Any], Sequence[Wire]]] = {
    Kind.PARAMS: lambda params: [params_to_wire(params)],
    Kind.CONTENT: lambda content: [content_to_wire(content)],
    Kind.SCORES: scores_to_wire,
    Kind.VOTE: vote_to_wire,
    Kind.BALLOTS: lambda ballots: [ballots_to_wire(ballots)],
}
"""Encoders of the arguments that differ from their ABI values."""


def _to_wire(kind: Kind, value: Any) -> Sequence[Wire]:
    encode = _ENCODERS.get(kind)
    return encode(value) if encode else [value]


_DECODERS: dict[type, Callable[[Sequence[Any], Wire], Any]] = {
    Experiment: lambda asked, wire: experiment_from_wire(wire),
    Learner: lambda asked, wire: learner_from_wire(asked[0], wire),
    Round: lambda asked, wire: round_from_wire(asked[0], wire),
    Ballot: lambda asked, wire: ballot_from_wire(asked[0], asked[1], wire),
    ContentRef: lambda asked, wire: present_content(wire),
    Duty: lambda asked, wire: Duty(wire),
    Agenda: lambda asked, wire: agenda_from_wire(wire),
}
"""Decoders of each type of row; they receive the arguments of the query."""


def _from_wire(query: Query[Any], arguments: Sequence[Any], wire: Wire) -> Any:
    decode = _DECODERS[query.row]
    if not query.is_list:
        return decode(arguments, wire)
    if len(wire) > most_rows(query):
        raise ValueError(f"{len(wire)} rows, more than a list has")
    return [decode(arguments, row) for row in wire]
