"""The table of calls and queries, and the checks of arguments that all ledgers share."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace

import pytest

from colearn_ledger.calls import CALLS, QUERIES, check_arguments
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger, LedgerView
from colearn_ledger.protocol import (
    NO_ROUND,
    Admission,
    ContentRef,
    ExperimentParams,
    InvalidParameter,
    Merge,
    Scores,
    Selection,
    SignedBallot,
    SigningScheme,
    UnknownExperiment,
    Vote,
)
from colearn_ledger.reference.rules import Rules
from colearn_ledger.reference.views import Views

ANA = Wallet.from_key(b"\x01" * 32)
EVM_ACCOUNT, COSMOS_ACCOUNT = ANA.address, ANA.cosmos_address("wasm")
SPEC = ContentRef.from_digest(0x55, b"\xab" * 32, "ab" * 32, 1_200)
PARAMS = ExperimentParams("hospitals", SPEC, None, 10, 3, 5)
WORD = b"\x07" * 32
VOTE = Vote(0b101, (Scores(0.5, None), Scores(), Scores()))
SIGNED = SignedBallot(EVM_ACCOUNT, VOTE, bytes(65))
ENTRIES = {**CALLS, **QUERIES}


def check(name: str, *values: object, scheme: SigningScheme = SigningScheme.EIP712) -> tuple:
    return check_arguments(ENTRIES[name], values, scheme)


class TestTable:
    @pytest.mark.parametrize("name", ENTRIES)
    def test_ledger_has_a_typed_method_with_the_same_number_of_arguments(self, name: str):
        method = getattr(Ledger if name in CALLS else LedgerView, name)
        assert len(inspect.signature(method).parameters) - 1 == len(ENTRIES[name].arguments)
        assert inspect.signature(method).return_annotation != inspect.Signature.empty

    @pytest.mark.parametrize("name", ENTRIES)
    def test_reference_implements_every_entry(self, name: str):
        method = getattr(Rules if name in CALLS else Views, name)
        caller_or_time = name in CALLS or name in ("duty", "agenda")
        expected = len(ENTRIES[name].arguments) + caller_or_time
        assert len(inspect.signature(method).parameters) - 1 == expected

    def test_every_public_method_of_the_ledger_is_an_entry_or_a_known_exception(self):
        methods = {name for name in {*vars(Ledger), *vars(LedgerView)} if name[0] != "_"}
        others = {"account", "acting_for", "ask", "ask_all", "domain", "events", "now", "submit"}
        others |= {"costs", "read_origins", "wait_for_change"}
        assert methods == set(ENTRIES) | others


class TestArgumentChecks:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", "\ud800"),
            ("name", 5),
            ("spec", None),
            ("initial", "x"),
            ("rounds", "3"),
            ("rounds", True),
            ("proposers", 2.0),
            ("patience", None),
            ("selection", 2),
            ("merge", 2),
            ("merge", "mean"),
            ("admission", "closed"),
            ("late_join", 1),
            ("settle_early", None),
        ],
    )
    def test_parameter_of_the_wrong_type_is_refused_by_its_name(self, field: str, value: object):
        with pytest.raises(InvalidParameter) as refused:
            check("create", replace(PARAMS, **{field: value}))
        assert refused.value.args == (field,)

    def test_enumerations_given_as_numbers_become_members(self):
        (params,) = check("create", replace(PARAMS, selection=1, merge=1, admission=1))
        assert params.selection is Selection.RANDOM
        assert params.merge is Merge.BEST
        assert params.admission is Admission.ALLOWLIST

    @pytest.mark.parametrize(
        ("name", "arguments", "refused_name"),
        [
            ("create", (None,), "params"),
            ("join", (1, b"short", WORD), "hash"),
            ("join", (1, WORD, b"short"), "encryption_key"),
            ("set_encryption_key", (1, "0" * 32), "encryption_key"),
            ("commit", (1, 0, WORD, bytes(31)), "commitment"),
            ("commit", (1, 0, WORD.hex(), WORD), "proposals"),
            ("reveal", (1, 0, VOTE, bytes(33)), "salt"),
            ("reveal", (1, 0, VOTE, "0" * 32), "salt"),
            ("reveal", (1, 0, Vote(-1, ()), WORD), "approvals"),
            ("vote", (1, 0, bytes(31), VOTE), "proposals"),
            ("vote", (1, 0, None, VOTE), "proposals"),
            ("vote", (1, 0, WORD, Vote(True, ())), "approvals"),
            ("vote", (1, 0, WORD, Vote(-1, ())), "approvals"),
            ("vote", (1, 0, WORD, Vote(2**16, ())), "approvals"),
            ("vote", (1, 0, WORD, Vote(0, Scores())), "scores"),
            ("vote", (1, 0, WORD, Vote(0, bytes(32))), "scores"),
            ("vote", (1, 0, WORD, Vote(0, (Scores(), None))), "scores"),
            ("vote", (1, 0, WORD, Vote(0, (Scores("1"),))), "scores"),
            ("vote", (1, 0, WORD, Vote(0, (Scores(10**400),))), "scores"),
            ("vote", (1, 0, WORD, None), "vote"),
            ("vote", (1, "0", WORD, VOTE), "round"),
            ("vote", (1, True, WORD, VOTE), "round"),
            ("start", ("1",), "experiment"),
            ("start", (True,), "experiment"),
            ("remove", (1, "ana"), "account"),
            ("remove", (1, EVM_ACCOUNT.replace("a", "A")), "account"),
            ("remove", (1, COSMOS_ACCOUNT), "account"),
            ("admit", (1, ["0x12"]), "accounts"),
            ("admit", (1, EVM_ACCOUNT), "accounts"),
            ("admit", (1, None), "accounts"),
            ("propose", (1, 0, "cid", Scores()), "content"),
            ("propose", (1, 0, None, Scores()), "content"),
            ("propose", (1, 0, SPEC, (1, 2)), "scores"),
            ("propose", (1, 0, SPEC, Scores(10**400)), "scores"),
            ("vote_signed", (1, 0, b"", [SIGNED]), "proposals"),
            ("vote_signed", (1, 0, WORD, SIGNED), "ballots"),
            ("vote_signed", (1, 0, WORD, [SIGNED, None]), "ballots"),
            ("vote_signed", (1, 0, WORD, [replace(SIGNED, learner="x")]), "ballots"),
            ("vote_signed", (1, 0, WORD, [replace(SIGNED, signature="")]), "ballots"),
            ("vote_signed", (1, 0, WORD, [replace(SIGNED, vote=None)]), "ballots"),
            ("vote_signed", (1, 0, WORD, [replace(SIGNED, vote=Vote(2**16, ()))]), "ballots"),
            ("vote_signed", (1, 0, WORD, [replace(SIGNED, vote=Vote(0, None))]), "ballots"),
            ("announce", (1, b"key", SPEC), "topic"),
            ("announce", (1, None, SPEC), "topic"),
            ("announce", (1, "\ud800", SPEC), "topic"),
            ("announce", (1, "key", None), "content"),
            ("agenda", (1, "0x"), "account"),
            ("learners", (1, "0", 10), "start"),
            ("learners", (1, 0, 1.5), "limit"),
            ("duty", (1, "0x"), "account"),
        ],
    )
    def test_argument_of_the_wrong_type_is_refused_by_its_name(
        self, name: str, arguments: tuple, refused_name: str
    ):
        with pytest.raises(InvalidParameter) as refused:
            check(name, *arguments)
        assert refused.value.args == (refused_name,)

    @pytest.mark.parametrize("experiment", [-1, 2**64])
    def test_id_that_no_experiment_can_have_is_unknown(self, experiment: int):
        with pytest.raises(UnknownExperiment) as refused:
            check("advance", experiment)
        assert refused.value.args == (experiment,)

    @pytest.mark.parametrize("index", [-1, NO_ROUND, 2**32, 2**70])
    def test_index_beyond_any_round_becomes_the_reserved_index(self, index: int):
        assert check("decline", 1, index) == (1, NO_ROUND)

    def test_pages_are_cut_to_what_a_ledger_returns(self):
        assert check("learners", 1, -5, 10**9) == (1, 0, 100)
        assert check("learners", 1, 7, -1) == (1, 7, 0)

    def test_nan_scores_become_absent(self):
        *_, vote = check("vote", 1, 0, WORD, Vote(1, [Scores(math.nan, 0.5), Scores(1)]))
        assert vote == Vote(1, (Scores(None, 0.5), Scores(1.0)))

    @pytest.mark.parametrize("approvals", [0, 2**16 - 1])
    def test_bitmap_of_16_slots_is_recorded(self, approvals: int):
        *_, vote = check("vote", 1, 0, WORD, Vote(approvals, ()))
        assert vote.approvals == approvals

    def test_signed_ballots_get_the_form_of_the_ledger(self):
        lower = replace(SIGNED, learner=EVM_ACCOUNT.lower())
        *_, ballots = check("vote_signed", 1, 0, WORD, (lower, SIGNED))
        assert ballots == [SIGNED, SIGNED]

    def test_addresses_get_the_form_of_the_ledger(self):
        assert check("remove", 1, EVM_ACCOUNT.lower()) == (1, EVM_ACCOUNT)
        accepted = check("remove", 1, COSMOS_ACCOUNT, scheme=SigningScheme.ADR036)
        assert accepted == (1, COSMOS_ACCOUNT)
        with pytest.raises(InvalidParameter):
            check("remove", 1, EVM_ACCOUNT, scheme=SigningScheme.ADR036)
