"""Translation between the domain and the wire, and what is hostile about the latter."""

from __future__ import annotations

import pytest
from eth_abi import abi as coder
from hypothesis import given, settings
from hypothesis import strategies as st

from colearn_ledger.chains.evm import BadAnswer
from colearn_ledger.chains.evm.abi import Log, load_artifact
from colearn_ledger.chains.evm.calls import Calls, Queries
from colearn_ledger.chains.evm.wire import error_from_wire, event_from_log, signed_ballot_to_wire
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
    UnknownExperiment,
    Vote,
    WrongStatus,
)
from tests.support.evm_world import content_of, params

ABI = load_artifact().abi
ID = ExperimentId(1)
ANA = Wallet.from_key(b"\x01" * 32)


def answer(function: str, value: object) -> bytes:
    return coder.encode(ABI.functions[function].outputs, [value])


def wired_params(**changes: object) -> tuple[object, ...]:
    return Calls.create(params(**changes)).arguments[0]


def wired_experiment(**changes: object) -> dict[str, object]:
    nothing = (0, bytes(32), bytes(32), 0)
    good = {
        "id": 1,
        "creator": ANA.address,
        "params": wired_params(),
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
    return Queries.experiment(ID).read(ABI, data)


EXPERIMENTS = answer("experiments", [tuple(wired_experiment().values())])


class TestWhatComesIn:
    def test_parameters_come_back_as_they_went(self):
        dag = ContentRef.from_digest(CODEC_DAG_PB, b"\x07" * 32, "ab" * 32, 2**64 - 1)
        for chosen in (params(), params(initial=None, spec=dag, name="é" * 32, late_join=True)):
            wire = wired_experiment(params=Calls.create(chosen).arguments[0])
            assert read_experiment(wire).params == chosen

    def test_what_is_not_there_is_none(self):
        told = read_experiment(wired_experiment())
        absent = (told.started_at, told.ended_at, told.round, told.current, told.current_round)
        assert absent == (None,) * 5

    def test_round_0_and_acceptance_in_round_0_are_not_none(self):
        told = read_experiment(wired_experiment(started=True, started_at=9, current_round=1))
        assert (told.round, told.current_round) == (0, 0)

    @pytest.mark.parametrize(
        "change",
        [
            {"status": 4},
            {"status": 255},
            {"current": (0x71, b"\x01" * 32, b"\x01" * 32, 1)},
            {"current": (0x55, b"\x01" * 32, b"\x02" * 32, 1)},
            {"current": (0x55, b"\x01" * 32, b"\x01" * 32, 0)},
            {"params": (*wired_params()[:10], 2, *wired_params()[11:])},
            {"params": ("x", (0, bytes(32), bytes(32), 0), *wired_params()[2:])},
        ],
    )
    def test_values_that_the_contract_can_not_hold_are_a_bad_answer(self, change):
        with pytest.raises(BadAnswer):
            read_experiment(wired_experiment(**change))

    def test_a_list_longer_than_a_page_is_a_bad_answer(self):
        rows = [(ANA.address, True, 0)] * 101
        with pytest.raises(BadAnswer, match="101 rows"):
            Queries.ballots(ID, 0, 0, 100).read(ABI, answer("ballots", rows))

    @pytest.mark.parametrize("data", [b"", b"\0" * 31, b"\xff" * 64, b"\xff" * 4_096])
    @pytest.mark.parametrize(
        "query",
        [Queries.experiment(ID), Queries.rounds(ID, 0, 9), Queries.duty(ID, ANA.address)],
        ids=lambda query: query.call.function,
    )
    def test_bytes_that_are_no_answer_are_a_bad_answer(self, query, data: bytes):
        with pytest.raises(BadAnswer):
            query.read(ABI, data)

    @settings(deadline=None, max_examples=120)
    @given(at=st.integers(0, 40), word=st.binary(min_size=32, max_size=32), cut=st.integers(0, 64))
    def test_a_tampered_answer_is_a_value_or_a_bad_answer_and_nothing_else(self, at, word, cut):
        data = EXPERIMENTS
        tampered = (data[: at * 32] + word + data[at * 32 + 32 :])[: len(data) - cut]
        try:
            Queries.experiments(0, 9).read(ABI, tampered)
        except BadAnswer:
            return

    @settings(deadline=None, max_examples=120)
    @given(
        event=st.sampled_from(sorted(ABI.events)),
        words=st.lists(st.binary(min_size=32, max_size=32), max_size=4),
        data=st.binary(max_size=1_000),
    )
    def test_a_hostile_log_is_an_event_or_a_bad_answer_and_nothing_else(self, event, words, data):
        try:
            told = event_from_log(ABI, Log((ABI.topic(event), *words), data))
        except BadAnswer:
            return
        assert isinstance(told, Event)

    def test_logs_of_other_contracts_are_none_of_ours(self):
        assert event_from_log(ABI, Log((b"\x01" * 32,), b"")) is None
        assert event_from_log(ABI, Log((), b"")) is None


class TestErrors:
    def test_an_error_comes_with_its_values(self):
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
    def test_every_error_of_the_contract_is_known(self, name: str):
        entry = ABI.errors[name]
        values = {"string": "spec", "address": ANA.address}
        data = coder.encode(entry.types, [values.get(kind, 1) for kind in entry.types])
        error = error_from_wire(ABI, entry.hash[:4] + data)
        assert type(error).__name__ == name
        assert isinstance(error, ProtocolError)

    @pytest.mark.parametrize("data", [b"", b"\x08\xc3\x79\xa0" + bytes(64), b"\x4e\x48\x7b\x71"])
    def test_other_reverts_are_none_of_the_protocols(self, data: bytes):
        assert error_from_wire(ABI, data) is None

    @pytest.mark.parametrize("rest", [b"", bytes(31), bytes(31) + b"\x09"])
    def test_an_error_that_begins_well_and_ends_badly_is_a_bad_answer(self, rest: bytes):
        with pytest.raises(BadAnswer):
            error_from_wire(ABI, ABI.errors["WrongStatus"].hash[:4] + rest)


class TestWhatGoesOut:
    def test_a_signature_goes_out_in_its_compact_form(self):
        domain = signing_domain(1, ANA.address)
        for index in range(8):  # both parities
            ballot = sign_ballot(ANA, domain, ID, index, Vote(True, Scores(1.0)))
            sent = signed_ballot_to_wire(ballot)
            r, vs = sent[37:69], sent[69:]
            v = 27 + (vs[0] >> 7)
            assert r + bytes([vs[0] & 0x7F]) + vs[1:] + bytes([v]) == ballot.signature

    def test_a_signed_ballot_goes_out_as_101_bytes(self):
        ballot = SignedBallot(ANA.address, Vote(True, Scores(1.0)), bytes(65))
        one, absent = "3ff0000000000000", "7ff8000000000000"
        wanted = ANA.address[2:].lower() + "01" + one + absent + "00" * 64
        assert signed_ballot_to_wire(ballot).hex() == wanted

    @pytest.mark.parametrize("signature", [b"", bytes(64), b"\xff" * 65, bytes(64) + b"\x1d"])
    def test_a_signature_that_has_no_compact_form_goes_out_as_a_bad_one(self, signature: bytes):
        sent = signed_ballot_to_wire(SignedBallot(ANA.address, Vote(True), signature))
        assert sent[37:] == bytes(64)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("name", "\ud800"),
            ("name", 5),
            ("propose_window", 2**32),
            ("vote_window", -1),
            ("reveal_window", -1),
            ("max_strikes", 65_536),
            ("rounds", "3"),
            ("rounds", True),
            ("selection", 2),
            ("admission", "closed"),
            ("late_join", 1),
        ],
    )
    def test_what_the_contract_has_no_room_for_is_refused_by_its_name(self, name, value):
        with pytest.raises(InvalidParameter) as refused:
            Calls.create(params(**{name: value}))
        assert refused.value.args == (name,)

    @pytest.mark.parametrize(
        ("call", "name"),
        [
            (lambda: Calls.join(ID, b"short"), "encryption_key"),
            (lambda: Calls.commit(ID, 0, bytes(31)), "commitment"),
            (lambda: Calls.reveal(ID, 0, Vote(True), bytes(33)), "salt"),
            (lambda: Calls.vote(ID, 0, Vote(1)), "vote"),
            (lambda: Calls.vote(ID, "0", Vote(True)), "round"),
            (lambda: Calls.start("1"), "experiment"),
            (lambda: Calls.remove(ID, "ana"), "account"),
            (lambda: Calls.remove(ID, ANA.address.replace("a", "A")), "account"),
            (lambda: Calls.admit(ID, ["0x12"]), "accounts"),
            (lambda: Calls.propose(ID, 0, "cid", Scores()), "content"),
        ],
    )
    def test_a_wrong_argument_is_refused_by_its_name(self, call, name: str):
        with pytest.raises(InvalidParameter) as refused:
            call()
        assert refused.value.args == (name,)

    def test_an_id_that_no_experiment_can_have_is_unknown(self):
        for value in (-1, 2**64):
            with pytest.raises(UnknownExperiment) as refused:
                Calls.advance(ExperimentId(value))
            assert refused.value.args == (value,)

    def test_a_reference_is_the_same_in_both_directions(self):
        dag = ContentRef.from_digest(CODEC_DAG_PB, b"\x07" * 32, "ab" * 32, 5)
        for content in (content_of("weights"), dag):
            wire = Calls.propose(ID, 0, content, Scores()).arguments[2]
            data = answer("currentWeights", wire)
            assert Queries.current_weights(ID).read(ABI, data) == content
