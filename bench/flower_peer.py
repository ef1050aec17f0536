"""Run jobs in Flower's environment.

A job is a `FlowerJob` in JSON. It names a strategy of Flower's, its options, and a function that
returns the clients; `bench.flower_environment.run_flower` writes the jobs and reads the results.
Flower runs the clients in Ray's processes. A strategy that cannot work with the number of
clients, and a client that fails, end the jobs with an error.
"""

from __future__ import annotations

import faulthandler
import functools
import importlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import flwr.serverapp.strategy
import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from bench.flower_environment import FlowerJob

LONGEST_ROUND = 300.0
"""Seconds without a finished round after which the program ends with an error."""

STRATEGIES = ("FedAvg", "FedProx", "FedMedian", "Krum", "FedTrimmedAvg", "Bulyan")
Arrays = Mapping[str, Any]


class JobFailed(Exception):
    """The job cannot be run to its end; the message explains why."""


class Clients(Protocol):
    """All clients of a job. Each process makes its own."""

    def start(self) -> Arrays:
        """Return the first weights."""

    def train(
        self, client: int, weights: Arrays, state: Arrays | None, proximal_mu: float
    ) -> tuple[Arrays, Arrays, int]:
        """Train weights.

        Args:
            client: number of the client.
            weights: the current weights.
            state: what the client returned as its state last time, maybe in another process.
            proximal_mu: factor of FedProx's proximal term; 0 for other strategies.

        Returns:
            The trained weights, the client's new state, and its number of training records.
        """

    def examine(self, weights: Arrays) -> float:
        """Return the accuracy of weights on records that no client uses."""


@runtime_checkable
class Attackers(Protocol):
    """Clients some of which attack: they see what all have trained before they send theirs."""

    def attack(self, weights: Arrays, trained: Sequence[Arrays], progress: float) -> list[Arrays]:
        """Return what the clients send.

        Args:
            weights: the current weights.
            trained: what each client's training made.
            progress: the share of the rounds that are over.
        """


@functools.lru_cache(maxsize=1)
def load_clients(reference: str, arguments: str) -> Clients:
    """Return this process's clients."""
    module, _, name = reference.partition(":")
    clients: Clients = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    return clients


def make_strategy(
    job: FlowerJob, clients: Clients, moments: Sequence[tuple[float, Arrays]]
) -> FedAvg:
    """Return the job's strategy, which fails if a client fails or it cannot aggregate.

    Args:
        job: the job.
        clients: all clients.
        moments: times and weights so far; the last ones are current.
    """
    if job.strategy not in STRATEGIES:
        raise JobFailed(f"there is no strategy {job.strategy}; choose from {', '.join(STRATEGIES)}")
    strategy: FedAvg = getattr(flwr.serverapp.strategy, job.strategy)(
        fraction_train=1.0,
        fraction_evaluate=0.0,
        min_train_nodes=job.n_clients,
        min_available_nodes=job.n_clients,
        **job.options,
    )
    aggregate = strategy.aggregate_train

    def aggregate_all(server_round: int, replies: Iterable[Message]) -> Any:
        received = list(replies)
        failed = [reply for reply in received if reply.has_error()]
        if failed or len(received) != job.n_clients:
            reason = failed[0].error.reason if failed else f"{len(received)} replies"
            raise JobFailed(f"round {server_round}: {len(failed)} clients failed: {reason}")
        received.sort(key=lambda reply: reply.content["metrics"]["client"])
        if isinstance(clients, Attackers):
            trained = [to_arrays(reply.content["arrays"]) for reply in received]
            sent = clients.attack(moments[-1][1], trained, (server_round - 1) / job.rounds)
            for reply, weights in zip(received, sent, strict=True):
                reply.content["arrays"] = to_record(weights)
        arrays, metrics = aggregate(server_round, received)
        if arrays is None:
            raise JobFailed(
                f"{job.strategy} with {dict(job.options)} is not defined for {job.n_clients}"
                " clients"
            )
        return arrays, metrics

    strategy.aggregate_train = aggregate_all  # type: ignore[method-assign]
    return strategy


def make_client_app() -> ClientApp:
    """Return the application that Flower runs for each client."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        client = int(context.node_config["partition-id"])
        config = message.content["config"]
        state = context.state.get(config["job"])  # each job begins without one
        weights, new_state, records = load_clients(config["clients"], config["arguments"]).train(
            client,
            to_arrays(message.content["arrays"]),
            None if state is None else to_arrays(state),
            float(config.get("proximal-mu", 0.0)),
        )
        context.state.clear()
        context.state[config["job"]] = to_record(new_state)
        content = {
            "arrays": to_record(weights),
            "metrics": MetricRecord({"num-examples": records, "client": client}),
        }
        return Message(content=RecordDict(content), reply_to=message)

    return app


def to_record(arrays: Arrays) -> ArrayRecord:
    """Return arrays as Flower sends them."""
    return ArrayRecord({name: Array(np.asarray(array)) for name, array in arrays.items()})


def to_arrays(record: ArrayRecord) -> Arrays:
    """Return arrays that Flower sent."""
    return {name: np.array(array.numpy()) for name, array in record.items()}


def run(jobs: Sequence[FlowerJob], cpus: int, folder: Path) -> None:
    """Run jobs in one simulation, and write their results to a folder.

    Raises:
        JobFailed: a job cannot be run to its end, or the jobs have different numbers of clients.
    """
    if len({job.n_clients for job in jobs}) != 1:
        raise JobFailed("the jobs of one simulation need the same number of clients")
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        for index, job in enumerate(jobs):
            np.savez(folder / f"{index}.npz", **run_job(job, index, grid))

    run_simulation(
        server_app=server,
        client_app=make_client_app(),
        num_supernodes=jobs[0].n_clients,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {"num_cpus": cpus, "num_gpus": 0},
        },
    )


def run_job(job: FlowerJob, index: int, grid: Grid) -> dict[str, Any]:
    """Run a job; return accuracy, seconds, and the final weights."""
    arguments = json.dumps(dict(job.arguments), sort_keys=True)
    clients = load_clients(job.clients, arguments)
    moments: list[tuple[float, Arrays]] = []

    def record(server_round: int, arrays: ArrayRecord) -> None:
        faulthandler.dump_traceback_later(LONGEST_ROUND, exit=True)
        moments.append((time.monotonic(), to_arrays(arrays)))

    config = {"job": str(index), "clients": job.clients, "arguments": arguments}
    make_strategy(job, clients, moments).start(
        grid=grid,
        initial_arrays=to_record(clients.start()),
        num_rounds=job.rounds,
        train_config=ConfigRecord(config),
        evaluate_fn=record,
    )
    if len(moments) != job.rounds + 1:
        raise JobFailed(f"Flower ended after {len(moments) - 1} of {job.rounds} rounds")
    began = moments[0][0]
    final = {f"weights/{name}": array for name, array in moments[-1][1].items()}
    return {
        "accuracy": np.array([clients.examine(weights) for _, weights in moments]),
        "seconds": np.array([at - began for at, _ in moments]),
        **final,
    }


def main(folder: str) -> None:
    """Run the jobs of a folder and write their results there."""
    faulthandler.dump_traceback_later(LONGEST_ROUND, exit=True)  # if Ray dies, Flower waits forever
    described = json.loads((Path(folder) / "jobs.json").read_text())
    jobs = [FlowerJob(**job) for job in described["jobs"]]
    run(jobs, described["cpus"], Path(folder))
    faulthandler.cancel_dump_traceback_later()
