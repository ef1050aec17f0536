// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Member, MemberWords} from "../types/Member.sol";
import {ExperimentState, RoundState} from "../types/State.sol";
import {Rounds} from "./Rounds.sol";

/// @notice The learners of an experiment: roster, active list and strikes.
/// @dev Every function costs the same for any number of learners. A missed vote writes nothing to the learners
/// that missed it: the experiment counts the votes closed by their deadline ("misses"), and each learner keeps
/// that count as of its last ballot. Of the misses since, only the first can be a round in which it did vote.
library Members {
    using Rounds for RoundState;

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
        self.members[account] = MemberWords.begin(index, position, fromRound, self.misses);
    }

    /// @notice Removes a learner from the active list; the last member takes its place. Its strikes are kept.
    /// @param untilRound The first round whose electorate it does not belong to.
    function removeFromActive(ExperimentState storage self, address account, uint32 untilRound) internal {
        Member member = self.members[account];
        uint16 position = member.position();
        uint16 last = self.activeLearners - 1;
        if (position != last) {
            address moved = self.active[last];
            self.active[position] = moved;
            self.members[moved] = self.members[moved].at(position);
        }
        delete self.active[last];
        self.activeLearners = last;
        self.members[account] = member.withMissed(strikes(self, account)).until(untilRound);
    }

    /// @notice Returns how many duties the learner missed in a row.
    function strikes(ExperimentState storage self, address account) internal view returns (uint32 count) {
        Member member = self.members[account];
        uint32 base = member.base();
        count = member.missed();
        if (member.hasLeft() || self.misses == base) return count;
        count += self.misses - base;
        if (!_missedVote(self, account, member, self.votesMissed[base])) --count;
    }

    /// @notice Returns whether the learner had a vote in a round: in its electorate, and not its proposer.
    function isEligible(Member self, RoundState storage state, address account, uint32 round)
        internal
        view
        returns (bool)
    {
        return self.isInElectorate(round) && state.proposer != account;
    }

    function _missedVote(ExperimentState storage self, address account, Member member, uint32 round)
        private
        view
        returns (bool)
    {
        RoundState storage state = self.roundAt[round];
        return isEligible(member, state, account, round) && !state.hasBallot(member.index());
    }
}
