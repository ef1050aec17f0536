//! The state of one round: its stage and its tally, independent of storage, time and chain.

use serde::{Deserialize, Serialize};

use crate::state::row;
use crate::types::{Outcome, Phase};

/// The stage of a round. `Voting` is for open ballots, `Committing` for secret ones; the last four are outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    #[serde(rename = "p")]
    Proposing,
    #[serde(rename = "v")]
    Voting,
    #[serde(rename = "c")]
    Committing,
    #[serde(rename = "s")]
    Revealing,
    #[serde(rename = "a")]
    Accepted,
    #[serde(rename = "r")]
    Rejected,
    #[serde(rename = "n")]
    NoProposal,
    #[serde(rename = "x")]
    Abandoned,
}

impl Stage {
    /// Returns the phase of a stage.
    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Proposing => Phase::Proposing,
            Self::Voting | Self::Committing => Phase::Voting,
            Self::Revealing => Phase::Revealing,
            _ => Phase::Closed,
        }
    }

    /// Returns the outcome of a stage; `None` while the round is open.
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Accepted => Outcome::Accepted,
            Self::Rejected => Outcome::Rejected,
            Self::NoProposal => Outcome::NoProposal,
            Self::Abandoned => Outcome::Abandoned,
            _ => Outcome::None,
        }
    }
}

row! {
    /// A round. Electorate, `needed` and deadlines are fixed when it begins.
    Round {
        stage: Stage,
        /// The index of the selected learner.
        proposer: u32,
        started_at: u64,
        /// The open phase's deadline; the closing time once closed.
        time: u64,
        eligible: u32,
        needed: u32,
        approvals: u32,
        rejections: u32,
        commitments: u32,
        reveal_started_at: Option<u64>,
        /// The experiment's misses when the round began.
        misses: u32,
        settle_early: bool,
        /// Whether revealed salts enter the next seed.
        mixes_salts: bool,
        by_deadline: bool,
    }
}

impl Round {
    /// Returns whether the deadline of the phase has passed.
    pub(crate) fn is_past_deadline(&self, now: u64) -> bool {
        now >= self.time
    }

    /// Begins the vote on a proposal.
    pub(crate) fn open_vote(&mut self, secret: bool, deadline: u64) {
        self.stage = if secret {
            Stage::Committing
        } else {
            Stage::Voting
        };
        self.time = deadline;
    }

    /// Ends committing and begins revealing.
    pub(crate) fn open_reveal(&mut self, now: u64, deadline: u64) {
        self.stage = Stage::Revealing;
        self.reveal_started_at = Some(now);
        self.time = deadline;
    }

    /// Counts a ballot.
    pub(crate) fn count(&mut self, approve: bool) {
        if approve {
            self.approvals += 1;
        } else {
            self.rejections += 1;
        }
    }

    /// Returns whether every eligible voter has committed.
    pub(crate) fn is_fully_committed(&self) -> bool {
        self.commitments == self.eligible
    }

    /// Returns whether the vote can close before its deadline: every ballot is in or, with
    /// `settle_early`, the outcome is fixed.
    pub(crate) fn is_settled(&self) -> bool {
        if self.settle_early {
            return self.is_accepted() || self.approvals + self.outstanding() < self.needed;
        }
        self.ballots() == self.eligible
    }

    /// Returns whether too few voters committed to accept the proposal (`settle_early`).
    pub(crate) fn is_decided_unrevealed(&self) -> bool {
        self.settle_early && self.commitments < self.needed
    }

    /// Returns whether the approvals so far accept the proposal.
    pub(crate) fn is_accepted(&self) -> bool {
        self.approvals >= self.needed
    }

    /// Closes the round.
    pub(crate) fn close(&mut self, stage: Stage, now: u64, by_deadline: bool) {
        self.stage = stage;
        self.time = now;
        self.by_deadline = by_deadline;
    }

    fn ballots(&self) -> u32 {
        self.approvals + self.rejections
    }

    /// Returns how many ballots are still outstanding.
    fn outstanding(&self) -> u32 {
        let able = match self.stage {
            Stage::Revealing => self.commitments,
            _ => self.eligible,
        };
        able - self.ballots()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(eligible: u32, needed: u32, settle_early: bool) -> Round {
        Round {
            stage: Stage::Voting,
            proposer: 0,
            started_at: 10,
            time: 20,
            eligible,
            needed,
            approvals: 0,
            rejections: 0,
            commitments: 0,
            reveal_started_at: None,
            misses: 0,
            settle_early,
            mixes_salts: false,
            by_deadline: false,
        }
    }

    #[test]
    fn a_deadline_has_passed_from_its_second_on() {
        let held = round(1, 1, false);
        assert!(!held.is_past_deadline(19));
        assert!(held.is_past_deadline(20));
        assert!(held.is_past_deadline(u64::MAX));
    }

    #[test]
    fn without_settling_early_every_ballot_is_waited_for() {
        let mut held = round(3, 1, false);
        for _ in 0..2 {
            held.count(true);
            assert!(!held.is_settled());
        }
        held.count(false);
        assert!(held.is_settled() && held.is_accepted());
    }

    #[test]
    fn settling_early_stops_as_soon_as_nothing_can_change() {
        for votes in 0u32..1 << 5 {
            let mut held = round(5, 3, true);
            for place in 0..5 {
                let (yes, no) = (held.approvals, held.rejections);
                assert_eq!(held.is_settled(), yes >= 3 || no > 2);
                held.count(votes >> place & 1 == 1);
            }
            assert!(held.is_settled());
        }
    }

    #[test]
    fn while_revealing_only_commitments_are_outstanding() {
        let mut held = round(4, 2, true);
        held.commitments = 2;
        held.open_reveal(20, 30);
        assert!(!held.is_settled());
        held.count(false);
        assert!(held.is_settled() && !held.is_accepted());
        assert_eq!((held.reveal_started_at, held.time), (Some(20), 30));
    }

    #[test]
    fn too_few_commitments_decide_only_with_settling_early() {
        let mut held = round(4, 2, true);
        held.commitments = 1;
        assert!(held.is_decided_unrevealed());
        held.settle_early = false;
        assert!(!held.is_decided_unrevealed());
        held.commitments = 2;
        held.settle_early = true;
        assert!(!held.is_decided_unrevealed());
    }

    #[test]
    fn stages_have_a_phase_and_an_outcome() {
        let of_stage = |stage: Stage| (stage.phase(), stage.outcome());
        assert_eq!(
            of_stage(Stage::Proposing),
            (Phase::Proposing, Outcome::None)
        );
        assert_eq!(of_stage(Stage::Voting), (Phase::Voting, Outcome::None));
        assert_eq!(of_stage(Stage::Committing), (Phase::Voting, Outcome::None));
        assert_eq!(
            of_stage(Stage::Revealing),
            (Phase::Revealing, Outcome::None)
        );
        assert_eq!(
            of_stage(Stage::Accepted),
            (Phase::Closed, Outcome::Accepted)
        );
        assert_eq!(
            of_stage(Stage::Rejected),
            (Phase::Closed, Outcome::Rejected)
        );
        assert_eq!(
            of_stage(Stage::NoProposal),
            (Phase::Closed, Outcome::NoProposal)
        );
        assert_eq!(
            of_stage(Stage::Abandoned),
            (Phase::Closed, Outcome::Abandoned)
        );
    }

    #[test]
    fn a_round_is_stored_as_a_short_row() {
        let held = round(9_999, 5_000, true);
        let stored = cosmwasm_std::to_json_string(&held).unwrap();
        assert_eq!(
            stored,
            r#"["v",0,10,20,9999,5000,0,0,0,null,0,true,false,false]"#
        );
        assert_eq!(cosmwasm_std::from_json::<Round>(stored).unwrap(), held);
    }
}
