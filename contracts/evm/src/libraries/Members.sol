// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Member} from "../types/Member.sol";
import {ExperimentState, RoundState} from "../types/State.sol";
import {Rounds} from "./Rounds.sol";

/// @notice Learners of an experiment: the roster, the active list, electorates and strikes.
/// @dev Every function costs the same for any number of learners. Strikes are never written to those who
/// earn them: the experiment counts the votes closed by deadline, and each learner keeps that count as of
/// its last ballot. Of the misses since, only the first can be one in which it did vote.
library Members {
    using Rounds for RoundState;

    uint32 internal constant FOREVER = type(uint32).max;

    /// @notice Adds an account to the roster and the active list.
    /// @param fromRound The first round whose electorate it belongs to.
    function add(ExperimentState storage self, address account, uint32 fromRound)
        internal
        returns (uint32 index)
    {
        index = self.joinedLearners;
        uint16 position = self.activeLearners;
        self.roster[index] = account;
        self.active[position] = account;
        self.joinedLearners = index + 1;
        self.activeLearners = position + 1;
        Member memory member = Member(index, position, fromRound, FOREVER, self.misses, 0, 0, true);
        self.members[account] = member.pack();
    }

    /// @notice Takes a learner off the active list, whose last member takes the place; its strikes stay as they are.
    /// @param untilRound The first round whose electorate it does not belong to.
    function take(ExperimentState storage self, address account, uint32 untilRound) internal {
        Member memory member = self.members[account].unpack();
        uint16 last = self.activeLearners - 1;
        if (member.position != last) {
            address moved = self.active[last];
            Member memory other = self.members[moved].unpack();
            other.position = member.position;
            self.active[member.position] = moved;
            self.members[moved] = other.pack();
        }
        delete self.active[last];
        self.activeLearners = last;
        member.missed = strikes(self, account);
        member.untilRound = untilRound;
        self.members[account] = member.pack();
    }

    /// @notice Sets a learner's strikes to none as of a round that began with `misses`.
    /// @return changed Whether there was anything to set.
    function clear(Member memory self, uint32 misses) internal pure returns (bool changed) {
        changed = self.base != misses || self.missed != 0;
        self.base = misses;
        self.missed = 0;
    }

    /// @notice Duties missed in a row.
    function strikes(ExperimentState storage self, address account) internal view returns (uint32 count) {
        Member memory member = self.members[account].unpack();
        count = member.missed;
        uint32 misses = self.misses;
        if (hasLeft(member) || misses == member.base) return count;
        count += misses - member.base;
        if (!_missedVote(self, account, member, self.votesMissed[member.base])) --count;
    }

    /// @notice Whether it left or was removed.
    function hasLeft(Member memory self) internal pure returns (bool) {
        return self.untilRound != FOREVER;
    }

    /// @notice Whether it has a vote in a round that has a proposal: in its electorate, and not its proposer.
    /// @dev Asked of the current round only, where `proposed` is still that round's.
    function hasVote(Member memory self, uint32 round) internal pure returns (bool) {
        return isInElectorate(self, round) && self.proposed != round + 1;
    }

    /// @notice Whether it belongs to a round's electorate.
    function isInElectorate(Member memory self, uint32 round) internal pure returns (bool) {
        return self.joined && self.fromRound <= round && round < self.untilRound;
    }

    /// @notice Whether it could vote in any past round: in its electorate, and not its proposer.
    function isEligible(Member memory self, RoundState storage state, address account, uint32 round)
        internal
        view
        returns (bool)
    {
        return isInElectorate(self, round) && state.proposer != account;
    }

    function _missedVote(ExperimentState storage self, address account, Member memory member, uint32 round)
        private
        view
        returns (bool)
    {
        RoundState storage state = self.roundAt[round];
        if (!isEligible(member, state, account, round)) return false;
        return !state.hasBallot(state.tally.unpack(), member.index);
    }
}
