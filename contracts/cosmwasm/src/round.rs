//! The state of one round, independent of storage, time and chain. Its ballots are in `tally`.

use serde::{Deserialize, Serialize};

use crate::bytes::Word;
use crate::members::Member;
use crate::slots::Slots;
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
    /// A round. Electorate, slots, `needed` and deadlines are fixed when a phase begins; no ballot
    /// changes anything here.
    Round {
        stage: Stage,
        slots: Slots,
        started_at: u64,
        voting_started_at: Option<u64>,
        reveal_started_at: Option<u64>,
        /// The open phase's deadline; the closing time once closed.
        time: u64,
        eligible: u32,
        needed: u32,
        /// The digest of the proposals; zero before the vote.
        digest: Word,
        /// The experiment's misses when the round began.
        misses: u32,
        settle_early: bool,
        /// Whether only the best of the proposals that pass is accepted.
        best_only: bool,
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

    /// Begins the vote on the proposals with this digest.
    pub(crate) fn open_vote(&mut self, digest: [u8; 32], secret: bool, now: u64, deadline: u64) {
        self.stage = if secret {
            Stage::Committing
        } else {
            Stage::Voting
        };
        self.digest = Word(digest);
        self.voting_started_at = Some(now);
        self.time = deadline;
    }

    /// Ends committing and begins revealing.
    pub(crate) fn open_reveal(&mut self, now: u64, deadline: u64) {
        self.stage = Stage::Revealing;
        self.reveal_started_at = Some(now);
        self.time = deadline;
    }

    /// Closes the round.
    pub(crate) fn close(&mut self, stage: Stage, now: u64, by_deadline: bool) {
        self.stage = stage;
        self.time = now;
        self.by_deadline = by_deadline;
    }

    /// Returns whether a learner has a proposal of somebody else to judge in the round of this number.
    /// While proposals are missing, the answer is for those made so far.
    pub(crate) fn has_voter(&self, number: u32, member: &Member) -> bool {
        let judges_itself = self.slots.only_proposer() == Some(member.index);
        member.is_in_electorate(number) && !judges_itself
    }

    /// Returns the number of voters: all of the electorate, except the proposer of the only proposal.
    pub(crate) fn voters(&self) -> u32 {
        self.eligible + u32::from(self.slots.proposals() > 1)
    }

    /// Returns the length of a ballot's scores in bytes: two for the current weights and each proposal.
    pub(crate) fn scores_length(&self) -> usize {
        16 * (1 + self.slots.proposals() as usize)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a round in which all of these learners have proposed.
    pub(crate) fn round(proposers: u32, eligible: u32, needed: u32) -> Round {
        let mut slots = Slots::new((0..proposers).collect());
        (0..proposers).for_each(|slot| slots.propose(slot as u8));
        Round {
            stage: Stage::Voting,
            slots,
            started_at: 10,
            voting_started_at: Some(15),
            reveal_started_at: None,
            time: 20,
            eligible,
            needed,
            digest: Word::default(),
            misses: 0,
            settle_early: false,
            best_only: false,
            mixes_salts: false,
            by_deadline: false,
        }
    }

    #[test]
    fn a_deadline_has_passed_from_its_second_on() {
        let round = round(1, 1, 1);
        assert!(!round.is_past_deadline(19));
        assert!(round.is_past_deadline(20));
        assert!(round.is_past_deadline(u64::MAX));
    }

    #[test]
    fn proposer_of_the_only_proposal_is_no_voter() {
        let alone = round(1, 4, 2);
        assert_eq!((alone.voters(), alone.scores_length()), (4, 32));
        let member = |index| Member::new(index, 0, 0, 0);
        assert!(!alone.has_voter(0, &member(0)) && alone.has_voter(0, &member(1)));
        let plural = round(3, 4, 2);
        assert_eq!((plural.voters(), plural.scores_length()), (5, 64));
        assert!(plural.has_voter(0, &member(0)) && plural.has_voter(0, &member(4)));
        let late = Member::new(4, 4, 1, 0);
        assert!(!plural.has_voter(0, &late) && plural.has_voter(1, &late));
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
        let round = round(2, 9_999, 5_000);
        let stored = cosmwasm_std::to_json_string(&round).unwrap();
        assert_eq!(
            stored,
            r#"["v",[[0,1],0,3,0,0],10,15,null,20,9999,5000,null,0,false,false,false,false]"#
        );
        assert_eq!(cosmwasm_std::from_json::<Round>(stored).unwrap(), round);
    }
}
