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

/// @notice The hot part of a round: all that casting a ballot reads and writes of it, one slot in storage.
/// @param voted Ballots of the learners with index < 64, a bit each; the others are in `RoundState.ballots`.
/// @param approved Those of them that approve.
/// @param time The open phase's deadline; the closing time once closed.
/// @param misses The experiment's count of votes closed by deadline, when the round began.
/// @param approvals Ballots that approve.
/// @param outstanding Voters who can still act in the phase: without a ballot, a commitment, or a reveal.
struct Tally {
    uint64 voted;
    uint64 approved;
    uint40 time;
    uint32 misses;
    uint16 approvals;
    uint16 outstanding;
    Stage stage;
    bool settleEarly;
    bool byDeadline;
}

/// @notice The tally as it lies in storage, lowest bits first:
/// | voted 64 | approved 64 | time 40 | misses 32 | approvals 16 | outstanding 16 | stage 8 | settleEarly 1 |
/// byDeadline 1 |
type PackedTally is uint256;

using Tallies for PackedTally global;
using Tallies for Tally global;

/// @notice Packing by hand: the compiler reads and writes a packed struct field by field, 100 gas for each.
library Tallies {
    /// @notice The tally of a slot.
    function unpack(PackedTally packed) internal pure returns (Tally memory t) {
        uint256 bits = PackedTally.unwrap(packed);
        t.voted = uint64(bits);
        t.approved = uint64(bits >> 64);
        t.time = uint40(bits >> 128);
        t.misses = uint32(bits >> 168);
        t.approvals = uint16(bits >> 200);
        t.outstanding = uint16(bits >> 216);
        t.stage = Stage(uint8(bits >> 232));
        t.settleEarly = (bits >> 240) & 1 == 1;
        t.byDeadline = (bits >> 241) & 1 == 1;
    }

    /// @notice The slot of a tally.
    function pack(Tally memory t) internal pure returns (PackedTally) {
        uint256 bits = uint256(t.voted) | uint256(t.approved) << 64 | uint256(t.time) << 128
            | uint256(t.misses) << 168 | uint256(t.approvals) << 200 | uint256(t.outstanding) << 216
            | uint256(t.stage) << 232;
        if (t.settleEarly) bits |= 1 << 240;
        if (t.byDeadline) bits |= 1 << 241;
        return PackedTally.wrap(bits);
    }
}
