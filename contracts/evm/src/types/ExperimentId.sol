// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Identifies an experiment. Ids count from 1; 0 is never used.
type ExperimentId is uint64;
