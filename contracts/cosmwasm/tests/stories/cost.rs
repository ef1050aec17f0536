//! The number of reads and writes of a call does not depend on the number of learners.

use std::cell::RefCell;

use collective_learning::contract::execute;
use collective_learning::msg::ExecuteMsg;
use cosmwasm_std::testing::{message_info, mock_env, MockApi, MockQuerier};
use cosmwasm_std::{
    Addr, Binary, DepsMut, Empty, Env, MemoryStorage, Order, QuerierWrapper, Record, Storage,
};

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
    fn of(learners: u32) -> Self {
        let mut crowd = Self {
            storage: Counting::default(),
            api: MockApi::default(),
            env: mock_env(),
        };
        let mut chosen = params();
        (chosen.max_learners, chosen.late_join, chosen.max_strikes) = (10_000, true, 1);
        crowd.call("creator", ExecuteMsg::Create { params: chosen });
        for number in 0..learners {
            crowd.call(&format!("learner {number}"), join());
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
        self.storage.touched = RefCell::default();
        let info = message_info(&self.account(name), &[]);
        let querier = MockQuerier::<Empty>::new(&[]);
        let deps = DepsMut {
            storage: &mut self.storage,
            api: &self.api,
            querier: QuerierWrapper::new(&querier),
        };
        execute(deps, self.env.clone(), info, msg).unwrap();
        *self.storage.touched.borrow()
    }

    /// Returns the cost of each call of a round, including late joining and removal.
    fn run_round(&mut self) -> Vec<(&'static str, Touched)> {
        let experiment = 1u64.into();
        let (vote_score, test_score) = (0u64.into(), 0u64.into());
        let vote = |round| ExecuteMsg::Vote {
            experiment,
            round,
            approve: true,
            vote_score,
            test_score,
        };
        let propose = ExecuteMsg::Propose {
            experiment,
            round: 0,
            content: content("weights"),
            vote_score,
            test_score,
        };
        let removed = self.account("learner 2").into_string();
        let mut touched = vec![
            ("propose", self.call("learner 0", propose)),
            ("first vote", self.call("learner 1", vote(0))),
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
        touched.push(("join", self.call("late", join())));
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

fn join() -> ExecuteMsg {
    ExecuteMsg::Join {
        experiment: 1u64.into(),
        encryption_key: Binary::from([0; 32]),
    }
}

#[test]
fn cost_of_a_call_does_not_depend_on_the_number_of_learners() {
    let few = Crowd::of(5).run_round();
    let many = Crowd::of(9_999).run_round();
    for ((name, small), (_, large)) in few.iter().zip(&many) {
        assert_eq!(
            (small.reads, small.writes),
            (large.reads, large.writes),
            "{name}"
        );
        let digits = large.bytes.abs_diff(small.bytes);
        assert!(
            digits <= 32,
            "{name}: {digits} bytes more, too many for a few longer numbers"
        );
    }
}

#[test]
fn vote_reads_three_keys_and_writes_two() {
    let mut crowd = Crowd::of(5);
    let touched = crowd.run_round();
    let (_, vote) = touched
        .iter()
        .find(|(name, _)| *name == "first vote")
        .unwrap();
    assert_eq!((vote.reads, vote.writes), (3, 2));
    assert!(vote.bytes < 160, "{vote:?}");
}
