"""Encoding for the Solidity contract, and decoding of possibly hostile answers."""

from __future__ import annotations

import re

import pytest
from eth_abi import abi as coder
from hypothesis import given, settings
from hypothesis import strategies as st

from colearn_ledger.calls import CALLS, QUERIES
from colearn_ledger.chains.evm import BadAnswer
from colearn_ledger.chains.evm.abi import Log, load_artifact
from colearn_ledger.chains.evm.encoder import EvmEncoder
from colearn_ledger.chains.evm.wire import (
    content_to_wire,
    error_from_wire,
    event_from_log,
    params_to_wire,
    signed_ballot_to_wire,
)
from colearn_ledger.keys.signing import sign_ballot, signing_domain
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    CODEC_DAG_PB,
    ContentRef,
    Event,
    Experiment,
    ExperimentId,
    InvalidParameter,
    ProtocolError,
    Scores,
    SignedBallot,
    Status,
    Vote,
    WrongStatus,
)
from tests.support.samples import content_of, params

ABI = load_artifact().abi
ENCODER = EvmEncoder(ABI)
ID = ExperimentId(1)
ANA = Wallet.from_key(b"\x01" * 32)


def answer(function: str, value: object) -> bytes:
    return coder.encode(ABI.functions[function].outputs, [value])


def encoded_params(**changes: object) -> tuple[object, ...]:
    return params_to_wire(params(**changes))


def decode(name: str, data: bytes, *arguments: object) -> object:
    return ENCODER.decode(QUERIES[name], arguments, data)


def encoded_experiment(**changes: object) -> dict[str, object]:
    nothing = (0, bytes(32), bytes(32), 0)
    good = {
        "id": 1,
        "creator": ANA.address,
        "params": encoded_params(),
        "status": 0,
        "created_at": 7,
        "started_at": 0,
        "ended_at": 0,
        "started": False,
        "round": 0,
        "active": 2,
        "joined": 3,
        "current": nothing,
        "current_round": 0,
        "seed": bytes(32),
    }
    return {**good, **changes}


def read_experiment(wire: dict[str, object]) -> Experiment:
    data = answer("experiment", tuple(wire.values()))
    return decode("experiment", data, ID)


EXPERIMENTS = answer("experiments", [tuple(encoded_experiment().values())])


class TestAnswers:
    def test_encoded_parameters_are_decoded_again(self):
        dag = ContentRef.from_digest(CODEC_DAG_PB, b"\x07" * 32, "ab" * 32, 2**64 - 1)
        for chosen in (params(), params(initial=None, spec=dag, name="é" * 32, late_join=True)):
            wire = encoded_experiment(params=params_to_wire(chosen))
            assert read_experiment(wire).params == chosen

    def test_absent_values_are_none(self):
        decoded = read_experiment(encoded_experiment())
        absent = (
            decoded.started_at,
            decoded.ended_at,
            decoded.round,
            decoded.current,
            decoded.current_round,
        )
        assert absent == (None,) * 5

    def test_round_0_and_acceptance_in_round_0_are_not_none(self):
        decoded = read_experiment(encoded_experiment(started=True, started_at=9, current_round=1))
        assert (decoded.round, decoded.current_round) == (0, 0)

    @pytest.mark.parametrize(
        "change",
        [
            {"status": 4},
            {"status": 255},
            {"current": (0x71, b"\x01" * 32, b"\x01" * 32, 1)},
            {"current": (0x55, b"\x01" * 32, b"\x02" * 32, 1)},
            {"current": (0x55, b"\x01" * 32, b"\x01" * 32, 0)},
            {"params": (*encoded_params()[:10], 2, *encoded_params()[11:])},
            {"params": ("x", (0, bytes(32), bytes(32), 0), *encoded_params()[2:])},
        ],
    )
    def test_values_that_the_contract_cannot_return_are_a_bad_answer(self, change):
        with pytest.raises(BadAnswer):
            read_experiment(encoded_experiment(**change))

    def test_list_longer_than_a_page_is_a_bad_answer(self):
        rows = [(ANA.address, True, 0)] * 101
        with pytest.raises(BadAnswer, match="101 rows"):
            decode("ballots", answer("ballots", rows), ID, 0, 0, 100)

    @pytest.mark.parametrize("data", [b"", b"\0" * 31, b"\xff" * 64, b"\xff" * 4_096])
    @pytest.mark.parametrize("name", ["experiment", "rounds", "duty"])
    def test_undecodable_bytes_are_a_bad_answer(self, name: str, data: bytes):
        with pytest.raises(BadAnswer):
            decode(name, data, ID, 0, 9)

    @settings(deadline=None, max_examples=120)
    @given(at=st.integers(0, 40), word=st.binary(min_size=32, max_size=32), cut=st.integers(0, 64))
    def test_tampered_answer_is_a_value_or_a_bad_answer(self, at, word, cut):
        data = EXPERIMENTS
        tampered = (data[: at * 32] + word + data[at * 32 + 32 :])[: len(data) - cut]
        try:
            decode("experiments", tampered, 0, 9)
        except BadAnswer:
            return

    @settings(deadline=None, max_examples=120)
    @given(
        kind=st.sampled_from(sorted(ABI.events)),
        words=st.lists(st.binary(min_size=32, max_size=32), max_size=4),
        data=st.binary(max_size=1_000),
    )
    def test_hostile_log_is_an_event_or_a_bad_answer(self, kind, words, data):
        try:
            event = event_from_log(ABI, Log((ABI.topic(kind), *words), data))
        except BadAnswer:
            return
        assert isinstance(event, Event)

    def test_logs_with_other_topics_are_skipped(self):
        assert event_from_log(ABI, Log((b"\x01" * 32,), b"")) is None
        assert event_from_log(ABI, Log((), b"")) is None


class TestErrors:
    def test_error_carries_its_values(self):
        entry = ABI.errors["WrongStatus"]
        error = error_from_wire(ABI, entry.hash[:4] + coder.encode(["uint8"], [2]))
        assert isinstance(error, WrongStatus)
        assert error.args == (Status.COMPLETED,)
        assert isinstance(error.args[0], Status)

    def test_accounts_in_errors_have_their_checksum(self):
        entry = ABI.errors["NotALearner"]
        error = error_from_wire(ABI, entry.hash[:4] + coder.encode(["address"], [ANA.address]))
        assert error is not None
        assert error.args == (ANA.address,)

    @pytest.mark.parametrize("name", sorted(ABI.errors))
    def test_every_error_of_the_contract_is_decoded(self, name: str):
        entry = ABI.errors[name]
        values = {"string": "spec", "address": ANA.address}
        data = coder.encode(entry.types, [values.get(kind, 1) for kind in entry.types])
        error = error_from_wire(ABI, entry.hash[:4] + data)
        assert type(error).__name__ == name
        assert isinstance(error, ProtocolError)

    @pytest.mark.parametrize("data", [b"", b"\x08\xc3\x79\xa0" + bytes(64), b"\x4e\x48\x7b\x71"])
    def test_other_reverts_are_not_errors_of_the_protocol(self, data: bytes):
        assert error_from_wire(ABI, data) is None

    @pytest.mark.parametrize("rest", [b"", bytes(31), bytes(31) + b"\x09"])
    def test_error_with_malformed_values_is_a_bad_answer(self, rest: bytes):
        with pytest.raises(BadAnswer):
            error_from_wire(ABI, ABI.errors["WrongStatus"].hash[:4] + rest)


class TestCalls:
    def test_every_function_of_the_contract_but_one_is_a_call_or_a_query(self):
        names = {re.sub("([A-Z])", lambda m: "_" + m[1].lower(), name) for name in ABI.functions}
        assert names == {*CALLS, *QUERIES, "domain_separator", "queries"}

    def test_call_is_selector_and_arguments(self):
        data = ENCODER.encode(CALLS["vote"], (ID, 3, Vote(True, Scores(1.0))))
        entry = ABI.functions["vote"]
        values = (1, 3, True, 0x3FF0 << 48, 0x7FF8 << 48)
        assert data == entry.hash[:4] + coder.encode(entry.types, values)

    def test_signature_is_encoded_in_compact_form(self):
        domain = signing_domain(1, ANA.address)
        for index in range(8):  # enough for both parities
            ballot = sign_ballot(ANA, domain, ID, index, Vote(True, Scores(1.0)))
            sent = signed_ballot_to_wire(ballot)
            r, vs = sent[37:69], sent[69:]
            v = 27 + (vs[0] >> 7)
            assert r + bytes([vs[0] & 0x7F]) + vs[1:] + bytes([v]) == ballot.signature

    def test_signed_ballot_has_101_bytes(self):
        ballot = SignedBallot(ANA.address, Vote(True, Scores(1.0)), bytes(65))
        one, absent = "3ff0000000000000", "7ff8000000000000"
        expected = ANA.address[2:].lower() + "01" + one + absent + "00" * 64
        assert signed_ballot_to_wire(ballot).hex() == expected

    @pytest.mark.parametrize("signature", [b"", bytes(64), b"\xff" * 65, bytes(64) + b"\x1d"])
    def test_signature_without_a_compact_form_is_encoded_as_an_invalid_one(self, signature: bytes):
        sent = signed_ballot_to_wire(SignedBallot(ANA.address, Vote(True), signature))
        assert sent[37:] == bytes(64)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("propose_window", 2**32),
            ("vote_window", -1),
            ("reveal_window", -1),
            ("max_strikes", 65_536),
        ],
    )
    def test_number_beyond_the_types_of_the_contract_is_refused_by_its_name(self, name, value):
        with pytest.raises(InvalidParameter) as refused:
            params_to_wire(params(**{name: value}))
        assert refused.value.args == (name,)

    def test_encoded_content_reference_is_decoded_again(self):
        dag = ContentRef.from_digest(CODEC_DAG_PB, b"\x07" * 32, "ab" * 32, 5)
        for content in (content_of("weights"), dag):
            data = answer("currentWeights", content_to_wire(content))
            assert decode("current_weights", data, ID) == content
