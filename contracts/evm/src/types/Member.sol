// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice A learner: one slot, lowest bits first:
/// | index 32 | fromRound 32 | untilRound 32 | proposed 32 | slot 4 | base 32 | kept 32 | joined 1 |
/// @dev A word rather than a struct, for the same reason as Tally.
type Member is uint256;

using MemberWords for Member global;

/// @notice Reads a member word and derives changed ones.
library MemberWords {
    /// @notice The value of `untilRound` while the learner has not left.
    uint32 internal constant FOREVER = type(uint32).max;

    uint256 private constant FROM = 32;
    uint256 private constant UNTIL = 64;
    uint256 private constant PROPOSED = 96;
    uint256 private constant SLOT = 128;
    uint256 private constant BASE = 132;
    uint256 private constant KEPT = 164;
    uint256 private constant JOINED = 196;

    /// @notice Returns a learner that joins now and has missed nothing.
    function begin(uint32 index_, uint32 fromRound_, uint32 misses) internal pure returns (Member) {
        return Member.wrap(
            uint256(index_) | uint256(fromRound_) << FROM | uint256(FOREVER) << UNTIL | uint256(misses)
                << BASE | 1 << JOINED
        );
    }

    // ------------------------------------------------------------------ reading

    /// @notice Returns the learner's index in order of joining, from 0.
    function index(Member self) internal pure returns (uint32) {
        return uint32(Member.unwrap(self));
    }

    /// @notice Returns the first round whose electorate it belongs to.
    function fromRound(Member self) internal pure returns (uint32) {
        return uint32(Member.unwrap(self) >> FROM);
    }

    /// @notice Returns the first round after which it belongs to no electorate, that round included.
    function untilRound(Member self) internal pure returns (uint32) {
        return uint32(Member.unwrap(self) >> UNTIL);
    }

    /// @notice Returns the slot of its last proposal.
    function slot(Member self) internal pure returns (uint256) {
        return (Member.unwrap(self) >> SLOT) & 0xf;
    }

    /// @notice Returns the experiment's misses at its last ballot or proposal.
    function base(Member self) internal pure returns (uint32) {
        return uint32(Member.unwrap(self) >> BASE);
    }

    /// @notice Returns the ballots it had missed then; once it left, all its missed ballots.
    function kept(Member self) internal pure returns (uint32) {
        return uint32(Member.unwrap(self) >> KEPT);
    }

    /// @notice Returns whether the account ever joined.
    function hasJoined(Member self) internal pure returns (bool) {
        return Member.unwrap(self) != 0;
    }

    /// @notice Returns whether it left or was removed.
    function hasLeft(Member self) internal pure returns (bool) {
        return untilRound(self) != FOREVER;
    }

    /// @notice Returns whether it joined and has not left.
    function isActive(Member self) internal pure returns (bool) {
        return hasJoined(self) && !hasLeft(self);
    }

    /// @notice Returns whether it belongs to a round's electorate.
    /// @dev One comparison covers both ends: a round before the first one wraps to a number above all others.
    function isInElectorate(Member self, uint256 round) internal pure returns (bool) {
        unchecked {
            uint256 range = Member.unwrap(self) >> FROM;
            uint256 first = uint32(range);
            return round - first < uint32(range >> (UNTIL - FROM)) - first;
        }
    }

    /// @notice Returns whether it has proposed in a round.
    /// @dev For the current round only, because a later proposal replaces the round.
    function hasProposed(Member self, uint256 round) internal pure returns (bool) {
        unchecked {
            return uint32(Member.unwrap(self) >> PROPOSED) == round + 1;
        }
    }

    /// @notice Returns the slots that it judges in the current round, as a bitmap: all proposals but its own, and none
    /// if it does not belong to the electorate. If there are none, it has no vote.
    /// @param proposed The slots with a proposal.
    function judgedSlots(Member self, uint256 round, uint256 proposed) internal pure returns (uint256) {
        if (!isInElectorate(self, round)) return 0;
        return hasProposed(self, round) ? proposed & ~(1 << slot(self)) : proposed;
    }

    /// @notice Returns whether it has missed no ballot as of `misses`.
    function isClear(Member self, uint32 misses) internal pure returns (bool) {
        return uint64(Member.unwrap(self) >> BASE) == misses;
    }

    // ------------------------------------------------------------------ changing

    /// @notice Returns the member outside the electorates from a round on.
    function until(Member self, uint32 round) internal pure returns (Member) {
        return _with(self, UNTIL, type(uint32).max, round);
    }

    /// @notice Returns the member with a proposal in a round.
    function withProposal(Member self, uint32 round, uint256 slot_) internal pure returns (Member) {
        return _with(_with(self, SLOT, 0xf, slot_), PROPOSED, type(uint32).max, uint256(round) + 1);
    }

    /// @notice Returns the member with this many missed ballots as of a round that began with `misses`.
    function withMissedBallots(Member self, uint32 count, uint32 misses) internal pure returns (Member) {
        return _with(self, BASE, type(uint64).max, uint256(count) << 32 | misses);
    }

    function _with(Member self, uint256 shift, uint256 mask, uint256 value) private pure returns (Member) {
        return Member.wrap(Member.unwrap(self) & ~(mask << shift) | value << shift);
    }
}
