// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ContentRef} from "./ContentRef.sol";
import {Admission, Selection} from "./Enums.sol";

/// @notice The parameters of an experiment, immutable from creation. Windows are in seconds; the bounds are in
/// libraries/Parameters.sol.
/// @dev All fields from `rounds` on share one slot.
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
