// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice A learner, one slot in storage.
/// @param position In the active list, while active.
/// @param fromRound The first round whose electorate it belongs to.
/// @param untilRound The first one after that whose electorate it does not belong to.
/// @param base The experiment's misses at its last ballot or proposal; strikes before do not count.
/// @param proposed The last round it proposed in, plus one.
/// @param missed Proposals missed since; after it left, all its strikes.
struct Member {
    uint32 index;
    uint16 position;
    uint32 fromRound;
    uint32 untilRound;
    uint32 base;
    uint32 proposed;
    uint32 missed;
    bool joined;
}

/// @notice The member as it lies in storage, lowest bits first:
/// | index 32 | position 16 | fromRound 32 | untilRound 32 | base 32 | proposed 32 | missed 32 | joined 1 |
type PackedMember is uint256;

using MemberPacking for PackedMember global;
using MemberPacking for Member global;

/// @notice Packing by hand, for the same reason as in Tally.sol.
library MemberPacking {
    /// @notice The member of a slot.
    function unpack(PackedMember packed) internal pure returns (Member memory m) {
        uint256 bits = PackedMember.unwrap(packed);
        m.index = uint32(bits);
        m.position = uint16(bits >> 32);
        m.fromRound = uint32(bits >> 48);
        m.untilRound = uint32(bits >> 80);
        m.base = uint32(bits >> 112);
        m.proposed = uint32(bits >> 144);
        m.missed = uint32(bits >> 176);
        m.joined = (bits >> 208) & 1 == 1;
    }

    /// @notice The slot of a member.
    function pack(Member memory m) internal pure returns (PackedMember) {
        uint256 bits = uint256(m.index) | uint256(m.position) << 32 | uint256(m.fromRound) << 48
            | uint256(m.untilRound) << 80 | uint256(m.base) << 112 | uint256(m.proposed) << 144
            | uint256(m.missed) << 176;
        if (m.joined) bits |= 1 << 208;
        return PackedMember.wrap(bits);
    }
}
