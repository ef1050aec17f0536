"""A chain of headers that validators sign, for tests of what a light client accepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cosmpy.protos.tendermint.types.block_pb2 import Block
from cosmpy.protos.tendermint.types.types_pb2 import Commit
from nacl.signing import SigningKey

from colearn_ledger.chains.cosmos.proving.commits import Validator, encode_vote
from colearn_ledger.chains.cosmos.proving.headers import HeaderChain, Source, compute_hash
from colearn_ledger.chains.cosmos.proving.merkle import compute_root, hash_bytes

CHAIN = "signed-1"
_ABSENT, _COMMIT = 1, 2


@dataclass(frozen=True)
class Signer:
    """A validator with its private key."""

    seed: int
    power: int = 1
    signs: bool = True

    @property
    def key(self) -> SigningKey:
        return SigningKey(self.seed.to_bytes(32, "big"))

    @property
    def validator(self) -> Validator:
        return Validator(bytes(self.key.verify_key), self.power)


def hash_of(signers: Sequence[Signer]) -> bytes:
    return compute_root([signer.validator.encode() for signer in signers])


@dataclass
class SignedChain:
    """Blocks without transactions, each signed by its signers.

    Args:
        signers: the signers of each block; those of the block after the last one end the list.
        claimed: the hashes that headers name instead of those of their signers, by height.
    """

    signers: list[list[Signer]]
    claimed: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.blocks: list[Block] = []
        self._headers: HeaderChain | None = None
        parent, commit = b"", Commit()
        for height in range(1, len(self.signers)):
            block = Block()
            header = block.header
            header.chain_id, header.height = CHAIN, height
            header.time.seconds = 1_000 + height
            header.last_block_id.hash = parent
            header.last_block_id.part_set_header.SetInParent()
            header.data_hash = hash_bytes(b"")
            mine, following = self.signers[height - 1], self.signers[height]
            header.validators_hash = self.claimed.get(height, hash_of(mine))
            header.next_validators_hash = hash_of(following)
            block.last_commit.CopyFrom(commit)
            self.blocks.append(block)
            parent = compute_hash(header)
            commit = sign(height, parent, mine)

    def hash(self, height: int) -> bytes:
        return compute_hash(self.blocks[height - 1].header)

    def verify(self, trusted: bytes) -> HeaderChain:
        """Follow the chain from a trusted block to the last one that is signed."""
        source = Source("the node", self._block, self._validators)
        return HeaderChain(source, trusted, (1, len(self.blocks)), b"contract", lambda _: None)

    def _block(self, height: int) -> Any:
        return self.blocks[height - 1]

    def _validators(self, height: int) -> list[Validator]:
        return [signer.validator for signer in self.signers[height - 1]]


def sign(height: int, block_hash: bytes, signers: Sequence[Signer]) -> Commit:
    """Return the signatures of a block."""
    commit = Commit(height=height)
    commit.block_id.hash = block_hash
    for signer in signers:
        vote = commit.signatures.add()
        vote.timestamp.seconds = 2_000
        vote.block_id_flag = _COMMIT if signer.signs else _ABSENT
        if signer.signs:
            data = encode_vote(CHAIN, commit, vote.timestamp)
            vote.signature = signer.key.sign(data).signature
    return commit
