"""Measure the cells of a bench in several processes, and keep their results in a file.

A cell is a frozen dataclass that describes one measurement. A full bench has hundreds of them and
takes up to two hours; a rerun with the same file measures only what is missing.
"""

from __future__ import annotations

import itertools
import json
import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LARGEST_BATCH = 24
"""Number of cells that a rerun has to repeat at most for each process that was stopped."""

C = TypeVar("C", bound="DataclassInstance")
R = TypeVar("R", bound="DataclassInstance")


class CellFile(Generic[C, R]):
    """Results of cells in a file with one line of JSON for each.

    Args:
        path: the file; created with the first result.
        result: the class of the results, a dataclass.
    """

    def __init__(self, path: Path, result: Callable[..., R]) -> None:
        self._path = path
        self._make_result = result
        self._found: dict[str, tuple[R, float]] = {}
        text = path.read_text() if path.exists() else ""
        self._missing_end = "\n" if text and not text.endswith("\n") else ""  # of a killed run
        for line in text.splitlines():
            self._read(line)

    def _read(self, line: str) -> None:
        try:
            record = json.loads(line)
        except ValueError:
            return  # the last line of a killed run
        result = self._make_result(**record["result"])
        self._found[json.dumps(record["cell"], sort_keys=True)] = result, record["seconds"]

    def get(self, cell: C) -> R | None:
        """Return the result of a cell, or None."""
        found = self._found.get(_describe(cell))
        return None if found is None else found[0]

    def add(self, cell: C, result: R, seconds: float) -> None:
        """Append a result, and the seconds that it took."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        record = {"cell": asdict(cell), "result": asdict(result), "seconds": seconds}
        with self._path.open("a") as file:
            file.write(f"{self._missing_end}{json.dumps(record)}\n")
        self._missing_end = ""
        self._found[_describe(cell)] = result, seconds

    def find_missing(self, cells: Iterable[C]) -> list[C]:
        """Return the cells that have no result."""
        return [cell for cell in cells if self.get(cell) is None]

    def select(self, cells: Iterable[C]) -> dict[C, R]:
        """Return the results of the cells that have one."""
        return {cell: found for cell in cells if (found := self.get(cell)) is not None}

    def sum_seconds(self, cells: Iterable[C]) -> float:
        """Return the seconds that the cells took in all."""
        found = (self._found.get(_describe(cell)) for cell in cells)
        return sum(seconds for _, seconds in filter(None, found))


def _describe(cell: Any) -> str:
    """Return a text that only equal cells share."""
    return json.dumps(asdict(cell), sort_keys=True)


def form_batches(cells: Iterable[C], choose_batch: Callable[[C], Any]) -> list[list[C]]:
    """Divide cells into batches that are measured together, in the order of their first cells.

    Args:
        cells: the cells.
        choose_batch: returns what the cells of a batch have in common, or None for a single cell.
    """
    batches: list[list[C]] = []
    unfilled: dict[Any, list[C]] = {}
    for cell in cells:
        key = choose_batch(cell)
        if key is not None and 0 < len(unfilled.get(key, ())) < LARGEST_BATCH:
            unfilled[key].append(cell)
            continue
        batches.append([cell])
        if key is not None:
            unfilled[key] = batches[-1]
    return batches


def measure_missing(
    batches: Sequence[Sequence[C]],
    file: CellFile[C, R],
    measure: Callable[[Sequence[C]], list[R]],
    processes: int,
) -> None:
    """Measure batches of cells, add the results to the file, and show the progress.

    Args:
        batches: the cells, those that are measured together in one batch.
        file: gets the results of a batch when the batch is done.
        measure: returns the results of a batch; a function of a module.
        processes: number of batches that are measured at the same time, each on one core.
    """
    if not batches:
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # the processes inherit it; threads do not help
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    for _, core in zip(range(processes), itertools.cycle(cores), strict=False):
        queue.put(core)
    columns = (TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=Console(stderr=True), speed_estimate_period=600) as progress,
        ProcessPoolExecutor(
            processes, mp_context=context, initializer=_prepare_process, initargs=(queue,)
        ) as pool,
    ):
        task = progress.add_task("cells", total=sum(map(len, batches)))
        running = {pool.submit(_measure_timed, measure, batch): batch for batch in batches}
        try:
            for future in as_completed(running):
                batch = running.pop(future)
                results, seconds = future.result()
                for cell, result in zip(batch, results, strict=True):
                    file.add(cell, result, seconds / len(batch))
                progress.update(task, advance=len(batch))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _measure_timed(
    measure: Callable[[Sequence[C]], list[R]], batch: Sequence[C]
) -> tuple[list[R], float]:
    began = time.monotonic()
    return measure(batch), time.monotonic() - began


def _prepare_process(cores: Any) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cores.get()})  # processes that it starts inherit this
    logging.getLogger("colearn_learner").setLevel(logging.ERROR)  # each rejection is a warning
