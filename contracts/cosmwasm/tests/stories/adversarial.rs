//! Attacks on the contract.

use collective_learning::msg::ExecuteMsg;
use collective_learning::signing::Domain;
use collective_learning::types::{BallotState, Phase, Status};
use collective_learning::ContractError as E;
use cosmwasm_std::Binary;
use k256::ecdsa::Signature;

use crate::suite::worlds::{FIVE, THREE};
use crate::suite::{content, salt, RoundFacts, Suite, NO, WINDOW, YES};

fn begin_vote() -> Suite {
    let mut suite = Suite::running(&FIVE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite
}

/// Returns the reason why a batch of one ballot was skipped.
fn skip_reason(suite: &mut Suite, ballot: collective_learning::msg::SignedBallot) -> String {
    let submitted = suite.submit_ballots(&[ballot]).unwrap();
    assert_eq!(submitted.names(), ["ballot_skipped"]);
    submitted.attribute("ballot_skipped", "reason")
}

#[test]
fn second_ballot_of_any_kind_is_refused() {
    let mut suite = begin_vote();
    suite.vote("bob", YES).unwrap();
    assert_eq!(
        suite.vote("bob", YES),
        Err(E::AlreadyVoted(suite.account("bob")))
    );
    let ballot = suite.sign_ballot("bob", NO);
    assert_eq!(skip_reason(&mut suite, ballot), "already_voted");
    let ballot = suite.sign_ballot("cy", YES);
    suite.submit_ballots(&[ballot]).unwrap();
    assert_eq!(
        suite.vote("cy", NO),
        Err(E::AlreadyVoted(suite.account("cy")))
    );
    assert_eq!(suite.round().tally(), (vec![2], 2));
}

#[test]
fn copied_commitment_cannot_be_revealed() {
    let mut suite = Suite::running(&THREE, |p| p.reveal_window = WINDOW as u32);
    suite.propose("ana", "weights").unwrap();
    let copied = suite.commitment("bob", YES);
    suite.commit("bob", YES).unwrap();
    suite.commit_bytes("cy", &copied).unwrap();
    suite.reveal("bob", YES).unwrap();
    let stolen = suite.reveal_with("cy", &suite.ballot_of(YES), &salt("bob"));
    assert_eq!(stolen, Err(E::BadReveal(suite.account("cy"))));
    suite.lapse_phase();
    assert_eq!(suite.ballot_state(0, "cy"), BallotState::Committed);
}

#[test]
fn malleable_twin_of_a_signature_is_skipped() {
    let mut suite = begin_vote();
    let mut ballot = suite.sign_ballot("bob", YES);
    let low = Signature::from_slice(&ballot.signature).unwrap();
    let (r, s) = (low.r(), low.s());
    let high = Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
    ballot.signature = Binary::from(&high.to_bytes()[..]);
    assert_eq!(skip_reason(&mut suite, ballot), "bad_signature");
    assert_eq!(suite.ballot_state(0, "bob"), BallotState::None);
}

#[test]
fn malformed_keys_and_signatures_are_skipped() {
    let mut suite = begin_vote();
    let good = suite.sign_ballot("bob", YES);
    let key = good.public_key.to_vec();
    let signature = good.signature.to_vec();
    let keys = [
        vec![],
        key[..32].to_vec(),
        [vec![4], vec![9; 64]].concat(),
        vec![0xff; 33],
    ];
    for public_key in keys {
        let mut ballot = good.clone();
        ballot.public_key = public_key.into();
        assert_eq!(skip_reason(&mut suite, ballot), "bad_signature");
    }
    let mut flipped = signature.clone();
    flipped[5] ^= 1;
    let no_s = [&signature[..32], &[0; 32]].concat();
    let no_r = [&[0; 32], &signature[32..]].concat();
    let odd = [
        vec![],
        signature[..63].to_vec(),
        [&signature[..], &[0]].concat(),
        vec![0; 64],
        vec![0xff; 64],
        flipped,
        no_s,
        no_r,
    ];
    for signature in odd {
        let mut ballot = good.clone();
        ballot.signature = signature.into();
        assert_eq!(skip_reason(&mut suite, ballot), "bad_signature");
    }
    suite.submit_ballots(&[good]).unwrap();
    assert_eq!(suite.round().tally(), (vec![1], 1));
}

#[test]
fn ballot_signed_with_another_key_is_skipped() {
    let mut suite = begin_vote();
    let vote = suite.ballot_of(YES);
    for (signer, learner) in [("cy", "bob"), ("bob", "cy"), ("stranger", "dan")] {
        let ballot = suite.sign_ballot_as(signer, learner, &suite.domain(), &vote);
        assert_eq!(skip_reason(&mut suite, ballot), "bad_signature");
    }
    let mut ballot = suite.sign_ballot_as("stranger", "bob", &suite.domain(), &vote);
    // the right key and a wrong signature
    ballot.public_key = suite.sign_ballot("bob", YES).public_key;
    assert_eq!(skip_reason(&mut suite, ballot), "bad_signature");
}

#[test]
fn ballot_does_not_count_on_another_chain_or_in_another_contract() {
    let mut suite = begin_vote();
    let vote = suite.ballot_of(YES);
    let here = suite.domain();
    let foreign = [
        Domain {
            chain_id: "other-1".to_string(),
            ..here.clone()
        },
        Domain {
            contract: suite.account("other contract"),
            ..here.clone()
        },
    ];
    for domain in foreign {
        assert_ne!(domain.separator(), here.separator());
        let ballot = suite.sign_ballot_as("bob", "bob", &domain, &vote);
        assert_eq!(skip_reason(&mut suite, ballot), "bad_signature");
    }
    let ballot = suite.sign_ballot_as("bob", "bob", &here, &vote);
    assert_eq!(
        suite.submit_ballots(&[ballot]).unwrap().names(),
        ["vote_cast"]
    );
}

#[test]
fn ballot_is_bound_to_its_experiment() {
    let mut suite = begin_vote();
    let of_first = suite.sign_ballot("bob", YES);
    suite.create(|_| ()).unwrap();
    for name in FIVE {
        suite.join(name).unwrap();
    }
    suite.start().unwrap();
    suite.propose("ana", "weights").unwrap();
    assert_eq!(skip_reason(&mut suite, of_first), "bad_signature");
}

#[test]
fn commitment_is_bound_to_its_experiment() {
    let mut suite = Suite::running(&THREE, |p| p.reveal_window = WINDOW as u32);
    let of_first = suite.commitment("bob", YES);
    suite.create(|p| p.reveal_window = WINDOW as u32).unwrap();
    for name in THREE {
        suite.join(name).unwrap();
    }
    suite.start().unwrap();
    suite.propose("ana", "weights").unwrap();
    suite.commit_bytes("bob", &of_first).unwrap();
    suite.commit("cy", YES).unwrap();
    assert_eq!(
        suite.reveal("bob", YES),
        Err(E::BadReveal(suite.account("bob")))
    );
}

#[test]
fn calls_of_outsiders_are_refused() {
    let mut suite = begin_vote();
    let stranger = suite.account("stranger");
    let experiment = suite.id();
    assert_eq!(
        suite.vote("stranger", YES),
        Err(E::NotALearner(stranger.clone()))
    );
    assert_eq!(
        suite.leave("stranger"),
        Err(E::NotALearner(stranger.clone()))
    );
    assert_eq!(
        suite.cancel("stranger"),
        Err(E::NotCreator(stranger.clone()))
    );
    assert_eq!(suite.remove("stranger", "bob"), Err(E::NotRemovable(0)));
    let admit = ExecuteMsg::Admit {
        experiment,
        accounts: vec![stranger.to_string()],
    };
    assert_eq!(suite.send("stranger", &admit), Err(E::NotCreator(stranger)));
    assert_eq!(suite.round().phase, Phase::Voting);
}

#[test]
fn creator_has_no_other_privileges() {
    let mut suite = begin_vote();
    let creator = suite.account("creator");
    assert_eq!(
        suite.vote("creator", YES),
        Err(E::NotALearner(creator.clone()))
    );
    assert_eq!(suite.remove("creator", "bob"), Err(E::NotRemovable(0)));
    for name in &FIVE[1..] {
        suite.vote(name, YES).unwrap();
    }
    assert_eq!(
        suite.propose("creator", "mine"),
        Err(E::NotProposer(creator))
    );
    let accepted = suite.experiment().current;
    assert_eq!(accepted, [content("weights")]);
    suite.cancel("creator").unwrap();
    let e = suite.experiment();
    assert_eq!((e.status, e.current), (Status::Cancelled, accepted));
}

#[test]
fn only_the_creator_cancels() {
    let mut suite = begin_vote();
    for name in ["ana", "bob", "stranger", "deployer"] {
        assert_eq!(suite.cancel(name), Err(E::NotCreator(suite.account(name))));
    }
}

#[test]
fn proposer_cannot_vote_in_any_way() {
    let mut suite = begin_vote();
    assert_eq!(
        suite.vote("ana", YES),
        Err(E::NotEligible(suite.account("ana")))
    );
    let ballot = suite.sign_ballot("ana", YES);
    assert_eq!(skip_reason(&mut suite, ballot), "not_eligible");
    suite.leave("ana").unwrap();
    assert_eq!(
        suite.vote("ana", YES),
        Err(E::NotEligible(suite.account("ana")))
    );
}

#[test]
fn late_joiner_does_not_change_an_open_vote() {
    let mut suite = Suite::running(&THREE, |p| p.late_join = true);
    suite.propose("ana", "weights").unwrap();
    for sybil in ["s1", "s2", "s3"] {
        suite.join(sybil).unwrap();
        assert_eq!(
            suite.vote(sybil, YES),
            Err(E::NotEligible(suite.account(sybil)))
        );
    }
    assert_eq!((suite.round().eligible, suite.round().needed), (2, 1));
    suite.vote("bob", NO).unwrap();
    suite.vote("cy", NO).unwrap();
    assert_eq!(suite.round_at(0).tally(), (vec![0], 2));
}

#[test]
fn leaving_does_not_lower_the_needed_approvals() {
    let mut suite = begin_vote();
    for name in ["cy", "dan", "eve"] {
        suite.leave(name).unwrap();
    }
    suite.vote("bob", YES).unwrap();
    assert_eq!(suite.round().phase, Phase::Voting);
    assert_eq!(
        suite.lapse_phase().attribute("round_closed", "outcome"),
        "rejected"
    );
}

#[test]
fn leaving_voter_does_not_end_the_round() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.leave("bob").unwrap();
    assert_eq!(
        (suite.current(), suite.round().phase),
        (0, Phase::Proposing)
    );
}

#[test]
fn experiments_do_not_affect_each_other() {
    let mut suite = begin_vote();
    let before = (suite.experiment(), suite.round(), suite.learner("bob"));
    suite.create(|_| ()).unwrap();
    for name in FIVE {
        suite.join(name).unwrap();
    }
    suite.start().unwrap();
    suite.propose("ana", "others").unwrap();
    suite.vote("bob", NO).unwrap();
    suite.leave("bob").unwrap();
    suite.lapse_phase();
    suite.cancel("creator").unwrap();
    suite.experiment = 1;
    assert_eq!(
        (suite.experiment(), suite.round(), suite.learner("bob")),
        before
    );
}
