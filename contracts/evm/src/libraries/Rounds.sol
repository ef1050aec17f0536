// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ContentRef} from "../types/ContentRef.sol";
import {BallotState, Outcome, Phase} from "../types/Enums.sol";
import {RoundState} from "../types/State.sol";
import {Stage, Tally} from "../types/Tally.sol";

/// @notice The state of one round: its ballots, its tally and its content.
/// @dev Every function costs the same for any number of learners.
library Rounds {
    uint256 private constant INLINE_BALLOTS = 64;
    uint256 private constant BALLOTS_PER_WORD = 128;
    uint256 private constant VOTED = 1;
    uint256 private constant VOTED_AND_APPROVED = 3;

    /// @notice Ballots being counted, kept in memory so that a batch reads and writes each slot once.
    /// @param tally The tally so far.
    /// @param key The key of `word`, for learners with index >= 64; 0 while no word is loaded.
    /// @param word The loaded word of ballots.
    struct Count {
        Tally tally;
        uint256 key;
        uint256 word;
    }

    // ------------------------------------------------------------------ counting

    /// @notice Counts a learner's ballot.
    /// @return Whether it was counted; false if the learner's ballot was counted before.
    function count(RoundState storage self, Count memory counting, uint256 index, bool approve)
        internal
        returns (bool)
    {
        Tally tally = counting.tally;
        if (index < INLINE_BALLOTS) {
            if (tally.hasVoted(index)) return false;
            counting.tally = tally.withBallot(index, approve);
            return true;
        }
        uint256 key = _key(index);
        if (counting.key != key) {
            writeWord(self, counting);
            counting.key = key;
            counting.word = self.ballots[key];
        }
        uint256 word = counting.word;
        uint256 shift = _shift(index);
        if ((word >> shift) & VOTED != 0) return false;
        counting.word = word | (approve ? VOTED_AND_APPROVED : VOTED) << shift;
        counting.tally = tally.withCount(approve);
        return true;
    }

    /// @notice Writes the loaded word of ballots back.
    function writeWord(RoundState storage self, Count memory counting) internal {
        if (counting.key != 0) self.ballots[counting.key] = counting.word;
    }

    // ------------------------------------------------------------------ reading

    /// @notice Returns whether a learner's ballot is counted.
    function hasBallot(RoundState storage self, uint256 index) internal view returns (bool) {
        if (index < INLINE_BALLOTS) return self.tally.hasVoted(index);
        return (self.ballots[_key(index)] >> _shift(index)) & VOTED != 0;
    }

    /// @notice Returns what is recorded of a learner.
    function ballotState(RoundState storage self, uint256 index, address account)
        internal
        view
        returns (BallotState)
    {
        if (!hasBallot(self, index)) {
            return self.pledges[account] == 0 ? BallotState.None : BallotState.Committed;
        }
        bool approved = index < INLINE_BALLOTS
            ? self.tally.hasApproved(index)
            : (self.ballots[_key(index)] >> _shift(index)) & VOTED_AND_APPROVED == VOTED_AND_APPROVED;
        return approved ? BallotState.Approved : BallotState.Rejected;
    }

    /// @notice Returns whether the vote can close: every ballot is in or, with early settling, the outcome is fixed.
    function isSettled(RoundState storage self, Tally tally) internal view returns (bool) {
        uint256 outstanding = tally.outstanding();
        if (tally.settlesEarly()) {
            uint256 needed = tally.needed();
            return tally.approvals() >= needed || tally.approvals() + outstanding < needed;
        }
        if (outstanding != 0) return false;
        return tally.stage() == Stage.Voting || self.commitments == self.eligible;
    }

    /// @notice Returns how many ballots reject.
    /// @param secret Whether the experiment's ballots are secret.
    function rejections(RoundState storage self, Tally tally, bool secret) internal view returns (uint16) {
        Stage stage = tally.stage();
        if (stage == Stage.Proposing || stage == Stage.Committing || self.proposedAt == 0) return 0;
        uint16 able = secret ? self.commitments : self.eligible;
        return able - tally.outstanding() - tally.approvals();
    }

    /// @notice Returns the proposed content; empty if there is none.
    function content(RoundState storage self) internal view returns (ContentRef memory) {
        return ContentRef(self.codec, self.digest, self.sha256Hash, self.size);
    }

    // ------------------------------------------------------------------ phases

    /// @notice Writes the proposed content.
    function setContent(RoundState storage self, ContentRef calldata proposed) internal {
        self.digest = proposed.digest;
        self.sha256Hash = proposed.sha256Hash;
        self.size = proposed.size;
        self.codec = proposed.codec;
        self.proposedAt = uint40(block.timestamp);
    }

    /// @notice Ends committing: from here on only the voters that committed are outstanding.
    function endCommitting(RoundState storage self, Tally tally) internal returns (Tally) {
        uint16 commitments = self.eligible - tally.outstanding();
        self.commitments = commitments;
        return tally.withOutstanding(commitments);
    }

    /// @notice Returns the phase of a stage. A stage also distinguishes open from secret voting and, once closed, the
    /// outcomes.
    function phase(Stage stage) internal pure returns (Phase) {
        if (stage <= Stage.Proposing) return Phase.Proposing;
        if (stage <= Stage.Committing) return Phase.Voting;
        if (stage == Stage.Revealing) return Phase.Revealing;
        return Phase.Closed;
    }

    /// @notice Returns the outcome of a stage; `None` while the round is open.
    function outcome(Stage stage) internal pure returns (Outcome) {
        if (stage < Stage.Accepted) return Outcome.None;
        return Outcome(uint8(stage) - uint8(Stage.Accepted) + 1);
    }

    // ------------------------------------------------------------------ words

    /// @dev Keys count from 1: 0 means that no word is loaded.
    function _key(uint256 index) private pure returns (uint256) {
        unchecked {
            return index / BALLOTS_PER_WORD + 1;
        }
    }

    function _shift(uint256 index) private pure returns (uint256) {
        unchecked {
            return 2 * (index % BALLOTS_PER_WORD);
        }
    }
}
