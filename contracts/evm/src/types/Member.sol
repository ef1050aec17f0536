// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice A learner: one slot, lowest bits first:
/// | index 32 | position 16 | fromRound 32 | untilRound 32 | proposed 32 | base 32 | missed 32 | joined 1 |
/// @dev A word rather than a struct, for the same reason as Tally.
type Member is uint256;

using MemberWords for Member global;

/// @notice Reads a member word and derives changed ones.
library MemberWords {
    /// @notice The value of `untilRound` while the learner has not left.
    uint32 internal constant FOREVER = type(uint32).max;

    uint256 private constant POSITION = 32;
    uint256 private constant FROM = 48;
    uint256 private constant UNTIL = 80;
    uint256 private constant PROPOSED = 112;
    uint256 private constant BASE = 144;
    uint256 private constant MISSED = 176;
    uint256 private constant JOINED = 208;

    /// @notice Returns a learner that joins now and has no strikes.
    function begin(uint32 index_, uint16 position_, uint32 fromRound_, uint32 misses)
        internal
        pure
        returns (Member)
    {
        return Member.wrap(
            uint256(index_) | uint256(position_) << POSITION | uint256(fromRound_) << FROM | uint256(FOREVER)
                << UNTIL | uint256(misses) << BASE | 1 << JOINED
        );
    }

    // ------------------------------------------------------------------ reading

    /// @notice Returns the learner's index in order of joining, from 0.
    function index(Member self) internal pure returns (uint32) {
        return uint32(Member.unwrap(self));
    }

    /// @notice Returns its position in the active list, while it is active.
    function position(Member self) internal pure returns (uint16) {
        return uint16(Member.unwrap(self) >> POSITION);
    }

    /// @notice Returns the first round whose electorate it belongs to.
    function fromRound(Member self) internal pure returns (uint32) {
        return uint32(Member.unwrap(self) >> FROM);
    }

    /// @notice Returns the first round after which it belongs to no electorate, that round included.
    function untilRound(Member self) internal pure returns (uint32) {
        return uint32(Member.unwrap(self) >> UNTIL);
    }

    /// @notice Returns the experiment's misses at its last ballot or proposal; earlier strikes do not count.
    function base(Member self) internal pure returns (uint32) {
        return uint32(Member.unwrap(self) >> BASE);
    }

    /// @notice Returns the proposals missed since; once it left, all its strikes.
    function missed(Member self) internal pure returns (uint32) {
        return uint32(Member.unwrap(self) >> MISSED);
    }

    /// @notice Returns whether the account ever joined.
    function hasJoined(Member self) internal pure returns (bool) {
        return Member.unwrap(self) != 0;
    }

    /// @notice Returns whether it left or was removed.
    function hasLeft(Member self) internal pure returns (bool) {
        return untilRound(self) != FOREVER;
    }

    /// @notice Returns whether it belongs to a round's electorate.
    function isInElectorate(Member self, uint32 round) internal pure returns (bool) {
        return fromRound(self) <= round && round < untilRound(self);
    }

    /// @notice Returns whether it has a vote in a round with a proposal: in its electorate, and not its proposer.
    /// @dev For the current round only, where `proposed` is still that round's. One comparison covers both ends of
    /// the electorate: a round before the first one wraps to a number above all others.
    function hasVote(Member self, uint32 round) internal pure returns (bool) {
        uint256 bits = Member.unwrap(self);
        unchecked {
            uint256 first = uint32(bits >> FROM);
            if (uint32(bits >> PROPOSED) == uint256(round) + 1) return false;
            return uint256(round) - first < uint32(bits >> UNTIL) - first;
        }
    }

    /// @notice Returns whether it has no strikes as of `misses`.
    function isClear(Member self, uint32 misses) internal pure returns (bool) {
        return uint64(Member.unwrap(self) >> BASE) == misses;
    }

    // ------------------------------------------------------------------ changing

    /// @notice Returns the member at another position of the active list.
    function at(Member self, uint16 position_) internal pure returns (Member) {
        return Member.wrap(_with(self, POSITION, type(uint16).max, position_));
    }

    /// @notice Returns the member outside the electorates from a round on.
    function until(Member self, uint32 round) internal pure returns (Member) {
        return Member.wrap(_with(self, UNTIL, type(uint32).max, round));
    }

    /// @notice Returns the member as the proposer of a round.
    function withProposal(Member self, uint32 round) internal pure returns (Member) {
        return Member.wrap(_with(self, PROPOSED, type(uint32).max, round + 1));
    }

    /// @notice Returns the member with this many missed proposals.
    function withMissed(Member self, uint32 count) internal pure returns (Member) {
        return Member.wrap(_with(self, MISSED, type(uint32).max, count));
    }

    /// @notice Returns the member without strikes as of a round that began with `misses`.
    function cleared(Member self, uint32 misses) internal pure returns (Member) {
        return Member.wrap(_with(self, BASE, type(uint64).max, misses));
    }

    function _with(Member self, uint256 shift, uint256 mask, uint256 value) private pure returns (uint256) {
        return Member.unwrap(self) & ~(mask << shift) | value << shift;
    }
}
