// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Identifies an experiment; counts from 1, so that 0 is never one.
type ExperimentId is uint64;
