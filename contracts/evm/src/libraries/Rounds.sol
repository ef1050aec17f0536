// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ContentRef} from "../types/ContentRef.sol";
import {BallotState, Outcome, Phase} from "../types/Enums.sol";
import {RoundState} from "../types/State.sol";
import {Stage, Tally} from "../types/Tally.sol";

/// @notice A round's own state: its ballots, its tally, its content.
/// @dev Every function costs the same for any number of learners.
library Rounds {
    uint256 private constant HOT = 64;
    uint256 private constant PER_WORD = 128;
    uint256 private constant VOTED = 1;
    uint256 private constant VOTED_AND_APPROVED = 3;

    /// @notice A round's ballots in hand while some are counted, so that a batch reads and writes each slot once.
    /// @param key Of the word in hand, for learners with index >= 64; 0 while there is none.
    struct Count {
        Tally tally;
        uint256 key;
        uint256 word;
    }

    // ------------------------------------------------------------------ counting

    /// @notice Counts a learner's ballot.
    /// @return Whether it was not counted before.
    function count(RoundState storage self, Count memory hand, uint256 index, bool approve)
        internal
        returns (bool)
    {
        Tally tally = hand.tally;
        if (index < HOT) {
            if (tally.hasVoted(index)) return false;
            hand.tally = tally.withBallot(index, approve);
            return true;
        }
        uint256 key = _key(index);
        if (hand.key != key) {
            putWord(self, hand);
            hand.key = key;
            hand.word = self.ballots[key];
        }
        uint256 word = hand.word;
        uint256 shift = _shift(index);
        if ((word >> shift) & VOTED != 0) return false;
        hand.word = word | (approve ? VOTED_AND_APPROVED : VOTED) << shift;
        hand.tally = tally.withCount(approve);
        return true;
    }

    /// @notice Writes the word in hand back.
    function putWord(RoundState storage self, Count memory hand) internal {
        if (hand.key != 0) self.ballots[hand.key] = hand.word;
    }

    // ------------------------------------------------------------------ reading

    /// @notice Whether a learner's ballot is counted.
    function hasBallot(RoundState storage self, uint256 index) internal view returns (bool) {
        if (index < HOT) return self.tally.hasVoted(index);
        return (self.ballots[_key(index)] >> _shift(index)) & VOTED != 0;
    }

    /// @notice What is recorded of a learner.
    function ballotState(RoundState storage self, uint256 index, address account)
        internal
        view
        returns (BallotState)
    {
        if (!hasBallot(self, index)) {
            return self.pledges[account] == 0 ? BallotState.None : BallotState.Committed;
        }
        bool approved = index < HOT
            ? self.tally.hasApproved(index)
            : (self.ballots[_key(index)] >> _shift(index)) & VOTED_AND_APPROVED == VOTED_AND_APPROVED;
        return approved ? BallotState.Approved : BallotState.Rejected;
    }

    /// @notice Whether nothing can change the outcome any more, or, without early settling, every ballot is in.
    function isSettled(RoundState storage self, Tally tally) internal view returns (bool) {
        uint256 outstanding = tally.outstanding();
        if (tally.settlesEarly()) {
            uint256 needed = tally.needed();
            return tally.approvals() >= needed || tally.approvals() + outstanding < needed;
        }
        if (outstanding != 0) return false;
        return tally.stage() == Stage.Voting || self.commitments == self.eligible;
    }

    /// @notice Ballots that reject. `secret` tells whether the experiment's ballots are secret.
    function rejections(RoundState storage self, Tally tally, bool secret) internal view returns (uint16) {
        Stage stage = tally.stage();
        if (stage == Stage.Proposing || stage == Stage.Committing || self.proposedAt == 0) return 0;
        uint16 able = secret ? self.commitments : self.eligible;
        return able - tally.outstanding() - tally.approvals();
    }

    /// @notice What was proposed; empty when nothing was.
    function content(RoundState storage self) internal view returns (ContentRef memory) {
        return ContentRef(self.codec, self.digest, self.sha256Hash, self.size);
    }

    // ------------------------------------------------------------------ phases

    /// @notice Writes what is proposed.
    function setContent(RoundState storage self, ContentRef calldata proposed) internal {
        self.digest = proposed.digest;
        self.sha256Hash = proposed.sha256Hash;
        self.size = proposed.size;
        self.codec = proposed.codec;
        self.proposedAt = uint40(block.timestamp);
    }

    /// @notice Turns those who did not commit into absent ones: only commitments are outstanding from here on.
    function endCommitting(RoundState storage self, Tally tally) internal returns (Tally) {
        uint16 commitments = self.eligible - tally.outstanding();
        self.commitments = commitments;
        return tally.withOutstanding(commitments);
    }

    /// @notice The phase a stage belongs to.
    function phase(Stage stage) internal pure returns (Phase) {
        if (stage <= Stage.Proposing) return Phase.Proposing;
        if (stage <= Stage.Committing) return Phase.Voting;
        if (stage == Stage.Revealing) return Phase.Revealing;
        return Phase.Closed;
    }

    /// @notice The outcome a stage stands for; `None` while the round is open.
    function outcome(Stage stage) internal pure returns (Outcome) {
        if (stage < Stage.Accepted) return Outcome.None;
        return Outcome(uint8(stage) - uint8(Stage.Accepted) + 1);
    }

    // ------------------------------------------------------------------ words

    /// @dev From 1, so that 0 says that no word is in hand.
    function _key(uint256 index) private pure returns (uint256) {
        unchecked {
            return index / PER_WORD + 1;
        }
    }

    function _shift(uint256 index) private pure returns (uint256) {
        unchecked {
            return 2 * (index % PER_WORD);
        }
    }
}
