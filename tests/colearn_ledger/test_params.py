"""The bounds of an experiment's parameters, of names and of topics."""

from __future__ import annotations

from itertools import combinations

import pytest

from colearn_ledger.keys.signing import signing_domain
from colearn_ledger.protocol import (
    Account,
    Announced,
    ExperimentId,
    InvalidParameter,
    Merge,
    NotALearner,
    experiment_hash,
)
from colearn_ledger.reference.params import check_params, check_text
from colearn_ledger.reference.rounds import Transaction
from colearn_ledger.reference.rules import Rules
from colearn_ledger.reference.state import LedgerState
from tests.support.samples import content_of, params

ANA, BOB = Account("0x" + "22" * 20), Account("0x" + "33" * 20)
ONE = ExperimentId(1)
CONTROL = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]

EDGES = {
    "name": (["a", "é" * 32, "\N{NO-BREAK SPACE}", "\U0010ffff" * 16], ["", "a" * 65, "é" * 33]),
    "rounds": ([1, 2**32 - 2], [0, -1, 2**32 - 1, 2**40]),
    "min_learners": ([2, 10], [1, 0, -1]),
    "max_learners": ([2, 10_000], [1, 10_001, 2**20]),
    "approval_bps": ([1, 10_000], [0, 10_001]),
    "propose_window": ([1, 2**32 - 1], [0, 2**32]),
    "vote_window": ([1, 2**32 - 1], [0, 2**32]),
    "reveal_window": ([0, 2**32 - 1], [-1, 2**32]),
    "proposers": ([1, 16], [0, -1, 17, 255]),
    "max_strikes": ([0, 65_535], [-1, 65_536]),
    "patience": ([0, 2**32 - 1], [-1, 2**32]),
}
"""Valid and invalid values of the parameters, in the order in which they are checked."""


def refused_by(**changes: object) -> str:
    with pytest.raises(InvalidParameter) as refused:
        check_params(params(**changes))
    return str(refused.value.args[0])


@pytest.mark.parametrize("name", EDGES)
def test_parameter_is_accepted_up_to_its_bounds_and_not_beyond(name: str):
    good, bad = EDGES[name]
    for value in good:
        check_params(params(**{name: value}))
    assert [refused_by(**{name: value}) for value in bad] == [name] * len(bad)


@pytest.mark.parametrize(("first", "second"), list(combinations(EDGES, 2)))
def test_first_of_two_parameters_out_of_bounds_is_named(first: str, second: str):
    assert refused_by(**{name: EDGES[name][1][0] for name in (first, second)}) == first


class TestMergeOfUntrainedWeights:
    def test_mean_of_several_proposals_needs_initial_weights(self):
        assert refused_by(initial=None, proposers=2) == "initial"
        check_params(params(initial=None, proposers=1))
        check_params(params(initial=None, proposers=2, merge=Merge.BEST))

    def test_number_of_proposers_is_checked_before_and_strikes_after_it(self):
        assert refused_by(initial=None, proposers=17) == "proposers"
        assert refused_by(initial=None, proposers=2, max_strikes=-1) == "initial"


class TestText:
    @pytest.mark.parametrize("text", [*CONTROL, "a\nb", "tab\t", "\ud800"], ids=ascii)
    def test_control_characters_and_malformed_text_are_refused(self, text: str):
        with pytest.raises(InvalidParameter) as refused:
            check_text("topic", text, longest=32)
        assert refused.value.args == ("topic",)

    @pytest.mark.parametrize(
        "text", [" ", "~", "\xa0", "\u200b", "\u202e", "\U0001f600"], ids=ascii
    )
    def test_other_characters_are_accepted(self, text: str):
        check_text("name", text, longest=4)

    def test_length_is_counted_in_bytes(self):
        check_text("topic", "é" * 16, longest=32)
        for text in ("", "é" * 16 + "a"):
            with pytest.raises(InvalidParameter):
                check_text("topic", text, longest=32)


class TestTopic:
    @pytest.fixture
    def rules(self) -> Rules:
        rules = Rules(LedgerState(), signing_domain(1, ANA))
        rules.create(Transaction(ANA, 0, bytes(32)), params())
        rules.join(Transaction(ANA, 0, bytes(32)), ONE, experiment_hash(ANA, params()), bytes(32))
        return rules

    def test_topic_of_32_bytes_is_announced(self, rules: Rules):
        events = rules.announce(Transaction(ANA, 0, bytes(32)), ONE, "k" * 32, content_of("key"))
        assert events == [Announced(ONE, ANA, "k" * 32, content_of("key"))]

    @pytest.mark.parametrize("topic", ["", "k" * 33, "a\x00", "a\x7f", "a\x85"], ids=ascii)
    def test_malformed_topic_is_refused(self, rules: Rules, topic: str):
        with pytest.raises(InvalidParameter) as refused:
            rules.announce(Transaction(ANA, 0, bytes(32)), ONE, topic, content_of("key"))
        assert refused.value.args == ("topic",)

    def test_caller_is_checked_before_the_topic(self, rules: Rules):
        with pytest.raises(NotALearner):
            rules.announce(Transaction(BOB, 0, bytes(32)), ONE, "", content_of("key"))
