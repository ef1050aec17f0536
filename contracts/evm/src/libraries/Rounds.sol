// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Counts} from "../types/Counts.sol";
import {BallotState, Outcome, Phase} from "../types/Enums.sol";
import {RoundState} from "../types/State.sol";
import {Stage, Tally} from "../types/Tally.sol";

/// @notice The state of one round: its voters, its ballots and its outcome.
/// @dev Every function costs the same for any number of learners. A ballot has one bit more than the round has slots:
/// bit 0 for voted, bit i + 1 for an approval of slot i. A word has as many ballots as fit.
library Rounds {
    /// @dev A classic round has the ballots of the first learners in its tally.
    uint256 private constant INLINE_BALLOTS = 64;
    uint256 private constant VOTED = 1;

    // What a classic round keeps beside its proposer.
    uint256 private constant ELIGIBLE = 32;
    uint256 private constant COMMITMENTS = 48;
    uint256 private constant REVEAL_STARTED = 64;

    /// @notice Ballots being counted, kept in memory so that a batch reads and writes each slot once.
    /// @param tally The tally so far.
    /// @param counts The approvals so far, in a plural round.
    /// @param key The key of `word`; 0 while no word is loaded.
    /// @param word The loaded word of ballots.
    struct Count {
        Tally tally;
        Counts counts;
        uint256 key;
        uint256 word;
    }

    // ------------------------------------------------------------------ beginning

    /// @notice Begins a round.
    /// @param first The indexes of the first eight proposers, as in `proposers`.
    /// @param second The indexes of the others.
    /// @param eligible_ The size of the electorate without one proposer.
    function begin(RoundState storage self, Tally tally, uint256 first, uint256 second, uint16 eligible_)
        internal
    {
        self.tally = tally;
        self.proposers[0] = tally.isPlural() ? first : first | uint256(eligible_) << ELIGIBLE;
        if (tally.slots() > 8) self.proposers[1] = second;
    }

    // ------------------------------------------------------------------ counting

    /// @notice Begins counting ballots.
    function beginCount(RoundState storage self, Tally tally) internal view returns (Count memory counting) {
        counting.tally = tally;
        if (tally.isPlural()) counting.counts = self.counts;
    }

    /// @notice Counts a learner's ballot.
    /// @param approvals The approved slots, as a bitmap of slots of the round.
    /// @return isNew False if the learner's ballot was counted before; then nothing changes.
    function count(RoundState storage self, Count memory counting, uint256 index, uint256 approvals)
        internal
        returns (bool isNew)
    {
        Tally tally = counting.tally;
        uint256 slots = tally.slots();
        if (_isInline(slots, index)) {
            if (tally.hasVoted(index)) return false;
            counting.tally = tally.withBallot(index, approvals);
            return true;
        }
        uint256 shift = _load(self, counting, slots, index);
        uint256 word = counting.word;
        if ((word >> shift) & VOTED != 0) return false;
        counting.word = word | (approvals << 1 | VOTED) << shift;
        if (slots == 1) {
            counting.tally = tally.withCount(approvals);
        } else {
            counting.tally = tally.withOneLess();
            counting.counts = counting.counts.plus(approvals);
        }
        return true;
    }

    /// @notice Returns whether a learner's ballot is counted.
    function isCounted(RoundState storage self, Count memory counting, uint256 index)
        internal
        returns (bool)
    {
        uint256 slots = counting.tally.slots();
        if (_isInline(slots, index)) return counting.tally.hasVoted(index);
        uint256 shift = _load(self, counting, slots, index);
        return (counting.word >> shift) & VOTED != 0;
    }

    /// @notice Returns the approvals of each slot so far.
    function countsIn(Count memory counting) internal pure returns (Counts) {
        Tally tally = counting.tally;
        return tally.isPlural() ? counting.counts : Counts.wrap(tally.approvals());
    }

    /// @notice Writes back what was counted, except for the tally.
    function endCount(RoundState storage self, Count memory counting) internal {
        if (counting.key != 0) self.ballots[counting.key] = counting.word;
        if (counting.tally.isPlural()) self.counts = counting.counts;
    }

    // ------------------------------------------------------------------ reading ballots

    /// @notice Returns whether a learner's ballot is counted.
    function hasBallot(RoundState storage self, uint256 index) internal view returns (bool) {
        return _ballot(self, index) != 0;
    }

    /// @notice Returns what is recorded of a learner, and the slots that it approved, as a bitmap.
    function ballotOf(RoundState storage self, uint256 index, address account)
        internal
        view
        returns (BallotState state, uint16 approvals)
    {
        uint256 ballot = _ballot(self, index);
        if (ballot != 0) return (BallotState.Cast, uint16(ballot >> 1));
        return (self.pledges[account] == 0 ? BallotState.None : BallotState.Committed, 0);
    }

    // ------------------------------------------------------------------ voters

    /// @notice Returns the size of the electorate without one proposer.
    function eligible(RoundState storage self, Tally tally) internal view returns (uint16) {
        return tally.isPlural() ? tally.pluralEligible() : uint16(self.proposers[0] >> ELIGIBLE);
    }

    /// @notice Returns how many learners have somebody else's proposal to judge; 0 while there is no proposal.
    /// @param proposed The slots with a proposal.
    function voters(RoundState storage self, Tally tally, uint256 proposed) internal view returns (uint16) {
        if (proposed == 0) return 0;
        return isSingle(proposed) ? eligible(self, tally) : eligible(self, tally) + 1;
    }

    /// @notice Returns how many voters committed; final from revealing on, 0 before.
    function commitments(RoundState storage self, Tally tally) internal view returns (uint16) {
        return tally.isPlural() ? tally.pluralCommitments() : uint16(self.proposers[0] >> COMMITMENTS);
    }

    /// @notice Returns when revealing began; 0 before.
    function revealStartedAt(RoundState storage self, Tally tally) internal view returns (uint40) {
        if (tally.isPlural()) return tally.pluralRevealStartedAt();
        return uint40(self.proposers[0] >> REVEAL_STARTED);
    }

    /// @notice Ends committing: from here on only the voters that committed are outstanding.
    function endCommitting(RoundState storage self, Tally tally) internal returns (Tally) {
        uint16 committed = voters(self, tally, tally.judged()) - tally.outstanding();
        tally = tally.withOutstanding(committed);
        if (tally.isPlural()) return tally.withCommitments(committed);
        self.proposers[0] |= uint256(committed) << COMMITMENTS;
        return tally;
    }

    /// @notice Records when revealing began.
    function beginRevealing(RoundState storage self, Tally tally, uint40 time) internal returns (Tally) {
        if (tally.isPlural()) return tally.withRevealStarted(time);
        self.proposers[0] |= uint256(time) << REVEAL_STARTED;
        return tally;
    }

    // ------------------------------------------------------------------ outcomes

    /// @notice Returns the approvals of each slot.
    function countsOf(RoundState storage self, Tally tally) internal view returns (Counts) {
        return tally.isPlural() ? self.counts : Counts.wrap(tally.approvals());
    }

    /// @notice Returns the slots whose proposal is accepted, as a bitmap.
    function acceptedSlots(Tally tally, Counts counts) internal pure returns (uint256 passed) {
        passed = counts.reaching(tally.judged(), tally.needed());
        if (tally.picksBest()) passed = counts.highest(passed);
    }

    /// @notice Returns whether the vote can close: every ballot is in or, with early settling, the outcome is fixed.
    function isSettled(RoundState storage self, Tally tally, Counts counts) internal view returns (bool) {
        if (tally.outstanding() == 0) {
            if (tally.isAt(Stage.Voting)) return true;
            if (commitments(self, tally) == voters(self, tally, tally.judged())) return true;
        }
        return tally.settlesEarly() && isFixed(tally, counts);
    }

    /// @notice Returns whether no outstanding ballot can change the outcome: every proposal has passed or cannot pass
    /// any more and, if only the best one is accepted, at most one has passed.
    function isFixed(Tally tally, Counts counts) internal pure returns (bool) {
        uint256 proposed = tally.judged();
        uint256 needed = tally.needed();
        uint256 outstanding = tally.outstanding();
        uint256 passed = counts.reaching(proposed, needed);
        uint256 possible = outstanding < needed ? counts.reaching(proposed, needed - outstanding) : proposed;
        return passed == possible && (!tally.picksBest() || passed == 0 || isSingle(passed));
    }

    /// @notice Returns whether a set of slots, which is not empty, has one slot only.
    function isSingle(uint256 slots) internal pure returns (bool) {
        unchecked {
            return slots & (slots - 1) == 0;
        }
    }

    // ------------------------------------------------------------------ phases

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

    /// @dev Returns a learner's ballot; 0 if there is none.
    function _ballot(RoundState storage self, uint256 index) private view returns (uint256) {
        Tally tally = self.tally;
        uint256 slots = tally.slots();
        if (_isInline(slots, index)) {
            if (!tally.hasVoted(index)) return 0;
            return tally.hasApproved(index) ? VOTED | 1 << 1 : VOTED;
        }
        (uint256 key, uint256 shift) = _locate(slots, index);
        return (self.ballots[key] >> shift) & ((2 << slots) - 1);
    }

    /// @dev Returns whether a learner's ballot is in the tally: in a classic round, with a low index.
    function _isInline(uint256 slots, uint256 index) private pure returns (bool) {
        return (slots ^ 1) | (index / INLINE_BALLOTS) == 0;
    }

    /// @dev Loads the word with a learner's ballot, and returns the ballot's offset in it.
    function _load(RoundState storage self, Count memory counting, uint256 slots, uint256 index)
        private
        returns (uint256 shift)
    {
        uint256 key;
        (key, shift) = _locate(slots, index);
        if (counting.key == key) return shift;
        if (counting.key != 0) self.ballots[counting.key] = counting.word;
        counting.key = key;
        counting.word = self.ballots[key];
    }

    /// @dev Returns the key of the word with a learner's ballot, and the ballot's offset in bits. Keys count from 1: 0
    /// means that no word is loaded.
    function _locate(uint256 slots, uint256 index) private pure returns (uint256 key, uint256 shift) {
        unchecked {
            uint256 width = slots + 1;
            uint256 perWord = 256 / width;
            key = index / perWord;
            shift = (index - key * perWord) * width;
            ++key;
        }
    }
}
