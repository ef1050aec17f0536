// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Base} from "../Base.sol";

import {ICollectiveLearningCalls as C} from "../../src/ICollectiveLearning.sol";
import {Parameters} from "../../src/libraries/Parameters.sol";
import {ContentRef} from "../../src/types/ContentRef.sol";
import {Admission, Merge, Selection} from "../../src/types/Enums.sol";
import {Params} from "../../src/types/Params.sol";

contract ParametersTest is Base {
    function check(Params calldata params) external pure {
        Parameters.check(params);
    }

    function hash(address creator_, Params calldata params) external pure returns (bytes32) {
        return Parameters.hash(creator_, params);
    }

    function test_defaults_areAccepted() public view {
        this.check(defaults());
    }

    function testFuzz_name_hasOneTo64Bytes(uint8 length) public {
        Params memory p = defaults();
        bytes memory name = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            name[i] = "a";
        }
        p.name = string(name);
        _expect(p, length >= 1 && length <= 64, "name");
    }

    function test_name_isUtf8() public {
        Params memory p = defaults();
        p.name = string(bytes(hex"c0af"));
        _expect(p, false, "name");
    }

    function test_name_hasNoControlCharacters() public {
        Params memory p = defaults();
        p.name = "two\nlines";
        _expect(p, false, "name");
    }

    function test_spec_isRequired() public {
        Params memory p = defaults();
        p.spec = ContentRef(0, 0, 0, 0);
        _expect(p, false, "spec");
    }

    function test_initial_isAbsentOrWellFormed() public {
        Params memory p = defaults();
        p.initial = ContentRef(0, 0, 0, 0);
        _expect(p, true, "");
        p.initial = ContentRef(0x55, 0, 0, 1);
        _expect(p, false, "initial");
    }

    function testFuzz_rounds_leaveRoomForOneMore(uint32 rounds) public {
        Params memory p = defaults();
        p.rounds = rounds;
        _expect(p, rounds >= 1 && rounds < type(uint32).max, "rounds");
    }

    function testFuzz_learners_areWithinTheirBounds(uint16 least, uint16 most) public {
        Params memory p = defaults();
        p.minLearners = least;
        p.maxLearners = most;
        if (least < 2) _expect(p, false, "min_learners");
        else _expect(p, most >= least && most <= 10_000, "max_learners");
    }

    function testFuzz_approval_isAShare(uint16 bps) public {
        Params memory p = defaults();
        p.approvalBps = bps;
        _expect(p, bps >= 1 && bps <= 10_000, "approval_bps");
    }

    function testFuzz_windows_areAtLeastASecond(uint32 propose, uint32 vote, uint32 reveal) public {
        Params memory p = defaults();
        p.proposeWindow = propose % 3;
        p.voteWindow = vote % 3;
        p.revealWindow = reveal;
        if (p.proposeWindow == 0) _expect(p, false, "propose_window");
        else _expect(p, p.voteWindow != 0, "vote_window");
    }

    function testFuzz_proposers_areOneTo16(uint8 proposers) public {
        Params memory p = plural(proposers);
        _expect(p, proposers >= 1 && proposers <= 16, "proposers");
    }

    function test_mean_needsInitialWeights() public {
        Params memory p = plural(2);
        p.initial = ContentRef(0, 0, 0, 0);
        _expect(p, false, "initial");
        p.merge = Merge.Best;
        _expect(p, true, "");
        p.proposers = 0;
        _expect(p, false, "proposers");
    }

    /// @dev The encoding of the protocol, field by field.
    function test_hash_coversCreatorAndParameters() public view {
        Params memory p = defaults();
        p.selection = Selection.Random;
        p.proposers = 7;
        p.merge = Merge.Best;
        p.admission = Admission.Allowlist;
        p.settleEarly = true;
        p.revealWindow = 77;
        p.maxStrikes = 0x0102;
        p.patience = 0x03040506;
        bytes memory text = abi.encodePacked(hex"14", address(0xC0FFEE));
        text = abi.encodePacked(text, p.spec.codec, p.spec.digest, p.spec.sha256Hash, p.spec.size);
        text = abi.encodePacked(text, p.initial.codec, p.initial.digest, p.initial.sha256Hash, p.initial.size);
        text = abi.encodePacked(text, uint32(10), uint16(2), uint16(10_000), uint16(5_000));
        text = abi.encodePacked(text, uint32(600), uint32(600), uint32(77), uint8(1), uint8(7), uint8(1));
        text = abi.encodePacked(text, uint8(1), uint8(0), uint8(1), uint16(0x0102), uint32(0x03040506));
        text = abi.encodePacked(text, "breast cancer");
        assertEq(text.length, 21 + 2 * 73 + 10 + 12 + 6 + 6 + 13);
        assertEq(this.hash(address(0xC0FFEE), p), sha256(text));
    }

    function test_theFirstBadParameterIsNamed() public {
        Params memory p = defaults();
        p.rounds = 0;
        p.voteWindow = 0;
        _expect(p, false, "rounds");
    }

    function _expect(Params memory p, bool accepted, string memory name) private {
        if (!accepted) expectError(C.InvalidParameter.selector, abi.encode(name));
        this.check(p);
    }
}
