"""Encoding for the Solidity contract, and decoding of possibly hostile answers."""

from __future__ import annotations

import pytest
from eth_abi import abi as coder
from hypothesis import given, settings
from hypothesis import strategies as st

from colearn_ledger.calls import QUERIES
from colearn_ledger.chains.evm import BadAnswer
from colearn_ledger.chains.evm.abi import Log, load_artifact
from colearn_ledger.chains.evm.encoder import EvmEncoder
from colearn_ledger.chains.evm.event_codec import event_from_log
from colearn_ledger.chains.evm.wire import (
    content_to_wire,
    error_from_wire,
    params_to_wire,
)
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    CODEC_DAG_PB,
    Agenda,
    Announced,
    ContentRef,
    Duty,
    Event,
    Experiment,
    ExperimentId,
    ExperimentParams,
    Merge,
    Outcome,
    ProtocolError,
    Round,
    RoundClosed,
    RoundStarted,
    Scores,
    SlotState,
    Status,
    Vote,
    VoteCast,
    WrongStatus,
    experiment_hash,
)
from tests.support.samples import content_of, digest_of, params

ABI = load_artifact().abi
ENCODER = EvmEncoder(ABI)
ID = ExperimentId(1)
ANA = Wallet.from_key(b"\x01" * 32)
BOB = Wallet.from_key(b"\x02" * 32)
NOTHING = (0, bytes(32), bytes(32), 0)
VOTE = Vote(5, (Scores(1.0), Scores(1.0, 1.0)))
ONE, ABSENT = "3ff0000000000000", "7ff8000000000000"
SCORES = ONE + ABSENT + ONE + ONE
"""The scores of `VOTE`, in hexadecimal."""


def answer(function: str, value: object) -> bytes:
    return coder.encode(ABI.functions[function].outputs, [value])


PARAMS = params()


def decode(name: str, data: bytes, *arguments: object) -> object:
    return ENCODER.decode(QUERIES[name], arguments, data)


def encoded_experiment(chosen: ExperimentParams = PARAMS, **changes: object) -> dict[str, object]:
    good = {
        "id": 1,
        "creator": ANA.address,
        "params": params_to_wire(chosen),
        "hash": experiment_hash(ANA.address, chosen),
        "status": 0,
        "cancel_requested": False,
        "created_at": 7,
        "started_at": 0,
        "ended_at": 0,
        "started": False,
        "round": 0,
        "active": 2,
        "joined": 3,
        "current": [content_to_wire(chosen.initial)] if chosen.initial else [],
        "current_round": 0,
        "seed": bytes(32),
    }
    return {**good, **changes}


def encoded_slot(wallet: Wallet, text: str = "", **changes: object) -> tuple[object, ...]:
    content = content_to_wire(content_of(text)) if text else NOTHING
    good = {
        "proposer": wallet.address,
        "state": SlotState.PROPOSED if text else SlotState.MISSED,
        "content": content,
        "proposed_at": 8 if text else 0,
        "approvals": 1 if text else 0,
        "accepted": False,
    }
    return tuple({**good, **changes}.values())


SLOTS = [encoded_slot(ANA, "a"), encoded_slot(ANA), encoded_slot(BOB, "b")]


def encoded_round(**changes: object) -> tuple[object, ...]:
    """Return a round in the vote on the proposals in two of its three slots."""
    good = {
        "index": 0,
        "phase": 1,
        "outcome": 0,
        "slots": SLOTS,
        "eligible": 4,
        "needed": 2,
        "ballots": 1,
        "commitments": 0,
        "proposals": digest_of({0: "a", 2: "b"}),
        "started_at": 7,
        "voting_started_at": 9,
        "reveal_started_at": 0,
        "closed_at": 0,
        "deadline": 19,
        "by_deadline": False,
    }
    return tuple({**good, **changes}.values())


def encoded_learner(account: str, index: int = 0) -> tuple[object, ...]:
    return (account, index, True, 0, 2**32 - 1, 1, 2, b"\x05" * 32)


def read_round(wire: tuple[object, ...]) -> Round:
    return decode("round", answer("round", wire), ID, 0)


def read_experiment(wire: dict[str, object]) -> Experiment:
    data = answer("experiment", tuple(wire.values()))
    return decode("experiment", data, ID)


def read_agenda(
    experiment: dict[str, object], round_: tuple[object, ...], learner: tuple[object, ...]
) -> Agenda:
    data = answer("agenda", (tuple(experiment.values()), round_, learner, Duty.VOTE))
    return decode("agenda", data, ID, ANA.address)


EXPERIMENTS = answer("experiments", [tuple(encoded_experiment().values())])


class TestAnswers:
    def test_encoded_parameters_are_decoded_again(self):
        dag = ContentRef.from_digest(CODEC_DAG_PB, b"\x07" * 32, "ab" * 32, 2**64 - 1)
        plural = params(proposers=16, merge=Merge.BEST, patience=2**32 - 1, max_strikes=65_535)
        bare = params(initial=None, spec=dag, name="é" * 32, late_join=True)
        for chosen in (params(), plural, bare):
            assert read_experiment(encoded_experiment(chosen)).params == chosen

    def test_absent_values_are_none(self):
        decoded = read_experiment(encoded_experiment(params(initial=None)))
        absent = (decoded.started_at, decoded.ended_at, decoded.round, decoded.current_round)
        assert absent == (None,) * 4
        assert decoded.current == ()

    def test_round_0_and_acceptance_in_round_0_are_not_none(self):
        decoded = read_experiment(encoded_experiment(started=True, started_at=9, current_round=1))
        assert (decoded.round, decoded.current_round) == (0, 0)

    def test_round_has_its_slots_and_their_digest(self):
        decoded = read_round(encoded_round())
        assert decoded.contents == {0: content_of("a"), 2: content_of("b")}
        assert decoded.slots[1].state == SlotState.MISSED
        assert (decoded.slots[1].proposed_at, decoded.slots[2].proposed_at) == (None, 8)
        assert decoded.proposals == digest_of({0: "a", 2: "b"})
        assert (decoded.voting_started_at, decoded.reveal_started_at) == (9, None)
        early = {"phase": 0, "proposals": bytes(32), "voting_started_at": 0}
        assert read_round(encoded_round(**early)).proposals is None

    def test_missed_duties_are_decoded(self):
        data = answer("learner", encoded_learner(BOB.address))
        decoded = decode("learner", data, ID, BOB.address)
        missed = (decoded.missed_proposals, decoded.missed_ballots, decoded.strikes)
        assert (missed, decoded.until_round) == ((1, 2, 2), None)

    def test_agenda_has_round_and_learner_only_where_they_exist(self):
        running = encoded_experiment(started=True, started_at=9)
        parts = (running, encoded_round(), encoded_learner(ANA.address))
        agenda = read_agenda(*parts)
        assert agenda.round == read_round(encoded_round())
        assert (agenda.learner.account, agenda.duty) == (ANA.address, Duty.VOTE)
        empty = encoded_round(slots=[], proposals=bytes(32), voting_started_at=0)
        nobody = encoded_learner("0x" + "00" * 20)
        agenda = read_agenda(encoded_experiment(), empty, nobody)
        assert (agenda.round, agenda.learner) == (None, None)

    @pytest.mark.parametrize(
        "change",
        [
            {"id": 2},
            {"status": 4},
            {"status": 255},
            {"hash": bytes(32)},
            {"creator": BOB.address},
            {"params": params_to_wire(params(rounds=4))},
            {"current": []},
            {"current": [NOTHING], "current_round": 1},
            {"current": [(0x71, b"\x01" * 32, b"\x01" * 32, 1)], "current_round": 1},
            {"current": [(0x55, b"\x01" * 32, b"\x02" * 32, 1)], "current_round": 1},
            {"current": [(0x55, b"\x01" * 32, b"\x01" * 32, 0)], "current_round": 1},
            {"current": [content_to_wire(content_of("x"))] * 17, "current_round": 1},
            {"params": (*params_to_wire(PARAMS)[:10], 2, *params_to_wire(PARAMS)[11:])},
            {"params": (*params_to_wire(PARAMS)[:12], 2, *params_to_wire(PARAMS)[13:])},
            {"params": ("x", NOTHING, *params_to_wire(PARAMS)[2:])},
        ],
    )
    def test_values_that_the_contract_cannot_return_are_a_bad_answer(self, change):
        with pytest.raises(BadAnswer):
            read_experiment(encoded_experiment(**change))

    @pytest.mark.parametrize(
        "change",
        [
            {"index": 1},
            {"phase": 4},
            {"outcome": 5},
            {"proposals": bytes(32)},
            {"proposals": bytes(32), "voting_started_at": 0},
            {"proposals": digest_of({0: "a", 1: "b"})},
            {"phase": 0},
            {"voting_started_at": 0},
            {"slots": []},
            {"slots": SLOTS + [encoded_slot(ANA)] * 14},
            {"slots": [encoded_slot(ANA, "other"), *SLOTS[1:]]},
            {"slots": [encoded_slot(ANA, "a", state=4), *SLOTS[1:]]},
            {"slots": [encoded_slot(ANA, "a", state=SlotState.MISSED), *SLOTS[1:]]},
            {"slots": [encoded_slot(ANA, "a", proposed_at=0), *SLOTS[1:]]},
            {"slots": [SLOTS[0], encoded_slot(ANA, approvals=1), SLOTS[2]]},
            {"slots": [SLOTS[0], encoded_slot(ANA, accepted=True), SLOTS[2]]},
        ],
    )
    def test_round_that_contradicts_itself_is_a_bad_answer(self, change):
        with pytest.raises(BadAnswer):
            read_round(encoded_round(**change))

    def test_answer_about_another_account_or_round_is_a_bad_answer(self):
        data = answer("learner", encoded_learner(ANA.address))
        with pytest.raises(BadAnswer, match="to a question about"):
            decode("learner", data, ID, BOB.address)
        data = answer("ballot", (ANA.address, True, 2, 5))
        assert decode("ballot", data, ID, 0, ANA.address).approvals == 5
        with pytest.raises(BadAnswer, match="to a question about"):
            decode("ballot", data, ID, 0, BOB.address)
        running = encoded_experiment(started=True, started_at=9, round=1)
        with pytest.raises(BadAnswer, match="to a question about"):
            read_agenda(running, encoded_round(), encoded_learner(ANA.address))
        running["round"] = 0
        with pytest.raises(BadAnswer, match="to a question about"):
            read_agenda(running, encoded_round(), encoded_learner(BOB.address))

    def test_rows_out_of_order_are_a_bad_answer(self):
        rows = [encoded_learner(ANA.address), encoded_learner(BOB.address, 1)]
        assert len(decode("learners", answer("learners", rows), ID, 0, 2)) == 2
        with pytest.raises(BadAnswer, match="to a question about"):
            decode("learners", answer("learners", rows), ID, 1, 2)
        with pytest.raises(BadAnswer, match="2 rows of at most 1"):
            decode("learners", answer("learners", rows), ID, 0, 1)

    def test_encoded_content_references_are_decoded_again(self):
        dag = ContentRef.from_digest(CODEC_DAG_PB, b"\x07" * 32, "ab" * 32, 5)
        contents = [content_of("weights"), dag]
        data = answer("currentWeights", [content_to_wire(content) for content in contents])
        assert decode("current_weights", data, ID) == contents

    def test_list_longer_than_a_page_is_a_bad_answer(self):
        rows = [(ANA.address, True, 0, 0)] * 101
        with pytest.raises(BadAnswer, match="101 rows"):
            decode("ballots", answer("ballots", rows), ID, 0, 0, 100)
        contents = [content_to_wire(content_of("x"))] * 17
        with pytest.raises(BadAnswer, match="17 rows"):
            decode("current_weights", answer("currentWeights", contents), ID)

    @pytest.mark.parametrize("data", [b"", b"\0" * 31, b"\xff" * 64, b"\xff" * 4_096])
    @pytest.mark.parametrize("name", ["experiment", "rounds", "duty"])
    def test_undecodable_bytes_are_a_bad_answer(self, name: str, data: bytes):
        with pytest.raises(BadAnswer):
            decode(name, data, ID, 0, 9)

    @settings(deadline=None, max_examples=120)
    @given(at=st.integers(0, 52), word=st.binary(min_size=32, max_size=32), cut=st.integers(0, 64))
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
        values = {"string": "spec", "address": ANA.address, "bytes32": b"\xab" * 32}
        data = coder.encode(entry.types, [values.get(kind, 1) for kind in entry.types])
        error = error_from_wire(ABI, entry.hash[:4] + data)
        assert type(error).__name__ == name
        assert isinstance(error, ProtocolError)
        assert error.args == tuple(values.get(kind, 1) for kind in entry.types)

    @pytest.mark.parametrize("data", [b"", b"\x08\xc3\x79\xa0" + bytes(64), b"\x4e\x48\x7b\x71"])
    def test_other_reverts_are_not_errors_of_the_protocol(self, data: bytes):
        assert error_from_wire(ABI, data) is None

    @pytest.mark.parametrize("rest", [b"", bytes(31), bytes(31) + b"\x09"])
    def test_error_with_malformed_values_is_a_bad_answer(self, rest: bytes):
        with pytest.raises(BadAnswer):
            error_from_wire(ABI, ABI.errors["WrongStatus"].hash[:4] + rest)


def log_of(name: str, *values: object) -> Log:
    """Return the log of an event with these fields, in the order of the ABI."""
    entry = ABI.events[name]
    fields = list(zip(entry.types, entry.indexed, values, strict=True))
    topics = [coder.encode([kind], [value]) for kind, indexed, value in fields if indexed]
    rest = [(kind, value) for kind, indexed, value in fields if not indexed]
    data = coder.encode([kind for kind, _ in rest], [value for _, value in rest])
    return Log((entry.hash, *topics), data)


def closed_log(accepted: int, approvals: list[int]) -> Log:
    return log_of("RoundClosed", 1, 3, 1, accepted, approvals, 4)


class TestEvents:
    def test_fields_of_events_are_decoded(self):
        scores = bytes.fromhex(SCORES)
        started = log_of("RoundStarted", 1, 3, [ANA.address, BOB.address], 4, 2, 9)
        expected = RoundStarted(ID, 3, (ANA.address, BOB.address), 4, 2, 9)
        assert event_from_log(ABI, started) == expected
        cast = log_of("VoteCast", 1, 3, BOB.address, 5, scores)
        assert event_from_log(ABI, cast) == VoteCast(ID, 3, BOB.address, VOTE)
        closed = RoundClosed(ID, 3, Outcome.ACCEPTED, 5, (3, 0, 12), 4)
        assert event_from_log(ABI, closed_log(5, [3, 0, 12])) == closed
        content = content_of("resume")
        announced = log_of("Announced", 1, ANA.address, "resume", content_to_wire(content))
        assert event_from_log(ABI, announced) == Announced(ID, ANA.address, "resume", content)

    @pytest.mark.parametrize(
        "log",
        [
            log_of("RoundStarted", 1, 3, [], 4, 2, 9),
            log_of("RoundStarted", 1, 3, [ANA.address] * 17, 4, 2, 9),
            log_of("ProposalDeclined", 1, 3, ANA.address, 16),
            log_of("VoteCast", 1, 3, BOB.address, 5, b""),
            log_of("VoteCast", 1, 3, BOB.address, 5, bytes(16)),
            log_of("VoteCast", 1, 3, BOB.address, 5, bytes(33)),
            log_of("VoteCast", 1, 3, BOB.address, 5, bytes(16 * 18)),
            closed_log(8, [3, 0, 12]),
            closed_log(0, []),
            log_of("BallotSkipped", 1, 3, BOB.address, 5),
            log_of("Announced", 1, ANA.address, "", content_to_wire(content_of("x"))),
            log_of("Announced", 1, ANA.address, "x" * 33, content_to_wire(content_of("x"))),
            log_of("Announced", 1, ANA.address, "x", NOTHING),
        ],
    )
    def test_event_that_the_contract_cannot_emit_is_a_bad_answer(self, log: Log):
        with pytest.raises(BadAnswer):
            event_from_log(ABI, log)
