"""A client of a node that is not trusted, with the interface of a client of one that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from eth_utils.address import to_canonical_address
from web3.providers.base import BaseProvider

from colearn_ledger.chains.errors import NodeRefused, ProofFailed
from colearn_ledger.chains.evm.answers import object_of, rows
from colearn_ledger.chains.evm.http_provider import HttpConfig
from colearn_ledger.chains.evm.node import Block, BlockTag, ChainLog, Node, TransactionReceipt
from colearn_ledger.chains.evm.proving.contents import prove_contents
from colearn_ledger.chains.evm.proving.headers import Header, HeaderChain
from colearn_ledger.chains.evm.proving.state import ProvenState
from colearn_ledger.chains.evm.sent_calls import SentCall
from colearn_ledger.protocol import Account

T = TypeVar("T")

_BLOCKS_AT_ONCE = 20


class ProvenNode(Node):
    """A client that reads one contract up to a trusted block, and checks all proofs.

    Every read returns what follows from the hash of the trusted block, which counts as the last
    one, or raises `ProofFailed`. Only the chain's id is the node's word.

    Args:
        endpoint: the node's URL, or a provider of web3.py.
        contract: the contract.
        trusted: the hash of the trusted block.
        http: timeouts and retries of requests.
        report_done: called with the number of headers read.

    Raises:
        LedgerUnavailable: the node cannot be reached.
        ProofFailed: the node does not have the trusted block, or returned another one.
    """

    def __init__(
        self,
        endpoint: str | BaseProvider,
        contract: Account,
        *,
        trusted: bytes,
        http: HttpConfig | None = None,
        report_done: Callable[[int], None] = lambda _: None,
    ) -> None:
        super().__init__(endpoint, http=http)
        self._contract = contract
        self._headers = HeaderChain(
            self._ask_all,
            self.name,
            trusted=trusted,
            contract=to_canonical_address(contract),
            report_done=report_done,
        )
        self._sent: dict[str, SentCall] = {}

    @cached_property
    def _state(self) -> ProvenState:
        def ask(method: str, parameters: Sequence[Any]) -> Any:
            return self._ask(method, *parameters)

        return ProvenState(ask, self._headers.trusted, self.chain_id())

    def find_first_block(self, time: int) -> int:
        """Return the number of the first block at or after a time, in proven headers."""
        return self._headers.reach(time)

    def block(self, number: int | str = "latest") -> Block | None:
        """Return a block by number; the last one is the trusted one."""
        if isinstance(number, str):
            return self._headers.trusted.block
        return self._headers.find(number).block

    def blocks(self, numbers: Sequence[int]) -> list[Block | None]:
        """Return blocks by number."""
        return [self.block(number) for number in numbers]

    def entropies(self, numbers: Sequence[int]) -> list[bytes | None]:
        """Return ``block.prevrandao`` in blocks by number."""
        return [self._headers.find(number).entropy for number in numbers]

    def transactions(self, names: Sequence[str]) -> list[SentCall | None]:
        """Return the transactions of logs that were read, by hash."""
        return [self._sent.get(name) for name in names]

    def head(self) -> Block:
        """Return the trusted block."""
        return self._headers.trusted.block

    def block_number(self) -> int:
        """Return the trusted block's number."""
        return self._headers.trusted.number

    def code(self, address: str, block: BlockTag = "latest") -> bytes:
        """Return the code at an address as of the trusted block."""
        self._check_is_last(block)
        return self._state.code(to_canonical_address(address))

    def calls(
        self,
        transactions: Sequence[Mapping[str, Any]],
        block: BlockTag,
        read: Callable[[Sequence[bytes]], T],
    ) -> T:
        """Return what ``read`` makes of the results of calls, which run in this process."""
        self._check_is_last(block)
        calls = [(to_canonical_address(each["to"]), each["data"]) for each in transactions]
        return read(self._state.call_all(calls))

    def logs(self, address: str, topics: Sequence[bytes], first: int, last: int) -> list[ChainLog]:
        """Return the contract's logs in a range of blocks; none is missing."""
        if address != self._contract:
            raise ProofFailed(f"the logs of {address} are not part of the proof")
        headers = [each for each in self._headers.list_kept(first, last) if each.may_have(topics)]
        found: list[ChainLog] = []
        for start in range(0, len(headers), _BLOCKS_AT_ONCE):
            found += self._read_contents(headers[start : start + _BLOCKS_AT_ONCE])
        wanted = tuple(topics)
        return [each for each in found if each.log.topics[1 : 1 + len(wanted)] == wanted]

    def receipts(self, transactions: Sequence[str]) -> list[TransactionReceipt | None]:
        """Refuse, as what a transaction cost is not part of the proof."""
        raise ProofFailed("what transactions cost is not part of the proof; ask a trusted node")

    def _read_contents(self, headers: Sequence[Header]) -> Iterator[ChainLog]:
        blocks = self._ask_all(
            [("eth_getBlockByNumber", (hex(header.number), True)) for header in headers]
        )
        receipts = self._ask_receipts(headers, blocks)
        for header, block, given in zip(headers, blocks, receipts, strict=True):
            contents = prove_contents(header, block, given, self._contract)
            self._sent |= contents.calls
            yield from contents.logs

    def _ask_receipts(self, headers: Sequence[Header], blocks: Sequence[Any]) -> list[Any]:
        """Return the receipts of blocks, one by one from nodes that do not return a block's."""
        try:
            return self._ask_all(
                [("eth_getBlockReceipts", (hex(header.number),)) for header in headers]
            )
        except NodeRefused:
            return [self._ask_all(_list_requests(block)) for block in blocks]

    def _check_is_last(self, block: BlockTag) -> None:
        if block not in ("latest", self._headers.trusted.number):
            raise ProofFailed(f"the state of block {block} is not part of the proof")


def _list_requests(block: Any) -> list[tuple[str, Sequence[Any]]]:
    transactions = rows(object_of(block, "a block").get("transactions"), "transactions")
    names = [object_of(each, "a transaction").get("hash") for each in transactions]
    return [("eth_getTransactionReceipt", (name,)) for name in names]
