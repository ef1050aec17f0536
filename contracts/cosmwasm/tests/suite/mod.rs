//! One contract, one experiment and a clock, used by people with names.

#![allow(dead_code)] // each test crate uses only a part

mod people;
mod views;
pub mod worlds;

use collective_learning::contract;
use collective_learning::msg::{ExecuteMsg, InstantiateMsg, QueryMsg};
use collective_learning::signing::Vote;
use collective_learning::types::{ContentRef, Params};
use collective_learning::ContractError;
use cosmwasm_std::{Addr, Binary, BlockInfo, Event, Uint64};
use cw_multi_test::{App, ContractWrapper, Executor};
use serde::de::DeserializeOwned;

#[allow(unused_imports)] // not every test crate uses all
pub use people::{content, params, salt, Person, WINDOW};
#[allow(unused_imports)]
pub use views::RoundFacts;

/// Approves the only proposal.
pub const YES: u16 = 1;
/// Approves nothing.
pub const NO: u16 = 0;

/// Bits of 0.75 and 0.5.
pub const SCORES: (u64, u64) = (0x3fe8_0000_0000_0000, 0x3fe0_0000_0000_0000);

pub type CallResult = Result<CallEvents, ContractError>;

/// The contract's events of a call, without those of the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct CallEvents(pub Vec<Event>);

impl CallEvents {
    pub fn names(&self) -> Vec<&str> {
        let names = self
            .0
            .iter()
            .map(|event| event.ty.trim_start_matches("wasm-"));
        names.collect()
    }

    /// Returns the contract's attributes of the first event with a name, as `key=value`.
    pub fn attributes(&self, name: &str) -> Vec<String> {
        let event = self
            .0
            .iter()
            .find(|event| event.ty == format!("wasm-{name}"));
        let event = event.unwrap_or_else(|| panic!("no {name} in {:?}", self.names()));
        let own = event
            .attributes
            .iter()
            .filter(|a| a.key != "_contract_address");
        own.map(|a| format!("{}={}", a.key, a.value)).collect()
    }

    pub fn attribute(&self, name: &str, key: &str) -> String {
        let attributes = self.attributes(name);
        let found = attributes
            .iter()
            .find_map(|pair| pair.strip_prefix(&format!("{key}=")));
        found
            .unwrap_or_else(|| panic!("no {key} in {attributes:?}"))
            .to_string()
    }
}

pub struct Suite {
    pub app: App,
    pub contract: Addr,
    pub experiment: u64,
}

impl Suite {
    /// Returns an empty contract on a new chain.
    pub fn new() -> Self {
        let mut app = App::default();
        let code = ContractWrapper::new(contract::execute, contract::instantiate, contract::query);
        let code = app.store_code(Box::new(code));
        let deployer = app.api().addr_make("deployer");
        let contract = app
            .instantiate_contract(code, deployer, &InstantiateMsg {}, &[], "colearn", None)
            .unwrap();
        Self {
            app,
            contract,
            experiment: 0,
        }
    }

    /// Returns an experiment of `creator` with changed parameters.
    pub fn enrolling(change: impl FnOnce(&mut Params)) -> Self {
        let mut suite = Self::new();
        suite.create(change).unwrap();
        suite
    }

    /// Returns an experiment that these learners have joined.
    pub fn enrolled(names: &[&str], change: impl FnOnce(&mut Params)) -> Self {
        let mut suite = Self::enrolling(change);
        for name in names {
            suite.join(name).unwrap();
        }
        suite
    }

    /// Returns a running experiment of these learners.
    pub fn running(names: &[&str], change: impl FnOnce(&mut Params)) -> Self {
        let mut suite = Self::enrolled(names, change);
        suite.start().unwrap();
        suite
    }

    // ---------------------------------------------------------------------------- calls

    pub fn send(&mut self, name: &str, msg: &ExecuteMsg) -> CallResult {
        let sender = self.account(name);
        self.send_from(sender, msg)
    }

    pub fn send_from(&mut self, sender: Addr, msg: &ExecuteMsg) -> CallResult {
        match self
            .app
            .execute_contract(sender, self.contract.clone(), msg, &[])
        {
            Ok(response) => {
                let own = response
                    .events
                    .into_iter()
                    .filter(|e| e.ty.starts_with("wasm-"));
                Ok(CallEvents(own.collect()))
            }
            Err(error) => Err(error.downcast().expect("an error of the contract")),
        }
    }

    pub fn create(&mut self, change: impl FnOnce(&mut Params)) -> CallResult {
        let mut params = params();
        change(&mut params);
        let happened = self.send("creator", &ExecuteMsg::Create { params })?;
        self.experiment = happened
            .attribute("experiment_created", "experiment")
            .parse()
            .unwrap();
        Ok(happened)
    }

    pub fn admit(&mut self, by: &str, names: &[&str]) -> CallResult {
        let accounts = names
            .iter()
            .map(|name| self.account(name).into_string())
            .collect();
        let experiment = self.id();
        self.send(
            by,
            &ExecuteMsg::Admit {
                experiment,
                accounts,
            },
        )
    }

    pub fn join(&mut self, name: &str) -> CallResult {
        let hash = self.experiment().hash;
        self.join_with(name, hash, [0; 32].into())
    }

    pub fn join_with(&mut self, name: &str, hash: Binary, encryption_key: Binary) -> CallResult {
        let msg = ExecuteMsg::Join {
            experiment: self.id(),
            hash,
            encryption_key,
        };
        self.send(name, &msg)
    }

    pub fn set_encryption_key(&mut self, name: &str, encryption_key: &[u8]) -> CallResult {
        let msg = ExecuteMsg::SetEncryptionKey {
            experiment: self.id(),
            encryption_key: encryption_key.into(),
        };
        self.send(name, &msg)
    }

    pub fn announce(&mut self, name: &str, topic: &str, content: ContentRef) -> CallResult {
        let msg = ExecuteMsg::Announce {
            experiment: self.id(),
            topic: topic.to_string(),
            content,
        };
        self.send(name, &msg)
    }

    pub fn leave(&mut self, name: &str) -> CallResult {
        self.send(
            name,
            &ExecuteMsg::Leave {
                experiment: self.id(),
            },
        )
    }

    pub fn remove(&mut self, by: &str, name: &str) -> CallResult {
        let learner = self.account(name).into_string();
        self.send(
            by,
            &ExecuteMsg::Remove {
                experiment: self.id(),
                learner,
            },
        )
    }

    pub fn start(&mut self) -> CallResult {
        self.start_by("creator")
    }

    pub fn start_by(&mut self, name: &str) -> CallResult {
        self.send(
            name,
            &ExecuteMsg::Start {
                experiment: self.id(),
            },
        )
    }

    pub fn cancel(&mut self, by: &str) -> CallResult {
        self.send(
            by,
            &ExecuteMsg::Cancel {
                experiment: self.id(),
            },
        )
    }

    /// Proposes the weights with a name in the current round.
    pub fn propose(&mut self, name: &str, weights: &str) -> CallResult {
        let round = self.current();
        self.propose_in(round, name, content(weights))
    }

    pub fn propose_in(&mut self, round: u32, name: &str, content: ContentRef) -> CallResult {
        let (vote_score, test_score) = (SCORES.0.into(), SCORES.1.into());
        let experiment = self.id();
        self.send(
            name,
            &ExecuteMsg::Propose {
                experiment,
                round,
                content,
                vote_score,
                test_score,
            },
        )
    }

    pub fn decline(&mut self, name: &str) -> CallResult {
        let (experiment, round) = (self.id(), self.current());
        self.send(name, &ExecuteMsg::Decline { experiment, round })
    }

    /// Casts a ballot on the proposals of the current round.
    pub fn vote(&mut self, name: &str, approvals: u16) -> CallResult {
        self.cast(name, &self.ballot_of(approvals))
    }

    pub fn cast(&mut self, name: &str, vote: &Vote) -> CallResult {
        let msg = ExecuteMsg::Vote {
            experiment: vote.experiment.into(),
            round: vote.round,
            proposals: vote.proposals.into(),
            approvals: vote.approvals,
            scores: vote.scores.clone(),
        };
        self.send(name, &msg)
    }

    pub fn commit(&mut self, name: &str, approvals: u16) -> CallResult {
        let commitment = self.commitment(name, approvals);
        self.commit_bytes(name, &commitment)
    }

    pub fn commit_bytes(&mut self, name: &str, commitment: &[u8]) -> CallResult {
        self.commit_to(&self.digest().into(), name, commitment)
    }

    pub fn commit_to(&mut self, proposals: &Binary, name: &str, commitment: &[u8]) -> CallResult {
        let msg = ExecuteMsg::Commit {
            experiment: self.id(),
            round: self.current(),
            proposals: proposals.clone(),
            commitment: commitment.into(),
        };
        self.send(name, &msg)
    }

    pub fn reveal(&mut self, name: &str, approvals: u16) -> CallResult {
        self.reveal_with(name, &self.ballot_of(approvals), &salt(name))
    }

    pub fn reveal_with(&mut self, name: &str, vote: &Vote, salt: &[u8]) -> CallResult {
        let msg = ExecuteMsg::Reveal {
            experiment: vote.experiment.into(),
            round: vote.round,
            approvals: vote.approvals,
            scores: vote.scores.clone(),
            salt: salt.into(),
        };
        self.send(name, &msg)
    }

    pub fn advance(&mut self) -> CallResult {
        self.send(
            "stranger",
            &ExecuteMsg::Advance {
                experiment: self.id(),
            },
        )
    }

    // ---------------------------------------------------------------------------- time

    pub fn now(&self) -> u64 {
        self.app.block_info().time.seconds()
    }

    pub fn pass_time(&mut self, seconds: u64) {
        self.app.update_block(|block: &mut BlockInfo| {
            block.height += 1;
            block.time = block.time.plus_seconds(seconds);
        });
    }

    /// Moves the clock to the deadline of the open phase and returns it.
    pub fn pass_deadline(&mut self) -> u64 {
        let deadline = self.round().deadline.expect("an open round");
        self.pass_time(deadline - self.now());
        deadline
    }

    /// Moves the clock to the deadline of the open phase and calls `advance`.
    pub fn lapse_phase(&mut self) -> CallEvents {
        self.pass_deadline();
        self.advance().unwrap()
    }

    // ---------------------------------------------------------------------------- queries

    pub fn id(&self) -> Uint64 {
        self.experiment.into()
    }

    pub fn ask<T: DeserializeOwned>(&self, query: &QueryMsg) -> T {
        self.try_ask(query).unwrap()
    }

    /// Returns the response, or the text of the error, which is all that a chain reports.
    pub fn try_ask<T: DeserializeOwned>(&self, query: &QueryMsg) -> Result<T, String> {
        let answer = self.app.wrap().query_wasm_smart(&self.contract, query);
        answer.map_err(|error| error.to_string())
    }
}

/// Asserts that a query was refused with an error.
pub fn assert_refused<T: std::fmt::Debug>(answer: Result<T, String>, error: &ContractError) {
    let text = answer.expect_err("a refusal");
    assert!(text.contains(&error.to_string()), "{text} is not {error}");
}
