// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {ICollectiveLearningCalls as C} from "../../src/ICollectiveLearning.sol";
import {BallotPage, SignedBallots} from "../../src/libraries/SignedBallots.sol";
import {ExperimentId} from "../../src/types/ExperimentId.sol";

contract SignedBallotsTest is Test {
    struct Read {
        address learner;
        bool isSigned;
        bool approves;
    }

    bytes32 private constant SEPARATOR = keccak256("a domain");
    bytes32 private constant TYPEHASH = keccak256(
        "Ballot(uint64 experiment,uint32 round,address learner,bool approve,uint64 voteScore,uint64 testScore)"
    );

    function readAll(bytes calldata batch, ExperimentId id, uint32 round)
        external
        returns (Read[] memory ballots)
    {
        ballots = new Read[](batch.length / SignedBallots.LENGTH);
        BallotPage page = SignedBallots.page(SEPARATOR, id, round);
        (uint256 at, uint256 end) = SignedBallots.span(batch);
        for (uint256 i = 0; at < end; at = SignedBallots.next(at)) {
            (address learner, bool isSigned) = page.read(at);
            ballots[i] = Read(learner, isSigned, page.approves());
            ++i;
            if (isSigned) page.emitVoteCast(id, round);
        }
    }

    function testFuzz_read_returnsEveryBallotOfABatch(uint64 id, uint32 round, uint64 vote, uint64 test)
        public
    {
        bytes memory batch;
        for (uint256 i = 0; i < 5; ++i) {
            batch = abi.encodePacked(batch, _ballot(i, id, round, i % 2 == 0, vote, test));
        }
        Read[] memory ballots = this.readAll(batch, ExperimentId.wrap(id), round);
        for (uint256 i = 0; i < 5; ++i) {
            assertEq(ballots[i].learner, vm.addr(_key(i)));
            assertTrue(ballots[i].isSigned);
            assertEq(ballots[i].approves, i % 2 == 0);
        }
    }

    /// @dev The assembly emits what `emit VoteCast(…)` would.
    function testFuzz_emitVoteCast_equalsTheSolidityEvent(uint64 id, uint32 round, bool approve, uint64 score)
        public
    {
        vm.expectEmit();
        emit C.VoteCast(ExperimentId.wrap(id), round, vm.addr(_key(3)), approve, score, ~score);
        this.readAll(_ballot(3, id, round, approve, score, ~score), ExperimentId.wrap(id), round);
    }

    function testFuzz_read_refusesABallotOfAnotherRoundOrExperiment(uint64 id, uint32 round) public {
        bytes memory ballot = _ballot(1, id, round, true, 0, 0);
        unchecked {
            assertFalse(this.readAll(ballot, ExperimentId.wrap(id + 1), round)[0].isSigned);
            assertFalse(this.readAll(ballot, ExperimentId.wrap(id), round + 1)[0].isSigned);
        }
    }

    /// @dev A signature over an `approve` that is neither 0 nor 1 is not a ballot.
    function testFuzz_read_refusesAnApprovalOtherThanZeroOrOne(uint8 approve) public {
        bytes32 structHash =
            keccak256(abi.encode(TYPEHASH, uint64(1), uint32(2), vm.addr(_key(0)), uint256(approve), 0, 0));
        bytes memory ballot =
            abi.encodePacked(vm.addr(_key(0)), approve, uint64(0), uint64(0), _sign(0, structHash));
        assertEq(this.readAll(ballot, ExperimentId.wrap(1), 2)[0].isSigned, approve < 2);
    }

    function test_read_refusesAnUnsignedBallotOfNobody() public {
        bytes memory ballot = new bytes(SignedBallots.LENGTH);
        assertFalse(this.readAll(ballot, ExperimentId.wrap(1), 2)[0].isSigned);
    }

    /// @dev A bad ballot leaves nothing behind that could change the next one.
    function test_read_isNotAffectedByTheBallotBefore() public {
        bytes memory bad = new bytes(SignedBallots.LENGTH);
        for (uint256 i = 0; i < bad.length; ++i) {
            bad[i] = 0xff;
        }
        bytes memory batch = abi.encodePacked(bad, _ballot(2, 7, 8, false, 0, 1));
        Read[] memory ballots = this.readAll(batch, ExperimentId.wrap(7), 8);
        assertFalse(ballots[0].isSigned);
        assertTrue(ballots[1].isSigned);
        assertFalse(ballots[1].approves);
    }

    function _key(uint256 i) private pure returns (uint256) {
        return 0xB0B + i;
    }

    function _ballot(uint256 i, uint64 id, uint32 round, bool approve, uint64 vote, uint64 test)
        private
        pure
        returns (bytes memory)
    {
        address learner = vm.addr(_key(i));
        bytes32 structHash = keccak256(abi.encode(TYPEHASH, id, round, learner, approve, vote, test));
        return abi.encodePacked(learner, approve, vote, test, _sign(i, structHash));
    }

    function _sign(uint256 i, bytes32 structHash) private pure returns (bytes memory) {
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", SEPARATOR, structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_key(i), digest);
        return abi.encodePacked(r, bytes32(uint256(s) | uint256(v - 27) << 255));
    }
}
