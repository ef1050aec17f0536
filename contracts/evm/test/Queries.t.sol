// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {CollectiveLearning} from "../src/CollectiveLearning.sol";
import {
    ICollectiveLearning,
    ICollectiveLearningCalls as C,
    ICollectiveLearningQueries as Q
} from "../src/ICollectiveLearning.sol";
import {BallotState, Duty, Phase} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Base} from "./Base.sol";

/// @notice The queries are answered at the address of the contract, by code at another address, and change nothing.
contract QueriesTest is Base {
    bytes4[] private _selectors;
    ExperimentId private id;

    function setUp() public override {
        super.setUp();
        id = startExperiment(defaults(), 3);
        proposeWeights(id, 0);
        castVote(id, 0, 1, 1);
        bytes[] memory asked = _allQueries();
        for (uint256 i = 0; i < asked.length; ++i) {
            _selectors.push(bytes4(asked[i]));
        }
    }

    function test_everyQuery_isAnsweredAtTheAddressOfTheContract() public {
        assertEq(hub.experiment(id).creator, creator);
        assertEq(hub.experiment(id).activeLearners, 3);
        createExperiment(defaults());
        assertEq(hub.experiments(0, 10).length, 2);
        assertEq(hub.learner(id, account(2)).index, 2);
        assertEq(hub.learners(id, 0, 10)[1].account, account(1));
        assertEq(hub.round(id, 0).slots[0].proposer, account(0));
        assertEq(uint8(hub.rounds(id, 0, 10)[0].phase), uint8(Phase.Voting));
        assertEq(uint8(hub.ballot(id, 0, account(1)).state), uint8(BallotState.Cast));
        assertEq(uint8(hub.ballots(id, 0, 0, 10)[2].state), uint8(BallotState.None));
        assertEq(hub.currentWeights(id)[0].digest, defaults().initial.digest);
        assertEq(uint8(hub.duty(id, account(2))), uint8(Duty.Vote));
        assertEq(uint8(hub.agenda(id, account(2)).duty), uint8(Duty.Vote));
    }

    /// @dev One answer with what the other queries return.
    function test_agenda_isExperimentRoundLearnerAndDuty() public {
        Q.AgendaView memory a = hub.agenda(id, account(2));
        assertEq(abi.encode(a.experiment), abi.encode(hub.experiment(id)));
        assertEq(abi.encode(a.round), abi.encode(hub.round(id, 0)));
        assertEq(abi.encode(a.learner), abi.encode(hub.learner(id, account(2))));

        a = hub.agenda(id, account(9));
        assertEq(a.learner.account, address(0));
        assertEq(uint8(a.duty), uint8(Duty.Wait));
        ExperimentId enrolling = createExperiment(defaults());
        a = hub.agenda(enrolling, account(9));
        assertFalse(a.experiment.started);
        assertEq(a.round.slots.length, 0);
    }

    function test_round_showsItsTimes() public {
        ExperimentId many = startExperiment(plural(2), 3);
        uint40 start = uint40(vm.getBlockTimestamp());
        vm.warp(start + 5);
        proposeIn(many, 0, 1);
        vm.warp(start + 11);
        vm.prank(account(0));
        hub.decline(many, 0);
        Q.RoundView memory r = hub.round(many, 0);
        assertEq(r.startedAt, start);
        assertEq(r.slots[1].proposedAt, start + 5);
        assertEq(r.slots[0].proposedAt, 0);
        assertEq(r.votingStartedAt, start + 11);
        assertEq(r.deadline, start + 11 + WINDOW);
        assertEq(r.closedAt, 0);
        passDeadline(many);
        hub.advance(many);
        r = hub.round(many, 0);
        assertEq(r.closedAt, start + 11 + WINDOW);
        assertEq(r.deadline, 0);
        assertEq(hub.round(many, 1).startedAt, r.closedAt);
    }

    function test_round_ofAnOpenVoteCountsItsBallots() public view {
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(r.ballots, 1);
        assertEq(r.commitments, 0);
        assertEq(r.slots[0].approvals, 1);
        assertFalse(r.slots[0].accepted);
        assertEq(r.votingStartedAt, r.slots[0].proposedAt);
        assertEq(abi.encode(r.slots[0].content), abi.encode(proposal(0, 0)));
    }

    function test_queries_ofTheOtherPartAloneFindNoExperiment() public {
        ICollectiveLearning alone = ICollectiveLearning(hub.queries());
        assertEq(alone.experiments(0, 10).length, 0);
        expectError(C.UnknownExperiment.selector, abi.encode(id));
        alone.experiment(id);
    }

    function test_queries_areAnsweredByTheirOwnDeployment() public {
        ICollectiveLearning other = ICollectiveLearning(address(new CollectiveLearning()));
        assertNotEq(other.queries(), hub.queries());
        assertEq(other.queries().code, hub.queries().code);
        assertEq(hub.queries(), vm.computeCreateAddress(address(hub), 1));
    }

    /// @dev As transactions, from any account.
    function test_queries_changeNothing() public {
        bytes[] memory asked = _allQueries();
        for (uint256 i = 0; i < asked.length; ++i) {
            assertTrue(_isUnchangedBy(asked[i], 0), "a query was refused");
        }
    }

    function testFuzz_unknownSelectors_areRefusedAndChangeNothing(bytes4 selector, bytes calldata rest)
        public
    {
        vm.assume(!_isKnown(selector));
        assertFalse(_isUnchangedBy(abi.encodePacked(selector, rest), 0), "an unknown call was accepted");
    }

    function testFuzz_shortMessages_areRefused(bytes3 start, uint8 length) public {
        bytes memory message = new bytes(length % 4);
        for (uint256 i = 0; i < message.length; ++i) {
            message[i] = start[i];
        }
        assertFalse(_isUnchangedBy(message, 0), "a message without a selector was accepted");
    }

    /// @dev Arguments of queries that cannot be decoded, or that name nothing.
    function testFuzz_queriesWithAnyArguments_changeNothing(uint256 which, bytes calldata rest) public {
        _isUnchangedBy(abi.encodePacked(_selectors[which % _selectors.length], rest), 0);
    }

    function test_ether_isRefused() public {
        bytes[] memory asked = _allQueries();
        for (uint256 i = 0; i < asked.length; ++i) {
            assertFalse(_isUnchangedBy(asked[i], 1 ether));
        }
        assertFalse(_isUnchangedBy("", 1 ether));
        assertFalse(_isUnchangedBy(abi.encodeCall(C.create, (defaults())), 1 ether));
        assertFalse(_isUnchangedBy(abi.encodeCall(C.vote, (id, 0, 0, 1, scores(1))), 1 ether));
        vm.deal(address(this), 1 ether);
        // solhint-disable-next-line avoid-low-level-calls
        (bool accepted,) = hub.queries().call{value: 1 ether}("");
        assertFalse(accepted);
    }

    // ------------------------------------------------------------------ helpers

    /// @dev Sends a message and checks that neither part wrote to storage, emitted anything or took ether.
    function _isUnchangedBy(bytes memory message, uint256 value) private returns (bool accepted) {
        vm.deal(account(2), value);
        vm.record();
        vm.recordLogs();
        vm.prank(account(2));
        // solhint-disable-next-line avoid-low-level-calls
        (accepted,) = address(hub).call{value: value}(message);
        (, bytes32[] memory written) = vm.accesses(address(hub));
        assertEq(written.length, 0, "wrote to storage");
        (, written) = vm.accesses(hub.queries());
        assertEq(written.length, 0, "wrote to its own storage");
        assertEq(vm.getRecordedLogs().length, 0, "emitted an event");
        assertEq(address(hub).balance + hub.queries().balance, 0, "took ether");
    }

    function _isKnown(bytes4 selector) private view returns (bool) {
        for (uint256 i = 0; i < _selectors.length; ++i) {
            if (_selectors[i] == selector) return true;
        }
        bytes4[18] memory calls = [
            C.create.selector,
            C.admit.selector,
            C.join.selector,
            C.setEncryptionKey.selector,
            C.leave.selector,
            C.remove.selector,
            C.start.selector,
            C.cancel.selector,
            C.propose.selector,
            C.decline.selector,
            C.vote.selector,
            C.voteSigned.selector,
            C.commit.selector,
            C.reveal.selector,
            C.advance.selector,
            C.announce.selector,
            C.domainSeparator.selector,
            C.queries.selector
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            if (calls[i] == selector) return true;
        }
        return false;
    }

    function _allQueries() private view returns (bytes[] memory asked) {
        asked = new bytes[](11);
        asked[0] = abi.encodeCall(Q.experiment, (id));
        asked[1] = abi.encodeCall(Q.experiments, (0, 10));
        asked[2] = abi.encodeCall(Q.learner, (id, account(0)));
        asked[3] = abi.encodeCall(Q.learners, (id, 0, 10));
        asked[4] = abi.encodeCall(Q.round, (id, 0));
        asked[5] = abi.encodeCall(Q.rounds, (id, 0, 10));
        asked[6] = abi.encodeCall(Q.ballot, (id, 0, account(0)));
        asked[7] = abi.encodeCall(Q.ballots, (id, 0, 0, 10));
        asked[8] = abi.encodeCall(Q.currentWeights, (id));
        asked[9] = abi.encodeCall(Q.duty, (id, account(0)));
        asked[10] = abi.encodeCall(Q.agenda, (id, account(0)));
    }
}
