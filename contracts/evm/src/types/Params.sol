// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ContentRef} from "./ContentRef.sol";
import {Admission, Merge, Selection} from "./Enums.sol";

/// @notice The parameters of an experiment, immutable from creation. Windows are in seconds, patience in rounds; the
/// bounds are in libraries/Parameters.sol.
/// @dev All fields from `rounds` to `maxStrikes` share one slot. `patience` has the next one, which is read only when
/// a round closes without an accepted proposal.
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
    uint8 proposers;
    Merge merge;
    Admission admission;
    bool lateJoin;
    bool settleEarly;
    uint16 maxStrikes;
    uint32 patience;
}
