// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls as C, ICollectiveLearningQueries as Q} from "../src/ICollectiveLearning.sol";
import {Phase, Status} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";
import {Base} from "./Base.sol";

/// @notice All calls with any arguments, and the errors with which they are refused.
abstract contract Refusals is Base {
    address internal constant STRANGER = address(0xBAD);

    // ------------------------------------------------------------------ calls

    /// @dev All calls that name an experiment, except for `announce`, which every status allows; from the seventh on
    /// they need a running one.
    function _calls(ExperimentId id, uint32 round) internal pure returns (bytes[] memory calls) {
        bytes[] memory ofRound = _roundCalls(id, round);
        calls = new bytes[](8 + ofRound.length);
        calls[0] = abi.encodeCall(C.admit, (id, new address[](1)));
        calls[1] = abi.encodeCall(C.join, (id, 0, 0));
        calls[2] = abi.encodeCall(C.setEncryptionKey, (id, 0));
        calls[3] = abi.encodeCall(C.leave, (id));
        calls[4] = abi.encodeCall(C.start, (id));
        calls[5] = abi.encodeCall(C.cancel, (id));
        calls[6] = abi.encodeCall(C.remove, (id, account(0)));
        calls[7] = abi.encodeCall(C.advance, (id));
        for (uint256 i = 0; i < ofRound.length; ++i) {
            calls[8 + i] = ofRound[i];
        }
    }

    function _roundCalls(ExperimentId id, uint32 round) internal pure returns (bytes[] memory calls) {
        calls = new bytes[](6);
        calls[0] = abi.encodeCall(C.propose, (id, round, content(50), HALF, HALF));
        calls[1] = abi.encodeCall(C.decline, (id, round));
        calls[2] = abi.encodeCall(C.vote, (id, round, 0, 1, scores(1)));
        calls[3] = abi.encodeCall(C.voteSigned, (id, round, 0, new bytes(118)));
        calls[4] = abi.encodeCall(C.commit, (id, round, 0, bytes32(uint256(1))));
        calls[5] = abi.encodeCall(C.reveal, (id, round, 1, scores(1), bytes32(uint256(77))));
    }

    function _queries(ExperimentId id, uint32 round) internal pure returns (bytes[] memory calls) {
        calls = new bytes[](10);
        calls[0] = abi.encodeCall(Q.experiment, (id));
        calls[1] = abi.encodeCall(Q.learner, (id, account(0)));
        calls[2] = abi.encodeCall(Q.learners, (id, 0, 10));
        calls[3] = abi.encodeCall(Q.round, (id, round));
        calls[4] = abi.encodeCall(Q.rounds, (id, 0, 10));
        calls[5] = abi.encodeCall(Q.ballot, (id, round, account(0)));
        calls[6] = abi.encodeCall(Q.ballots, (id, round, 0, 10));
        calls[7] = abi.encodeCall(Q.currentWeights, (id));
        calls[8] = abi.encodeCall(Q.duty, (id, account(0)));
        calls[9] = abi.encodeCall(Q.agenda, (id, account(0)));
    }
    // ------------------------------------------------------------------ helpers

    function _refuses(address who, bytes memory call, bytes memory wanted) internal {
        vm.prank(who);
        // solhint-disable-next-line avoid-low-level-calls
        (bool ok, bytes memory answer) = address(hub).call(call);
        assertFalse(ok, "went through");
        assertEq(answer, wanted);
    }

    function _refusesAll(ExperimentId id, Status status) internal {
        bytes[] memory calls = _calls(id, 0);
        for (uint256 i = 0; i < calls.length; ++i) {
            _refuses(creator, calls[i], _wrongStatus(status));
        }
    }

    function _refusesParams(Params memory p, string memory name) internal {
        _refuses(creator, abi.encodeCall(C.create, (p)), _invalid(name));
    }

    function _refusesProposer(ExperimentId id, address who) internal {
        bytes memory wanted = abi.encodeWithSelector(C.NotProposer.selector, who);
        _refuses(who, abi.encodeCall(C.propose, (id, 0, content(50), HALF, HALF)), wanted);
        _refuses(who, abi.encodeCall(C.decline, (id, 0)), wanted);
    }

    function _refusesVoter(ExperimentId id, bytes memory call) internal {
        _refuses(STRANGER, call, _notALearner(STRANGER));
        address proposer = proposerOf(id, 0, 0);
        _refuses(proposer, call, abi.encodeWithSelector(C.NotEligible.selector, proposer));
    }

    function _committed(ExperimentId id, uint256 i) internal {
        commitBallot(id, 0, i, 1, bytes32(i));
    }

    function _pass(ExperimentId id) internal returns (uint40 deadline) {
        deadline = hub.round(id, 0).deadline;
        vm.warp(deadline);
    }

    function _invalid(string memory name) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(C.InvalidParameter.selector, name);
    }

    function _wrongProposals(ExperimentId id) internal view returns (bytes memory) {
        return abi.encodeWithSelector(C.WrongProposals.selector, digestOf(id, 0));
    }

    function _wrongStatus(Status status) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(C.WrongStatus.selector, status);
    }

    function _wrongPhase(Phase phase) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(C.WrongPhase.selector, phase);
    }

    function _notPassed(uint40 deadline) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(C.DeadlineNotPassed.selector, deadline);
    }

    function _notALearner(address who) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(C.NotALearner.selector, who);
    }

    function _unchanged() internal pure returns (bytes memory) {
        return abi.encodeWithSelector(C.Unchanged.selector);
    }
}
