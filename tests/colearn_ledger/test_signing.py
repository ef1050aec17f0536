"""Wallets and signed ballots."""

from __future__ import annotations

import dataclasses
import traceback

import pytest
from coincurve import PublicKey
from eth_utils.crypto import keccak

from colearn_ledger.keys.signing import ballot_signer, sign_ballot, signing_domain
from colearn_ledger.keys.wallet import InvalidKey, Wallet
from colearn_ledger.protocol import Account, Basis, ExperimentId, Scores, SignedBallot, Vote

KEY = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
DOMAIN = signing_domain(1337, Account("0x" + "11" * 20))
BASIS = Basis(ExperimentId(1), 4, b"\xdd" * 32)
VOTE = Vote(0x8001, (Scores(0.9, 0.8), Scores(None, -2.0)))
SIGNATURE = (
    "52ffcf4f5b22d9792556cf88bc928d1743ea417cfc14ed95638d9aada277f633"
    "7ae2952a8a61992e2a921f74123c5afd8efffad8d2d9917b3a8dd39c9770af0b1c"
)
"""Signatures are deterministic (RFC 6979), so every implementation makes the same one."""


@pytest.fixture
def wallet() -> Wallet:
    return Wallet.from_key(KEY)


def test_key_has_the_address_that_ethereum_tools_derive(wallet: Wallet):
    assert wallet.address == "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"


def test_new_wallets_have_different_keys():
    assert Wallet.create().address != Wallet.create().address


def test_repr_and_errors_do_not_contain_the_key(wallet: Wallet):
    digits = KEY.removeprefix("0x")
    assert digits not in repr(wallet) + str(wallet)
    with pytest.raises(InvalidKey) as refused:
        Wallet.from_key(digits[:-1] + "g")
    assert digits[:-1] not in "".join(traceback.format_exception(refused.value))


class TestSignedBallot:
    def test_signature_is_over_the_typed_data_of_the_page(self, wallet: Wallet):
        def encode(*words: int | bytes) -> bytes:
            padded = (w.to_bytes(32, "big") if isinstance(w, int) else w for w in words)
            return keccak(b"".join(padded))

        separator = encode(
            keccak(
                b"EIP712Domain(string name,string version,uint256 chainId,"
                b"address verifyingContract)"
            ),
            keccak(b"CollectiveLearning"),
            keccak(b"2"),
            1337,
            int("11" * 20, 16),
        )
        scores = "3feccccccccccccd 3fe999999999999a 7ff8000000000000 c000000000000000"
        ballot_hash = encode(
            keccak(
                b"Ballot(uint64 experiment,uint32 round,address learner,bytes32 proposals,"
                b"uint16 approvals,bytes scores)"
            ),
            1,
            4,
            int(wallet.address, 16),
            b"\xdd" * 32,
            0x8001,
            keccak(bytes.fromhex(scores)),
        )
        digest = keccak(b"\x19\x01" + separator + ballot_hash)
        assert DOMAIN.separator == separator
        ballot = sign_ballot(wallet, DOMAIN, BASIS, VOTE)
        r, s, v = ballot.signature[:32], ballot.signature[32:64], ballot.signature[64]
        signer = PublicKey.from_signature_and_message(r + s + bytes([v - 27]), digest, hasher=None)
        assert keccak(signer.format(compressed=False)[1:])[-20:].hex() == wallet.address[2:].lower()
        assert ballot.signature.hex() == SIGNATURE

    def test_signer_is_recovered(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, BASIS, VOTE)
        assert ballot.learner == ballot_signer(DOMAIN, BASIS, ballot) == wallet.address

    def test_signature_is_bound_to_the_contract_and_what_is_judged(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, BASIS, VOTE)
        elsewhere = [
            (signing_domain(1, DOMAIN.contract), BASIS),
            (signing_domain(1337, Account("0x" + "12" * 20)), BASIS),
            (DOMAIN, dataclasses.replace(BASIS, experiment=ExperimentId(2))),
            (DOMAIN, dataclasses.replace(BASIS, round=5)),
            (DOMAIN, dataclasses.replace(BASIS, proposals=b"\xde" * 32)),
        ]
        assert all(ballot_signer(*place, ballot) != wallet.address for place in elsewhere)

    @pytest.mark.parametrize(
        "vote", [Vote(1, VOTE.scores), Vote(0x8001, VOTE.scores[:1]), Vote(0x8001, ())]
    )
    def test_changed_vote_has_another_signer(self, wallet: Wallet, vote: Vote):
        turned = dataclasses.replace(sign_ballot(wallet, DOMAIN, BASIS, VOTE), vote=vote)
        assert ballot_signer(DOMAIN, BASIS, turned) != wallet.address

    @pytest.mark.parametrize("signature", [b"", b"x" * 64, bytes(65), b"\xff" * 65])
    def test_malformed_signature_has_no_signer(self, wallet: Wallet, signature: bytes):
        ballot = SignedBallot(wallet.address, VOTE, signature)
        assert ballot_signer(DOMAIN, BASIS, ballot) is None

    def test_ballot_that_the_scheme_cannot_represent_has_no_signer(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, BASIS, VOTE)
        cosmos = dataclasses.replace(ballot, learner=wallet.cosmos_address("wasm"))
        assert ballot_signer(DOMAIN, BASIS, cosmos) is None
        assert ballot_signer(DOMAIN, dataclasses.replace(BASIS, round=2**32), ballot) is None

    def test_malleable_signature_is_refused(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, BASIS, VOTE)
        order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
        s = order - int.from_bytes(ballot.signature[32:64], "big")
        twin = ballot.signature[:32] + s.to_bytes(32, "big") + bytes([55 - ballot.signature[64]])
        assert ballot_signer(DOMAIN, BASIS, dataclasses.replace(ballot, signature=twin)) is None
