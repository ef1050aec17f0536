//! The number of reads and writes of a call does not depend on the number of learners.

use std::cell::RefCell;

use collective_learning::contract::{execute, query};
use collective_learning::msg::{ExecuteMsg, ExperimentResponse, QueryMsg, RoundResponse};
use collective_learning::types::{Params, Selection};
use cosmwasm_std::testing::{message_info, mock_env, MockApi, MockQuerier};
use cosmwasm_std::{
    from_json, Addr, Binary, Deps, DepsMut, Empty, Env, MemoryStorage, Order, QuerierWrapper,
    Record, Storage,
};
use serde::de::DeserializeOwned;

use crate::suite::{content, params};

/// Storage that counts reads and writes.
#[derive(Default)]
struct Counting {
    inner: MemoryStorage,
    touched: RefCell<Touched>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Touched {
    reads: usize,
    writes: usize,
    /// Number of bytes of keys and values written.
    bytes: usize,
}

impl Storage for Counting {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.touched.borrow_mut().reads += 1;
        self.inner.get(key)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        let touched = self.touched.get_mut();
        touched.writes += 1;
        touched.bytes += key.len() + value.len();
        self.inner.set(key, value);
    }

    fn remove(&mut self, key: &[u8]) {
        self.touched.get_mut().writes += 1;
        self.inner.remove(key);
    }

    fn range<'a>(
        &'a self,
        _start: Option<&[u8]>,
        _end: Option<&[u8]>,
        _order: Order,
    ) -> Box<dyn Iterator<Item = Record> + 'a> {
        panic!("no call iterates over a list");
    }
}

/// An experiment of many learners.
struct Crowd {
    storage: Counting,
    api: MockApi,
    env: Env,
}

impl Crowd {
    fn of(learners: u32, change: impl FnOnce(&mut Params)) -> Self {
        let mut crowd = Self {
            storage: Counting::default(),
            api: MockApi::default(),
            env: mock_env(),
        };
        let mut chosen = params();
        (chosen.max_learners, chosen.late_join, chosen.max_strikes) = (10_000, true, 1);
        change(&mut chosen);
        crowd.call("creator", ExecuteMsg::Create { params: chosen });
        for number in 0..learners {
            crowd.join(&format!("learner {number}"));
        }
        if crowd.needs_start(learners) {
            crowd.call(
                "creator",
                ExecuteMsg::Start {
                    experiment: 1u64.into(),
                },
            );
        }
        crowd
    }

    /// Returns whether the creator must start the experiment; a full one starts by itself.
    fn needs_start(&self, learners: u32) -> bool {
        learners < 10_000
    }

    fn account(&self, name: &str) -> Addr {
        self.api.addr_make(name)
    }

    /// Makes a call and returns its reads and writes.
    fn call(&mut self, name: &str, msg: ExecuteMsg) -> Touched {
        self.call_from(self.account(name), msg)
    }

    fn call_from(&mut self, sender: Addr, msg: ExecuteMsg) -> Touched {
        self.storage.touched = RefCell::default();
        let info = message_info(&sender, &[]);
        let querier = MockQuerier::<Empty>::new(&[]);
        let deps = DepsMut {
            storage: &mut self.storage,
            api: &self.api,
            querier: QuerierWrapper::new(&querier),
        };
        execute(deps, self.env.clone(), info, msg).unwrap();
        *self.storage.touched.borrow()
    }

    fn ask<T: DeserializeOwned>(&self, msg: QueryMsg) -> T {
        let querier = MockQuerier::<Empty>::new(&[]);
        let deps = Deps {
            storage: &self.storage,
            api: &self.api,
            querier: QuerierWrapper::new(&querier),
        };
        from_json(query(deps, self.env.clone(), msg).unwrap()).unwrap()
    }

    fn join(&mut self, name: &str) -> Touched {
        let experiment = 1u64.into();
        let row: ExperimentResponse = self.ask(QueryMsg::Experiment { experiment });
        let join = ExecuteMsg::Join {
            experiment,
            hash: row.hash,
            encryption_key: Binary::from([0; 32]),
        };
        self.call(name, join)
    }

    fn round(&self, round: u32) -> RoundResponse {
        self.ask(QueryMsg::Round {
            experiment: 1u64.into(),
            round,
        })
    }

    /// Returns a learner that does not propose in round 0.
    fn outsider(&self) -> String {
        let slots = self.round(0).slots;
        let names = (0..).map(|number| format!("learner {number}"));
        let is_proposer = |name: &str| {
            let account = self.account(name);
            slots.iter().any(|slot| slot.proposer == account)
        };
        names.into_iter().find(|name| !is_proposer(name)).unwrap()
    }

    /// Casts a ballot on round 0, which has so many proposals.
    fn vote(&mut self, name: &str, proposals: usize) -> Touched {
        let digest = self.round(0).proposals.unwrap();
        let vote = ExecuteMsg::Vote {
            experiment: 1u64.into(),
            round: 0,
            proposals: digest,
            approvals: 1,
            scores: vec![0; 16 * (1 + proposals)].into(),
        };
        self.call(name, vote)
    }

    /// Proposes in every slot of a round and returns the cost of each call.
    fn propose_all(&mut self, round: u32) -> Vec<Touched> {
        let mut touched = vec![];
        for slot in self.round(round).slots {
            let propose = propose_as(slot.proposer.as_str(), round);
            touched.push(self.call_from(slot.proposer, propose));
        }
        touched
    }

    /// Returns the cost of each call of a round, including late joining and removal.
    fn run_round(&mut self) -> Vec<(&'static str, Touched)> {
        let experiment = 1u64.into();
        let removed = self.account("learner 2").into_string();
        let mut touched = vec![
            ("propose", self.propose_all(0)[0]),
            ("first vote", self.vote("learner 1", 1)),
            ("second vote", self.vote("learner 3", 1)),
        ];
        self.env.block.time = self.env.block.time.plus_seconds(700);
        touched.push((
            "advance",
            self.call("stranger", ExecuteMsg::Advance { experiment }),
        ));
        let remove = ExecuteMsg::Remove {
            experiment,
            learner: removed,
        };
        touched.push(("remove", self.call("stranger", remove)));
        touched.push(("join", self.join("late")));
        let decline = ExecuteMsg::Decline {
            experiment,
            round: 1,
        };
        touched.push(("decline", self.call("learner 1", decline)));
        touched.push((
            "leave",
            self.call("learner 1", ExecuteMsg::Leave { experiment }),
        ));
        touched
    }
}

fn propose_as(name: &str, round: u32) -> ExecuteMsg {
    ExecuteMsg::Propose {
        experiment: 1u64.into(),
        round,
        content: content(&format!("weights of {name}")),
        vote_score: 0u64.into(),
        test_score: 0u64.into(),
    }
}

/// Asserts that the costs differ by the digits of a few longer numbers only.
fn assert_same(what: &str, small: Touched, large: Touched) {
    let (few, many) = ((small.reads, small.writes), (large.reads, large.writes));
    assert_eq!(few, many, "{what}");
    let digits = large.bytes.abs_diff(small.bytes);
    assert!(digits <= 40, "{what}: {digits} bytes more");
}

#[test]
fn cost_of_a_call_does_not_depend_on_the_number_of_learners() {
    let few = Crowd::of(5, |_| ()).run_round();
    let many = Crowd::of(9_999, |_| ()).run_round();
    for ((name, small), (_, large)) in few.into_iter().zip(many) {
        assert_same(name, small, large);
    }
}

#[test]
fn cost_of_a_plural_round_does_not_depend_on_the_number_of_learners() {
    for selection in [Selection::RoundRobin, Selection::Random] {
        let run = |learners| {
            let mut crowd = Crowd::of(learners, |p| (p.selection, p.proposers) = (selection, 3));
            let mut touched = crowd.propose_all(0);
            touched.push(crowd.vote(&crowd.outsider(), 3));
            crowd.env.block.time = crowd.env.block.time.plus_seconds(700);
            let experiment = 1u64.into();
            touched.push(crowd.call("stranger", ExecuteMsg::Advance { experiment }));
            touched
        };
        for (number, (small, large)) in run(50).into_iter().zip(run(3_000)).enumerate() {
            let tolerant = selection == Selection::Random && number == 4;
            if tolerant {
                // A member that is drawn at its own place is not moved.
                assert!(large.writes.abs_diff(small.writes) <= 12);
            } else {
                assert_same(&format!("call {number}"), small, large);
            }
        }
    }
}

#[test]
fn vote_reads_four_keys_and_writes_two() {
    let mut crowd = Crowd::of(5, |_| ());
    let touched = crowd.run_round();
    for (name, vote) in touched {
        if name.ends_with("vote") {
            assert_eq!((vote.reads, vote.writes), (4, 2));
            assert!(vote.bytes < 80, "{vote:?}");
        }
    }
}

#[test]
fn vote_on_sixteen_proposals_writes_little_more_than_on_one() {
    let mut crowd = Crowd::of(17, |p| p.proposers = 16);
    crowd.propose_all(0);
    let vote = crowd.vote(&crowd.outsider(), 16);
    assert_eq!((vote.reads, vote.writes), (4, 2));
    assert!(vote.bytes < 120, "{vote:?}");
}
