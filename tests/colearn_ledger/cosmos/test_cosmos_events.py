"""The contract's events become those of the protocol, and malformed ones are refused."""

from __future__ import annotations

import json

import pytest

from colearn_ledger import protocol
from colearn_ledger.chains.cosmos.event_codec import decode_events
from colearn_ledger.chains.cosmos.records import ChainEvent
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.protocol import Outcome, Scores
from tests.support.contract_answers import (
    ANA,
    BOB,
    CONTRACT,
    GOOD,
    PARAMS,
    SCORES,
    SPEC,
    VOTE,
)


def chain_event(kind: str, contract: str = CONTRACT, **fields: str) -> ChainEvent:
    attributes = {"_contract_address": contract, "experiment": "1", **fields}
    return ChainEvent(f"wasm-{kind}", tuple(attributes.items()))


def test_events_of_other_contracts_and_unknown_events_are_skipped():
    cast = {"round": "0", "approvals": "5", "scores": SCORES}
    events = [
        ChainEvent("tx", (("fee", "1stake"),)),
        chain_event("vote_cast", learner=ANA, msg_index="0", **cast),
        chain_event("vote_cast", learner=BOB, msg_index="0", **cast),
        chain_event("vote_cast", contract=ANA, learner=BOB, **cast),
        chain_event("something_of_later_versions"),
        ChainEvent("wasm", (("_contract_address", CONTRACT),)),
        chain_event("ballot_skipped", round="0", learner=ANA, reason="not_eligible"),
    ]
    assert decode_events(events, CONTRACT) == [
        protocol.VoteCast(1, 0, ANA, VOTE),
        protocol.VoteCast(1, 0, BOB, VOTE),
        protocol.BallotSkipped(1, 0, ANA, protocol.SkipReason.NOT_ELIGIBLE),
    ]


def test_every_event_of_the_protocol_is_decoded():
    word, scores = "ab" * 32, {"vote_score": "0", "test_score": "0"}
    content = {"codec": "85", "digest": word, "sha256": word, "size": "1200"}
    place = {"round": "3"}
    decoded = decode_events(
        [
            chain_event("experiment_created", creator=ANA, params=json.dumps(PARAMS)),
            chain_event("learner_admitted", learner=ANA),
            chain_event("learner_joined", learner=ANA, index="4", encryption_key=word),
            chain_event("learner_left", learner=ANA),
            chain_event("learner_removed", learner=ANA),
            chain_event("experiment_started"),
            chain_event(
                **{"kind": "round_started", "proposers": f"{ANA},{BOB}", **place},
                **{"eligible": "4", "needed": "2", "deadline": "9"},
            ),
            chain_event(
                **{"kind": "weights_proposed", "proposer": ANA, "slot": "1", **place, **scores},
                **content,
            ),
            chain_event("proposal_declined", **place, proposer=ANA, slot="15"),
            chain_event("voting_started", **place, proposals=word, deadline="9"),
            chain_event("vote_committed", **place, learner=ANA, commitment=word),
            chain_event("reveal_started", **place, deadline="9"),
            chain_event("vote_cast", **place, learner=ANA, approvals="0", scores=SCORES),
            chain_event("ballot_skipped", **place, learner=ANA, reason="bad_signature"),
            chain_event(
                **{"kind": "round_closed", "outcome": "accepted", "eligible": "4", **place},
                **{"accepted": "5", "approvals": "3,0,12"},
            ),
            chain_event("announced", learner=ANA, topic='" resume"', **content),
            chain_event("cancel_requested"),
            chain_event("experiment_completed"),
            chain_event("experiment_cancelled"),
        ],
        CONTRACT,
    )
    kinds = {kind.__name__ for kind in protocol.Event.__subclasses__()}
    assert {type(event).__name__ for event in decoded} == kinds
    assert len(decoded) == len(kinds)
    proposed = next(e for e in decoded if isinstance(e, protocol.WeightsProposed))
    assert (proposed.content, proposed.scores) == (SPEC, Scores(0.0, 0.0))
    assert protocol.RoundStarted(1, 3, (ANA, BOB), 4, 2, 9) in decoded
    assert protocol.RoundClosed(1, 3, Outcome.ACCEPTED, 5, (3, 0, 12), 4) in decoded
    assert protocol.Announced(1, ANA, " resume", SPEC) in decoded
    assert decoded[0] == protocol.ExperimentCreated(1, ANA, GOOD)


def closed_event(**changes: str) -> ChainEvent:
    good = {"round": "0", "outcome": "accepted", "accepted": "1", "approvals": "3,0"}
    return chain_event("round_closed", **{**good, "eligible": "4", **changes})


def cast_event(**changes: str) -> ChainEvent:
    good = {"round": "0", "learner": ANA, "approvals": "5", "scores": SCORES}
    return chain_event("vote_cast", **{**good, **changes})


def test_undamaged_events_are_decoded():
    assert len(decode_events([closed_event(), cast_event()], CONTRACT)) == 2


@pytest.mark.parametrize(
    "event",
    [
        chain_event("learner_left"),
        chain_event("learner_left", learner="nobody"),
        chain_event("learner_joined", learner=ANA, index="x", encryption_key="ab" * 32),
        chain_event("learner_joined", learner=ANA, index="1", encryption_key="AB" * 32),
        closed_event(outcome="4"),
        closed_event(approvals=""),
        closed_event(approvals="1,x"),
        closed_event(approvals=",".join(["1"] * 17)),
        closed_event(accepted="4"),
        chain_event("proposal_declined", round="0", proposer=ANA, slot="16"),
        chain_event("voting_started", round="0", proposals="ab", deadline="9"),
        cast_event(approvals="65536"),
        cast_event(scores=""),
        cast_event(scores=SCORES[:-2]),
        cast_event(scores=SCORES[:32]),
        cast_event(scores=SCORES * 9),
        cast_event(scores=SCORES.upper()),
        chain_event("experiment_created", creator=ANA, params="{"),
        chain_event("reveal_started", round=str(2**32), deadline="1"),
        ChainEvent(
            "wasm-learner_left",
            (("_contract_address", CONTRACT), ("experiment", "1"), ("experiment", "2"),
             ("learner", ANA)),
        ),
    ],
)  # fmt: skip
def test_event_with_missing_or_malformed_attributes_is_a_bad_answer(event: ChainEvent):
    with pytest.raises(BadAnswer, match=event.type):
        decode_events([event], CONTRACT)
