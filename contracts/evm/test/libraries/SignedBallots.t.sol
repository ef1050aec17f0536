// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {ICollectiveLearningCalls as C} from "../../src/ICollectiveLearning.sol";
import {BallotPage, SignedBallots} from "../../src/libraries/SignedBallots.sol";
import {ExperimentId} from "../../src/types/ExperimentId.sol";

contract SignedBallotsTest is Test {
    struct Read {
        address learner;
        uint256 approvals;
        bool isSigned;
    }

    bytes32 private constant SEPARATOR = keccak256("a domain");
    bytes32 private constant PROPOSALS = keccak256("proposals");
    bytes32 private constant TYPEHASH = keccak256(
        "Ballot(uint64 experiment,uint32 round,address learner,bytes32 proposals,uint16 approvals,bytes scores)"
    );

    function readAll(bytes calldata batch, ExperimentId id, uint32 round, uint256 scoresLength)
        external
        returns (Read[] memory ballots)
    {
        uint256 length = SignedBallots.LENGTH + scoresLength;
        ballots = new Read[](batch.length / length);
        _dirtyMemory();
        BallotPage page = SignedBallots.page(SEPARATOR, id, round, PROPOSALS, scoresLength);
        (uint256 at, uint256 end) = SignedBallots.span(batch);
        for (uint256 i = 0; at < end; at = SignedBallots.next(at, length)) {
            (address learner, uint256 approvals, bool isSigned) = page.read(at);
            ballots[i] = Read(learner, approvals, isSigned);
            ++i;
            if (isSigned) page.emitVoteCast(id, round, learner);
        }
    }

    function testFuzz_read_returnsEveryBallotOfABatch(uint64 id, uint32 round, uint256 seed, uint8 proposals)
        public
    {
        uint256 length = 16 * (1 + bound(proposals, 1, 16));
        bytes memory batch;
        for (uint256 i = 0; i < 5; ++i) {
            batch = abi.encodePacked(batch, _ballot(i, id, round, uint16(i * 999), _scores(seed ^ i, length)));
        }
        Read[] memory ballots = this.readAll(batch, ExperimentId.wrap(id), round, length);
        for (uint256 i = 0; i < 5; ++i) {
            assertEq(ballots[i].learner, vm.addr(_key(i)));
            assertTrue(ballots[i].isSigned);
            assertEq(ballots[i].approvals, i * 999);
        }
    }

    /// @dev The assembly emits what `emit VoteCast(…)` would, also where the scores do not fill their last word.
    function testFuzz_emitVoteCast_equalsTheSolidityEvent(
        uint64 id,
        uint32 round,
        uint16 approvals,
        uint256 seed,
        uint8 proposals
    ) public {
        bytes memory scores = _scores(seed, 16 * (1 + bound(proposals, 1, 16)));
        vm.expectEmit();
        emit C.VoteCast(ExperimentId.wrap(id), round, vm.addr(_key(3)), approvals, scores);
        vm.recordLogs();
        this.readAll(_ballot(3, id, round, approvals, scores), ExperimentId.wrap(id), round, scores.length);
        assertEq(vm.getRecordedLogs()[0].data, abi.encode(approvals, scores));
    }

    function testFuzz_read_refusesABallotOfAnotherRoundOrExperiment(uint64 id, uint32 round) public {
        bytes memory ballot = _ballot(1, id, round, 1, _scores(0, 32));
        unchecked {
            assertFalse(this.readAll(ballot, ExperimentId.wrap(id + 1), round, 32)[0].isSigned);
            assertFalse(this.readAll(ballot, ExperimentId.wrap(id), round + 1, 32)[0].isSigned);
        }
    }

    function test_read_refusesABallotOnOtherProposals() public {
        bytes32 structHash =
            keccak256(abi.encode(TYPEHASH, 1, 2, vm.addr(_key(0)), ~PROPOSALS, 1, keccak256(_scores(0, 32))));
        bytes memory ballot =
            abi.encodePacked(vm.addr(_key(0)), uint16(1), _scores(0, 32), _sign(0, structHash));
        assertFalse(this.readAll(ballot, ExperimentId.wrap(1), 2, 32)[0].isSigned);
    }

    function test_read_refusesAnUnsignedBallotOfNobody() public {
        bytes memory ballot = new bytes(SignedBallots.LENGTH + 32);
        assertFalse(this.readAll(ballot, ExperimentId.wrap(1), 2, 32)[0].isSigned);
    }

    /// @dev A bad ballot leaves nothing behind that could change the next one.
    function test_read_isNotAffectedByTheBallotBefore() public {
        bytes memory bad = new bytes(SignedBallots.LENGTH + 48);
        for (uint256 i = 0; i < bad.length; ++i) {
            bad[i] = 0xff;
        }
        bytes memory scores = _scores(0, 48);
        bytes memory batch = abi.encodePacked(bad, _ballot(2, 7, 8, 0, scores));
        vm.recordLogs();
        Read[] memory ballots = this.readAll(batch, ExperimentId.wrap(7), 8, 48);
        assertFalse(ballots[0].isSigned);
        assertTrue(ballots[1].isSigned);
        assertEq(ballots[1].approvals, 0);
        assertEq(vm.getRecordedLogs()[0].data, abi.encode(uint16(0), scores));
    }

    // ------------------------------------------------------------------ helpers

    /// @dev Memory that is not allocated need not be zero.
    function _dirtyMemory() private pure {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let at := mload(0x40)
            for { let end := add(at, 0x400) } lt(at, end) { at := add(at, 0x20) } { mstore(at, not(0)) }
        }
    }

    function _key(uint256 i) private pure returns (uint256) {
        return 0xB0B + i;
    }

    function _scores(uint256 seed, uint256 length) private pure returns (bytes memory scores) {
        scores = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            scores[i] = bytes1(uint8(uint256(keccak256(abi.encode(seed, i)))));
        }
    }

    function _ballot(uint256 i, uint64 id, uint32 round, uint16 approvals, bytes memory scores)
        private
        pure
        returns (bytes memory)
    {
        address learner = vm.addr(_key(i));
        bytes32 structHash =
            keccak256(abi.encode(TYPEHASH, id, round, learner, PROPOSALS, approvals, keccak256(scores)));
        return abi.encodePacked(learner, approvals, scores, _sign(i, structHash));
    }

    function _sign(uint256 i, bytes32 structHash) private pure returns (bytes memory) {
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", SEPARATOR, structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_key(i), digest);
        return abi.encodePacked(r, bytes32(uint256(s) | uint256(v - 27) << 255));
    }
}
