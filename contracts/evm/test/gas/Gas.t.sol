// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Selection} from "../../src/types/Enums.sol";
import {ExperimentId} from "../../src/types/ExperimentId.sol";
import {Params} from "../../src/types/Params.sol";
import {GasBase} from "./GasBase.sol";
import {PeerGovernor, PeerToken} from "./Peer.sol";

/// @notice The gas that each call costs a user, including base and calldata, and the targets of docs/protocol.md.
/// @dev Run with --isolate, which makes each call a transaction. The figures are in snapshots/Gas.json.
contract GasTest is GasBase {
    uint256 private constant VOTE_SMALL = 38_000;
    uint256 private constant VOTE_LARGE = 43_500;
    uint256 private constant VOTE_ON_8 = 54_000;
    uint256 private constant SIGNED = 12_000;
    uint256 private constant SIGNED_ON_8 = 20_000;
    uint256 private constant PROPOSE = 130_000;
    /// @dev What a proposal costs more if it begins voting, and for each proposal after the first.
    uint256 private constant BEGIN_VOTING = 30_000;
    uint256 private constant BEGIN_VOTING_EACH = 2_500;
    /// @dev In bytes: EIP-170 and EIP-3860.
    uint256 private constant RUNTIME = 24_576;
    uint256 private constant CREATION = 49_152;
    /// @dev Zero bytes of calldata are cheaper than others, so the same call may differ by a few of them.
    uint256 private constant CALLDATA_NOISE = 300;

    // ------------------------------------------------------------------ voting

    function test_vote_upTo64Learners() public {
        _assertVote(1, 3, VOTE_SMALL);
        _assertVote(1, 16, VOTE_SMALL);
        _assertVote(1, 64, VOTE_SMALL);
    }

    function test_vote_above64Learners() public {
        _assertVote(1, 65, VOTE_LARGE);
        _assertVote(1, 256, VOTE_LARGE);
        _assertVote(1, 1_000, VOTE_LARGE);
    }

    function test_vote_onSeveralProposals() public {
        _assertVote(2, 64, VOTE_ON_8);
        _assertVote(8, 16, VOTE_ON_8);
        _assertVote(8, 64, VOTE_ON_8);
        _assertVote(8, 1_000, VOTE_ON_8);
        _assertVote(16, 64, type(uint256).max);
        _assertVote(16, 1_000, type(uint256).max);
    }

    function test_vote_tenThousandLearners() public {
        _assertVote(1, 10_000, VOTE_LARGE);
        _assertVote(8, 10_000, VOTE_ON_8);
        _assertVote(16, 10_000, type(uint256).max);
    }

    function test_voteSigned_batchOf100() public {
        _assertSigned(1, 102, SIGNED);
        _assertSigned(1, 1_000, SIGNED);
        _assertSigned(8, 110, SIGNED_ON_8);
        _assertSigned(8, 1_000, SIGNED_ON_8);
        _assertSigned(16, 1_000, type(uint256).max);
    }

    // ------------------------------------------------------------------ proposing

    function test_propose_isFlat() public {
        uint256[] memory few = _proposeCosts(1, 3);
        uint256[] memory many = _proposeCosts(1, 1_000);
        vm.snapshotValue(GROUP, "propose, 1 proposer", few[0]);
        assertLe(few[0], PROPOSE);
        assertApproxEqAbs(many[0], few[0], CALLDATA_NOISE);
    }

    function test_propose_withOthersIsFlat() public {
        _assertPropose(2);
        _assertPropose(8);
        _assertPropose(16);
    }

    // ------------------------------------------------------------------ other calls

    function test_join_isFlat() public {
        ExperimentId id = createExperiment(defaults());
        joinAll(id, 2);
        bytes32 hash = hub.experiment(id).hash;
        uint256 third = _joinCost(id, hash, 2);
        // One of eight begins a word of the active list.
        for (uint256 i = 3; i < 2_002; ++i) {
            _joinCost(id, hash, i);
        }
        uint256 late = _joinCost(id, hash, 2_002);
        vm.snapshotValue(GROUP, "join", third);
        assertEq(late, third);
    }

    function test_leave_isFlat() public {
        _assertLeave("leave", Selection.RoundRobin);
        _assertLeave("leave, random", Selection.Random);
    }

    function test_secretBallots() public {
        uint8[2] memory proposers = [1, 8];
        for (uint256 n = 0; n < 2; ++n) {
            Params memory p = plural(proposers[n]);
            p.revealWindow = uint32(WINDOW);
            ExperimentId id = startExperiment(p, 16);
            proposeWeights(id, 0);
            for (uint256 i = proposers[n]; i < 12; ++i) {
                commitBallot(id, 0, i, 1, bytes32(i));
                if (i == 9) vm.snapshotValue(GROUP, _named("commit", proposers[n]), _lastCost());
            }
            passDeadline(id);
            hub.advance(id);
            vm.snapshotValue(GROUP, _named("advance that begins revealing", proposers[n]), _lastCost());
            for (uint256 i = 8; i < 12; ++i) {
                revealBallot(id, 0, i, 1, bytes32(i));
                if (i == 10) vm.snapshotValue(GROUP, _named("reveal", proposers[n]), _lastCost());
            }
        }
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

    /// @dev The median of a round, or of 101 of its voters.
    function _assertVote(uint8 proposers, uint256 n, uint256 target) private {
        ExperimentId id = _begin(plural(proposers), n);
        bytes32 digest = digestOf(id, 0);
        bytes memory list = scores(proposers);
        uint256 first = proposers == 1 ? 1 : 0;
        if (n == 10_000) first = 9_000;
        uint256[] memory costs = new uint256[](n == 10_000 ? 101 : n - first);
        for (uint256 i = 0; i < costs.length; ++i) {
            vm.prank(account(first + i));
            hub.vote(id, 0, digest, _choice(first + i, proposers), list);
            costs[i] = _lastCost();
        }
        uint256 median = _median(costs);
        string memory name = string.concat("vote, ", _proposals(proposers), ", ", _learners(n));
        vm.snapshotValue(GROUP, name, median);
        assertLe(median, target);
    }

    function _assertSigned(uint8 proposers, uint256 n, uint256 target) private {
        // The first learners propose and one casts no ballot, so that the round stays open.
        ExperimentId id = _begin(plural(proposers), n);
        bytes32 digest = digestOf(id, 0);
        bytes memory batch;
        for (uint256 i = n - 100; i < n; ++i) {
            uint16 approvals = _choice(i, proposers);
            batch = bytes.concat(batch, signedBallot(id, 0, i, approvals, digest, scores(proposers)));
        }
        hub.voteSigned(id, 0, digest, batch);
        uint256 each = _lastCost() / 100;
        string memory name =
            string.concat("voteSigned per ballot, ", _proposals(proposers), ", ", _learners(n));
        vm.snapshotValue(GROUP, name, each);
        assertLe(each, target);
    }

    /// @dev The costs of all proposals of the first round.
    function _proposeCosts(uint8 proposers, uint256 n) private returns (uint256[] memory costs) {
        ExperimentId id = startExperiment(plural(proposers), n);
        costs = new uint256[](proposers);
        for (uint256 slot = 0; slot < proposers; ++slot) {
            proposeIn(id, 0, slot);
            costs[slot] = _lastCost();
        }
    }

    function _assertPropose(uint8 proposers) private {
        uint256[] memory few = _proposeCosts(proposers, 20);
        uint256[] memory many = _proposeCosts(proposers, 200);
        vm.snapshotValue(GROUP, _named("propose", proposers), few[0]);
        uint256 last = proposers - 1;
        vm.snapshotValue(GROUP, _named("propose that begins voting", proposers), few[last]);
        for (uint256 slot = 0; slot < proposers; ++slot) {
            assertApproxEqAbs(many[slot], few[slot], CALLDATA_NOISE);
            if (slot != last) assertLe(few[slot], PROPOSE);
        }
        assertLe(few[last], PROPOSE + BEGIN_VOTING + BEGIN_VOTING_EACH * last);
    }

    function _joinCost(ExperimentId id, bytes32 hash, uint256 i) private returns (uint256) {
        vm.prank(account(i));
        hub.join(id, hash, keccak256("key"));
        return _lastCost();
    }

    function _assertLeave(string memory name, Selection selection) private {
        uint256 few = _leaveCost(20, selection);
        uint256 many = _leaveCost(500, selection);
        vm.snapshotValue(GROUP, name, few);
        assertEq(many, few);
    }

    function _leaveCost(uint256 n, Selection selection) private returns (uint256) {
        Params memory p = defaults();
        p.selection = selection;
        ExperimentId id = startExperiment(p, n);
        uint256 i = proposerOf(id, 0, 0) == account(1) ? 2 : 1;
        vm.prank(account(i));
        hub.leave(id);
        return _lastCost();
    }

    /// @dev A round with a proposal in each slot.
    function _begin(Params memory p, uint256 n) private returns (ExperimentId id) {
        id = createExperiment(p);
        joinAll(id, n);
        if (n < p.maxLearners) {
            vm.prank(creator);
            hub.start(id);
        }
        proposeWeights(id, 0);
    }

    /// @dev Every second learner approves all proposals but its own, in the first round with round robin.
    function _choice(uint256 i, uint256 proposers) private pure returns (uint16) {
        uint256 all = (1 << proposers) - 1;
        if (i < proposers) all &= ~(1 << i);
        return i % 2 == 0 ? uint16(all) : 0;
    }

    function _proposals(uint256 n) private pure returns (string memory) {
        return string.concat(vm.toString(n), n == 1 ? " proposal" : " proposals");
    }

    function _learners(uint256 n) private pure returns (string memory) {
        return string.concat(vm.toString(n), " learners");
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
