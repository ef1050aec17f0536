// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {ICollectiveLearning} from "../src/ICollectiveLearning.sol";
import {ContentRef} from "../src/types/ContentRef.sol";
import {Admission, Selection} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";

/// @notice Shared by all tests: a contract, a creator, learners with keys, default parameters.
abstract contract Base is Test {
    uint64 internal constant ABSENT = 0x7ff8000000000000;
    uint64 internal constant HALF = 0x3fe0000000000000;
    /// @dev 0.8731..., a typical score: none of its bytes is zero.
    uint64 internal constant SCORE = 0x3febf05a3c8d1e27;
    uint40 internal constant WINDOW = 600;

    ICollectiveLearning internal hub;
    address internal creator = address(0xC0FFEE);

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        hub = ICollectiveLearning(deployCode("CollectiveLearning.sol:CollectiveLearning"));
    }

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
        p.admission = Admission.Open;
    }

    function createExperiment(Params memory p) internal returns (ExperimentId id) {
        vm.prank(creator);
        id = hub.create(p);
    }

    function joinAll(ExperimentId id, uint256 n) internal {
        for (uint256 i = 0; i < n; ++i) {
            vm.prank(account(i));
            hub.join(id, 0);
        }
    }

    function startExperiment(Params memory p, uint256 n) internal returns (ExperimentId id) {
        id = createExperiment(p);
        joinAll(id, n);
        vm.prank(creator);
        hub.start(id);
    }

    function proposeWeights(ExperimentId id, uint32 round) internal {
        address proposer = hub.round(id, round).proposer;
        vm.prank(proposer);
        hub.propose(id, round, content(100 + round), HALF, ABSENT);
    }

    function castVote(ExperimentId id, uint32 round, uint256 i, bool approve) internal {
        vm.prank(account(i));
        hub.vote(id, round, approve, HALF, HALF);
    }

    function expectError(bytes4 selector, bytes memory arguments) internal {
        vm.expectRevert(abi.encodePacked(selector, arguments));
    }

    function signedBallot(ExperimentId id, uint32 round, uint256 i, bool approve)
        internal
        view
        returns (bytes memory)
    {
        bytes32 typehash = keccak256(
            "Ballot(uint64 experiment,uint32 round,address learner,bool approve,uint64 voteScore,uint64 testScore)"
        );
        bytes32 structHash = keccak256(abi.encode(typehash, id, round, account(i), approve, SCORE, HALF));
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(key(i), keccak256(abi.encodePacked("\x19\x01", hub.domainSeparator(), structHash)));
        bytes32 vs = bytes32(uint256(s) | (uint256(v - 27) << 255));
        return abi.encodePacked(account(i), approve, SCORE, HALF, r, vs);
    }

    function commitment(ExperimentId id, uint32 round, uint256 i, bool approve, bytes32 salt)
        internal
        view
        returns (bytes32)
    {
        return
            sha256(abi.encodePacked(hub.domainSeparator(), id, round, account(i), approve, HALF, HALF, salt));
    }
}
