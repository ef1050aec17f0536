"""Headers of a chain whose hashes, and whose validators' signatures, follow from a trusted block.

Each header has the hash of the one before it, so a header proves all earlier ones. Later ones than
the trusted block are proved by the signatures of validators, which the header before each names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from colearn_ledger.chains.cosmos.proving.commits import Validator, check_commit
from colearn_ledger.chains.cosmos.proving.merkle import (
    compute_root,
    encode_bytes,
    encode_number,
    hash_bytes,
)
from colearn_ledger.chains.cosmos.records import Block
from colearn_ledger.chains.cosmos.transactions import hash_transaction
from colearn_ledger.chains.errors import ProofFailed

_NANOS = 10**9
_AT_ONCE = 8
"""Requests at the same time."""
_WINDOW = 64
"""Blocks to request ahead."""


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of a header that proofs need. Its hash covers all fields.

    Args:
        chain_id: the chain's id.
        height: its height.
        hash: its hash.
        nanoseconds: its time in nanoseconds since the epoch.
        parent: the hash of the block before.
        validators: the hash of the set of validators that sign the block.
        next_validators: that of the next block.
        app_hash: the hash of the state after the block before.
        results: the root of the results of the transactions of the block before.
        calls: the transactions of the block that contain the contract's address, by hash.
    """

    chain_id: str
    height: int
    hash: bytes
    nanoseconds: int
    parent: bytes
    validators: bytes
    next_validators: bytes
    app_hash: bytes
    results: bytes
    calls: tuple[str, ...]

    @property
    def time(self) -> int:
        """Return its time in seconds since the epoch."""
        return self.nanoseconds // _NANOS

    @property
    def block(self) -> Block:
        """Return the block as other clients of nodes return it."""
        return Block(self.height, self.hash.hex(), self.time)


def decode_header(block: Any, mentioned: bytes) -> Header:
    """Compute the hash of a block from its header, and check its transactions.

    Args:
        block: a ``tendermint.types.Block``, which is not trusted.
        mentioned: the bytes that transactions contain if they may call the contract.

    Raises:
        ProofFailed: the transactions do not have the root in the header.
    """
    header, transactions = block.header, block.data.txs
    if compute_root([hash_bytes(raw) for raw in transactions]) != header.data_hash:
        raise ProofFailed(
            f"the {len(transactions)} transactions of block {header.height} that the node returned "
            "do not have the root in its header; one was changed, left out or invented"
        )
    return Header(
        chain_id=str(header.chain_id),
        height=header.height,
        hash=compute_hash(header),
        nanoseconds=header.time.seconds * _NANOS + header.time.nanos,
        parent=header.last_block_id.hash,
        validators=header.validators_hash,
        next_validators=header.next_validators_hash,
        app_hash=header.app_hash,
        results=header.last_results_hash,
        calls=tuple(hash_transaction(raw) for raw in transactions if mentioned in raw),
    )


def compute_hash(header: Any) -> bytes:
    """Return the hash of a ``tendermint.types.Header``: the root of its fields."""
    return compute_root(
        [
            header.version.SerializeToString(),
            encode_bytes(1, header.chain_id.encode()),
            encode_number(1, header.height),
            header.time.SerializeToString(),
            header.last_block_id.SerializeToString(),
            *(
                encode_bytes(1, data)
                for data in (
                    header.last_commit_hash,
                    header.data_hash,
                    header.validators_hash,
                    header.next_validators_hash,
                    header.consensus_hash,
                    header.app_hash,
                    header.last_results_hash,
                    header.evidence_hash,
                    header.proposer_address,
                )
            ),
        ]
    )


@dataclass(frozen=True, slots=True)
class Source:
    """What a node returns, none of which is trusted.

    Args:
        name: the node's name.
        block: returns a ``tendermint.types.Block`` by height.
        validators: returns the validators of a block by its height.
    """

    name: str
    block: Callable[[int], Any]
    validators: Callable[[int], Sequence[Validator]]


class HeaderChain:
    """The headers up to the newest block that can be proved. They are read back as far as needed.

    Args:
        source: the node.
        trusted: the hash of the trusted block.
        between: the heights of the block from which on the trusted one is searched, and of the
            node's newest block.
        mentioned: the bytes that transactions contain if they may call the contract.
        report_done: called with the number of headers read.

    Raises:
        ProofFailed: the node does not have the trusted block, or its newest block does not follow
            from it.
    """

    def __init__(
        self,
        source: Source,
        trusted: bytes,
        between: tuple[int, int],
        mentioned: bytes,
        report_done: Callable[[int], None],
    ) -> None:
        self._source = source
        self._mentioned = mentioned
        self._report_done = report_done
        oldest, newest = between
        last = source.block(newest)
        end = decode_header(last, mentioned)
        if end.hash != trusted:  # the signatures of a block are in the next one
            end = decode_header(source.block(newest - 1), mentioned)
        self._headers = {end.height: end}
        self.end = end
        self.trusted = self._find(trusted, oldest)
        self._check_signatures(last)

    @property
    def last(self) -> Header:
        """Return the newest block whose state and results are proved, by the header after it."""
        return self.find(self.end.height - 1)

    def find(self, height: int) -> Header:
        """Return the header of a block.

        Raises:
            ProofFailed: the block is newer than the proof, or the node returned a false header.
        """
        if height > self.end.height or height < 1:
            raise ProofFailed(f"block {height} is not part of the proof")
        if height < (first := min(self._headers)):
            for _ in self._read_back(range(first - 1, height - 1, -1)):
                pass
        return self._headers[height]

    def reach(self, time: int) -> int:
        """Return the height of the first block at or after a time."""
        height = next((h for h, each in self._headers.items() if each.time < time), None)
        if height is None:
            first = min(self._headers)
            for header in self._read_back(range(first - 1, 0, -1)):
                if header.time < time:
                    break
        found = [h for h, each in self._headers.items() if each.time >= time]
        return min(found, default=self.end.height)

    def list_between(self, first: int, last: int) -> list[Header]:
        """Return the headers of a range of blocks."""
        return [self.find(height) for height in range(first, last + 1)]

    def _find(self, trusted: bytes, oldest: int) -> Header:
        if self.end.hash == trusted:
            return self.end
        for header in self._read_back(range(self.end.height - 1, oldest - 1, -1)):
            if header.hash == trusted:
                return header
        raise ProofFailed(
            f"{self._source.name} does not have the trusted block {trusted.hex()} among the "
            f"{len(self._headers):,} blocks since the contract was created; check the hash, or ask "
            "another node"
        )

    def _check_signatures(self, after_end: Any) -> None:
        """Check that the validators named since the trusted block signed the blocks after it."""
        before = self.trusted
        for height in range(before.height + 1, self.end.height + 1):
            header = self._headers[height]
            if (header.chain_id, header.validators) != (before.chain_id, before.next_validators):
                raise ProofFailed(
                    f"block {height} that the node returned has other validators than those that "
                    f"block {height - 1} names"
                )
            if height == self.end.height:
                self._check_commit(header, after_end)
            elif header.next_validators != header.validators:
                self._check_commit(header, self._source.block(height + 1))
            before = header

    def _check_commit(self, header: Header, after: Any) -> None:
        check_commit(
            (header.chain_id, header.height, header.hash),
            header.validators,
            self._source.validators(header.height),
            after.last_commit,
        )

    def _read_back(self, heights: range) -> Iterator[Header]:
        """Yield the headers of blocks, each the parent of the one before it."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for start in range(0, len(heights), _WINDOW):
                window = heights[start : start + _WINDOW]
                for height, block in zip(window, pool.map(self._source.block, window), strict=True):
                    yield self._add(height, block)

    def _add(self, height: int, block: Any) -> Header:
        child = self._headers[height + 1]
        if compute_hash(block.header) != child.parent or block.header.height != height:
            raise ProofFailed(
                f"the header of block {height} that the node returned is not the parent of block "
                f"{height + 1}"
            )
        header = self._headers[height] = decode_header(block, self._mentioned)
        self._report_done(len(self._headers))
        return header
