// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Selection} from "../types/Enums.sol";
import {Member, MemberWords} from "../types/Member.sol";
import {ExperimentState, RoundState} from "../types/State.sol";
import {Proposals} from "./Proposals.sol";
import {Rounds} from "./Rounds.sol";

/// @notice The learners of an experiment: roster, active list and strikes.
/// @dev Every function costs the same for any number of learners. A missed ballot writes nothing to the learners
/// that missed it: the experiment counts the votes closed by their deadline ("misses"), each round keeps that count as
/// of its beginning, and each learner as of its last ballot or proposal that changed it. Of the misses since, only the
/// first can be a round in which the learner did vote or had no vote.
library Members {
    using Proposals for RoundState;
    using Rounds for RoundState;

    // ------------------------------------------------------------------ roster and active list

    /// @notice Adds an account to the roster and the active list.
    /// @param fromRound The first round whose electorate it belongs to.
    function add(ExperimentState storage self, address account, uint32 fromRound)
        internal
        returns (uint32 index)
    {
        index = self.joinedLearners;
        uint16 position = self.activeLearners;
        self.joinedLearners = index + 1;
        self.activeLearners = position + 1;
        self.members[account] = MemberWords.begin(index, fromRound, self.misses);
        self.roster[index].account = account;
        place(self, index, position);
    }

    /// @notice Removes a learner from the active list; the last member fills the gap. With random selection, the gap
    /// first moves to the end of the members drawn in this cycle. The learner's missed duties are kept.
    /// @param untilRound The first round whose electorate it does not belong to.
    function removeFromActive(ExperimentState storage self, address account, uint32 untilRound) internal {
        Member member = self.members[account];
        self.members[account] =
            member.withMissedBallots(missedBallots(self, member), self.misses).until(untilRound);

        uint16 gap = self.roster[member.index()].position;
        uint16 last = self.activeLearners - 1;
        if (self.params.selection == Selection.Random && gap < self.cursor) {
            uint16 lastDrawn = self.cursor - 1;
            self.cursor = lastDrawn;
            if (gap != lastDrawn) place(self, activeAt(self, lastDrawn), gap);
            gap = lastDrawn;
        }
        if (gap != last) place(self, activeAt(self, last), gap);
        self.activeLearners = last;
    }

    /// @notice Returns the index of the learner at a position of the active list.
    function activeAt(ExperimentState storage self, uint256 position) internal view returns (uint32) {
        return uint32(self.active[position / 8] >> (32 * (position % 8)));
    }

    /// @notice Puts a learner at a position of the active list.
    function place(ExperimentState storage self, uint32 index, uint256 position) internal {
        uint256 shift = 32 * (position % 8);
        uint256 others = self.active[position / 8] & ~(uint256(type(uint32).max) << shift);
        self.active[position / 8] = others | uint256(index) << shift;
        self.roster[index].position = uint16(position);
    }

    // ------------------------------------------------------------------ strikes

    /// @notice Returns how many ballots the learner missed in a row.
    function missedBallots(ExperimentState storage self, Member member) internal view returns (uint32 count) {
        uint32 base = member.base();
        count = member.kept();
        if (member.hasLeft() || self.misses == base) return count;
        count += self.misses - base;
        if (!_missedVote(self, member, _roundOfMiss(self, base))) --count;
    }

    /// @notice Returns the learner's strikes: the larger count of duties missed in a row.
    function strikes(ExperimentState storage self, Member member) internal view returns (uint32) {
        uint32 ballots = missedBallots(self, member);
        uint32 proposals = self.roster[member.index()].missedProposals;
        return ballots > proposals ? ballots : proposals;
    }

    /// @notice Returns whether the learner has a vote in a round: it is in its electorate, and did not make its only
    /// proposal.
    function isEligible(Member self, RoundState storage state, uint32 round) internal view returns (bool) {
        return self.isInElectorate(round) && !state.isOnlyProposer(self.index());
    }

    function _missedVote(ExperimentState storage self, Member member, uint32 round)
        private
        view
        returns (bool)
    {
        RoundState storage state = self.roundAt[round];
        return isEligible(member, state, round) && !state.hasBallot(member.index());
    }

    /// @dev Returns the round of a miss, counted from 0: the last one that began with at most as many misses. Searches
    /// backwards in growing steps, then between two of them, because most of the time it is one of the latest rounds.
    function _roundOfMiss(ExperimentState storage self, uint32 miss) private view returns (uint32 round) {
        round = self.round;
        uint32 above = round + 1;
        for (uint32 step = 1; self.roundAt[round].tally.misses() > miss; step *= 2) {
            above = round;
            round = round > step ? round - step : 0;
        }
        while (above - round > 1) {
            uint32 middle = round + (above - round) / 2;
            if (self.roundAt[middle].tally.misses() > miss) above = middle;
            else round = middle;
        }
    }
}
