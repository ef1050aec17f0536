// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Where a round is; the last four are outcomes. `Voting` is for open, `Committing` for secret ballots.
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

/// @notice The hot part of a round, all that casting a ballot reads and writes of it: one slot, lowest bits first:
/// | voted 64 | approved 64 | time 40 | misses 32 | approvals 16 | outstanding 16 | needed 16 | stage 4 |
/// settlesEarly 1 | isByDeadline 1 |
/// @dev A word and not a struct: the compiler reads and writes a packed struct field by field, 100 gas for each.
/// Counts can not run over: learners are at most 10,000, and each is counted once.
type Tally is uint256;

using Tallies for Tally global;

/// @notice Reading a tally, and making the next one from it.
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

    /// @notice The tally of a round that begins.
    /// @param deadline For a proposal.
    /// @param misses_ The experiment's count of votes closed by deadline.
    /// @param voters Who can vote: the learners but the proposer.
    /// @param needed_ Approvals that make it accepted.
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

    /// @notice Whether the ballot of a learner with index < 64 is counted.
    function hasVoted(Tally self, uint256 index) internal pure returns (bool) {
        return (Tally.unwrap(self) >> index) & 1 == 1;
    }

    /// @notice Whether that ballot approves.
    function hasApproved(Tally self, uint256 index) internal pure returns (bool) {
        return (Tally.unwrap(self) >> (index + APPROVED)) & 1 == 1;
    }

    /// @notice The open phase's deadline; the closing time once closed.
    function time(Tally self) internal pure returns (uint40) {
        return uint40(Tally.unwrap(self) >> TIME);
    }

    /// @notice The experiment's count of votes closed by deadline, when the round began.
    function misses(Tally self) internal pure returns (uint32) {
        return uint32(Tally.unwrap(self) >> MISSES);
    }

    /// @notice Ballots that approve.
    function approvals(Tally self) internal pure returns (uint16) {
        return uint16(Tally.unwrap(self) >> APPROVALS);
    }

    /// @notice Voters who can still act in the phase: without a ballot, a commitment, or a reveal.
    function outstanding(Tally self) internal pure returns (uint16) {
        return uint16(Tally.unwrap(self) >> OUTSTANDING);
    }

    /// @notice Approvals that make it accepted.
    function needed(Tally self) internal pure returns (uint16) {
        return uint16(Tally.unwrap(self) >> NEEDED);
    }

    /// @notice Where the round is.
    function stage(Tally self) internal pure returns (Stage) {
        return Stage((Tally.unwrap(self) >> STAGE) & 0xf);
    }

    /// @notice Whether the round closes as soon as nothing can change its outcome.
    function settlesEarly(Tally self) internal pure returns (bool) {
        return (Tally.unwrap(self) >> SETTLES_EARLY) & 1 == 1;
    }

    /// @notice Whether it was closed by its deadline.
    function isByDeadline(Tally self) internal pure returns (bool) {
        return (Tally.unwrap(self) >> BY_DEADLINE) & 1 == 1;
    }

    // ------------------------------------------------------------------ the next one

    /// @notice With the ballot of a learner with index < 64.
    function withBallot(Tally self, uint256 index, bool approve) internal pure returns (Tally) {
        unchecked {
            uint256 bits = Tally.unwrap(self);
            if (approve) {
                return Tally.wrap((bits | (1 | 1 << APPROVED) << index) + ONE_APPROVAL - ONE_OUTSTANDING);
            }
            return Tally.wrap((bits | 1 << index) - ONE_OUTSTANDING);
        }
    }

    /// @notice With one ballot more in the counts alone.
    function withCount(Tally self, bool approve) internal pure returns (Tally) {
        unchecked {
            if (approve) return Tally.wrap(Tally.unwrap(self) + ONE_APPROVAL - ONE_OUTSTANDING);
            return Tally.wrap(Tally.unwrap(self) - ONE_OUTSTANDING);
        }
    }

    /// @notice With so many who can still act.
    function withOutstanding(Tally self, uint16 count) internal pure returns (Tally) {
        uint256 bits = Tally.unwrap(self) & ~(uint256(type(uint16).max) << OUTSTANDING);
        return Tally.wrap(bits | uint256(count) << OUTSTANDING);
    }

    /// @notice At another stage, with that stage's time.
    function at(Tally self, Stage stage_, uint40 time_) internal pure returns (Tally) {
        uint256 bits = Tally.unwrap(self) & ~(0xf << STAGE | uint256(type(uint40).max) << TIME);
        return Tally.wrap(bits | uint256(stage_) << STAGE | uint256(time_) << TIME);
    }

    /// @notice Closed by its deadline.
    function byDeadline(Tally self) internal pure returns (Tally) {
        return Tally.wrap(Tally.unwrap(self) | 1 << BY_DEADLINE);
    }
}
