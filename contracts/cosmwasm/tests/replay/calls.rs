//! Calls of a trace as messages: names become addresses, ballots are hashed and signed anew.

use collective_learning::msg::{ExecuteMsg, SignedBallot};
use collective_learning::signing::{commitment, Vote};
use cosmwasm_std::Binary;
use serde_json::{json, Map, Value};

use crate::suite::{Person, Suite};

/// The message of a call.
pub fn message(suite: &Suite, call: &str, told: &Value) -> ExecuteMsg {
    let mut arguments = told.as_object().unwrap().clone();
    if call != "create" {
        arguments.insert("experiment".to_string(), "1".into());
    }
    match call {
        "admit" => {
            let names = told["accounts"].as_array().unwrap().iter();
            let accounts = names.map(|name| suite.account(name.as_str().unwrap()).to_string());
            arguments.insert("accounts".to_string(), accounts.collect());
        }
        "remove" => {
            let learner = suite.account(told["learner"].as_str().unwrap());
            arguments.insert("learner".to_string(), learner.as_str().into());
        }
        "commit" => arguments = commit(suite, told),
        "vote_signed" => {
            let ballots = told["ballots"].as_array().unwrap().iter();
            let ballots = ballots.map(|ballot| json!(signed(suite, &told["round"], ballot)));
            arguments.insert("ballots".to_string(), ballots.collect());
        }
        _ => (),
    }
    serde_json::from_value(json!({ call: arguments })).unwrap()
}

fn commit(suite: &Suite, told: &Value) -> Map<String, Value> {
    let vote = vote(&told["round"], told);
    let salt = Binary::from_base64(told["salt"].as_str().unwrap()).unwrap();
    let account = Person::named(told["of"].as_str().unwrap()).canonical();
    let hash = match told["zero"].as_bool().unwrap() {
        true => [0; 32],
        false => commitment(&suite.domain().separator(), &account, &vote, &salt),
    };
    let arguments = json!({
        "experiment": "1", "round": told["round"], "commitment": Binary::from(hash),
    });
    arguments.as_object().unwrap().clone()
}

fn signed(suite: &Suite, round: &Value, told: &Value) -> SignedBallot {
    let (signer, learner) = (
        told["signer"].as_str().unwrap(),
        told["learner"].as_str().unwrap(),
    );
    suite.signed_as(signer, learner, &suite.domain(), &vote(round, told))
}

fn vote(round: &Value, told: &Value) -> Vote {
    let bits = |name: &str| told[name].as_str().unwrap().parse().unwrap();
    Vote {
        experiment: 1,
        round: round.as_u64().unwrap() as u32,
        approve: told["approve"].as_bool().unwrap(),
        vote_score: bits("vote_score"),
        test_score: bits("test_score"),
    }
}
