// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls as C, ICollectiveLearningQueries as Q} from "../src/ICollectiveLearning.sol";
import {ContentRef} from "../src/types/ContentRef.sol";
import {Admission, Merge, Phase, Status} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";
import {Refusals} from "./Refusals.sol";

/// @notice Every error of every call, with its arguments, in the order of checks that the protocol fixes.
contract ErrorsTest is Refusals {
    ExperimentId private constant NONE = ExperimentId.wrap(99);

    // ------------------------------------------------------------------ create

    function test_create_namesTheFirstBadParameter() public {
        Params memory p = plural(2);
        p.initial = ContentRef(0, 0, 0, 0);
        _refusesParams(p, "initial"); // the merge needs them
        p.proposers = 0;
        _refusesParams(p, "proposers");
        p.proposers = 17;
        _refusesParams(p, "proposers");
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
        p.name = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        p.initial = ContentRef(0, 0, 0, 0);
        p.rounds = type(uint32).max - 1;
        p.minLearners = 10_000;
        p.approvalBps = 10_000;
        p.proposeWindow = type(uint32).max;
        p.voteWindow = type(uint32).max;
        p.revealWindow = type(uint32).max;
        p.proposers = 16;
        p.merge = Merge.Best;
        p.maxStrikes = type(uint16).max;
        p.patience = type(uint32).max;
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
        bytes memory unknown = abi.encodeWithSelector(C.UnknownExperiment.selector, NONE);
        bytes[] memory calls = _calls(NONE, 0);
        for (uint256 i = 0; i < calls.length; ++i) {
            _refuses(creator, calls[i], unknown);
        }
        _refuses(creator, abi.encodeCall(C.announce, (NONE, "", content(1))), unknown);
        bytes[] memory asked = _queries(NONE, 0);
        for (uint256 i = 0; i < asked.length; ++i) {
            _refuses(creator, asked[i], unknown);
        }
    }

    function test_roundCalls_areRefusedWhileEnrolling() public {
        ExperimentId id = createExperiment(defaults());
        joinAll(id, 2);
        bytes[] memory calls = _calls(id, 0);
        for (uint256 i = 6; i < calls.length; ++i) {
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
        bytes32 hash = hub.experiment(id).hash;
        bytes memory call = abi.encodeCall(C.join, (id, ~hash, bytes32(0)));
        _refuses(account(0), call, abi.encodeWithSelector(C.WrongExperiment.selector, hash));
        call = abi.encodeCall(C.join, (id, hash, bytes32(0)));
        _refuses(account(0), call, abi.encodeWithSelector(C.AlreadyJoined.selector, account(0)));
        _refuses(STRANGER, call, abi.encodeWithSelector(C.NotAdmitted.selector, STRANGER));
        _refuses(account(2), call, abi.encodeWithSelector(C.ExperimentFull.selector, 2));
    }

    function test_join_isRefusedWhileRunningWithoutLateJoin() public {
        ExperimentId id = startExperiment(defaults(), 2);
        _refuses(STRANGER, abi.encodeCall(C.join, (id, 0, 0)), _wrongStatus(Status.Running));
    }

    function test_learnersCalls_needAnActiveLearner() public {
        ExperimentId id = startExperiment(defaults(), 4);
        bytes memory leave = abi.encodeCall(C.leave, (id));
        bytes memory setKey = abi.encodeCall(C.setEncryptionKey, (id, "key"));
        bytes memory announce = abi.encodeCall(C.announce, (id, "", content(0)));
        _refuses(STRANGER, leave, _notALearner(STRANGER));
        _refuses(STRANGER, setKey, _notALearner(STRANGER));
        _refuses(STRANGER, announce, _notALearner(STRANGER));
        _refuses(STRANGER, abi.encodeCall(C.remove, (id, STRANGER)), _notALearner(STRANGER));
        vm.prank(account(3));
        hub.leave(id);
        _refuses(account(3), leave, _notALearner(account(3)));
        _refuses(account(3), setKey, _notALearner(account(3)));
        _refuses(account(3), announce, _notALearner(account(3)));
        _refuses(STRANGER, abi.encodeCall(C.remove, (id, account(3))), _notALearner(account(3)));
        // With max_strikes 0 nobody is ever removed.
        bytes memory notRemovable = abi.encodeWithSelector(C.NotRemovable.selector, 0);
        _refuses(STRANGER, abi.encodeCall(C.remove, (id, account(1))), notRemovable);
    }

    function test_announce_checksTopicAndContent() public {
        ExperimentId id = startExperiment(defaults(), 2);
        string[5] memory bad = ["", "123456789012345678901234567890123", "a\nb", "\x7f", "\xff"];
        for (uint256 i = 0; i < 5; ++i) {
            ContentRef memory none;
            _refuses(account(0), abi.encodeCall(C.announce, (id, bad[i], none)), _invalid("topic"));
        }
        string memory longest = "12345678901234567890123456789012";
        ContentRef memory broken = content(1);
        broken.size = 0;
        _refuses(account(0), abi.encodeCall(C.announce, (id, longest, broken)), _invalid("content"));
        vm.prank(account(0));
        hub.announce(id, longest, content(1));
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
        _refuses(account(1), calls[2], _wrongProposals(id)); // zero, in all calls here
        _refuses(account(1), calls[3], _wrongProposals(id));
        castVote(id, 0, 1, 1);
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
        _refuses(account(1), calls[4], _wrongProposals(id));
        bytes32 digest = digestOf(id, 0);
        _refuses(account(1), abi.encodeCall(C.commit, (id, 0, digest, 0)), _invalid("commitment"));
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
        hub.reveal(id, 0, 1, scores(1), bytes32(uint256(1)));
        _refuses(account(1), calls[5], abi.encodeWithSelector(C.AlreadyVoted.selector, account(1)));
        deadline = _pass(id);
        _refuses(account(2), calls[5], abi.encodeWithSelector(C.DeadlinePassed.selector, deadline));
    }

    function test_ballots_areCheckedInTheOrderOfTheProtocol() public {
        ExperimentId id = startExperiment(plural(2), 4);
        proposeWeights(id, 0);
        bytes32 digest = digestOf(id, 0);
        _refuses(account(0), abi.encodeCall(C.vote, (id, 0, 0, 1, "")), _wrongProposals(id));
        _refuses(account(0), abi.encodeCall(C.vote, (id, 0, digest, 1, "")), _invalid("approvals"));
        _refuses(account(0), abi.encodeCall(C.vote, (id, 0, digest, 2, "")), _invalid("scores"));
        castVote(id, 0, 0, 2);
        bytes memory already = abi.encodeWithSelector(C.AlreadyVoted.selector, account(0));
        _refuses(account(0), abi.encodeCall(C.vote, (id, 0, 0, 1, "")), already);
    }

    function test_voteSigned_refusesAPartialBallot() public {
        for (uint8 k = 1; k < 4; ++k) {
            ExperimentId id = startExperiment(plural(k), 4);
            proposeWeights(id, 0);
            bytes32 digest = digestOf(id, 0);
            bytes memory ballot = signedBallot(id, 0, 1, 0);
            bytes memory more = bytes.concat(ballot, hex"00");
            bytes memory less = new bytes(ballot.length - 1);
            bytes memory other = signedBallot(id, 0, 1, 0, digest, scores(k + 1));
            _refuses(STRANGER, abi.encodeCall(C.voteSigned, (id, 0, 0, "")), _wrongProposals(id));
            _refuses(STRANGER, abi.encodeCall(C.voteSigned, (id, 0, digest, "")), _invalid("ballots"));
            _refuses(STRANGER, abi.encodeCall(C.voteSigned, (id, 0, digest, more)), _invalid("ballots"));
            _refuses(STRANGER, abi.encodeCall(C.voteSigned, (id, 0, digest, less)), _invalid("ballots"));
            _refuses(STRANGER, abi.encodeCall(C.voteSigned, (id, 0, digest, other)), _invalid("ballots"));
        }
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
}
