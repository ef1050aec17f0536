"""Encoder of the CosmWasm contract: calls become JSON messages, answers become values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from colearn_ledger.arguments import Argument, Kind
from colearn_ledger.calls import Call, Query
from colearn_ledger.chains.consistency import check_answer, most_rows
from colearn_ledger.chains.cosmos.answers import check_rows, field_of
from colearn_ledger.chains.cosmos.wire import (
    Wire,
    agenda_from_wire,
    ballot_from_wire,
    bytes_to_wire,
    content_to_wire,
    duty_from_wire,
    experiment_from_wire,
    learner_from_wire,
    params_to_wire,
    present_content,
    round_from_wire,
    scores_to_wire,
    signed_ballot_to_wire,
    vote_to_wire,
)
from colearn_ledger.chains.decoding import decode_received
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

Message = dict[str, Any]
"""A message of the contract: an object with the message's name as its only key."""


class CosmosEncoder:
    """Implements `colearn_ledger.chains.contract_ledger.Encoder`; messages are JSON objects."""

    def encode(self, entry: Call | Query[Any], arguments: Sequence[Any]) -> Message:
        """Return the message of a call or query."""
        fields: Message = {}
        for argument, value in zip(entry.arguments, arguments, strict=True):
            fields |= _to_wire(argument, value)
        return {entry.name: fields}

    def decode(self, query: Query[T], arguments: Sequence[Any], answer: Wire) -> T:
        """Decode the contract's answer to a query."""
        value: T = decode_received(
            f"the answer to {query.name}",
            lambda: check_answer(query, arguments, _from_wire(query, arguments, answer)),
        )
        return value


_ENCODERS: dict[Kind, Callable[[Any], Wire]] = {
    Kind.PARAMS: params_to_wire,
    Kind.EXPERIMENT: str,
    Kind.CONTENT: content_to_wire,
    Kind.BALLOTS: lambda ballots: [signed_ballot_to_wire(ballot) for ballot in ballots],
    Kind.WORD: bytes_to_wire,
}
"""Encoders of the arguments that differ from their JSON values."""

_ENCODERS_OF_FIELDS: dict[Kind, Callable[[Any], Message]] = {
    Kind.SCORES: scores_to_wire,
    Kind.VOTE: vote_to_wire,
}
"""Encoders of the arguments that become several fields."""


def _to_wire(argument: Argument, value: Any) -> Message:
    if encode_fields := _ENCODERS_OF_FIELDS.get(argument.kind):
        return encode_fields(value)
    encode = _ENCODERS.get(argument.kind)
    return {argument.name: encode(value) if encode else value}


_DECODERS: dict[type, Callable[[Sequence[Any], Wire], Any]] = {
    Experiment: lambda asked, wire: experiment_from_wire(wire),
    Learner: lambda asked, wire: learner_from_wire(asked[0], wire),
    Round: lambda asked, wire: round_from_wire(asked[0], wire),
    Ballot: lambda asked, wire: ballot_from_wire(asked[0], asked[1], wire),
    ContentRef: lambda asked, wire: present_content(wire),
    Duty: lambda asked, wire: duty_from_wire(wire),
    Agenda: lambda asked, wire: agenda_from_wire(wire),
}
"""Decoders of each type of row; they receive the arguments of the query."""


def _from_wire(query: Query[Any], arguments: Sequence[Any], wire: Wire) -> Any:
    decode = _DECODERS[query.row]
    if not query.is_list:
        return decode(arguments, wire)
    name = "contents" if query.row is ContentRef else query.name
    rows = check_rows(field_of(wire, name), most_rows(query))
    return [decode(arguments, row) for row in rows]
