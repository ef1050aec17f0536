// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The stage of a round; the last four are outcomes. `Voting` is for open ballots, `Committing` for secret.
enum Stage {
    None,
    Proposing,
    Voting,
    Committing,
    Revealing,
    Accepted,
    Rejected,
    NoProposal,
    Abandoned
}

/// @notice The part of a round that casting a ballot reads and writes: one slot, lowest bits first:
/// | voted 64 | approved 64 | time 40 | misses 32 | approvals 16 | outstanding 16 | needed 16 | stage 4 |
/// settlesEarly 1 | isByDeadline 1 |
/// @dev A word rather than a struct: the compiler reads and writes a packed struct field by field, 100 gas each.
/// Counts cannot overflow: there are at most 10,000 learners, and each is counted once.
type Tally is uint256;

using Tallies for Tally global;

/// @notice Reads a tally word and derives changed ones.
library Tallies {
    uint256 private constant APPROVED = 64;
    uint256 private constant TIME = 128;
    uint256 private constant MISSES = 168;
    uint256 private constant APPROVALS = 200;
    uint256 private constant OUTSTANDING = 216;
    uint256 private constant NEEDED = 232;
    uint256 private constant STAGE = 248;
    uint256 private constant SETTLES_EARLY = 252;
    uint256 private constant BY_DEADLINE = 253;

    uint256 private constant ONE_APPROVAL = 1 << APPROVALS;
    uint256 private constant ONE_OUTSTANDING = 1 << OUTSTANDING;

    /// @notice Returns the tally of a round that begins.
    /// @param deadline The deadline of the proposal.
    /// @param misses_ The experiment's count of votes closed by their deadline.
    /// @param voters The number of voters: all learners but the proposer.
    /// @param needed_ The approvals that accept the proposal.
    /// @param early Whether the round closes as soon as its outcome is fixed.
    function begin(uint40 deadline, uint32 misses_, uint16 voters, uint16 needed_, bool early)
        internal
        pure
        returns (Tally)
    {
        uint256 bits = uint256(deadline) << TIME | uint256(misses_) << MISSES | uint256(voters) << OUTSTANDING
            | uint256(needed_) << NEEDED | uint256(Stage.Proposing) << STAGE;
        return Tally.wrap(early ? bits | 1 << SETTLES_EARLY : bits);
    }

    // ------------------------------------------------------------------ reading

    /// @notice Returns whether the ballot of a learner with index < 64 is counted.
    function hasVoted(Tally self, uint256 index) internal pure returns (bool) {
        return (Tally.unwrap(self) >> index) & 1 == 1;
    }

    /// @notice Returns whether that ballot approves.
    function hasApproved(Tally self, uint256 index) internal pure returns (bool) {
        return (Tally.unwrap(self) >> (index + APPROVED)) & 1 == 1;
    }

    /// @notice Returns the open phase's deadline; the closing time once closed.
    function time(Tally self) internal pure returns (uint40) {
        return uint40(Tally.unwrap(self) >> TIME);
    }

    /// @notice Returns the experiment's count of votes closed by their deadline, as of the round's beginning.
    function misses(Tally self) internal pure returns (uint32) {
        return uint32(Tally.unwrap(self) >> MISSES);
    }

    /// @notice Returns how many ballots approve.
    function approvals(Tally self) internal pure returns (uint16) {
        return uint16(Tally.unwrap(self) >> APPROVALS);
    }

    /// @notice Returns how many voters can still act in the phase: no ballot, commitment or reveal yet.
    function outstanding(Tally self) internal pure returns (uint16) {
        return uint16(Tally.unwrap(self) >> OUTSTANDING);
    }

    /// @notice Returns the approvals that accept the proposal.
    function needed(Tally self) internal pure returns (uint16) {
        return uint16(Tally.unwrap(self) >> NEEDED);
    }

    /// @notice Returns the round's stage.
    function stage(Tally self) internal pure returns (Stage) {
        return Stage((Tally.unwrap(self) >> STAGE) & 0xf);
    }

    /// @notice Returns whether the round closes as soon as its outcome is fixed.
    function settlesEarly(Tally self) internal pure returns (bool) {
        return (Tally.unwrap(self) >> SETTLES_EARLY) & 1 == 1;
    }

    /// @notice Returns whether the round was closed by its deadline.
    function isByDeadline(Tally self) internal pure returns (bool) {
        return (Tally.unwrap(self) >> BY_DEADLINE) & 1 == 1;
    }

    // ------------------------------------------------------------------ changing

    /// @notice Returns the tally with the ballot of a learner with index < 64.
    function withBallot(Tally self, uint256 index, bool approve) internal pure returns (Tally) {
        unchecked {
            uint256 bits = Tally.unwrap(self);
            if (approve) {
                return Tally.wrap((bits | (1 | 1 << APPROVED) << index) + ONE_APPROVAL - ONE_OUTSTANDING);
            }
            return Tally.wrap((bits | 1 << index) - ONE_OUTSTANDING);
        }
    }

    /// @notice Returns the tally with one more ballot in its counts only.
    function withCount(Tally self, bool approve) internal pure returns (Tally) {
        unchecked {
            if (approve) return Tally.wrap(Tally.unwrap(self) + ONE_APPROVAL - ONE_OUTSTANDING);
            return Tally.wrap(Tally.unwrap(self) - ONE_OUTSTANDING);
        }
    }

    /// @notice Returns the tally with this many voters outstanding.
    function withOutstanding(Tally self, uint16 count) internal pure returns (Tally) {
        uint256 bits = Tally.unwrap(self) & ~(uint256(type(uint16).max) << OUTSTANDING);
        return Tally.wrap(bits | uint256(count) << OUTSTANDING);
    }

    /// @notice Returns the tally at another stage, with that stage's time.
    function at(Tally self, Stage stage_, uint40 time_) internal pure returns (Tally) {
        uint256 bits = Tally.unwrap(self) & ~(0xf << STAGE | uint256(type(uint40).max) << TIME);
        return Tally.wrap(bits | uint256(stage_) << STAGE | uint256(time_) << TIME);
    }

    /// @notice Returns the tally as closed by its deadline.
    function byDeadline(Tally self) internal pure returns (Tally) {
        return Tally.wrap(Tally.unwrap(self) | 1 << BY_DEADLINE);
    }
}
