"""The file of finished cells, and the processes that measure the missing ones."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bench.cells import LARGEST_BATCH, CellFile, form_batches, measure_missing


@dataclass(frozen=True)
class Cell:
    name: str
    options: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Result:
    values: list[float]


CELL, RESULT = Cell("a", (("mu", 0.1),)), Result([0.5, 0.75])


def measure(cells: Sequence[Cell]) -> list[Result]:
    if cells[0].name == "broken":
        raise ValueError("broken cell")
    return [Result([float(len(cells)), float(os.environ["OMP_NUM_THREADS"])]) for _ in cells]


def open_file(path: Path) -> CellFile[Cell, Result]:
    return CellFile(path, Result)


def test_finished_cells_are_read_back(tmp_path: Path):
    open_file(tmp_path / "new" / "cells").add(CELL, RESULT, 2.0)
    found = open_file(tmp_path / "new" / "cells")
    assert found.get(CELL) == RESULT
    assert found.get(replace(CELL, options=(("mu", 1.0),))) is None
    assert found.select([CELL, Cell("b")]) == {CELL: RESULT}
    assert found.sum_seconds([CELL, Cell("b")]) == 2.0


def test_line_of_a_killed_run_is_ignored(tmp_path: Path):
    path = tmp_path / "cells"
    open_file(path).add(CELL, RESULT, 1.0)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    open_file(path).add(Cell("b"), Result([1.0]), 1.0)
    assert open_file(path).select([CELL, Cell("b")]) == {CELL: RESULT, Cell("b"): Result([1.0])}
    assert len([line for line in path.read_text().splitlines() if not _is_json(line)]) == 1


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_cells_of_a_kind_are_measured_in_batches_of_limited_size():
    cells = [Cell(name) for name in "xay" + "a" * LARGEST_BATCH]
    batches = form_batches(cells, lambda cell: cell.name if cell.name == "a" else None)
    assert [cell.name for batch in batches for cell in batch[:1]] == ["x", "a", "y", "a"]
    assert [len(batch) for batch in batches] == [1, LARGEST_BATCH, 1, 1]


def test_missing_cells_are_measured_by_processes_with_one_thread(tmp_path: Path):
    file = open_file(tmp_path / "cells")
    batches = [[Cell("a"), Cell("b")], [Cell("c")]]
    measure_missing(batches, file, measure, processes=2)
    assert file.get(Cell("b")) == Result([2.0, 1.0])
    assert file.get(Cell("c")) == Result([1.0, 1.0])


def test_results_before_a_failure_are_kept(tmp_path: Path):
    file = open_file(tmp_path / "cells")
    with pytest.raises(ValueError, match="broken cell"):
        measure_missing([[Cell("a")], [Cell("broken")]], file, measure, processes=1)
    assert open_file(tmp_path / "cells").get(Cell("a")) is not None
