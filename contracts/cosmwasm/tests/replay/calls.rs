//! Converts the calls of a trace to messages.
//!
//! Names become addresses. Ballots are hashed and signed again.

use collective_learning::msg::{ExecuteMsg, SignedBallot};
use collective_learning::signing::{commitment, Vote};
use cosmwasm_std::Binary;
use serde_json::{json, Map, Value};

use crate::suite::{Person, Suite};

/// Returns the message of a call.
pub fn message(suite: &Suite, call: &str, given: &Value) -> ExecuteMsg {
    let mut arguments = given.as_object().unwrap().clone();
    if call != "create" {
        arguments.insert("experiment".to_string(), "1".into());
    }
    match call {
        "admit" => {
            let names = given["accounts"].as_array().unwrap().iter();
            let accounts = names.map(|name| suite.account(name.as_str().unwrap()).to_string());
            arguments.insert("accounts".to_string(), accounts.collect());
        }
        "remove" => {
            let learner = suite.account(given["learner"].as_str().unwrap());
            arguments.insert("learner".to_string(), learner.as_str().into());
        }
        "commit" => arguments = commit(suite, given),
        "vote_signed" => {
            let ballots = given["ballots"].as_array().unwrap().iter();
            let ballots = ballots.map(|ballot| json!(sign_ballot(suite, &given["round"], ballot)));
            arguments.insert("ballots".to_string(), ballots.collect());
        }
        _ => (),
    }
    serde_json::from_value(json!({ call: arguments })).unwrap()
}

fn commit(suite: &Suite, given: &Value) -> Map<String, Value> {
    let vote = vote(&given["round"], given);
    let salt = Binary::from_base64(given["salt"].as_str().unwrap()).unwrap();
    let account = Person::named(given["of"].as_str().unwrap()).canonical();
    let hash = match given["zero"].as_bool().unwrap() {
        true => [0; 32],
        false => commitment(&suite.domain().separator(), &account, &vote, &salt),
    };
    let arguments = json!({
        "experiment": "1", "round": given["round"], "commitment": Binary::from(hash),
    });
    arguments.as_object().unwrap().clone()
}

fn sign_ballot(suite: &Suite, round: &Value, given: &Value) -> SignedBallot {
    let (signer, learner) = (
        given["signer"].as_str().unwrap(),
        given["learner"].as_str().unwrap(),
    );
    suite.sign_ballot_as(signer, learner, &suite.domain(), &vote(round, given))
}

fn vote(round: &Value, given: &Value) -> Vote {
    let bits = |name: &str| given[name].as_str().unwrap().parse().unwrap();
    Vote {
        experiment: 1,
        round: round.as_u64().unwrap() as u32,
        approve: given["approve"].as_bool().unwrap(),
        vote_score: bits("vote_score"),
        test_score: bits("test_score"),
    }
}
