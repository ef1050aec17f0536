"""A client of several Cosmos nodes, with the interface of a client of one.

If several nodes have to agree, queries name the height that they agree on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from colearn_ledger.chains.config import check_chain_id
from colearn_ledger.chains.cosmos.config import CosmosConfig
from colearn_ledger.chains.cosmos.errors import classify_refusal
from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.cosmos.records import Block, ContractInfo, Executed, FullBlock
from colearn_ledger.chains.errors import Refusal
from colearn_ledger.chains.node_pool import NodePool, hash_of
from colearn_ledger.protocol import Account, InvalidParameter
from colearn_ledger.text.urls import Urls

T = TypeVar("T")

_PATIENCE = 1.0
"""Most seconds during which a request to one of several nodes is repeated."""


def open_node(urls: Urls, config: CosmosConfig) -> Node:
    """Return a client of one node or of several.

    Raises:
        InvalidParameter: fewer nodes are given than have to agree; carries ``agree``.
    """
    if isinstance(urls, tuple):
        grpc = replace(config.grpc, patience=min(config.grpc.patience, _PATIENCE))
        return NodeGroup([Node(url, grpc) for url in urls], config)
    if config.agree != 1:
        raise InvalidParameter("agree")
    return Node(urls, config.grpc)


class NodeGroup(Node):
    """A client of several nodes; each method raises what that of `Node` raises.

    Args:
        nodes: a client of each node, in order of preference.
        config: the chain that the nodes must be on, and the number of nodes that have to agree.

    Raises:
        InvalidParameter: fewer nodes are given than have to agree; carries ``agree``.
    """

    def __init__(self, nodes: Sequence[Node], config: CosmosConfig) -> None:
        self._nodes = nodes
        self._pool = NodePool(
            nodes,
            config.agree,
            lambda node: check_chain_id(node.name, node.chain_id(), config.chain_id),
        )
        self.name = self._pool.name

    def close(self) -> None:
        """End the connections."""
        for node in self._nodes:
            node.close()

    def check_with(self, check: Callable[[Any], None]) -> None:
        """Set how to check the chain and the contract of each node before it is used."""
        self._pool.check_with(check)

    def recheck(self) -> None:
        """Check chain and contract of each node, and set aside those that are wrong."""
        self._pool.recheck()

    # ------------------------------------------------------------------ reading

    def chain_id(self) -> str:
        """Return the chain's id."""
        return self._pool.ask("the chain's id", Node.chain_id)

    def head(self) -> Block:
        """Return the last block."""
        block: Block = self._pool.head()
        return block

    def latest(self) -> tuple[str, Block]:
        """Return the chain's id and the last block."""
        return self.chain_id(), self.head()

    def block(self, height: int) -> Block | None:
        """Return a block, ``None`` if too few nodes have it."""
        found: Block | None = self._pool.ask(
            f"block {height}", lambda node: node.block(height), key=hash_of, may_lag=True
        )
        return found

    def full_block(self, height: int) -> FullBlock | None:
        """Return a block with its transactions, ``None`` if too few nodes have it."""
        return self._pool.ask(
            f"the transactions of block {height}",
            lambda node: node.full_block(height),
            may_lag=True,
        )

    def account(self, address: Account) -> tuple[int, int]:
        """Return an account's number, and the sequence that enough nodes have reached."""
        return min(self._pool.collect("an account", lambda node: node.account(address)))

    def balance(self, address: Account, denomination: str) -> int:
        """Return the highest balance of an account that a node reports."""
        return max(
            self._pool.collect("a balance", lambda node: node.balance(address, denomination))
        )

    def query(
        self,
        contract: Account,
        message: Mapping[str, Any],
        read: Callable[[Any], T],
        height: int | None = None,
    ) -> T:
        """Return what ``read`` makes of a contract's answer, at a height or at the last block."""
        at = self.head().height if height is None and self._pool.agree > 1 else height

        def ask(node: Node) -> tuple[Any, T]:
            return node.query(contract, message, lambda answer: (answer, read(answer)), at)

        _, found = self._pool.ask("the contract", ask, key=lambda pair: pair[0])
        return found

    def contract(self, address: Account) -> ContractInfo | None:
        """Return a contract's checksum and origin, ``None`` if the contract does not exist."""
        return self._pool.ask("the contract's code", lambda node: node.contract(address))

    # ------------------------------------------------------------------ transactions

    def simulate(self, raw: bytes) -> int:
        """Return the gas that a transaction would use."""
        return self._pool.find_estimate("the gas of a transaction", lambda node: node.simulate(raw))

    def broadcast(self, raw: bytes) -> tuple[int, str, str]:
        """Broadcast a transaction; return CheckTx code, codespace and log."""
        return self._pool.send(
            lambda node: node.broadcast(raw),
            is_accepted=lambda answer: classify_refusal(*answer) in (Refusal.NONE, Refusal.KNOWN),
        )

    def transaction(self, name: str) -> Executed | None:
        """Return a transaction by its hash, ``None`` while too few nodes have it in a block."""
        return self._pool.ask(
            f"transaction {name}",
            lambda node: node.transaction(name),
            key=_outcome_of,
            may_lag=True,
        )

    def executions(self, contract: Account, first: int, last: int) -> list[Executed]:
        """Return the transactions that executed a contract in a range of blocks, in order."""
        return self._pool.ask(
            f"the transactions of blocks {first} to {last}",
            lambda node: node.executions(contract, first, last),
            key=lambda found: [_outcome_of(executed) for executed in found],
        )

    def executed_in(self, height: int) -> list[Executed]:
        """Return the transactions of a block, including those that failed."""
        return self._pool.ask(
            f"the results of block {height}",
            lambda node: node.executed_in(height),
            key=lambda found: [_outcome_of(executed) for executed in found],
        )


def _outcome_of(executed: Executed | None) -> object:
    """Return the parts of a transaction that do not differ between nodes."""
    return None if executed is None else replace(executed, log="")
