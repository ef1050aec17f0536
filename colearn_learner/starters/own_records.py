"""Change a starter so that it reads a table of records instead of inventing them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from colearn_learner.datasets.csv_tables import Columns

_RECORDS = '''\
def load_records(learner: int, of: int, records: str) -> tuple[Array, Array]:
    """Return one learner's records: inputs (records, inputs) and the numbers of their classes.

    The file is divided among ``of`` learners. A learner with its own file passes
    ``--learner-arg records=FILE --learner-arg learner=0 --learner-arg of=1``.
    """
    return read_csv_share(records, COLUMNS, learner=learner, of=of)


'''

_SUBSTITUTIONS = (
    (r"Change `load_records` to read your records and ", "It reads the columns below. Change "),
    (r"^from typing import Any", "from pathlib import Path\nfrom typing import Any"),
    (
        r"^(from colearn_learner\.(?:learners|simulation))",
        r"from colearn_learner.datasets.csv_tables import Columns, read_csv_share\n\1",
    ),
    (r"^(def make_learner\(learner: int, of: int = 3)", r"\1, records: str = RECORDS"),
    (r"^        of: number of learners\.$", "        of: number of learners that share the file.\n"
     "        records: the file."),
    (r"load_records\(learner, of\)", "load_records(learner, of, records)"),
    (r"^def load_records.*?(?=^def divide)", lambda _: _RECORDS),
    (
        r"^N_INPUTS, N_CLASSES = [^\n]*",
        "N_INPUTS, N_CLASSES = len(COLUMNS.inputs), len(COLUMNS.classes)",
    ),
    (r"^N_CLASSES = [^\n]*", "N_CLASSES = len(COLUMNS.classes)"),
)  # fmt: skip
"""Patterns of a starter's text and their replacements; each replaces the first match."""


def read_from_table(text: str, records: Path, columns: Columns) -> str:
    """Return the text of a learner that reads a table.

    Args:
        text: the text of a starter.
        records: the file of the table; a relative path is relative to the learner's folder.
        columns: the columns to read.
    """
    for pattern, replacement in _SUBSTITUTIONS:
        text = re.sub(pattern, replacement, text, count=1, flags=re.MULTILINE | re.DOTALL)
    constants = _write_constants(records, columns)
    text = text.replace("Array = NDArray[Any]\n", f"Array = NDArray[Any]\n{constants}", 1)
    return text if "np." in text else text.replace("import numpy as np\n", "", 1)


def _write_constants(records: Path, columns: Columns) -> str:
    lines = [
        f"RECORDS = str(Path(__file__).parent / {_quote(str(records))})",
        "COLUMNS = Columns(",
        f"    target={_quote(columns.target)},",
        f"    classes=({', '.join(map(_quote, columns.classes))}),",
        "    inputs={  # of each: the number to subtract, and the number to divide by",
        *(f"        {_quote(name)}: {scaling}," for name, scaling in columns.inputs.items()),
        "    },",
        ")",
    ]
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
