"""A script that follows only docs/weights.md computes the same merged files."""

from __future__ import annotations

from pathlib import Path

import pytest

from colearn_ledger.protocol import to_dict
from colearn_ledger.weights.merge import AcceptedFile, merge_files, select_usable
from colearn_ledger.weights.schema import WeightsSchema
from tests.colearn_ledger.weights.test_merge_inputs import DEFECTIVE, GOOD, SCHEMA
from tests.support.compute_current_weights import merge
from tests.support.merging import ROUND, make_tree, save, save_trees


def check_same_file(folder: Path, files: list[AcceptedFile], schema: WeightsSchema) -> None:
    usable, merged = select_usable(files, schema).usable, folder / "merged"
    merge_files(usable, merged, schema=schema, round_index=ROUND)
    given = [(to_dict(each.content), each.path.read_bytes()) for each in files]
    assert merge(given, schema.to_json(), ROUND) == merged.read_bytes()


@pytest.mark.parametrize("number", [1, 2, 3, 16])
def test_files_of_all_data_types_merge_to_the_same_bytes(tmp_path: Path, number: int):
    files, schema = save_trees(tmp_path, [make_tree(slot) for slot in range(number)])
    check_same_file(tmp_path, files, schema)


@pytest.mark.parametrize("defect", DEFECTIVE)
@pytest.mark.parametrize("others", [1, 2])
def test_defective_file_is_left_out(tmp_path: Path, defect: str, others: int):
    bad = save(tmp_path, DEFECTIVE[defect][0])
    check_same_file(tmp_path, [bad, *[save(tmp_path, GOOD)] * others], SCHEMA)
