// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls as C, ICollectiveLearningQueries as Q} from "../src/ICollectiveLearning.sol";
import {ContentRef} from "../src/types/ContentRef.sol";
import {Admission, Phase, Status} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";
import {Base} from "./Base.sol";

/// @notice Every error of every call, with its arguments, in the order of checks that the protocol fixes.
contract ErrorsTest is Base {
    address private constant STRANGER = address(0xBAD);
    ExperimentId private constant NONE = ExperimentId.wrap(99);

    // ------------------------------------------------------------------ create

    function test_create_namesTheFirstBadParameter() public {
        Params memory p = defaults();
        p.voteWindow = 0;
        _refusesParams(p, "vote_window");
        p.proposeWindow = 0;
        _refusesParams(p, "propose_window");
        p.approvalBps = 0;
        _refusesParams(p, "approval_bps");
        p.approvalBps = 10_001;
        _refusesParams(p, "approval_bps");
        p.maxLearners = 1;
        _refusesParams(p, "max_learners");
        p.maxLearners = 10_001;
        _refusesParams(p, "max_learners");
        p.minLearners = 1;
        _refusesParams(p, "min_learners");
        p.rounds = 0;
        _refusesParams(p, "rounds");
        p.rounds = type(uint32).max;
        _refusesParams(p, "rounds");
        p.initial.codec = 0x71;
        _refusesParams(p, "initial");
        p.spec = ContentRef(0, 0, 0, 0);
        _refusesParams(p, "spec");
        p.name = "";
        _refusesParams(p, "name");
        p.name = string(new bytes(65));
        _refusesParams(p, "name");
        p.name = string(abi.encodePacked(uint8(0xff)));
        _refusesParams(p, "name");
    }

    function test_create_acceptsTheBoundsThemselves() public {
        Params memory p = defaults();
        p.name = string(new bytes(64));
        p.initial = ContentRef(0, 0, 0, 0);
        p.rounds = type(uint32).max - 1;
        p.minLearners = 10_000;
        p.approvalBps = 10_000;
        p.proposeWindow = type(uint32).max;
        p.voteWindow = type(uint32).max;
        p.revealWindow = type(uint32).max;
        p.maxStrikes = type(uint16).max;
        assertEq(abi.encode(hub.experiment(createExperiment(p)).params), abi.encode(p));
    }

    function test_propose_refusesContentThatNamesNoFile() public {
        ContentRef[5] memory bad;
        for (uint256 i = 0; i < 5; ++i) {
            bad[i] = content(50);
        }
        bad[0].size = 0;
        bad[1].digest = 0;
        bad[2].sha256Hash = 0;
        bad[3].codec = 0x71;
        bad[4].sha256Hash = bytes32(uint256(1)); // raw, but the digest is not the hash of the file
        ExperimentId id = startExperiment(defaults(), 3);
        for (uint256 i = 0; i < 5; ++i) {
            _refuses(account(0), abi.encodeCall(C.propose, (id, 0, bad[i], HALF, HALF)), _invalid("content"));
        }
    }

    // ------------------------------------------------------------------ experiment and status

    function test_everyCall_refusesAnUnknownExperiment() public {
        bytes[] memory calls = _calls(NONE, 0);
        for (uint256 i = 0; i < calls.length; ++i) {
            _refuses(creator, calls[i], abi.encodeWithSelector(C.UnknownExperiment.selector, NONE));
        }
        bytes[] memory asked = _queries(NONE, 0);
        for (uint256 i = 0; i < asked.length; ++i) {
            _refuses(creator, asked[i], abi.encodeWithSelector(C.UnknownExperiment.selector, NONE));
        }
    }

    function test_roundCalls_areRefusedWhileEnrolling() public {
        ExperimentId id = createExperiment(defaults());
        joinAll(id, 2);
        bytes[] memory calls = _calls(id, 0);
        for (uint256 i = 5; i < calls.length; ++i) {
            _refuses(account(0), calls[i], _wrongStatus(Status.Enrolling));
        }
    }

    function test_everyCall_isRefusedAfterTheEnd() public {
        Params memory p = defaults();
        p.rounds = 1;
        ExperimentId over = startExperiment(p, 2);
        vm.prank(account(0));
        hub.decline(over, 0);
        _refusesAll(over, Status.Completed);
        ExperimentId off = startExperiment(defaults(), 2);
        vm.prank(creator);
        hub.cancel(off);
        _refusesAll(off, Status.Cancelled);
    }

    // ------------------------------------------------------------------ enrolling

    function test_creatorCalls_areRefusedToOthers() public {
        ExperimentId id = createExperiment(defaults());
        bytes memory notCreator = abi.encodeWithSelector(C.NotCreator.selector, STRANGER);
        _refuses(STRANGER, abi.encodeCall(C.admit, (id, new address[](0))), notCreator);
        _refuses(STRANGER, abi.encodeCall(C.start, (id)), notCreator);
        _refuses(STRANGER, abi.encodeCall(C.cancel, (id)), notCreator);
        _refuses(creator, abi.encodeCall(C.admit, (id, new address[](0))), _invalid("admission"));
        joinAll(id, 1);
        _refuses(creator, abi.encodeCall(C.start, (id)), _invalid("min_learners"));
    }

    function test_join_checksInTheOrderOfTheProtocol() public {
        Params memory p = defaults();
        p.maxLearners = 2;
        p.admission = Admission.Allowlist;
        p.lateJoin = true;
        ExperimentId id = createExperiment(p);
        address[] memory three = new address[](3);
        (three[0], three[1], three[2]) = (account(0), account(1), account(2));
        vm.prank(creator);
        hub.admit(id, three);
        joinAll(id, 2); // starts the experiment
        bytes memory call = abi.encodeCall(C.join, (id, bytes32(0)));
        _refuses(account(0), call, abi.encodeWithSelector(C.AlreadyJoined.selector, account(0)));
        _refuses(STRANGER, call, abi.encodeWithSelector(C.NotAdmitted.selector, STRANGER));
        _refuses(account(2), call, abi.encodeWithSelector(C.ExperimentFull.selector, 2));
    }

    function test_join_isRefusedWhileRunningWithoutLateJoin() public {
        ExperimentId id = startExperiment(defaults(), 2);
        _refuses(STRANGER, abi.encodeCall(C.join, (id, bytes32(0))), _wrongStatus(Status.Running));
    }

    function test_leaveAndRemove_needAnActiveLearner() public {
        ExperimentId id = startExperiment(defaults(), 4);
        bytes memory leave = abi.encodeCall(C.leave, (id));
        _refuses(STRANGER, leave, _notALearner(STRANGER));
        _refuses(STRANGER, abi.encodeCall(C.remove, (id, STRANGER)), _notALearner(STRANGER));
        vm.prank(account(3));
        hub.leave(id);
        _refuses(account(3), leave, _notALearner(account(3)));
        _refuses(STRANGER, abi.encodeCall(C.remove, (id, account(3))), _notALearner(account(3)));
        // With max_strikes 0 nobody is ever removed.
        bytes memory notRemovable = abi.encodeWithSelector(C.NotRemovable.selector, 0);
        _refuses(STRANGER, abi.encodeCall(C.remove, (id, account(1))), notRemovable);
    }

    // ------------------------------------------------------------------ rounds

    function test_openBallots_checkRoundPhaseAndDeadline() public {
        ExperimentId id = startExperiment(defaults(), 3);
        bytes memory wrongRound = abi.encodeWithSelector(C.WrongRound.selector, 0);
        bytes[] memory ahead = _roundCalls(id, 1);
        for (uint256 i = 0; i < ahead.length; ++i) {
            _refuses(account(0), ahead[i], wrongRound);
        }
        bytes[] memory calls = _roundCalls(id, 0);
        for (uint256 i = 2; i < calls.length; ++i) {
            _refuses(account(1), calls[i], _wrongPhase(Phase.Proposing));
        }
        _refusesProposer(id, STRANGER);
        _refuses(account(0), abi.encodeCall(C.propose, (id, 0, content(2), HALF, HALF)), _unchanged());
        uint40 deadline = _pass(id);
        _refuses(account(0), calls[0], abi.encodeWithSelector(C.DeadlinePassed.selector, deadline));
        _refuses(account(0), calls[1], abi.encodeWithSelector(C.DeadlinePassed.selector, deadline));
        vm.warp(deadline - 1);
        _refuses(STRANGER, abi.encodeCall(C.advance, (id)), _notPassed(deadline));
        proposeWeights(id, 0);
        _refuses(account(0), calls[0], _wrongPhase(Phase.Voting));
        _refuses(account(0), calls[1], _wrongPhase(Phase.Voting));
        _refuses(account(1), calls[4], _wrongPhase(Phase.Voting)); // a commitment in an open vote
        _refuses(account(1), calls[5], _wrongPhase(Phase.Voting));
        _refusesVoter(id, calls[2]);
        castVote(id, 0, 1, true);
        _refuses(account(1), calls[2], abi.encodeWithSelector(C.AlreadyVoted.selector, account(1)));
        deadline = _pass(id);
        _refuses(account(2), calls[2], abi.encodeWithSelector(C.DeadlinePassed.selector, deadline));
        _refuses(account(2), calls[3], abi.encodeWithSelector(C.DeadlinePassed.selector, deadline));
    }

    function test_secretBallots_checkRoundPhaseAndDeadline() public {
        Params memory p = defaults();
        p.revealWindow = uint32(WINDOW);
        ExperimentId id = startExperiment(p, 4);
        proposeWeights(id, 0);
        bytes[] memory calls = _roundCalls(id, 0);
        _refuses(account(1), calls[2], _wrongPhase(Phase.Voting)); // an open ballot in a secret vote
        _refuses(account(1), calls[3], _wrongPhase(Phase.Voting));
        _refuses(account(1), calls[5], _wrongPhase(Phase.Voting));
        _refusesVoter(id, calls[4]);
        _refuses(account(1), abi.encodeCall(C.commit, (id, 0, bytes32(0))), _invalid("commitment"));
        _committed(id, 1);
        _refuses(account(1), calls[4], abi.encodeWithSelector(C.AlreadyVoted.selector, account(1)));
        _committed(id, 2);
        uint40 deadline = _pass(id);
        _refuses(account(3), calls[4], abi.encodeWithSelector(C.DeadlinePassed.selector, deadline));
        hub.advance(id);
        _refuses(account(3), calls[4], _wrongPhase(Phase.Revealing));
        _refusesVoter(id, calls[5]);
        _refuses(account(3), calls[5], abi.encodeWithSelector(C.BadReveal.selector, account(3)));
        _refuses(account(1), calls[5], abi.encodeWithSelector(C.BadReveal.selector, account(1)));
        vm.prank(account(1));
        hub.reveal(id, 0, true, HALF, HALF, bytes32(uint256(1)));
        _refuses(account(1), calls[5], abi.encodeWithSelector(C.AlreadyVoted.selector, account(1)));
        deadline = _pass(id);
        _refuses(account(2), calls[5], abi.encodeWithSelector(C.DeadlinePassed.selector, deadline));
    }

    function test_voteSigned_refusesAPartialBallot() public {
        ExperimentId id = startExperiment(defaults(), 3);
        proposeWeights(id, 0);
        bytes memory ballot = signedBallot(id, 0, 1, true);
        _refuses(STRANGER, abi.encodeCall(C.voteSigned, (id, 0, "")), _invalid("ballots"));
        _refuses(
            STRANGER,
            abi.encodeCall(C.voteSigned, (id, 0, bytes.concat(ballot, hex"00"))),
            _invalid("ballots")
        );
        _refuses(STRANGER, abi.encodeCall(C.voteSigned, (id, 0, new bytes(100))), _invalid("ballots"));
    }

    function test_queries_refuseUnknownRoundsAndLearners() public {
        ExperimentId id = createExperiment(defaults());
        bytes memory notStarted = abi.encodeWithSelector(C.WrongRound.selector, type(uint32).max);
        _refuses(STRANGER, abi.encodeCall(Q.round, (id, 0)), notStarted);
        _refuses(STRANGER, abi.encodeCall(Q.ballots, (id, 0, 0, 10)), notStarted);
        joinAll(id, 2);
        vm.prank(creator);
        hub.start(id);
        bytes memory wrongRound = abi.encodeWithSelector(C.WrongRound.selector, 0);
        _refuses(STRANGER, abi.encodeCall(Q.round, (id, 1)), wrongRound);
        _refuses(STRANGER, abi.encodeCall(Q.ballot, (id, 1, account(0))), wrongRound);
        _refuses(STRANGER, abi.encodeCall(Q.ballot, (id, 0, STRANGER)), _notALearner(STRANGER));
        _refuses(STRANGER, abi.encodeCall(Q.learner, (id, STRANGER)), _notALearner(STRANGER));
    }

    // ------------------------------------------------------------------ calls

    /// @dev All calls that name an experiment; from the sixth on they need a running one.
    function _calls(ExperimentId id, uint32 round) private pure returns (bytes[] memory calls) {
        bytes[] memory ofRound = _roundCalls(id, round);
        calls = new bytes[](7 + ofRound.length);
        calls[0] = abi.encodeCall(C.admit, (id, new address[](1)));
        calls[1] = abi.encodeCall(C.join, (id, bytes32(0)));
        calls[2] = abi.encodeCall(C.leave, (id));
        calls[3] = abi.encodeCall(C.start, (id));
        calls[4] = abi.encodeCall(C.cancel, (id));
        calls[5] = abi.encodeCall(C.remove, (id, account(0)));
        calls[6] = abi.encodeCall(C.advance, (id));
        for (uint256 i = 0; i < ofRound.length; ++i) {
            calls[7 + i] = ofRound[i];
        }
    }

    function _roundCalls(ExperimentId id, uint32 round) private pure returns (bytes[] memory calls) {
        calls = new bytes[](6);
        calls[0] = abi.encodeCall(C.propose, (id, round, content(50), HALF, HALF));
        calls[1] = abi.encodeCall(C.decline, (id, round));
        calls[2] = abi.encodeCall(C.vote, (id, round, true, HALF, HALF));
        calls[3] = abi.encodeCall(C.voteSigned, (id, round, new bytes(101)));
        calls[4] = abi.encodeCall(C.commit, (id, round, bytes32(uint256(1))));
        calls[5] = abi.encodeCall(C.reveal, (id, round, true, HALF, HALF, bytes32(uint256(77))));
    }

    function _queries(ExperimentId id, uint32 round) private pure returns (bytes[] memory calls) {
        calls = new bytes[](9);
        calls[0] = abi.encodeCall(Q.experiment, (id));
        calls[1] = abi.encodeCall(Q.learner, (id, account(0)));
        calls[2] = abi.encodeCall(Q.learners, (id, 0, 10));
        calls[3] = abi.encodeCall(Q.round, (id, round));
        calls[4] = abi.encodeCall(Q.rounds, (id, 0, 10));
        calls[5] = abi.encodeCall(Q.ballot, (id, round, account(0)));
        calls[6] = abi.encodeCall(Q.ballots, (id, round, 0, 10));
        calls[7] = abi.encodeCall(Q.currentWeights, (id));
        calls[8] = abi.encodeCall(Q.duty, (id, account(0)));
    }

    // ------------------------------------------------------------------ helpers

    function _refuses(address who, bytes memory call, bytes memory wanted) private {
        vm.prank(who);
        // solhint-disable-next-line avoid-low-level-calls
        (bool ok, bytes memory answer) = address(hub).call(call);
        assertFalse(ok, "went through");
        assertEq(answer, wanted);
    }

    function _refusesAll(ExperimentId id, Status status) private {
        bytes[] memory calls = _calls(id, 0);
        for (uint256 i = 0; i < calls.length; ++i) {
            _refuses(creator, calls[i], _wrongStatus(status));
        }
    }

    function _refusesParams(Params memory p, string memory name) private {
        _refuses(creator, abi.encodeCall(C.create, (p)), _invalid(name));
    }

    function _refusesProposer(ExperimentId id, address who) private {
        bytes memory wanted = abi.encodeWithSelector(C.NotProposer.selector, who);
        _refuses(who, abi.encodeCall(C.propose, (id, 0, content(50), HALF, HALF)), wanted);
        _refuses(who, abi.encodeCall(C.decline, (id, 0)), wanted);
    }

    function _refusesVoter(ExperimentId id, bytes memory call) private {
        _refuses(STRANGER, call, _notALearner(STRANGER));
        address proposer = hub.round(id, 0).proposer;
        _refuses(proposer, call, abi.encodeWithSelector(C.NotEligible.selector, proposer));
    }

    function _committed(ExperimentId id, uint256 i) private {
        bytes32 pledge = commitment(id, 0, i, true, bytes32(i));
        vm.prank(account(i));
        hub.commit(id, 0, pledge);
    }

    function _pass(ExperimentId id) private returns (uint40 deadline) {
        deadline = hub.round(id, 0).deadline;
        vm.warp(deadline);
    }

    function _invalid(string memory name) private pure returns (bytes memory) {
        return abi.encodeWithSelector(C.InvalidParameter.selector, name);
    }

    function _wrongStatus(Status status) private pure returns (bytes memory) {
        return abi.encodeWithSelector(C.WrongStatus.selector, status);
    }

    function _wrongPhase(Phase phase) private pure returns (bytes memory) {
        return abi.encodeWithSelector(C.WrongPhase.selector, phase);
    }

    function _notPassed(uint40 deadline) private pure returns (bytes memory) {
        return abi.encodeWithSelector(C.DeadlineNotPassed.selector, deadline);
    }

    function _notALearner(address who) private pure returns (bytes memory) {
        return abi.encodeWithSelector(C.NotALearner.selector, who);
    }

    function _unchanged() private pure returns (bytes memory) {
        return abi.encodeWithSelector(C.Unchanged.selector);
    }
}
