// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

import {ICollectiveLearning, ICollectiveLearningCalls as C} from "../src/ICollectiveLearning.sol";
import {BallotState, SkipReason} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";
import {Base} from "./Base.sol";

/// @notice Compares signed ballots and commitments with hashes computed here: any other value is refused.
contract SigningTest is Base {
    /// @dev Forge's chain id. Not read from the block: the compiler treats `block.chainid` as constant in a test.
    uint256 private constant CHAIN = 31_337;

    ExperimentId private id;
    bytes32 private digest;

    function setUp() public override {
        super.setUp();
        id = startExperiment(defaults(), 4);
        proposeWeights(id, 0);
        digest = digestOf(id, 0);
    }

    function test_domainSeparator_isTheOneOfEip712() public view {
        bytes32 domain =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 wanted = keccak256(
            abi.encode(domain, keccak256("CollectiveLearning"), keccak256("2"), block.chainid, address(hub))
        );
        assertEq(hub.domainSeparator(), wanted);
    }

    function testFuzz_voteSigned_countsBallotsWithAnyScores(bool approve, uint256 vote, uint256 test) public {
        bytes memory list = abi.encodePacked(vote, test);
        // 64 bytes: for three proposals
        ExperimentId many = startExperiment(plural(3), 5);
        proposeWeights(many, 0);
        bytes memory ballot = signedBallot(many, 0, 1, approve ? 5 : 0, digestOf(many, 0), list);
        bytes32 proposals = digestOf(many, 0);
        vm.expectEmit(address(hub));
        emit C.VoteCast(many, 0, account(1), approve ? 5 : 0, list);
        hub.voteSigned(many, 0, proposals, ballot);
        assertEq(hub.ballot(many, 0, account(1)).approvals, approve ? 5 : 0);
    }

    /// @dev Any bit of a ballot or its signature.
    function testFuzz_voteSigned_skipsABallotWithOneChangedBit(uint256 at) public {
        bytes memory ballot = signedBallot(id, 0, 1, 1);
        at = bound(at, 0, ballot.length * 8 - 1);
        ballot[at / 8] ^= bytes1(uint8(1 << (at % 8)));
        vm.recordLogs();
        hub.voteSigned(id, 0, digest, ballot);
        bytes32 topic = vm.getRecordedLogs()[0].topics[0];
        assertEq(topic, C.BallotSkipped.selector);
        assertEq(hub.round(id, 0).ballots, 0);
    }

    function test_voteSigned_skipsABallotForAnotherDomain() public {
        bytes32 here = hub.domainSeparator();
        _skips(_ballot(here, id, 1, digest));
        _skips(_ballot(here, id, 0, ~digest));
        ExperimentId other = startExperiment(defaults(), 4);
        _skips(_ballot(here, other, 0, digest));
        vm.chainId(CHAIN + 1);
        bytes32 elsewhere = hub.domainSeparator();
        vm.chainId(CHAIN);
        assertNotEq(elsewhere, here);
        _skips(_ballot(elsewhere, id, 0, digest));
        _skips(_ballot(bytes32(uint256(1)), id, 0, digest));
        hub.voteSigned(id, 0, digest, _ballot(here, id, 0, digest));
        assertEq(uint8(hub.ballot(id, 0, account(1)).state), uint8(BallotState.Cast));
    }

    /// @dev After a fork of the chain, a ballot signed for one side does not count on the other.
    function test_voteSigned_skipsBallotsAfterAChangeOfTheChainId() public {
        bytes memory ballot = signedBallot(id, 0, 1, 1);
        vm.chainId(CHAIN + 1);
        _skips(ballot);
    }

    /// @dev Two clones of one deployment have the same code, with the same cached separator in it, the same
    /// experiments and the same proposals.
    function test_voteSigned_skipsBallotsForAnotherClone() public {
        address original = address(hub);
        ICollectiveLearning first = ICollectiveLearning(Clones.clone(original));
        ICollectiveLearning second = ICollectiveLearning(Clones.clone(original));
        assertNotEq(first.domainSeparator(), second.domainSeparator());
        assertNotEq(first.domainSeparator(), ICollectiveLearning(original).domainSeparator());

        hub = second;
        ExperimentId there = startExperiment(defaults(), 4);
        proposeWeights(there, 0);
        hub = first;
        id = startExperiment(defaults(), 4);
        proposeWeights(id, 0);
        assertEq(ExperimentId.unwrap(id), ExperimentId.unwrap(there));
        bytes memory ballot = signedBallot(id, 0, 1, 1);

        hub = second;
        _skips(ballot);
        hub = ICollectiveLearning(original);
        _skips(ballot);
        hub = first;
        hub.voteSigned(id, 0, digest, ballot);
        assertEq(uint8(hub.ballot(id, 0, account(1)).state), uint8(BallotState.Cast));
    }

    function test_reveal_refusesTheCommitmentOfAnotherClone() public {
        Params memory p = defaults();
        p.revealWindow = uint32(WINDOW);
        address original = address(hub);
        hub = ICollectiveLearning(Clones.clone(original));
        id = startExperiment(p, 3);
        proposeWeights(id, 0);
        bytes32 pledge = commitment(id, 0, 1, 1, "salt");
        hub = ICollectiveLearning(Clones.clone(original));
        id = startExperiment(p, 3);
        proposeWeights(id, 0);
        for (uint256 i = 1; i < 3; ++i) {
            vm.prank(account(i));
            hub.commit(id, 0, digest, pledge);
        }
        expectError(C.BadReveal.selector, abi.encode(account(1)));
        vm.prank(account(1));
        hub.reveal(id, 0, 1, scores(1), "salt");
    }

    function test_voteSigned_skipsTheZeroAddress() public {
        bytes memory ballot = abi.encodePacked(address(0), uint16(1), scores(1), bytes32(0), bytes32(0));
        vm.expectEmit(address(hub));
        emit C.BallotSkipped(id, 0, address(0), SkipReason.BadSignature);
        hub.voteSigned(id, 0, digest, ballot);
    }

    /// @dev In any order, across the borders between words, in classic and plural rounds.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_voteSigned_equalsSingleBallots(uint256 seed, uint256 from, uint8 k) public {
        k = uint8(bound(k, 1, 4));
        ExperimentId many = startExperiment(plural(k), 200);
        proposeWeights(many, 0);
        uint256 first = bound(from, k, 150);
        bytes memory batch;
        for (uint256 n = 0; n < 40; ++n) {
            // 40 and 17 have no common factor, so this visits each index once.
            uint256 i = first + (n * 17) % 40;
            batch = bytes.concat(
                batch, signedBallot(many, 0, i, _choice(seed, i, k), digestOf(many, 0), scores(k))
            );
        }
        hub.voteSigned(many, 0, digestOf(many, 0), batch);
        uint16[4] memory counts;
        for (uint256 i = 0; i < 200; ++i) {
            bool voted = i >= first && i < first + 40;
            uint16 chosen = voted ? _choice(seed, i, k) : 0;
            for (uint256 slot = 0; slot < k; ++slot) {
                counts[slot] += (chosen >> slot) & 1;
            }
            assertEq(
                uint8(hub.ballot(many, 0, account(i)).state),
                uint8(voted ? BallotState.Cast : BallotState.None)
            );
            assertEq(hub.ballot(many, 0, account(i)).approvals, chosen);
        }
        for (uint256 slot = 0; slot < k; ++slot) {
            assertEq(hub.round(many, 0).slots[slot].approvals, counts[slot]);
        }
        assertEq(hub.round(many, 0).ballots, 40);
    }

    function testFuzz_reveal_needsTheCommittedValues(
        uint16 approvals,
        uint256 list,
        bytes32 salt,
        uint8 which
    ) public {
        Params memory p = defaults();
        p.revealWindow = uint32(WINDOW);
        ExperimentId secret = startExperiment(p, 3);
        proposeWeights(secret, 0);
        approvals &= 1;
        bytes32 pledge = sha256(
            abi.encodePacked(
                hub.domainSeparator(), secret, uint32(0), account(1), digest, approvals, list, salt
            )
        );
        for (uint256 i = 1; i < 3; ++i) {
            vm.prank(account(i));
            hub.commit(secret, 0, digest, pledge);
        }
        which %= 3;
        expectError(C.BadReveal.selector, abi.encode(account(1)));
        vm.prank(account(1));
        hub.reveal(
            secret,
            0,
            which == 0 ? approvals ^ 1 : approvals,
            abi.encodePacked(which == 1 ? list ^ 1 : list),
            which == 2 ? salt ^ bytes32(uint256(1)) : salt
        );
        expectError(C.BadReveal.selector, abi.encode(account(2)));
        vm.prank(account(2));
        hub.reveal(secret, 0, approvals, abi.encodePacked(list), salt);
        vm.prank(account(1));
        hub.reveal(secret, 0, approvals, abi.encodePacked(list), salt);
        assertEq(hub.ballot(secret, 0, account(1)).approvals, approvals);
    }

    // ------------------------------------------------------------------ helpers

    function _skips(bytes memory ballot) private {
        vm.expectEmit(address(hub));
        emit C.BallotSkipped(id, 0, account(1), SkipReason.BadSignature);
        hub.voteSigned(id, 0, digest, ballot);
        assertEq(uint8(hub.ballot(id, 0, account(1)).state), uint8(BallotState.None));
    }

    /// @dev A ballot of the second learner.
    function _ballot(bytes32 separator, ExperimentId experiment, uint32 round, bytes32 proposals)
        private
        pure
        returns (bytes memory)
    {
        bytes32 structHash = keccak256(
            abi.encode(BALLOT, experiment, round, account(1), proposals, uint16(1), keccak256(scores(1)))
        );
        bytes memory signature = sign(1, keccak256(abi.encodePacked("\x19\x01", separator, structHash)));
        return abi.encodePacked(account(1), uint16(1), scores(1), signature);
    }

    function _choice(uint256 seed, uint256 i, uint8 k) private pure returns (uint16) {
        return uint16(uint256(keccak256(abi.encode(seed, i)))) & uint16((1 << k) - 1);
    }
}
