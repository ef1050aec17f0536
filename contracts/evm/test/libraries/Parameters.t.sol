// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Base} from "../Base.sol";

import {ICollectiveLearningCalls as C} from "../../src/ICollectiveLearning.sol";
import {Parameters} from "../../src/libraries/Parameters.sol";
import {ContentRef} from "../../src/types/ContentRef.sol";
import {Params} from "../../src/types/Params.sol";

contract ParametersTest is Base {
    function check(Params calldata params) external pure {
        Parameters.check(params);
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
