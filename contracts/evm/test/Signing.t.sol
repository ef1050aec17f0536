// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls as C} from "../src/ICollectiveLearning.sol";
import {BallotState, SkipReason} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";
import {Base} from "./Base.sol";

/// @notice Compares signed ballots and commitments with hashes computed here: any other value is refused.
contract SigningTest is Base {
    /// @dev Forge's chain id. Not read from the block: the compiler treats `block.chainid` as constant in a test.
    uint256 private constant CHAIN = 31_337;
    bytes32 private constant TYPEHASH = keccak256(
        "Ballot(uint64 experiment,uint32 round,address learner,bool approve,uint64 voteScore,uint64 testScore)"
    );

    ExperimentId private id;

    function setUp() public override {
        super.setUp();
        id = startExperiment(defaults(), 4);
        proposeWeights(id, 0);
    }

    function test_domainSeparator_isTheOneOfEip712() public view {
        bytes32 domain =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 wanted = keccak256(
            abi.encode(domain, keccak256("CollectiveLearning"), keccak256("1"), block.chainid, address(hub))
        );
        assertEq(hub.domainSeparator(), wanted);
    }

    function testFuzz_voteSigned_countsBallotsWithAnyScores(bool approve, uint64 voteScore, uint64 testScore)
        public
    {
        bytes memory ballot =
            _ballot(_digest(0, approve, voteScore, testScore), approve, voteScore, testScore);
        vm.expectEmit(address(hub));
        emit C.VoteCast(id, 0, account(1), approve, voteScore, testScore);
        hub.voteSigned(id, 0, ballot);
        BallotState wanted = approve ? BallotState.Approved : BallotState.Rejected;
        assertEq(uint8(hub.ballot(id, 0, account(1)).state), uint8(wanted));
    }

    /// @dev Any bit of a ballot or its signature.
    function testFuzz_voteSigned_skipsABallotWithOneChangedBit(uint256 at) public {
        at = bound(at, 0, 101 * 8 - 1);
        bytes memory ballot = _ballot(_digest(0, true, SCORE, HALF), true, SCORE, HALF);
        ballot[at / 8] ^= bytes1(uint8(1 << (at % 8)));
        vm.recordLogs();
        hub.voteSigned(id, 0, ballot);
        bytes32 topic = vm.getRecordedLogs()[0].topics[0];
        assertEq(topic, C.BallotSkipped.selector);
        assertEq(hub.round(id, 0).approvals, 0);
    }

    function test_voteSigned_skipsABallotForAnotherDomain() public {
        _skips(_ballot(_digest(1, true, HALF, HALF), true, HALF, HALF));
        ExperimentId other = startExperiment(defaults(), 4);
        _skips(_ballot(_digestOf(hub.domainSeparator(), other, 0, true, HALF, HALF), true, HALF, HALF));
        vm.chainId(CHAIN + 1);
        bytes32 elsewhere = hub.domainSeparator();
        vm.chainId(CHAIN);
        assertNotEq(elsewhere, hub.domainSeparator());
        _skips(_ballot(_digestOf(elsewhere, id, 0, true, HALF, HALF), true, HALF, HALF));
        _skips(_ballot(_digestOf(bytes32(uint256(1)), id, 0, true, HALF, HALF), true, HALF, HALF));
    }

    /// @dev After a fork of the chain, a ballot signed for one side does not count on the other.
    function test_voteSigned_skipsBallotsAfterAChangeOfTheChainId() public {
        bytes memory ballot = _ballot(_digest(0, true, HALF, HALF), true, HALF, HALF);
        vm.chainId(CHAIN + 1);
        _skips(ballot);
    }

    function test_voteSigned_skipsTheZeroAddress() public {
        bytes memory ballot = abi.encodePacked(address(0), true, HALF, HALF, bytes32(0), bytes32(0));
        vm.expectEmit(address(hub));
        emit C.BallotSkipped(id, 0, address(0), SkipReason.BadSignature);
        hub.voteSigned(id, 0, ballot);
    }

    function test_voteSigned_skipsAnApprovalOtherThanZeroOrOne() public {
        for (uint256 odd = 2; odd < 256; odd += 127) {
            bytes32 structHash = keccak256(abi.encode(TYPEHASH, id, 0, account(1), odd, HALF, HALF));
            bytes32 digest = keccak256(abi.encodePacked("\x19\x01", hub.domainSeparator(), structHash));
            bytes memory ballot = _ballot(digest, true, HALF, HALF);
            ballot[20] = bytes1(uint8(odd));
            _skips(ballot);
        }
    }

    /// @dev In any order, across the border between the first slot and the ballot words.
    function testFuzz_voteSigned_equalsSingleBallots(uint256 approvals, uint256 from) public {
        ExperimentId many = startExperiment(defaults(), 200);
        proposeWeights(many, 0);
        uint256 first = bound(from, 1, 150);
        bytes memory batch;
        uint16 approved;
        for (uint256 k = 0; k < 40; ++k) {
            // 40 and 17 have no common factor, so this visits each index once.
            uint256 i = first + (k * 17) % 40;
            bool approve = (approvals >> i) & 1 == 1;
            if (approve) ++approved;
            batch = bytes.concat(batch, signedBallot(many, 0, i, approve));
        }
        hub.voteSigned(many, 0, batch);
        assertEq(hub.round(many, 0).approvals, approved);
        assertEq(hub.round(many, 0).rejections, 199 - approved - (199 - 40));
        for (uint256 i = 0; i < 200; ++i) {
            BallotState wanted = BallotState.None;
            if (i >= first && i < first + 40) {
                wanted = (approvals >> i) & 1 == 1 ? BallotState.Approved : BallotState.Rejected;
            }
            assertEq(uint8(hub.ballot(many, 0, account(i)).state), uint8(wanted));
        }
    }

    function testFuzz_reveal_needsTheCommittedValues(
        bool approve,
        uint64 voteScore,
        uint64 testScore,
        bytes32 salt,
        uint8 which
    ) public {
        Params memory p = defaults();
        p.revealWindow = uint32(WINDOW);
        ExperimentId secret = startExperiment(p, 3);
        proposeWeights(secret, 0);
        bytes32 pledge = sha256(
            abi.encodePacked(
                hub.domainSeparator(), secret, uint32(0), account(1), approve, voteScore, testScore, salt
            )
        );
        vm.prank(account(1));
        hub.commit(secret, 0, pledge);
        vm.prank(account(2));
        hub.commit(secret, 0, pledge);
        bytes memory bad = abi.encodeWithSelector(C.BadReveal.selector, account(1));
        which %= 4;
        vm.expectRevert(bad);
        vm.prank(account(1));
        hub.reveal(
            secret,
            0,
            which == 0 ? !approve : approve,
            which == 1 ? voteScore ^ 1 : voteScore,
            which == 2 ? testScore ^ 1 : testScore,
            which == 3 ? salt ^ bytes32(uint256(1)) : salt
        );
        vm.expectRevert(abi.encodeWithSelector(C.BadReveal.selector, account(2)));
        vm.prank(account(2));
        hub.reveal(secret, 0, approve, voteScore, testScore, salt);
        vm.prank(account(1));
        hub.reveal(secret, 0, approve, voteScore, testScore, salt);
        BallotState wanted = approve ? BallotState.Approved : BallotState.Rejected;
        assertEq(uint8(hub.ballot(secret, 0, account(1)).state), uint8(wanted));
    }

    // ------------------------------------------------------------------ helpers

    function _skips(bytes memory ballot) private {
        vm.expectEmit(address(hub));
        emit C.BallotSkipped(id, 0, account(1), SkipReason.BadSignature);
        hub.voteSigned(id, 0, ballot);
        assertEq(uint8(hub.ballot(id, 0, account(1)).state), uint8(BallotState.None));
    }

    function _digest(uint32 round, bool approve, uint64 voteScore, uint64 testScore)
        private
        view
        returns (bytes32)
    {
        return _digestOf(hub.domainSeparator(), id, round, approve, voteScore, testScore);
    }

    function _digestOf(
        bytes32 separator,
        ExperimentId experiment,
        uint32 round,
        bool approve,
        uint64 voteScore,
        uint64 testScore
    ) private pure returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(TYPEHASH, experiment, round, account(1), approve, voteScore, testScore)
        );
        return keccak256(abi.encodePacked("\x19\x01", separator, structHash));
    }

    function _ballot(bytes32 digest, bool approve, uint64 voteScore, uint64 testScore)
        private
        pure
        returns (bytes memory)
    {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key(1), digest);
        bytes32 vs = bytes32(uint256(s) | (uint256(v - 27) << 255));
        return abi.encodePacked(account(1), approve, voteScore, testScore, r, vs);
    }
}
