"""A client of several EVM nodes, with the interface of a client of one.

If several nodes have to agree, reads name the block that they agree on by its hash (EIP-1898).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from web3.providers.base import BaseProvider

from colearn_ledger.chains.config import check_chain_id
from colearn_ledger.chains.evm.config import EvmConfig
from colearn_ledger.chains.evm.node import (
    Block,
    BlockTag,
    ChainLog,
    Node,
    TransactionReceipt,
    Whereabouts,
)
from colearn_ledger.chains.evm.sent_calls import SentCall
from colearn_ledger.chains.node_pool import NodePool, hash_of
from colearn_ledger.protocol import Account, InvalidParameter
from colearn_ledger.text.urls import Urls

T = TypeVar("T")


def open_node(endpoint: Urls | BaseProvider, config: EvmConfig) -> Node:
    """Return a client of one node or of several.

    Args:
        endpoint: the URLs of nodes, or a provider of web3.py.
        config: settings for the connection.

    Raises:
        InvalidParameter: fewer nodes are given than have to agree; carries ``agree``.
    """
    if isinstance(endpoint, tuple):
        return NodeGroup(
            [Node(url, http=replace(config.http, tries=1)) for url in endpoint], config
        )
    if config.agree != 1:
        raise InvalidParameter("agree")
    return Node(endpoint, http=config.http)


class NodeGroup(Node):
    """A client of several nodes; each method raises what that of `Node` raises.

    Args:
        nodes: a client of each node, in order of preference. They do not retry, as the next node is
            asked instead.
        config: the chain that the nodes must be on, and the number of nodes that have to agree.

    Raises:
        InvalidParameter: fewer nodes are given than have to agree; carries ``agree``.
    """

    def __init__(self, nodes: Sequence[Node], config: EvmConfig) -> None:
        self._pool = NodePool(
            nodes,
            config.agree,
            lambda node: check_chain_id(node.name, node.chain_id(), config.chain_id),
        )
        self.name = self._pool.name
        self.is_remote = True

    @property
    def websocket(self) -> str | None:
        """Return the WebSocket address of the node in use; ``None`` if several have to agree."""
        return None if self._needs_quorum else self._pool.current.websocket

    def check_with(self, check: Callable[[Any], None]) -> None:
        """Set how to check the chain and the contract of each node before it is used."""
        self._pool.check_with(check)

    def recheck(self) -> None:
        """Check chain and contract of each node, and set aside those that are wrong."""
        self._pool.recheck()

    # ------------------------------------------------------------------ reading

    def chain_id(self) -> int:
        """Return the chain's number."""
        return self._pool.ask("the chain's id", Node.chain_id)

    def block(self, number: int | str = "latest") -> Block | None:
        """Return a block by number, ``latest`` or ``pending``; ``None`` if it does not exist."""
        if number == "latest":
            return self.head()
        found: Block | None = self._pool.ask(
            f"block {number}", lambda node: node.block(number), key=hash_of, may_lag=True
        )
        return found

    def blocks(self, numbers: Sequence[int]) -> list[Block | None]:
        """Return blocks by number."""
        return self._pool.ask(f"{len(numbers)} blocks", lambda node: node.blocks(numbers))

    def entropies(self, numbers: Sequence[int]) -> list[bytes | None]:
        """Return ``block.prevrandao`` in blocks by number."""
        return self._pool.ask(f"{len(numbers)} blocks", lambda node: node.entropies(numbers))

    def transactions(self, names: Sequence[str]) -> list[SentCall | None]:
        """Return transactions by hash."""
        return self._pool.ask(f"{len(names)} transactions", lambda node: node.transactions(names))

    def upcoming(self) -> Block:
        """Return the pending block; the last one if several nodes have to agree."""
        return self.head() if self._needs_quorum else self._pool.ask("the block", Node.upcoming)

    def latest(self) -> Block:
        """Return the last block."""
        return self.head()

    def head(self) -> Block:
        """Return the last block."""
        block: Block = self._pool.head()
        return block

    def block_number(self) -> int:
        """Return the last block's number."""
        return self.head().number

    def code(self, address: str, block: BlockTag = "latest") -> bytes:
        """Return the code at an address as of a block."""
        return self._pool.ask(f"the code at {address}", lambda node: node.code(address, block))

    def balance(self, account: Account) -> int:
        """Return the highest balance of an account that a node reports, in wei."""
        return max(self._pool.collect("a balance", lambda node: node.balance(account)))

    def nonce(self, account: Account, *, in_flight: bool = True) -> int:
        """Return the nonce that the required number of nodes have reached."""
        return min(
            self._pool.collect("a nonce", lambda node: node.nonce(account, in_flight=in_flight))
        )

    def call(self, transaction: Mapping[str, Any], block: BlockTag = "latest") -> bytes:
        """Return the result of a call at a block."""
        return self.calls([transaction], block, lambda answers: answers[0])

    def calls(
        self,
        transactions: Sequence[Mapping[str, Any]],
        block: BlockTag,
        read: Callable[[Sequence[bytes]], T],
    ) -> T:
        """Return what ``read`` makes of the results of calls at a block."""
        at = self._pin(block)

        def ask(node: Node) -> tuple[Sequence[bytes], T]:
            return node.calls(transactions, at, lambda answers: (answers, read(answers)))

        _, found = self._pool.ask("the contract", ask, key=lambda pair: pair[0])
        return found

    def logs(self, address: str, topics: Sequence[bytes], first: int, last: int) -> list[ChainLog]:
        """Return a contract's logs in a range of blocks, both ends included.

        If several nodes have to agree, the logs are without times, which not all nodes report.
        """

        def ask(node: Node) -> list[ChainLog]:
            found = node.logs(address, topics, first, last)
            return [replace(log, time=None) for log in found] if self._needs_quorum else found

        return self._pool.ask(f"the logs of blocks {first} to {last}", ask)

    # ------------------------------------------------------------------ sending

    def estimate_gas(self, transaction: Mapping[str, Any], *, in_flight: bool = False) -> int:
        """Estimate the gas of a transaction."""
        return self._pool.find_estimate(
            "the gas of a transaction",
            lambda node: node.estimate_gas(transaction, in_flight=in_flight),
        )

    def tip(self) -> int:
        """Return the tip above the base fee that a node suggests, in wei."""
        return self._pool.find_estimate("the price of gas", Node.tip)

    def send(self, raw: bytes) -> str:
        """Send a signed transaction and return its hash."""
        return self._pool.send(lambda node: node.send(raw))

    def receipt(self, transaction: str) -> TransactionReceipt | None:
        """Return the receipt of a transaction, ``None`` while too few nodes have it."""
        return self._pool.ask(
            f"the receipt of {transaction}",
            lambda node: node.receipt(transaction),
            key=_outcome_of,
            may_lag=True,
        )

    def receipts(self, transactions: Sequence[str]) -> list[TransactionReceipt | None]:
        """Return the receipts of several transactions, about which the nodes agree with prices."""
        return self._pool.ask(
            f"{len(transactions)} receipts",
            lambda node: node.receipts(transactions),
            key=lambda found: [(_outcome_of(each), each and each.gas_price) for each in found],
        )

    def whereabouts(self, transaction: str) -> Whereabouts | None:
        """Return the position of a transaction at the node that is furthest with it."""
        found = self._pool.collect(
            f"transaction {transaction}", lambda node: node.whereabouts(transaction)
        )
        return max(found, key=lambda place: (place is not None, place and place.block is not None))

    # ------------------------------------------------------------------ parts

    @property
    def _needs_quorum(self) -> bool:
        return self._pool.agree > 1

    def _pin(self, block: BlockTag) -> BlockTag:
        """Return the hash of the block that the nodes have to agree about, if they have to."""
        if not self._needs_quorum or isinstance(block, Mapping):
            return block
        found = self.head() if block == "latest" else self.block(block)
        return block if found is None else {"blockHash": found.hash}


def _outcome_of(receipt: TransactionReceipt | None) -> object:
    """Return the parts of a receipt that do not differ between nodes."""
    if receipt is None:
        return None
    logs = tuple(replace(log, time=None) for log in receipt.logs)
    return replace(receipt, gas_price=None, logs=logs)
