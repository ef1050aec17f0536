// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Selection} from "../../src/types/Enums.sol";
import {ExperimentId} from "../../src/types/ExperimentId.sol";
import {Params} from "../../src/types/Params.sol";
import {Base} from "../Base.sol";
import {PeerGovernor, PeerToken} from "./Peer.sol";

/// @notice The gas that each call costs a user, including base and calldata, and the targets of docs/protocol.md.
/// @dev Run with --isolate, which makes each call a transaction. The figures are in snapshots/Gas.json.
contract GasTest is Base {
    string private constant GROUP = "Gas";
    uint256 private constant VOTE_SMALL = 38_000;
    uint256 private constant VOTE_LARGE = 41_000;
    uint256 private constant SIGNED = 11_000;
    uint256 private constant PROPOSE = 130_000;
    /// @dev In bytes: EIP-170 and EIP-3860.
    uint256 private constant RUNTIME = 24_576;
    uint256 private constant CREATION = 49_152;
    /// @dev Zero bytes of calldata are cheaper than others, so the same call may differ by a few of them.
    uint256 private constant CALLDATA_NOISE = 300;

    function test_vote_upTo64Learners() public {
        _assertVote("vote, 3 learners", 3, VOTE_SMALL);
        _assertVote("vote, 16 learners", 16, VOTE_SMALL);
        _assertVote("vote, 64 learners", 64, VOTE_SMALL);
    }

    function test_vote_above64Learners() public {
        _assertVote("vote, 65 learners", 65, VOTE_LARGE);
        _assertVote("vote, 256 learners", 256, VOTE_LARGE);
        _assertVote("vote, 1000 learners", 1_000, VOTE_LARGE);
    }

    function test_vote_tenThousandLearners() public {
        ExperimentId id = createExperiment(defaults());
        joinAll(id, 10_000); // taking the last place starts the experiment
        proposeWeights(id, 0);
        uint256[] memory costs = new uint256[](101);
        for (uint256 i = 0; i < costs.length; ++i) {
            costs[i] = _voteCost(id, 9_000 + i, i % 2 == 0);
        }
        uint256 median = _median(costs);
        vm.snapshotValue(GROUP, "vote, 10000 learners", median);
        assertLe(median, VOTE_LARGE);
    }

    function test_voteSigned_batchOf100() public {
        _assertSigned("voteSigned per ballot, 102 learners", 102);
        _assertSigned("voteSigned per ballot, 1000 learners", 1_000);
    }

    function test_propose_isFlat() public {
        uint256 few = _proposeCost(3);
        uint256 many = _proposeCost(2_000);
        vm.snapshotValue(GROUP, "propose", few);
        assertLe(few, PROPOSE);
        assertApproxEqAbs(many, few, CALLDATA_NOISE);
    }

    function test_advance_isFlat() public {
        (uint256 unproposed, uint256 closing) = _advanceCosts(3, Selection.RoundRobin);
        (uint256 manyUnproposed, uint256 manyClosing) = _advanceCosts(2_000, Selection.RoundRobin);
        vm.snapshotValue(GROUP, "advance, no proposal, next round", unproposed);
        vm.snapshotValue(GROUP, "advance, vote over, next round", closing);
        assertEq(manyUnproposed, unproposed);
        assertEq(manyClosing, closing);
    }

    function test_randomSelection_isFlat() public {
        // Only the proposer differs, and with it which slots are warm.
        (, uint256 few) = _advanceCosts(3, Selection.Random);
        (, uint256 many) = _advanceCosts(2_000, Selection.Random);
        vm.snapshotValue(GROUP, "advance, vote over, next round, random", few);
        assertApproxEqAbs(many, few, 3_000);
    }

    function test_join_isFlat() public {
        ExperimentId id = createExperiment(defaults());
        joinAll(id, 2);
        uint256 third = _joinCost(id, 2);
        for (uint256 i = 3; i < 2_000; ++i) {
            vm.prank(account(i));
            hub.join(id, keccak256("key"));
        }
        uint256 late = _joinCost(id, 2_000);
        vm.snapshotValue(GROUP, "join", third);
        assertEq(late, third);
    }

    function test_leave_isFlat() public {
        uint256 few = _leaveCost(5);
        uint256 many = _leaveCost(2_000);
        vm.snapshotValue(GROUP, "leave", few);
        assertEq(many, few);
    }

    function test_secretBallots() public {
        Params memory p = defaults();
        p.revealWindow = uint32(WINDOW);
        ExperimentId id = startExperiment(p, 5);
        proposeWeights(id, 0);
        for (uint256 i = 1; i < 5; ++i) {
            bytes32 pledge = commitment(id, 0, i, true, bytes32(i));
            vm.prank(account(i));
            hub.commit(id, 0, pledge);
            if (i == 2) vm.snapshotValue(GROUP, "commit", _lastCost());
        }
        vm.prank(account(1));
        hub.reveal(id, 0, true, HALF, HALF, bytes32(uint256(1)));
        vm.prank(account(2));
        hub.reveal(id, 0, true, HALF, HALF, bytes32(uint256(2)));
        vm.snapshotValue(GROUP, "reveal", _lastCost());
    }

    function test_create() public {
        createExperiment(defaults());
        vm.snapshotValue(GROUP, "create", _lastCost());
    }

    function test_codeFitsTheLimitsOfPublicChains() public {
        uint256 core = address(hub).code.length;
        uint256 queries = hub.queries().code.length;
        uint256 creation = vm.getCode("CollectiveLearning.sol:CollectiveLearning").length;
        vm.snapshotValue(GROUP, "runtime bytes, CollectiveLearning", core);
        vm.snapshotValue(GROUP, "runtime bytes, Queries", queries);
        vm.snapshotValue(GROUP, "creation bytes, both", creation);
        assertLe(core, RUNTIME);
        assertLe(queries, RUNTIME);
        assertLe(creation, CREATION);
    }

    /// @dev The peer: OpenZeppelin Governor, measured in the same run.
    function test_peer_governorCastVote() public {
        PeerToken token = new PeerToken();
        PeerGovernor governor = new PeerGovernor(token);
        for (uint256 i = 0; i < 16; ++i) {
            token.mint(account(i), 1 ether);
            vm.prank(account(i));
            token.delegate(account(i));
        }
        vm.roll(100);
        address[] memory targets = new address[](1);
        targets[0] = address(token);
        uint256 id = governor.propose(targets, new uint256[](1), new bytes[](1), "adopt the weights");
        vm.roll(102);
        uint256[] memory costs = new uint256[](15);
        for (uint256 i = 0; i < costs.length; ++i) {
            vm.prank(account(i + 1));
            governor.castVote(id, uint8(i % 2));
            costs[i] = _lastCost();
        }
        uint256 median = _median(costs);
        vm.snapshotValue(GROUP, "peer: OpenZeppelin Governor castVote, 16 voters", median);
        assertGt(median, VOTE_LARGE);
    }

    // ------------------------------------------------------------------ helpers

    function _assertVote(string memory name, uint256 n, uint256 target) private {
        ExperimentId id = startExperiment(defaults(), n);
        proposeWeights(id, 0);
        uint256[] memory costs = new uint256[](n - 1);
        for (uint256 i = 1; i < n; ++i) {
            costs[i - 1] = _voteCost(id, i, i % 2 == 0);
        }
        uint256 median = _median(costs);
        vm.snapshotValue(GROUP, name, median);
        assertLe(median, target);
    }

    function _voteCost(ExperimentId id, uint256 i, bool approve) private returns (uint256) {
        castVote(id, 0, i, approve);
        return _lastCost();
    }

    function _assertSigned(string memory name, uint256 n) private {
        // The first learner proposes and the second casts no ballot, so that the round stays open.
        ExperimentId id = startExperiment(defaults(), n);
        proposeWeights(id, 0);
        bytes memory batch;
        for (uint256 i = 0; i < 100; ++i) {
            batch = bytes.concat(batch, signedBallot(id, 0, n - 100 + i, i % 2 == 0));
        }
        hub.voteSigned(id, 0, batch);
        uint256 each = _lastCost() / 100;
        vm.snapshotValue(GROUP, name, each);
        assertLe(each, SIGNED);
    }

    function _proposeCost(uint256 n) private returns (uint256) {
        ExperimentId id = startExperiment(defaults(), n);
        proposeWeights(id, 0);
        return _lastCost();
    }

    function _advanceCosts(uint256 n, Selection selection)
        private
        returns (uint256 unproposed, uint256 closing)
    {
        Params memory p = defaults();
        p.selection = selection;
        ExperimentId id = startExperiment(p, n);
        _pass(id);
        hub.advance(id);
        unproposed = _lastCost();
        proposeWeights(id, 1);
        _pass(id);
        hub.advance(id);
        closing = _lastCost();
    }

    /// @dev Moves the clock to the open phase's deadline.
    function _pass(ExperimentId id) private {
        vm.warp(hub.round(id, hub.experiment(id).round).deadline);
    }

    function _joinCost(ExperimentId id, uint256 i) private returns (uint256) {
        vm.prank(account(i));
        hub.join(id, keccak256("key"));
        return _lastCost();
    }

    function _leaveCost(uint256 n) private returns (uint256) {
        ExperimentId id = startExperiment(defaults(), n);
        vm.prank(account(1));
        hub.leave(id);
        return _lastCost();
    }

    function _lastCost() private view returns (uint256) {
        return vm.lastCallGas().gasTotalUsed;
    }

    /// @dev The lower of two: with 3 learners there are two ballots, and one of them also closes the round.
    function _median(uint256[] memory values) private pure returns (uint256) {
        for (uint256 i = 1; i < values.length; ++i) {
            for (uint256 k = i; k > 0 && values[k - 1] > values[k]; --k) {
                (values[k - 1], values[k]) = (values[k], values[k - 1]);
            }
        }
        return values[(values.length - 1) / 2];
    }
}
