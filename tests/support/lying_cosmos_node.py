"""A client of a Cosmos node that rewrites answers, for tests of audits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cosmpy.protos.cosmos.tx.v1beta1.tx_pb2 import TxBody, TxRaw
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract
from google.protobuf.any_pb2 import Any as AnyMessage

from colearn_ledger.chains.contract_ledger import ContractView
from colearn_ledger.chains.cosmos.deployment import DeployedContract
from colearn_ledger.chains.cosmos.encoder import CosmosEncoder, Message
from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.cosmos.records import ChainEvent, Executed, FullBlock
from colearn_ledger.chains.cosmos.sender import Sender
from colearn_ledger.chains.cosmos.transactions import hash_transaction
from colearn_ledger.protocol import Account
from tests.support.cosmos_place import Place


class LyingNode(Node):
    """A node that rewrites blocks and transactions, and replaces some transactions by forged ones.

    A forged transaction has its own hash wherever the node returns it, so that only its contents
    show the lie.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place.chain.grpc)
        self.place = place
        self.forged: dict[str, bytes] = {}
        self.rewrite_block: Callable[[FullBlock], FullBlock | None] = lambda block: block
        self.rewrite_transaction: Callable[[Executed], Executed | None] = lambda found: found
        self.rewrite_events: Callable[[Executed], Executed] = lambda found: found

    def view(self, contract: Account) -> ContractView[Message]:
        """Return a ledger that reads from this node."""
        config = self.place.config
        sender = Sender(self, self.place.chain.chain_id, self.place.terms, config.sending)
        return ContractView(CosmosEncoder(), DeployedContract(self, contract, config, sender))

    def full_block(self, height: int) -> FullBlock | None:
        found = super().full_block(height)
        if found is None:
            return None
        raws = tuple(self.forged.get(hash_transaction(raw), raw) for raw in found.transactions)
        return self.rewrite_block(replace(found, transactions=raws))

    def transaction(self, name: str) -> Executed | None:
        names = {hash_transaction(raw): honest for honest, raw in self.forged.items()}
        found = super().transaction(names.get(name, name))
        return None if found is None else self.rewrite_transaction(self._rename(found))

    def executed_in(self, height: int) -> list[Executed]:
        return [self._rename(each) for each in super().executed_in(height)]

    def executions(self, contract: Account, first: int, last: int) -> list[Executed]:
        found = super().executions(contract, first, last)
        return [self.rewrite_events(self._rename(each)) for each in found]

    def _rename(self, found: Executed) -> Executed:
        raw = self.forged.get(found.hash)
        return found if raw is None else replace(found, hash=hash_transaction(raw))


def read_raw(node: Node, name: str) -> bytes:
    """Return the bytes of a transaction from its block."""
    executed = node.transaction(name)
    assert executed is not None
    block = node.full_block(executed.height)
    assert block is not None
    return next(raw for raw in block.transactions if hash_transaction(raw) == name)


def forge_call(raw: bytes, change: Callable[[dict[str, Any]], Any], **fields: str) -> bytes:
    """Return a transaction with a changed call of the contract; its signature no longer fits.

    Args:
        raw: the transaction's bytes; it has one message.
        change: changes the arguments of the call, in JSON.
        **fields: further changes of the message: its sender, its contract.
    """
    transaction = TxRaw.FromString(raw)
    body = TxBody.FromString(transaction.body_bytes)
    [packed] = body.messages
    message = MsgExecuteContract.FromString(packed.value)
    call = json.loads(message.msg)
    [arguments] = call.values()
    change(arguments)
    message.msg = json.dumps(call).encode()
    for name, value in fields.items():
        setattr(message, name, value)
    forged = AnyMessage(type_url=packed.type_url, value=message.SerializeToString())
    del body.messages[:]
    body.messages.append(forged)
    transaction.body_bytes = body.SerializeToString()
    return bytes(transaction.SerializeToString())


def change_attribute(kind: str, round_index: int, **new: str) -> Callable[[Executed], Executed]:
    """Return a change of the attributes of all events of one kind in a round."""

    def change(event: ChainEvent) -> ChainEvent:
        found = dict(event.attributes)
        if event.type != f"wasm-{kind}" or found.get("round") != str(round_index):
            return event
        return ChainEvent(event.type, tuple({**found, **new}.items()))

    return lambda executed: replace(executed, events=tuple(map(change, executed.events)))
