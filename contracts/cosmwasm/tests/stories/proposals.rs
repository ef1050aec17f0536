//! Proposals and declines.

use collective_learning::types::{ContentRef, Outcome, Phase, SlotState, CODEC_DAG_PB};
use collective_learning::ContractError as E;
use cosmwasm_std::Binary;

use crate::suite::{content, RoundFacts, Suite, NO, YES};

#[test]
fn only_the_proposer_proposes_or_declines() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    for name in ["bob", "stranger", "creator"] {
        let refused = Err(E::NotProposer(suite.account(name)));
        assert_eq!(suite.propose(name, "weights"), refused);
        assert_eq!(suite.decline(name), refused);
    }
}

#[test]
fn current_weights_are_refused_as_a_proposal() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    assert_eq!(suite.propose("ana", "initial"), Err(E::Unchanged()));
    let same_bytes = ContentRef {
        codec: CODEC_DAG_PB,
        digest: Binary::from([9; 32]),
        ..content("initial")
    };
    assert_eq!(suite.propose_in(0, "ana", same_bytes), Err(E::Unchanged()));
    suite.propose("ana", "next").unwrap();
    suite.vote("bob", YES).unwrap();
    assert_eq!(suite.propose("bob", "next"), Err(E::Unchanged()));
    suite.propose("bob", "initial").unwrap(); // weights that were current before may return
}

#[test]
fn malformed_content_is_refused() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let good = content("weights");
    let zero = Binary::from([0; 32]);
    let bad = [
        ContentRef {
            codec: 0x71,
            ..good.clone()
        },
        ContentRef {
            size: 0u64.into(),
            ..good.clone()
        },
        ContentRef {
            digest: zero.clone(),
            sha256: zero.clone(),
            ..good.clone()
        },
        ContentRef {
            digest: Binary::from([1; 32]),
            ..good.clone()
        },
        ContentRef {
            codec: CODEC_DAG_PB,
            sha256: zero,
            ..good.clone()
        },
        ContentRef {
            digest: Binary::from([1; 20]),
            ..good.clone()
        },
    ];
    for content in bad {
        assert_eq!(
            suite.propose_in(0, "ana", content),
            Err(E::InvalidParameter("content"))
        );
    }
    let tree = ContentRef {
        codec: CODEC_DAG_PB,
        digest: Binary::from([1; 32]),
        ..good
    };
    suite.propose_in(0, "ana", tree).unwrap();
}

#[test]
fn rejected_weights_may_be_proposed_again() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", NO).unwrap();
    suite.propose("bob", "weights").unwrap();
    assert_eq!(suite.round().phase, Phase::Voting);
}

#[test]
fn declining_closes_the_round_at_once_without_a_strike() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let declined = suite.decline("ana").unwrap();
    assert_eq!(
        declined.names(),
        ["proposal_declined", "round_closed", "round_started"]
    );
    assert_eq!(declined.attribute("round_closed", "outcome"), "no_proposal");
    let closed = suite.round_at(0);
    assert_eq!(
        (closed.outcome, closed.states()),
        (Outcome::NoProposal, vec![SlotState::Declined])
    );
    assert_eq!((closed.content(0), closed.proposals), (None, None));
    assert!(!closed.by_deadline);
    assert_eq!(suite.strikes(&["ana", "bob"]), [0, 0]);
    assert_eq!(suite.proposer(&["ana", "bob"]), "bob");
}

#[test]
fn proposal_cannot_be_withdrawn_or_replaced() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.propose("ana", "weights").unwrap();
    assert_eq!(
        suite.propose("ana", "other"),
        Err(E::WrongPhase(Phase::Voting))
    );
    assert_eq!(suite.decline("ana"), Err(E::WrongPhase(Phase::Voting)));
}
