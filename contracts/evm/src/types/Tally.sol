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

/// @notice The part of a round that casting a ballot reads and writes: one slot, lowest bits first. It begins with
/// | voted 64 | approved 64 | in a classic round, which has one slot, and with
/// | proposed 16 | open 16 | eligible 14 | votingStartedAt 40 | revealStartedAt 40 | unused 2 | in a plural one. Then
/// | time 40 | misses 32 | approvals (classic) or commitments (plural) 14 | outstanding 14 | needed 14 | slots 5 |
/// stage 4 | settlesEarly 1 | isByDeadline 1 | picksBest 1 | unused 2 |
/// @dev A word rather than a struct: the compiler reads and writes a packed struct field by field, 100 gas each.
/// Counts cannot overflow: there are at most 10,000 learners, and each is counted once.
type Tally is uint256;

using Tallies for Tally global;

/// @notice Reads a tally word and derives changed ones.
library Tallies {
    uint256 private constant APPROVED = 64;
    uint256 private constant OPEN = 16;
    uint256 private constant ELIGIBLE = 32;
    uint256 private constant VOTING_STARTED = 46;
    uint256 private constant REVEAL_STARTED = 86;

    uint256 private constant TIME = 128;
    uint256 private constant MISSES = 168;
    uint256 private constant APPROVALS = 200;
    uint256 private constant COMMITMENTS = 200;
    uint256 private constant OUTSTANDING = 214;
    uint256 private constant NEEDED = 228;
    uint256 private constant SLOTS = 242;
    uint256 private constant STAGE = 247;
    uint256 private constant SETTLES_EARLY = 251;
    uint256 private constant BY_DEADLINE = 252;
    uint256 private constant PICKS_BEST = 253;

    /// @dev All bits of the number of slots but the lowest.
    uint256 private constant SEVERAL_SLOTS = 0x1e << SLOTS;
    uint256 private constant COUNT_MASK = (1 << 14) - 1;
    uint256 private constant ONE_OUTSTANDING = 1 << OUTSTANDING;

    /// @notice Returns the tally of a round that begins.
    /// @param slots_ The number of proposers; with one the round is classic.
    /// @param eligible The size of the electorate without one proposer.
    /// @param needed_ The approvals that accept a proposal.
    /// @param misses_ The experiment's count of votes closed by their deadline.
    /// @param deadline The deadline of the proposals.
    function begin(uint256 slots_, uint16 eligible, uint16 needed_, uint32 misses_, uint40 deadline)
        internal
        pure
        returns (Tally)
    {
        uint256 bits = uint256(deadline) << TIME | uint256(misses_) << MISSES | uint256(eligible)
            << OUTSTANDING | uint256(needed_) << NEEDED | slots_ << SLOTS | uint256(Stage.Proposing) << STAGE;
        if (slots_ > 1) bits |= ((1 << slots_) - 1) << OPEN | uint256(eligible) << ELIGIBLE;
        return Tally.wrap(bits);
    }

    // ------------------------------------------------------------------ reading

    /// @notice Returns the open phase's deadline; the closing time once closed.
    function time(Tally self) internal pure returns (uint40) {
        return uint40(Tally.unwrap(self) >> TIME);
    }

    /// @notice Returns the experiment's count of votes closed by their deadline, as of the round's beginning.
    function misses(Tally self) internal pure returns (uint32) {
        return uint32(Tally.unwrap(self) >> MISSES);
    }

    /// @notice Returns how many voters can still act in the phase: no ballot, commitment or reveal yet.
    function outstanding(Tally self) internal pure returns (uint16) {
        return _count(self, OUTSTANDING);
    }

    /// @notice Returns the approvals that accept a proposal.
    function needed(Tally self) internal pure returns (uint16) {
        return _count(self, NEEDED);
    }

    /// @notice Returns the number of proposers.
    function slots(Tally self) internal pure returns (uint256) {
        return (Tally.unwrap(self) >> SLOTS) & 0x1f;
    }

    /// @notice Returns whether the round has more than one slot.
    function isPlural(Tally self) internal pure returns (bool) {
        return Tally.unwrap(self) & SEVERAL_SLOTS != 0;
    }

    /// @notice Returns the round's stage.
    function stage(Tally self) internal pure returns (Stage) {
        return Stage((Tally.unwrap(self) >> STAGE) & 0xf);
    }

    /// @notice Returns whether this is the round's stage. Cheaper than comparing `stage`, which is checked.
    function isAt(Tally self, Stage stage_) internal pure returns (bool) {
        return (Tally.unwrap(self) >> STAGE) & 0xf == uint256(stage_);
    }

    /// @notice Returns whether the round closes as soon as its outcome is fixed.
    function settlesEarly(Tally self) internal pure returns (bool) {
        return (Tally.unwrap(self) >> SETTLES_EARLY) & 1 == 1;
    }

    /// @notice Returns whether the round was closed by its deadline.
    function isByDeadline(Tally self) internal pure returns (bool) {
        return (Tally.unwrap(self) >> BY_DEADLINE) & 1 == 1;
    }

    /// @notice Returns whether only the best of the proposals that pass is accepted.
    function picksBest(Tally self) internal pure returns (bool) {
        return (Tally.unwrap(self) >> PICKS_BEST) & 1 == 1;
    }

    /// @notice Returns the slots with a proposal, as a bitmap.
    function proposed(Tally self) internal pure returns (uint256) {
        if (isPlural(self)) return uint16(Tally.unwrap(self));
        Stage now_ = stage(self);
        return now_ > Stage.Proposing && now_ < Stage.NoProposal ? 1 : 0;
    }

    /// @notice Returns the same for a round in which voting has begun.
    function judged(Tally self) internal pure returns (uint256) {
        return isPlural(self) ? uint16(Tally.unwrap(self)) : 1;
    }

    /// @notice Returns the slots whose proposer neither proposed nor declined, as a bitmap.
    function open(Tally self) internal pure returns (uint256) {
        if (isPlural(self)) return uint16(Tally.unwrap(self) >> OPEN);
        Stage now_ = stage(self);
        if (now_ == Stage.NoProposal) return isByDeadline(self) ? 1 : 0;
        return now_ == Stage.Proposing || now_ == Stage.Abandoned ? 1 : 0;
    }

    // ------------------------------------------------------------------ changing

    /// @notice Returns the tally with the experiment's rules for closing.
    /// @param early Whether the round closes as soon as its outcome is fixed.
    /// @param best Whether only the best of the proposals that pass is accepted.
    function withRules(Tally self, bool early, bool best) internal pure returns (Tally) {
        uint256 bits = Tally.unwrap(self);
        if (early) bits |= 1 << SETTLES_EARLY;
        if (best) bits |= 1 << PICKS_BEST;
        return Tally.wrap(bits);
    }

    /// @notice Returns the tally with one voter less outstanding.
    function withOneLess(Tally self) internal pure returns (Tally) {
        unchecked {
            return Tally.wrap(Tally.unwrap(self) - ONE_OUTSTANDING);
        }
    }

    /// @notice Returns the tally with this many voters outstanding.
    function withOutstanding(Tally self, uint16 count) internal pure returns (Tally) {
        return _with(self, OUTSTANDING, COUNT_MASK, count);
    }

    /// @notice Returns the tally at another stage, with that stage's time.
    function at(Tally self, Stage stage_, uint40 time_) internal pure returns (Tally) {
        return _with(_with(self, STAGE, 0xf, uint256(stage_)), TIME, type(uint40).max, time_);
    }

    /// @notice Returns the tally as closed by its deadline.
    function byDeadline(Tally self) internal pure returns (Tally) {
        return Tally.wrap(Tally.unwrap(self) | 1 << BY_DEADLINE);
    }

    // ------------------------------------------------------------------ classic rounds

    /// @notice Returns whether the ballot of a learner with index < 64 is counted.
    function hasVoted(Tally self, uint256 index) internal pure returns (bool) {
        return (Tally.unwrap(self) >> index) & 1 == 1;
    }

    /// @notice Returns whether that ballot approves.
    function hasApproved(Tally self, uint256 index) internal pure returns (bool) {
        return (Tally.unwrap(self) >> (index + APPROVED)) & 1 == 1;
    }

    /// @notice Returns how many ballots approve.
    function approvals(Tally self) internal pure returns (uint16) {
        return _count(self, APPROVALS);
    }

    /// @notice Returns the tally with the ballot of a learner with index < 64.
    /// @param approval 1 if it approves, or else 0.
    function withBallot(Tally self, uint256 index, uint256 approval) internal pure returns (Tally) {
        unchecked {
            uint256 bits = Tally.unwrap(self) | (1 | approval << APPROVED) << index;
            return Tally.wrap(bits + (approval << APPROVALS) - ONE_OUTSTANDING);
        }
    }

    /// @notice Returns the tally with one more ballot in its counts only.
    /// @param approval 1 if it approves, or else 0.
    function withCount(Tally self, uint256 approval) internal pure returns (Tally) {
        unchecked {
            return Tally.wrap(Tally.unwrap(self) + (approval << APPROVALS) - ONE_OUTSTANDING);
        }
    }

    // ------------------------------------------------------------------ plural rounds

    /// @notice Returns the size of the electorate without one proposer.
    function pluralEligible(Tally self) internal pure returns (uint16) {
        return _count(self, ELIGIBLE);
    }

    /// @notice Returns how many voters committed, from revealing on.
    function pluralCommitments(Tally self) internal pure returns (uint16) {
        return _count(self, COMMITMENTS);
    }

    /// @notice Returns when voting began; 0 before.
    function votingStartedAt(Tally self) internal pure returns (uint40) {
        return uint40(Tally.unwrap(self) >> VOTING_STARTED);
    }

    /// @notice Returns when revealing began; 0 before.
    function pluralRevealStartedAt(Tally self) internal pure returns (uint40) {
        return uint40(Tally.unwrap(self) >> REVEAL_STARTED);
    }

    /// @notice Returns the tally with a proposal in a slot.
    function withProposal(Tally self, uint256 slot) internal pure returns (Tally) {
        return Tally.wrap(Tally.unwrap(self) & ~(1 << (slot + OPEN)) | 1 << slot);
    }

    /// @notice Returns the tally with a slot whose proposer declined.
    function withDecline(Tally self, uint256 slot) internal pure returns (Tally) {
        return Tally.wrap(Tally.unwrap(self) & ~(1 << (slot + OPEN)));
    }

    /// @notice Returns the tally with the time at which voting began.
    function withVotingStarted(Tally self, uint40 time_) internal pure returns (Tally) {
        return _with(self, VOTING_STARTED, type(uint40).max, time_);
    }

    /// @notice Returns the tally with the time at which revealing began.
    function withRevealStarted(Tally self, uint40 time_) internal pure returns (Tally) {
        return _with(self, REVEAL_STARTED, type(uint40).max, time_);
    }

    /// @notice Returns the tally with this many commitments.
    function withCommitments(Tally self, uint16 count) internal pure returns (Tally) {
        return _with(self, COMMITMENTS, COUNT_MASK, count);
    }

    // ------------------------------------------------------------------ fields

    function _count(Tally self, uint256 shift) private pure returns (uint16) {
        return uint16((Tally.unwrap(self) >> shift) & COUNT_MASK);
    }

    function _with(Tally self, uint256 shift, uint256 mask, uint256 value) private pure returns (Tally) {
        return Tally.wrap(Tally.unwrap(self) & ~(mask << shift) | value << shift);
    }
}
