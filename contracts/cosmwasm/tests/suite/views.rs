//! The state of the experiment, by people's names.

use collective_learning::msg::{
    AgendaResponse, BallotResponse, DutyResponse, ExperimentResponse, LearnerResponse, QueryMsg,
    RoundResponse,
};
use collective_learning::types::{BallotState, ContentRef, Duty, SlotState};

use super::Suite;

/// What the stories ask about a round.
pub trait RoundFacts {
    /// Returns the number of proposals.
    fn proposed(&self) -> usize;
    /// Returns what became of each slot.
    fn states(&self) -> Vec<SlotState>;
    /// Returns the approvals of each slot.
    fn approvals(&self) -> Vec<u32>;
    /// Returns the approvals of each slot and the number of ballots.
    fn tally(&self) -> (Vec<u32>, u32);
    /// Returns the accepted slots.
    fn accepted(&self) -> Vec<usize>;
    /// Returns the proposal in a slot.
    fn content(&self, slot: usize) -> Option<ContentRef>;
}

impl RoundFacts for RoundResponse {
    fn proposed(&self) -> usize {
        let states = self.states().into_iter();
        states.filter(|state| *state == SlotState::Proposed).count()
    }

    fn states(&self) -> Vec<SlotState> {
        self.slots.iter().map(|slot| slot.state).collect()
    }

    fn approvals(&self) -> Vec<u32> {
        self.slots.iter().map(|slot| slot.approvals).collect()
    }

    fn tally(&self) -> (Vec<u32>, u32) {
        (self.approvals(), self.ballots)
    }

    fn accepted(&self) -> Vec<usize> {
        let slots = self.slots.iter().enumerate();
        slots
            .filter(|(_, slot)| slot.accepted)
            .map(|(place, _)| place)
            .collect()
    }

    fn content(&self, slot: usize) -> Option<ContentRef> {
        self.slots[slot].content.clone()
    }
}

impl Suite {
    pub fn experiment(&self) -> ExperimentResponse {
        self.ask(&QueryMsg::Experiment {
            experiment: self.id(),
        })
    }

    /// Returns the current round; the last one once the experiment has ended, 0 before the start.
    pub fn current(&self) -> u32 {
        self.experiment().round.unwrap_or(0)
    }

    pub fn round(&self) -> RoundResponse {
        self.round_at(self.current())
    }

    pub fn round_at(&self, round: u32) -> RoundResponse {
        self.ask(&QueryMsg::Round {
            experiment: self.id(),
            round,
        })
    }

    /// Returns the digest of the current round's proposals; zero before the vote.
    pub fn digest(&self) -> [u8; 32] {
        let digest = self.round().proposals;
        digest.map_or([0; 32], |digest| digest.to_array().unwrap())
    }

    pub fn learner(&self, name: &str) -> LearnerResponse {
        let account = self.account(name).into_string();
        self.ask(&QueryMsg::Learner {
            experiment: self.id(),
            account,
        })
    }

    /// Returns a learner's missed proposals and missed ballots.
    pub fn missed(&self, name: &str) -> (u32, u32) {
        let learner = self.learner(name);
        (learner.missed_proposals, learner.missed_ballots)
    }

    pub fn strikes(&self, names: &[&str]) -> Vec<u32> {
        let missed = names.iter().map(|name| self.missed(name));
        missed
            .map(|(proposals, ballots)| proposals.max(ballots))
            .collect()
    }

    pub fn ballot(&self, round: u32, name: &str) -> BallotResponse {
        let account = self.account(name).into_string();
        self.ask(&QueryMsg::Ballot {
            experiment: self.id(),
            round,
            account,
        })
    }

    pub fn ballot_state(&self, round: u32, name: &str) -> BallotState {
        self.ballot(round, name).state
    }

    pub fn duty(&self, name: &str) -> Duty {
        let account = self.account(name).into_string();
        let experiment = self.id();
        self.ask::<DutyResponse>(&QueryMsg::Duty {
            experiment,
            account,
        })
        .duty
    }

    pub fn duties(&self, names: &[&str]) -> Vec<Duty> {
        names.iter().map(|name| self.duty(name)).collect()
    }

    pub fn agenda(&self, name: &str) -> AgendaResponse {
        let account = self.account(name).into_string();
        self.ask(&QueryMsg::Agenda {
            experiment: self.id(),
            account,
        })
    }

    /// Returns the current proposers in slot order.
    pub fn proposers<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        let slots = self.round().slots;
        let name_of = |proposer| {
            let found = names.iter().find(|name| self.account(name) == proposer);
            *found.expect("the proposer is one of these")
        };
        slots
            .into_iter()
            .map(|slot| name_of(slot.proposer))
            .collect()
    }

    /// Returns the current proposer of a classic round.
    pub fn proposer<'a>(&self, names: &[&'a str]) -> &'a str {
        let proposers = self.proposers(names);
        assert_eq!(proposers.len(), 1);
        proposers[0]
    }
}
