// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {ICollectiveLearning} from "../src/ICollectiveLearning.sol";
import {ContentRef} from "../src/types/ContentRef.sol";
import {Admission, Merge, Selection} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";

/// @notice Shared by all tests: a contract, a creator, learners with keys, default parameters.
abstract contract Base is Test {
    uint64 internal constant ABSENT = 0x7ff8000000000000;
    uint64 internal constant HALF = 0x3fe0000000000000;
    /// @dev 0.8731..., a typical score: none of its bytes is zero.
    uint64 internal constant SCORE = 0x3febf05a3c8d1e27;
    uint40 internal constant WINDOW = 600;
    bytes32 internal constant BALLOT = keccak256(
        "Ballot(uint64 experiment,uint32 round,address learner,bytes32 proposals,uint16 approvals,bytes scores)"
    );

    ICollectiveLearning internal hub;
    address internal creator = address(0xC0FFEE);

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        hub = ICollectiveLearning(deployCode("CollectiveLearning.sol:CollectiveLearning"));
    }

    // ------------------------------------------------------------------ values

    function key(uint256 i) internal pure returns (uint256) {
        return 0xA11CE + i;
    }

    function account(uint256 i) internal pure returns (address) {
        return vm.addr(key(i));
    }

    function content(uint256 salt) internal pure returns (ContentRef memory) {
        bytes32 digest = keccak256(abi.encode("content", salt));
        return ContentRef(0x55, digest, digest, 1_000);
    }

    /// @dev What `proposeWeights` proposes.
    function proposal(uint32 round, uint256 slot) internal pure returns (ContentRef memory) {
        return content(100 + 16 * uint256(round) + slot);
    }

    function defaults() internal pure returns (Params memory p) {
        p.name = "breast cancer";
        p.spec = content(1);
        p.initial = content(2);
        p.rounds = 10;
        p.minLearners = 2;
        p.maxLearners = 10_000;
        p.approvalBps = 5_000;
        p.proposeWindow = uint32(WINDOW);
        p.voteWindow = uint32(WINDOW);
        p.selection = Selection.RoundRobin;
        p.proposers = 1;
        p.merge = Merge.Mean;
        p.admission = Admission.Open;
    }

    function plural(uint8 proposers) internal pure returns (Params memory p) {
        p = defaults();
        p.proposers = proposers;
    }

    /// @dev The scores of a ballot on this many proposals.
    function scores(uint256 proposals) internal pure returns (bytes memory list) {
        for (uint256 i = 0; i <= proposals; ++i) {
            list = bytes.concat(list, abi.encodePacked(SCORE, HALF));
        }
    }

    // ------------------------------------------------------------------ steps

    function createExperiment(Params memory p) internal returns (ExperimentId id) {
        vm.prank(creator);
        id = hub.create(p);
    }

    function joinAll(ExperimentId id, uint256 n) internal {
        bytes32 hash = hub.experiment(id).hash;
        for (uint256 i = 0; i < n; ++i) {
            vm.prank(account(i));
            hub.join(id, hash, 0);
        }
    }

    function startExperiment(Params memory p, uint256 n) internal returns (ExperimentId id) {
        id = createExperiment(p);
        joinAll(id, n);
        vm.prank(creator);
        hub.start(id);
    }

    function proposerOf(ExperimentId id, uint32 round, uint256 slot) internal view returns (address) {
        return hub.round(id, round).slots[slot].proposer;
    }

    /// @dev The proposal of one slot.
    function proposeIn(ExperimentId id, uint32 round, uint256 slot) internal {
        address proposer = proposerOf(id, round, slot);
        vm.prank(proposer);
        hub.propose(id, round, proposal(round, slot), HALF, ABSENT);
    }

    /// @dev The proposals of all slots.
    function proposeWeights(ExperimentId id, uint32 round) internal {
        uint256 slots = hub.round(id, round).slots.length;
        for (uint256 slot = 0; slot < slots; ++slot) {
            proposeIn(id, round, slot);
        }
    }

    function digestOf(ExperimentId id, uint32 round) internal view returns (bytes32) {
        return hub.round(id, round).proposals;
    }

    /// @dev The scores of a ballot in a round.
    function scoresOf(ExperimentId id, uint32 round) internal view returns (bytes memory) {
        uint256 slots = hub.round(id, round).slots.length;
        uint256 proposals;
        for (uint256 slot = 0; slot < slots; ++slot) {
            if (hub.round(id, round).slots[slot].content.size != 0) ++proposals;
        }
        return scores(proposals);
    }

    function castVote(ExperimentId id, uint32 round, uint256 i, uint16 approvals) internal {
        bytes32 digest = digestOf(id, round);
        bytes memory list = scoresOf(id, round);
        vm.prank(account(i));
        hub.vote(id, round, digest, approvals, list);
    }

    /// @dev Moves the clock to the deadline of the open phase.
    function passDeadline(ExperimentId id) internal returns (uint40 deadline) {
        deadline = hub.round(id, hub.experiment(id).round).deadline;
        vm.warp(deadline);
    }

    function strikesOf(ExperimentId id, uint256 i) internal view returns (uint32) {
        uint32 proposals = hub.learner(id, account(i)).missedProposals;
        uint32 ballots = hub.learner(id, account(i)).missedBallots;
        return proposals > ballots ? proposals : ballots;
    }

    function expectError(bytes4 selector, bytes memory arguments) internal {
        vm.expectRevert(abi.encodePacked(selector, arguments));
    }

    // ------------------------------------------------------------------ hashes

    function signedBallot(ExperimentId id, uint32 round, uint256 i, uint16 approvals)
        internal
        view
        returns (bytes memory)
    {
        return signedBallot(id, round, i, approvals, digestOf(id, round), scoresOf(id, round));
    }

    function signedBallot(
        ExperimentId id,
        uint32 round,
        uint256 i,
        uint16 approvals,
        bytes32 digest,
        bytes memory list
    ) internal view returns (bytes memory) {
        bytes32 structHash = keccak256(
            abi.encode(BALLOT, id, round, account(i), digest, approvals, keccak256(list))
        );
        bytes memory signature =
            sign(i, keccak256(abi.encodePacked("\x19\x01", hub.domainSeparator(), structHash)));
        return abi.encodePacked(account(i), approvals, list, signature);
    }

    /// @dev A compact signature (EIP-2098).
    function sign(uint256 i, bytes32 message) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key(i), message);
        return abi.encodePacked(r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    function commitment(ExperimentId id, uint32 round, uint256 i, uint16 approvals, bytes32 salt)
        internal
        view
        returns (bytes32)
    {
        return sha256(
            abi.encodePacked(
                hub.domainSeparator(),
                id,
                round,
                account(i),
                digestOf(id, round),
                approvals,
                scoresOf(id, round),
                salt
            )
        );
    }

    function commitBallot(ExperimentId id, uint32 round, uint256 i, uint16 approvals, bytes32 salt) internal {
        bytes32 pledge = commitment(id, round, i, approvals, salt);
        bytes32 digest = digestOf(id, round);
        vm.prank(account(i));
        hub.commit(id, round, digest, pledge);
    }

    function revealBallot(ExperimentId id, uint32 round, uint256 i, uint16 approvals, bytes32 salt) internal {
        bytes memory list = scoresOf(id, round);
        vm.prank(account(i));
        hub.reveal(id, round, approvals, list, salt);
    }
}
