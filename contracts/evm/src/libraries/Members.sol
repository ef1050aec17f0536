// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ExperimentState, Member, RoundState, Tally} from "../types/State.sol";
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
    function add(ExperimentState storage self, address account, bytes32 encryptionKey, uint32 fromRound)
        internal
        returns (uint32 index)
    {
        index = self.joinedLearners;
        uint16 position = self.activeLearners;
        self.roster[index] = account;
        self.active[position] = account;
        self.joinedLearners = index + 1;
        self.activeLearners = position + 1;
        self.members[account] =
            Member(index, position, fromRound, FOREVER, self.misses, 0, 0, true, encryptionKey);
    }

    /// @notice Takes a learner off the active list, whose last member takes the place; its strikes stay as they are.
    /// @param untilRound The first round whose electorate it does not belong to.
    function take(ExperimentState storage self, address account, uint32 untilRound) internal {
        Member storage member = self.members[account];
        member.missed = strikes(self, account);
        member.untilRound = untilRound;
        uint16 last = self.activeLearners - 1;
        uint16 position = member.position;
        if (position != last) {
            address moved = self.active[last];
            self.active[position] = moved;
            self.members[moved].position = position;
        }
        delete self.active[last];
        self.activeLearners = last;
    }

    /// @notice Sets a learner's strikes to none as of a round that began with `misses`; writes only if there is need.
    function clear(Member storage self, Member memory known, uint32 misses) internal {
        if (known.base != misses) self.base = misses;
        if (known.missed != 0) self.missed = 0;
    }

    /// @notice Duties missed in a row.
    function strikes(ExperimentState storage self, address account) internal view returns (uint32 count) {
        Member storage member = self.members[account];
        count = member.missed;
        uint32 misses = self.misses;
        uint32 base = member.base;
        if (member.untilRound != FOREVER || misses == base) return count;
        count += misses - base;
        if (!_missedVote(self, account, self.votesMissed[base])) --count;
    }

    /// @notice Whether a learner belongs to a round's electorate.
    function isInElectorate(Member memory self, uint32 round) internal pure returns (bool) {
        return self.joined && self.fromRound <= round && round < self.untilRound;
    }

    /// @notice Whether a learner has a vote in a round: in its electorate, and not its proposer.
    function isEligible(ExperimentState storage self, address account, uint32 round)
        internal
        view
        returns (bool)
    {
        return isInElectorate(self.members[account], round) && self.roundAt[round].proposer != account;
    }

    function _missedVote(ExperimentState storage self, address account, uint32 round)
        private
        view
        returns (bool)
    {
        if (!isEligible(self, account, round)) return false;
        RoundState storage state = self.roundAt[round];
        Tally memory tally = state.tally;
        return !state.hasBallot(tally, self.members[account].index);
    }
}
