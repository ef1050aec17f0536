"""Headers of a Cosmos chain are accepted if the validators that the chain names signed them."""

from __future__ import annotations

import pytest

from colearn_ledger.chains.errors import ProofFailed
from tests.support.signed_headers import SignedChain, Signer, hash_of

FOUR = [Signer(number) for number in range(1, 5)]
OTHERS = [Signer(number) for number in range(11, 14)]


def absent(signers: list[Signer], *places: int) -> list[Signer]:
    """Return the same validators, some of which do not sign."""
    return [
        Signer(each.seed, each.power, place not in places) for place, each in enumerate(signers)
    ]


def test_blocks_after_the_trusted_one_are_proved_by_signatures():
    chain = SignedChain([FOUR] * 8)
    headers = chain.verify(chain.hash(3))
    assert (headers.trusted.height, headers.end.height, headers.last.height) == (3, 6, 5)
    assert headers.find(1).hash == chain.hash(1)
    assert headers.reach(1_002) == 2


def test_newest_block_needs_no_signature_if_it_is_trusted():
    chain = SignedChain([absent(FOUR, 0, 1, 2, 3)] * 8)
    assert chain.verify(chain.hash(7)).end.height == 7


def test_validators_that_the_chain_names_may_change():
    chain = SignedChain([FOUR, FOUR, FOUR, OTHERS, OTHERS, FOUR, FOUR, FOUR])
    assert chain.verify(chain.hash(1)).end.height == 6


@pytest.mark.parametrize(
    ("signers", "votes"),
    [
        (absent(FOUR, 0, 1), "2 of 4"),
        (absent(FOUR[:3], 2), "2 of 3"),  # exactly two thirds
        ([Signer(1, 10), Signer(2, 89), Signer(3, 201, signs=False)], "99 of 300"),
    ],
)
def test_two_thirds_of_the_votes_are_too_few(signers: list[Signer], votes: str):
    chain = SignedChain([signers] * 6)
    with pytest.raises(ProofFailed, match=f"block 4 have {votes} votes"):
        chain.verify(chain.hash(2))


def test_more_than_two_thirds_of_the_votes_are_enough():
    chain = SignedChain([absent(FOUR, 1)] * 6)
    assert chain.verify(chain.hash(2)).end.height == 4


def test_chain_that_strangers_continue_is_rejected():
    honest = SignedChain([FOUR] * 8)
    unsigned = absent(FOUR, 0, 1, 2, 3)
    forked = SignedChain([FOUR, FOUR, unsigned, *[OTHERS] * 5])
    assert forked.hash(2) == honest.hash(2)
    with pytest.raises(ProofFailed, match="block 3 have 0 of 4 votes"):
        forked.verify(honest.hash(2))


def test_validators_that_no_block_named_are_rejected():
    chain = SignedChain([FOUR] * 8, claimed={4: hash_of(OTHERS)})
    with pytest.raises(ProofFailed, match=r"block 4 .* other validators than those that block 3"):
        chain.verify(chain.hash(2))


def test_wrong_signature_is_rejected():
    chain = SignedChain([FOUR] * 8)
    vote = chain.blocks[-1].last_commit.signatures[1]
    vote.signature = vote.signature[:-1] + bytes([vote.signature[-1] ^ 1])
    with pytest.raises(ProofFailed, match="a validator's signature of block 6 is wrong"):
        chain.verify(chain.hash(2))


def test_signature_is_bound_to_its_block_and_round():
    chain = SignedChain([FOUR] * 8)
    chain.blocks[-1].last_commit.round = 1
    with pytest.raises(ProofFailed, match="a validator's signature of block 6 is wrong"):
        chain.verify(chain.hash(2))


def test_one_signature_does_not_count_for_several_validators():
    chain = SignedChain([absent(FOUR, 1, 2, 3)] * 8)
    votes = chain.blocks[-1].last_commit.signatures
    for vote in votes[1:]:
        vote.CopyFrom(votes[0])
    with pytest.raises(ProofFailed, match="a validator's signature of block 6 is wrong"):
        chain.verify(chain.hash(2))


def test_unknown_trusted_block_cannot_be_checked():
    chain = SignedChain([FOUR] * 8)
    with pytest.raises(ProofFailed, match="does not have the trusted block 0101"):
        chain.verify(b"\x01" * 32)


def test_block_outside_of_the_proof_is_refused():
    chain = SignedChain([FOUR] * 8)
    with pytest.raises(ProofFailed, match="block 7 is not part of the proof"):
        chain.verify(chain.hash(3)).find(7)
