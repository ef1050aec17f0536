"""Lay out columns in a given width: the less important ones are left out, nothing is wrapped."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

_SHORTEST = 6
_NARROW = 60  # below this width, one blank separates two columns


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Args:
        head: its head.
        cells: its cells, one for each row.
        importance: columns of the largest number are left out first, all of them at once, those
            of 0 never.
        right: whether it is aligned to the right.
        flexible: whether its cells may be shortened.
    """

    head: str
    cells: tuple[Text, ...]
    importance: int = 0
    right: bool = False
    flexible: bool = False

    @property
    def width(self) -> int:
        """Return the width in characters."""
        return max(len(self.head), *(cell.cell_len for cell in self.cells))


def make_columns(
    rows: Sequence[Mapping[str, str]],
    *,
    importance: Mapping[str, int],
    left: Collection[str],
    flexible: Collection[str],
) -> list[Column]:
    """Return the columns of at least one row, each a mapping from heads to cells.

    Args:
        rows: the rows, with the same heads in the same order.
        importance: the importance of columns by head; 0 for the others.
        left: the heads of the columns that are aligned to the left.
        flexible: the heads of the columns whose cells may be shortened.
    """
    return [
        Column(
            head,
            tuple(make_text(row[head]) for row in rows),
            importance.get(head, 0),
            right=head not in left,
            flexible=head in flexible,
        )
        for head in rows[0]
    ]


def fit_columns(columns: Sequence[Column], width: int | None) -> list[Column]:
    """Leave out empty columns, and the least important ones until the others fit.

    Args:
        columns: the columns, with the same number of cells.
        width: the most characters in a line; by default as many as all columns need.
    """
    kept = [column for column in columns if any(cell.plain.strip() for cell in column.cells)]
    while width is not None and (excess := _measure(kept, width) - width) > 0:
        last = max(kept, key=lambda column: column.importance)
        if last.importance == 0 or excess <= _spare(kept):
            break
        kept = [column for column in kept if column.importance != last.importance]
    return kept


def draw_columns(columns: Sequence[Column], width: int | None) -> list[Text]:
    """Return the lines of a table: a head and the rows. Flexible columns shrink to the width."""
    widths = _shrink(columns, 0 if width is None else _measure(columns, width) - width)
    heads = [make_text(column.head, "bold") for column in columns]
    rows = [heads, *zip(*(column.cells for column in columns), strict=True)]
    return [_draw_row(columns, widths, row, _gap(width)) for row in rows]


def draw_legend(terms: Sequence[tuple[str, str]], width: int | None) -> list[Text]:
    """Return terms with their explanations beside them."""
    room = max(len(term) for term, _ in terms) + 2
    lines = []
    for term, text in terms:
        first, *others = wrap_text(text, None if width is None else max(width - room, 10))
        lines += [make_text(term.ljust(room), "bold") + first]
        lines += [make_text(" " * room) + other for other in others]
    return lines


def make_text(text: str = "", style: str = "") -> Text:
    """Return a text in which control characters of strangers are visible."""
    from rich.text import Text

    from colearn_ledger.text.escaping import escape_controls

    return Text(escape_controls(text), style)


def wrap_text(text: str, width: int | None) -> list[Text]:
    """Return the lines of a sentence."""
    from textwrap import wrap

    lines = [text] if width is None else wrap(text, width, break_on_hyphens=False)
    return [make_text(line) for line in lines]


def _gap(width: int | None) -> int:
    return 1 if width is not None and width < _NARROW else 2


def _measure(columns: Sequence[Column], width: int) -> int:
    return sum(column.width for column in columns) + _gap(width) * (len(columns) - 1)


def _spare(columns: Sequence[Column]) -> int:
    """Return by how much the flexible columns can shrink without becoming unreadable."""
    return sum(max(0, column.width - 2 * _SHORTEST) for column in columns if column.flexible)


def _shrink(columns: Sequence[Column], excess: int) -> list[int]:
    widths = [column.width for column in columns]
    for number, column in enumerate(columns):
        if column.flexible and excess > 0:
            shrunk = max(min(_SHORTEST, widths[number]), widths[number] - excess)
            excess -= widths[number] - shrunk
            widths[number] = shrunk
    return widths


def _draw_row(
    columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Text], gap: int
) -> Text:
    line = make_text()
    for column, width, cell in zip(columns, widths, cells, strict=True):
        shown = cell.copy()
        shown.truncate(width, overflow="ellipsis")
        blanks = " " * (width - shown.cell_len)
        line.append(blanks if column.right else "").append_text(shown)
        line.append(("" if column.right else blanks) + " " * gap)
    line.rstrip()
    return line
