"""EvmLedger reads the events of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.long_experiments import Shape, open_experiment
from colearn_ledger.chains.evm import (
    BadAnswer,
    EvmConfig,
    EvmLedger,
)
from colearn_ledger.chains.evm.http_provider import HttpConfig
from colearn_ledger.protocol import (
    ExperimentId,
    UnknownExperiment,
)
from tests.support.evm_world import FaultyNode, Place
from tests.support.samples import params


class TestEvents:
    def test_blocks_are_read_once_and_in_bounded_ranges(self, place: Place, node: FaultyNode):
        experiment = place.create_and_join()
        ledger = place.connect(node, place.ana, log_range=1)
        ranges = []

        def watch(parameters: list[Any], honest: Any) -> Any:
            ranges.append((int(parameters[0]["fromBlock"], 16), int(parameters[0]["toBlock"], 16)))
            return honest()

        node.overrides["eth_getLogs"] = watch
        every = ledger.events(experiment)
        assert [type(r.event).__name__ for r in every] == [
            "ExperimentCreated",
            "LearnerJoined",
            "LearnerJoined",
        ]
        assert all(first == last for first, last in ranges)
        assert len(ranges) == len(set(ranges)) <= 4
        del ranges[:]
        assert ledger.events(experiment) == every
        assert ranges == []
        ledger.start(experiment).wait()
        assert len(ledger.events(experiment, after=every[-1].cursor)) == 2
        assert len(ranges) == 1

    def test_reading_stops_at_the_limit(self, place: Place, node: FaultyNode):
        experiment = place.create_and_join()
        ledger = place.connect(node, place.ana, log_range=1)
        first = ledger.events(experiment, limit=1)
        assert len(first) == 1
        assert node.requested.count("eth_getLogs") == 1
        rest = ledger.events(experiment, after=first[-1].cursor)
        assert len(rest) == 2

    def test_only_events_of_the_experiment_and_contract_are_returned(self, place: Place):
        one, two = place.create_and_join(), place.create_and_join()
        other = place.chain.deploy(place.ana)
        assert other.create(params()).wait().experiment == 1
        for experiment in (one, two):
            recorded = place.ledger.events(experiment)
            assert {entry.event.experiment for entry in recorded} == {experiment}
        assert len(other.events(ExperimentId(1))) == 1

    def test_events_of_an_unknown_experiment_are_refused(self, place: Place):
        with pytest.raises(UnknownExperiment):
            place.ledger.events(ExperimentId(999))

    @pytest.mark.parametrize(
        "change",
        [
            {"address": "0x" + "11" * 20},
            {"blockNumber": 10**9},
            {"blockNumber": None},
            {"topics": None},
            {"data": "0x"},
            {"logIndex": -1},
        ],
        ids=repr,
    )
    def test_logs_outside_the_request_are_refused(
        self, place: Place, node: FaultyNode, change: dict[str, Any]
    ):
        experiment = place.create_and_join()
        ledger = place.connect(node, place.ana)

        def spoil(_: list[Any], honest: Any) -> Any:
            response = honest()
            return {**response, "result": [{**log, **change} for log in response["result"]]}

        node.overrides["eth_getLogs"] = spoil
        with pytest.raises(BadAnswer):
            ledger.events(experiment)

    def test_answer_that_is_too_long_is_asked_for_in_parts(self, tmp_path: Path):
        with open_experiment(Shape(40, 3, 1, signed=False), tmp_path) as found:
            expected = EvmLedger.connect(found.url, found.contract).events(found.id)
            short = EvmConfig(http=HttpConfig(longest_answer=100_000))
            ledger = EvmLedger.connect(found.url, found.contract, config=short)
            assert ledger.events(found.id) == expected
        assert len(expected) == 1 + 3 + 1 + 40 * 6 + 1
