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

    /// @notice Writes a ballot: into the tally for the first 64 learners, else into a word of its own.
    function record(RoundState storage self, Tally memory tally, uint256 index, bool approve) internal {
        if (index < HOT) {
            tally.voted |= uint64(1 << index);
            if (approve) tally.approved |= uint64(1 << index);
        } else {
            uint256 bits = approve ? 3 : 1;
            self.ballots[index / PER_WORD] |= bits << (2 * (index % PER_WORD));
        }
        if (approve) ++tally.approvals;
        --tally.outstanding;
    }

    /// @notice Whether a learner's ballot is counted.
    function hasBallot(RoundState storage self, Tally memory tally, uint256 index)
        internal
        view
        returns (bool)
    {
        if (index < HOT) return (tally.voted >> index) & 1 == 1;
        return (self.ballots[index / PER_WORD] >> (2 * (index % PER_WORD))) & 1 == 1;
    }

    /// @notice What is recorded of a learner.
    function ballotState(RoundState storage self, uint256 index, address account)
        internal
        view
        returns (BallotState)
    {
        Tally memory tally = self.tally.unpack();
        if (!hasBallot(self, tally, index)) {
            return self.pledges[account] == 0 ? BallotState.None : BallotState.Committed;
        }
        bool approved = index < HOT
            ? (tally.approved >> index) & 1 == 1
            : (self.ballots[index / PER_WORD] >> (2 * (index % PER_WORD) + 1)) & 1 == 1;
        return approved ? BallotState.Approved : BallotState.Rejected;
    }

    /// @notice Whether nothing can change the outcome any more, or, without early settling, every ballot is in.
    function isSettled(RoundState storage self, Tally memory tally) internal view returns (bool) {
        if (tally.settleEarly) {
            uint16 needed = self.needed;
            return tally.approvals >= needed || tally.approvals + tally.outstanding < needed;
        }
        if (tally.outstanding != 0) return false;
        return tally.stage == Stage.Voting || self.commitments == self.eligible;
    }

    /// @notice Turns those who did not commit into absent ones: only commitments are outstanding from here on.
    function endCommitting(RoundState storage self, Tally memory tally) internal {
        uint16 commitments = self.eligible - tally.outstanding;
        self.commitments = commitments;
        tally.outstanding = commitments;
    }

    /// @notice Writes what is proposed.
    function setContent(RoundState storage self, ContentRef calldata proposed) internal {
        self.digest = proposed.digest;
        self.sha256Hash = proposed.sha256Hash;
        self.size = proposed.size;
        self.codec = proposed.codec;
        self.proposedAt = uint40(block.timestamp);
    }

    /// @notice What was proposed; empty when nothing was.
    function content(RoundState storage self) internal view returns (ContentRef memory) {
        return ContentRef(self.codec, self.digest, self.sha256Hash, self.size);
    }

    /// @notice Ballots that reject. `secret` tells whether the experiment's ballots are secret.
    function rejections(RoundState storage self, Tally memory tally, bool secret)
        internal
        view
        returns (uint16)
    {
        if (tally.stage == Stage.Proposing || tally.stage == Stage.Committing) return 0;
        uint16 able = secret ? self.commitments : self.eligible;
        if (self.proposedAt == 0) return 0;
        return able - tally.outstanding - tally.approvals;
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
}
