"""Tables of anybody's records: what is an input, what is refused, and who gets which records."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from colearn_learner.datasets.csv_tables import Columns, describe_csv, read_csv_share
from colearn_learner.errors import InvalidArgument, InvalidData, LearnerError, NotEnoughData
from colearn_learner.names import UnknownName

ROWS = [f"{n},{n / 4},{20 + n % 7},x{n},5,{'BM'[n % 2]}" for n in range(40)]
HEADER = "id,size,age,note,always,kind"
COLUMNS = Columns("kind", ("B", "M"), {"size": (4.0, 2.0), "age": (20.0, 10.0)})


def write_table(folder: Path, *lines: str) -> Path:
    path = folder / "records.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class TestDescription:
    def test_numbers_are_inputs_and_the_last_column_is_predicted(self, tmp_path: Path):
        table = describe_csv(write_table(tmp_path, HEADER, *ROWS))
        assert table.records == 40
        assert (table.columns.target, table.columns.classes) == ("kind", ("B", "M"))
        assert list(table.columns.inputs) == ["size", "age"]
        assert table.columns.inputs["size"] == (4.875, 2.886)  # four digits
        assert table.left_out == {
            "id": "a different whole number in each record, like an id",
            "note": "'x0' in record 1 is not a number",
            "always": "it is the same in all records",
        }

    def test_classes_that_are_numbers_are_in_their_order(self, tmp_path: Path):
        path = write_table(
            tmp_path, "size,grade", *(f"{n / 4},{(2, 10)[n % 2]}" for n in range(40))
        )
        assert describe_csv(path).columns.classes == ("2", "10")

    @pytest.mark.parametrize("delimiter", [";", "\t"])
    def test_other_delimiters_and_a_byte_order_mark_are_read(self, tmp_path: Path, delimiter: str):
        lines = [line.replace(",", delimiter) for line in (HEADER, *ROWS)]
        path = write_table(tmp_path, "\ufeff" + lines[0], *lines[1:])
        assert describe_csv(path) == describe_csv(write_table(tmp_path, HEADER, *ROWS))

    @pytest.mark.parametrize(
        ("header", "rows", "target", "error", "message"),
        [
            (HEADER, ROWS[:20], None, NotEnoughData, "20 records; at least 30"),
            (HEADER, ROWS, "kinds", UnknownName, "did you mean kind"),
            (HEADER, ROWS, "id", InvalidData, "40 different numbers, but only a class"),
            (HEADER, ROWS, "always", InvalidData, "is '5' in all records"),
            (HEADER, ROWS, "note", InvalidData, "40 different values"),
            (HEADER, [*ROWS, "1,2,3,x,5,"], None, InvalidData, "record 41 has no kind"),
            (HEADER, [*ROWS, "1,2"], None, InvalidData, "record 41 has 2 columns instead of 6"),
            (ROWS[0].replace("x0", "0").replace("B", "0"), ROWS, None, InvalidData, "first line"),
            ("a,a", ["1,2"] * 40, None, InvalidData, "'a' is not one"),
            ("note,kind", ["x,B", "y,M"] * 20, None, InvalidData, "no column that can be an input"),
            ("kind", ["B", "M"] * 20, None, InvalidData, "two columns or more"),
        ],
    )
    def test_unusable_table_is_refused(
        self,
        tmp_path: Path,
        header: str,
        rows: list[str],
        target: str | None,
        error: type[LearnerError],
        message: str,
    ):
        with pytest.raises(error, match=re.escape(message)):
            describe_csv(write_table(tmp_path, header, *rows), target)

    @pytest.mark.parametrize("name", ["gone.csv", ""])
    def test_missing_file_and_folder_are_refused(self, tmp_path: Path, name: str):
        with pytest.raises(InvalidData, match=r"is missing|is a folder"):
            describe_csv(tmp_path / name)

    def test_file_that_is_not_text_is_refused(self, tmp_path: Path):
        path = tmp_path / "records.xlsx"
        path.write_bytes(b"PK\x03\x04\xff\xfe")
        with pytest.raises(InvalidData, match="not a text table"):
            describe_csv(path)


class TestShares:
    def test_shares_are_disjoint_and_complete(self, tmp_path: Path):
        path = write_table(tmp_path, HEADER, *ROWS)
        shares = [read_csv_share(path, COLUMNS, learner=n, of=3) for n in range(3)]
        assert [len(classes) for _, classes in shares] == [14, 13, 13]
        sizes = np.concatenate([inputs[:, 0] for inputs, _ in shares]) * 2 + 4
        np.testing.assert_allclose(sorted(sizes), np.arange(40) / 4)

    def test_inputs_are_scaled_and_classes_numbered(self, tmp_path: Path):
        inputs, classes = read_csv_share(write_table(tmp_path, HEADER, *ROWS), COLUMNS)
        n = np.rint((inputs[:, 0] * 2 + 4) * 4).astype(int)
        np.testing.assert_array_equal(classes, n % 2)
        np.testing.assert_allclose(inputs[:, 1], (n % 7) / 10, rtol=1e-6)
        assert inputs.dtype == np.float32

    def test_table_sorted_by_class_is_shuffled(self, tmp_path: Path):
        rows = sorted(ROWS, key=lambda row: row[-1])
        _, classes = read_csv_share(write_table(tmp_path, HEADER, *rows), COLUMNS)
        assert 0 < classes[-10:].mean() < 1

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ("1,two,3,x,5,B", "record 41: size is 'two', not a number"),
            ("1,2,nan,x,5,B", "record 41: age is 'nan', not a number"),
            ("1,2,3,x,5,C", "record 41: kind is 'C', which is not one of B, M"),
        ],
    )
    def test_record_that_does_not_fit_is_named(self, tmp_path: Path, row: str, message: str):
        with pytest.raises(InvalidData, match=re.escape(message)):
            read_csv_share(write_table(tmp_path, HEADER, *ROWS, row), COLUMNS)

    def test_missing_column_is_named(self, tmp_path: Path):
        path = write_table(tmp_path, HEADER.replace("age", "years"), *ROWS)
        with pytest.raises(InvalidData, match="no column 'age'"):
            read_csv_share(path, COLUMNS)

    def test_share_that_does_not_exist_or_is_too_small_is_refused(self, tmp_path: Path):
        path = write_table(tmp_path, HEADER, *ROWS)
        with pytest.raises(InvalidArgument, match="learner=3 is not valid with of=3"):
            read_csv_share(path, COLUMNS, learner=3, of=3)
        with pytest.raises(NotEnoughData, match="learner 0 has only 4 records"):
            read_csv_share(path, COLUMNS, learner=0, of=10)
