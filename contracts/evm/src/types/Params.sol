// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ContentRef} from "./ContentRef.sol";
import {Admission, Selection} from "./Enums.sol";

/// @notice What is fixed when an experiment is created; windows in seconds. Bounds are in libraries/Parameters.sol.
/// @dev From `rounds` on all of it shares one slot.
struct Params {
    string name;
    ContentRef spec;
    ContentRef initial;
    uint32 rounds;
    uint16 minLearners;
    uint16 maxLearners;
    uint16 approvalBps;
    uint32 proposeWindow;
    uint32 voteWindow;
    uint32 revealWindow;
    Selection selection;
    Admission admission;
    bool lateJoin;
    bool settleEarly;
    uint16 maxStrikes;
}
