// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearning as I} from "../src/ICollectiveLearning.sol";
import {BallotState, SkipReason} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";
import {Base} from "./Base.sol";

/// @notice Signed ballots and commitments, beside hashes made here: what is bound counts once, all else does not.
contract SigningTest is Base {
    /// @dev Forge's. Not read from the block: the compiler takes that for a constant and reads it again, changed.
    uint256 private constant CHAIN = 31_337;
    bytes32 private constant TYPEHASH = keccak256(
        "Ballot(uint64 experiment,uint32 round,address learner,bool approve,uint64 voteScore,uint64 testScore)"
    );

    ExperimentId private id;

    function setUp() public override {
        super.setUp();
        id = started(defaults(), 4);
        proposed(id, 0);
    }

    function test_the_domain_is_the_one_of_EIP712() public view {
        bytes32 domain =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 wanted = keccak256(
            abi.encode(domain, keccak256("CollectiveLearning"), keccak256("1"), block.chainid, address(hub))
        );
        assertEq(hub.domainSeparator(), wanted);
    }

    function testFuzz_a_ballot_with_any_scores_counts(bool approve, uint64 voteScore, uint64 testScore)
        public
    {
        bytes memory ballot =
            _ballot(_digest(0, approve, voteScore, testScore), approve, voteScore, testScore);
        vm.expectEmit(address(hub));
        emit I.VoteCast(id, 0, account(1), approve, voteScore, testScore);
        hub.voteSigned(id, 0, ballot);
        BallotState wanted = approve ? BallotState.Approved : BallotState.Rejected;
        assertEq(uint8(hub.ballot(id, 0, account(1)).state), uint8(wanted));
    }

    /// @dev Any bit of a ballot or its signature.
    function testFuzz_a_ballot_with_one_bit_changed_is_skipped(uint256 at) public {
        at = bound(at, 0, 101 * 8 - 1);
        bytes memory ballot = _ballot(_digest(0, true, SCORE, HALF), true, SCORE, HALF);
        ballot[at / 8] ^= bytes1(uint8(1 << (at % 8)));
        vm.recordLogs();
        hub.voteSigned(id, 0, ballot);
        bytes32 topic = vm.getRecordedLogs()[0].topics[0];
        assertEq(topic, I.BallotSkipped.selector);
        assertEq(hub.round(id, 0).approvals, 0);
    }

    function test_a_ballot_of_another_round_experiment_chain_or_contract_is_skipped() public {
        _skips(_ballot(_digest(1, true, HALF, HALF), true, HALF, HALF));
        ExperimentId other = started(defaults(), 4);
        _skips(_ballot(_digestOf(hub.domainSeparator(), other, 0, true, HALF, HALF), true, HALF, HALF));
        vm.chainId(CHAIN + 1);
        bytes32 elsewhere = hub.domainSeparator();
        vm.chainId(CHAIN);
        assertNotEq(elsewhere, hub.domainSeparator());
        _skips(_ballot(_digestOf(elsewhere, id, 0, true, HALF, HALF), true, HALF, HALF));
        _skips(_ballot(_digestOf(bytes32(uint256(1)), id, 0, true, HALF, HALF), true, HALF, HALF));
    }

    /// @dev After a fork of the chain, a ballot signed for the one side is none on the other.
    function test_a_ballot_is_skipped_after_the_chain_id_changed() public {
        bytes memory ballot = _ballot(_digest(0, true, HALF, HALF), true, HALF, HALF);
        vm.chainId(CHAIN + 1);
        _skips(ballot);
    }

    function test_a_signature_that_recovers_nobody_is_not_the_ballot_of_nobody() public {
        bytes memory ballot = abi.encodePacked(address(0), true, HALF, HALF, bytes32(0), bytes32(0));
        vm.expectEmit(address(hub));
        emit I.BallotSkipped(id, 0, address(0), SkipReason.BadSignature);
        hub.voteSigned(id, 0, ballot);
    }

    function test_approve_is_zero_or_one() public {
        for (uint256 odd = 2; odd < 256; odd += 127) {
            bytes32 structHash = keccak256(abi.encode(TYPEHASH, id, 0, account(1), odd, HALF, HALF));
            bytes32 digest = keccak256(abi.encodePacked("\x19\x01", hub.domainSeparator(), structHash));
            bytes memory ballot = _ballot(digest, true, HALF, HALF);
            ballot[20] = bytes1(uint8(odd));
            _skips(ballot);
        }
    }

    /// @dev Each in its own place, over the border between the hot slot and the words, in any order.
    function testFuzz_a_batch_counts_as_its_ballots_one_by_one(uint256 approvals, uint256 from) public {
        ExperimentId many = started(defaults(), 200);
        proposed(many, 0);
        uint256 first = bound(from, 1, 150);
        bytes memory batch;
        uint16 approved;
        for (uint256 k = 0; k < 40; ++k) {
            // 40 and 17 have no common factor: every one of them once.
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

    function testFuzz_a_commitment_opens_with_what_it_was_made_of_alone(
        bool approve,
        uint64 voteScore,
        uint64 testScore,
        bytes32 salt,
        uint8 which
    ) public {
        Params memory p = defaults();
        p.revealWindow = uint32(WINDOW);
        ExperimentId secret = started(p, 3);
        proposed(secret, 0);
        bytes32 pledge = sha256(
            abi.encodePacked(
                hub.domainSeparator(), secret, uint32(0), account(1), approve, voteScore, testScore, salt
            )
        );
        vm.prank(account(1));
        hub.commit(secret, 0, pledge);
        vm.prank(account(2));
        hub.commit(secret, 0, pledge);
        bytes memory bad = abi.encodeWithSelector(I.BadReveal.selector, account(1));
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
        vm.expectRevert(abi.encodeWithSelector(I.BadReveal.selector, account(2)));
        vm.prank(account(2));
        hub.reveal(secret, 0, approve, voteScore, testScore, salt);
        vm.prank(account(1));
        hub.reveal(secret, 0, approve, voteScore, testScore, salt);
        BallotState wanted = approve ? BallotState.Approved : BallotState.Rejected;
        assertEq(uint8(hub.ballot(secret, 0, account(1)).state), uint8(wanted));
    }

    // ------------------------------------------------------------------ parts

    function _skips(bytes memory ballot) private {
        vm.expectEmit(address(hub));
        emit I.BallotSkipped(id, 0, account(1), SkipReason.BadSignature);
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
