"""Wallets and signed ballots."""

from __future__ import annotations

import dataclasses
import traceback

import pytest

from colearn_ledger.keys.signing import ballot_signer, sign_ballot, signing_domain
from colearn_ledger.keys.wallet import InvalidKey, Wallet
from colearn_ledger.protocol import Account, ExperimentId, Scores, SignedBallot, Vote

KEY = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
DOMAIN = signing_domain(1337, Account("0x" + "11" * 20))
EXPERIMENT = ExperimentId(1)
VOTE = Vote(True, Scores(0.9, 0.8))


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
    def test_signer_is_recovered(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, EXPERIMENT, 4, VOTE)
        assert ballot_signer(DOMAIN, EXPERIMENT, 4, ballot) == wallet.address

    def test_signature_is_bound_to_chain_contract_experiment_and_round(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, EXPERIMENT, 4, VOTE)
        elsewhere = [
            (signing_domain(1, DOMAIN.contract), EXPERIMENT, 4),
            (signing_domain(1337, Account("0x" + "12" * 20)), EXPERIMENT, 4),
            (DOMAIN, ExperimentId(2), 4),
            (DOMAIN, EXPERIMENT, 5),
        ]
        assert all(ballot_signer(*place, ballot) != wallet.address for place in elsewhere)

    def test_changed_vote_has_another_signer(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, EXPERIMENT, 4, VOTE)
        turned = dataclasses.replace(ballot, vote=Vote(False, VOTE.scores))
        assert ballot_signer(DOMAIN, EXPERIMENT, 4, turned) != wallet.address

    @pytest.mark.parametrize("signature", [b"", b"x" * 64, bytes(65), b"\xff" * 65])
    def test_malformed_signature_has_no_signer(self, wallet: Wallet, signature: bytes):
        ballot = SignedBallot(wallet.address, VOTE, signature)
        assert ballot_signer(DOMAIN, EXPERIMENT, 4, ballot) is None

    def test_malleable_signature_is_refused(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, EXPERIMENT, 4, VOTE)
        order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
        s = order - int.from_bytes(ballot.signature[32:64], "big")
        twin = ballot.signature[:32] + s.to_bytes(32, "big") + bytes([55 - ballot.signature[64]])
        assert (
            ballot_signer(DOMAIN, EXPERIMENT, 4, SignedBallot(wallet.address, VOTE, twin)) is None
        )
