//! Time and `advance` lead from every reachable state of small cases to an end.
//!
//! The states of two and three learners are searched breadth-first. From each state, every call that
//! anyone could make is tried on a copy of the storage. From every state reached, `advance` alone must
//! lead to an end, in at most three steps for each remaining round.

use std::collections::{HashSet, VecDeque};

use collective_learning::contract::{execute, instantiate, query};
use collective_learning::msg::{
    ExecuteMsg, ExperimentResponse, InstantiateMsg, QueryMsg, RoundResponse,
};
use collective_learning::signing::{commitment, Domain, Vote};
use collective_learning::types::{Merge, Params, Phase, Selection, Status};
use cosmwasm_std::testing::{message_info, mock_env, MockApi, MockQuerier};
use cosmwasm_std::{
    from_json, Addr, Api, Binary, Deps, DepsMut, Empty, Env, MemoryStorage, Order, QuerierWrapper,
    Storage,
};

use crate::suite::{content, params, salt, RoundFacts};

const ROUNDS: u32 = 2;

/// The whole state of a contract, which can be copied, and the time.
#[derive(Clone)]
struct Small {
    cells: Vec<(Vec<u8>, Vec<u8>)>,
    now: u64,
}

/// The people of a small case, and the contract's environment.
struct Case {
    people: Vec<Addr>,
    api: MockApi,
    env: Env,
}

impl Case {
    fn new(learners: usize) -> Self {
        let api = MockApi::default();
        let people = (0..=learners)
            .map(|n| api.addr_make(&format!("person {n}")))
            .collect();
        Self {
            people,
            api,
            env: mock_env(),
        }
    }

    fn creator(&self) -> &Addr {
        &self.people[0]
    }

    fn learners(&self) -> &[Addr] {
        &self.people[1..]
    }

    fn env_at(&self, now: u64) -> Env {
        let mut env = self.env.clone();
        env.block.time = env.block.time.plus_seconds(now);
        env
    }

    /// Returns the state after a call, or `None` if the call is refused.
    fn try_call(&self, state: &Small, sender: &Addr, msg: ExecuteMsg) -> Option<Small> {
        let mut storage = state.storage();
        let querier = MockQuerier::<Empty>::new(&[]);
        let deps = DepsMut {
            storage: &mut storage,
            api: &self.api,
            querier: QuerierWrapper::new(&querier),
        };
        execute(deps, self.env_at(state.now), message_info(sender, &[]), msg).ok()?;
        Some(Small::of(&storage, state.now))
    }

    fn ask<T: serde::de::DeserializeOwned>(&self, state: &Small, msg: QueryMsg) -> T {
        let storage = state.storage();
        let querier = MockQuerier::<Empty>::new(&[]);
        let deps = Deps {
            storage: &storage,
            api: &self.api,
            querier: QuerierWrapper::new(&querier),
        };
        from_json(query(deps, self.env_at(state.now), msg).unwrap()).unwrap()
    }

    fn experiment(&self, state: &Small) -> ExperimentResponse {
        self.ask(
            state,
            QueryMsg::Experiment {
                experiment: 1u64.into(),
            },
        )
    }

    fn round(&self, state: &Small, round: u32) -> RoundResponse {
        self.ask(
            state,
            QueryMsg::Round {
                experiment: 1u64.into(),
                round,
            },
        )
    }

    /// Returns a new experiment that all learners have joined.
    fn begin(&self, change: impl FnOnce(&mut Params)) -> Small {
        let mut storage = MemoryStorage::new();
        let querier = MockQuerier::<Empty>::new(&[]);
        let deps = DepsMut {
            storage: &mut storage,
            api: &self.api,
            querier: QuerierWrapper::new(&querier),
        };
        let info = message_info(self.creator(), &[]);
        instantiate(deps, self.env_at(0), info, InstantiateMsg {}).unwrap();
        let mut chosen = params();
        (chosen.rounds, chosen.propose_window, chosen.vote_window) = (ROUNDS, 1, 1);
        chosen.max_strikes = 1;
        change(&mut chosen);
        let mut state = Small::of(&storage, 0);
        let create = ExecuteMsg::Create { params: chosen };
        state = self.try_call(&state, self.creator(), create).unwrap();
        for learner in self.learners() {
            let join = ExecuteMsg::Join {
                experiment: 1u64.into(),
                hash: self.experiment(&state).hash,
                encryption_key: Binary::from([0; 32]),
            };
            state = self.try_call(&state, learner, join).unwrap();
        }
        state
    }

    /// Returns every call that may change the state, by every possible caller.
    fn moves(&self, state: &Small) -> Vec<(&Addr, ExecuteMsg)> {
        let experiment = 1u64.into();
        let row = self.experiment(state);
        let round = row.round.map(|round| self.round(state, round));
        let mut moves = vec![(self.creator(), ExecuteMsg::Start { experiment })];
        if row.params.rounds == 1 {
            moves.push((self.creator(), ExecuteMsg::Cancel { experiment }));
        }
        for learner in self.learners() {
            let remove = ExecuteMsg::Remove {
                experiment,
                learner: learner.to_string(),
            };
            let calls = [ExecuteMsg::Leave { experiment }, remove];
            let in_round = round.iter().flat_map(|round| self.calls(learner, round));
            let calls = calls.into_iter().chain(in_round);
            moves.extend(calls.map(|call| (learner, call)));
        }
        moves
    }

    /// Returns every call of a learner in a round.
    fn calls(&self, learner: &Addr, open: &RoundResponse) -> Vec<ExecuteMsg> {
        let (experiment, round) = (1u64.into(), open.index);
        if open.phase == Phase::Proposing {
            let propose = ExecuteMsg::Propose {
                experiment,
                round,
                content: content(&format!("weights of {learner} in {round}")),
                vote_score: 0u64.into(),
                test_score: 0u64.into(),
            };
            return vec![propose, ExecuteMsg::Decline { experiment, round }];
        }
        let own = open.slots.iter().position(|slot| slot.proposer == *learner);
        let others = (0..open.slots.len()).filter(|slot| Some(*slot) != own);
        let proposed = others.filter(|slot| open.slots[*slot].content.is_some());
        let all = proposed.fold(0, |all, slot| all | 1u16 << slot);
        let vote = self.ballot(open, all);
        let reveal = ExecuteMsg::Reveal {
            experiment,
            round,
            approvals: all,
            scores: vote.scores.clone(),
            salt: salt(learner.as_str()).into(),
        };
        let commit = ExecuteMsg::Commit {
            experiment,
            round,
            proposals: vote.proposals.into(),
            commitment: self.make_commitment(learner, &vote),
        };
        let votes = [all, 0].map(|approvals| ExecuteMsg::Vote {
            experiment,
            round,
            proposals: vote.proposals.into(),
            approvals,
            scores: vote.scores.clone(),
        });
        [vec![commit, reveal], votes.to_vec()].concat()
    }

    fn ballot(&self, open: &RoundResponse, approvals: u16) -> Vote {
        let digest = open.proposals.as_ref().unwrap();
        let files = 1 + open.proposed();
        Vote {
            experiment: 1,
            round: open.index,
            proposals: digest.to_array().unwrap(),
            approvals,
            scores: vec![0; 16 * files].into(),
        }
    }

    fn make_commitment(&self, learner: &Addr, vote: &Vote) -> Binary {
        let domain = Domain {
            chain_id: self.env.block.chain_id.clone(),
            contract: self.env.contract.address.clone(),
        };
        let account = self.api.addr_canonicalize(learner.as_str()).unwrap();
        let salt = salt(learner.as_str());
        commitment(&domain.separator(), &account, vote, &salt).into()
    }

    /// Returns the state after the deadline of the open phase and one `advance`.
    fn lapse_phase(&self, state: &Small) -> Small {
        let current = self.experiment(state).round.unwrap();
        let deadline = self.round(state, current).deadline.unwrap();
        let mut late = state.clone();
        late.now = deadline - self.env.block.time.seconds();
        let advance = ExecuteMsg::Advance {
            experiment: 1u64.into(),
        };
        self.try_call(&late, self.creator(), advance)
            .expect("advance after the deadline")
    }
}

impl Small {
    fn of(storage: &MemoryStorage, now: u64) -> Self {
        let cells = storage.range(None, None, Order::Ascending).collect();
        Self { cells, now }
    }

    fn storage(&self) -> MemoryStorage {
        let mut storage = MemoryStorage::new();
        for (key, value) in &self.cells {
            storage.set(key, value);
        }
        storage
    }
}

/// Visits all states; returns their number and the number of ended ones.
fn visit_all_states(learners: usize, change: impl FnOnce(&mut Params)) -> (usize, usize) {
    let case = Case::new(learners);
    let mut to_visit = VecDeque::from([case.begin(change)]);
    let mut seen = HashSet::new();
    let mut over = 0;
    while let Some(state) = to_visit.pop_front() {
        if !seen.insert(state.cells.clone()) {
            continue;
        }
        let e = case.experiment(&state);
        match e.status {
            Status::Completed | Status::Cancelled => {
                over += 1;
                continue;
            }
            Status::Running => {
                assert_ends(&case, &state);
                to_visit.push_back(case.lapse_phase(&state));
            }
            Status::Enrolling => (),
        }
        for (sender, msg) in case.moves(&state) {
            to_visit.extend(case.try_call(&state, sender, msg));
        }
    }
    (seen.len(), over)
}

/// Asserts that time and `advance` alone end the experiment, in at most three steps a round.
fn assert_ends(case: &Case, state: &Small) {
    let mut state = state.clone();
    let current = case.experiment(&state).round.unwrap();
    for _ in 0..3 * (ROUNDS - current) {
        state = case.lapse_phase(&state);
        let e = case.experiment(&state);
        if e.status != Status::Running {
            let last = case.round(&state, e.round.unwrap());
            assert_eq!(last.phase, Phase::Closed);
            assert!(e.ended_at.is_some());
            return;
        }
    }
    panic!("still running: {:?}", case.experiment(&state));
}

#[test]
fn every_state_of_two_learners_with_open_ballots_ends() {
    let (states, over) = visit_all_states(2, |_| ());
    assert!(states > 100 && over > 20, "{states} states, {over} over");
}

#[test]
fn every_state_of_two_learners_with_secret_ballots_ends() {
    let (states, over) = visit_all_states(2, |p| p.reveal_window = 1);
    assert!(states > 100 && over > 20, "{states} states, {over} over");
}

#[test]
fn every_state_of_three_learners_with_one_round_ends() {
    for settle_early in [false, true] {
        for reveal_window in [0, 1] {
            let (states, over) = visit_all_states(3, |p| {
                (p.rounds, p.settle_early, p.reveal_window) = (1, settle_early, reveal_window);
            });
            assert!(states > 50 && over > 10, "{states} states, {over} over");
        }
    }
}

#[test]
fn every_state_of_two_learners_with_two_proposals_ends() {
    for (merge, selection) in [
        (Merge::Mean, Selection::Random),
        (Merge::Best, Selection::RoundRobin),
    ] {
        for reveal_window in [0, 1] {
            let (states, over) = visit_all_states(2, |p| {
                (p.rounds, p.proposers, p.merge, p.selection) = (1, 2, merge, selection);
                (p.reveal_window, p.settle_early) = (reveal_window, merge == Merge::Best);
            });
            assert!(states > 50 && over > 10, "{states} states, {over} over");
        }
    }
}

#[test]
fn every_state_of_three_learners_with_two_proposals_ends() {
    let (states, over) = visit_all_states(3, |p| {
        (p.rounds, p.proposers, p.settle_early, p.patience) = (1, 2, true, 1);
    });
    assert!(states > 100 && over > 20, "{states} states, {over} over");
}
