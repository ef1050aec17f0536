"""Calls are encoded exactly as the Solidity contract expects them."""

from __future__ import annotations

import re

import pytest
from eth_abi import abi as coder

from colearn_ledger.calls import CALLS, QUERIES
from colearn_ledger.chains.evm.abi import load_artifact
from colearn_ledger.chains.evm.encoder import EvmEncoder
from colearn_ledger.chains.evm.wire import ballots_to_wire, params_to_wire
from colearn_ledger.keys.signing import sign_ballot, signing_domain
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    Basis,
    ExperimentId,
    InvalidParameter,
    Scores,
    SignedBallot,
    Vote,
)
from tests.support.samples import params

ABI = load_artifact().abi
ENCODER = EvmEncoder(ABI)
ID = ExperimentId(1)
ANA = Wallet.from_key(b"\x01" * 32)
VOTE = Vote(5, (Scores(1.0), Scores(1.0, 1.0)))
ONE, ABSENT = "3ff0000000000000", "7ff8000000000000"
SCORES = ONE + ABSENT + ONE + ONE
"""The scores of `VOTE`, in hexadecimal."""


class TestCalls:
    def test_every_function_of_the_contract_but_one_is_a_call_or_a_query(self):
        names = {re.sub("([A-Z])", lambda m: "_" + m[1].lower(), name) for name in ABI.functions}
        assert names == {*CALLS, *QUERIES, "domain_separator", "queries"}

    def test_call_is_selector_and_arguments(self):
        word = b"\xab" * 32
        entry = ABI.functions["vote"]
        values = (1, 3, word, 5, bytes.fromhex(SCORES))
        data = ENCODER.encode(CALLS["vote"], (ID, 3, word, VOTE))
        assert data == entry.hash[:4] + coder.encode(entry.types, values)
        assert entry.types == ("uint64", "uint32", "bytes32", "uint16", "bytes")

    def test_signature_is_encoded_in_compact_form(self):
        domain = signing_domain(1, ANA.address)
        for index in range(8):  # enough for both parities
            ballot = sign_ballot(ANA, domain, Basis(ID, index, bytes(32)), VOTE)
            sent = ballots_to_wire([ballot])[-64:]
            r, vs = sent[:32], sent[32:]
            v = 27 + (vs[0] >> 7)
            assert r + bytes([vs[0] & 0x7F]) + vs[1:] + bytes([v]) == ballot.signature

    def test_batch_is_the_ballots_one_after_another(self):
        ballot = SignedBallot(ANA.address, VOTE, bytes(65))
        expected = ANA.address[2:].lower() + "0005" + SCORES + "00" * 64
        assert ballots_to_wire([ballot]).hex() == expected
        assert ballots_to_wire([ballot] * 3).hex() == expected * 3
        assert ballots_to_wire([]) == b""

    def test_batch_with_scores_of_different_lengths_is_refused(self):
        other = Vote(1, VOTE.scores[:1])
        ballots = [SignedBallot(ANA.address, vote, bytes(65)) for vote in (VOTE, other)]
        with pytest.raises(InvalidParameter) as refused:
            ENCODER.encode(CALLS["vote_signed"], (ID, 0, bytes(32), ballots))
        assert refused.value.args == ("ballots",)

    @pytest.mark.parametrize("signature", [b"", bytes(64), b"\xff" * 65, bytes(64) + b"\x1d"])
    def test_signature_without_a_compact_form_is_encoded_as_an_invalid_one(self, signature: bytes):
        sent = ballots_to_wire([SignedBallot(ANA.address, VOTE, signature)])
        assert sent[-64:] == bytes(64)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("propose_window", 2**32),
            ("vote_window", -1),
            ("reveal_window", -1),
            ("max_strikes", 65_536),
            ("patience", 2**32),
        ],
    )
    def test_number_beyond_the_types_of_the_contract_is_refused_by_its_name(self, name, value):
        with pytest.raises(InvalidParameter) as refused:
            params_to_wire(params(**{name: value}))
        assert refused.value.args == (name,)
