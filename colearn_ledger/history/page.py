"""Show an experiment as a page of HTML that needs no other file and no connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from colearn_ledger.history.table import describe_history, table_columns
from colearn_ledger.text.escaping import escape_controls

if TYPE_CHECKING:
    from colearn_ledger.history.records import History

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The browser loads nothing from elsewhere, whatever a stranger's text contains."""

_STYLE = """
.colearn { font: 14px/1.5 system-ui, sans-serif; color: #222; max-width: 1200px; margin: auto; }
.colearn h1 { font-size: 20px; } .colearn h2 { font-size: 16px; margin-top: 1.6em; }
.colearn svg { max-width: 100%; height: auto; background: white; }
.colearn .wide { overflow-x: auto; }
.colearn table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.colearn th, .colearn td { padding: 2px 10px; text-align: left; border-bottom: 1px solid #e5e5e5; }
.colearn .right { text-align: right; } .colearn code { font-size: 12px; }
.colearn dl { display: grid; grid-template-columns: max-content auto; gap: 0 1em; }
.colearn dd { margin: 0; }
"""


def make_page(history: History, picture: str | None) -> str:
    """Return a whole page.

    Args:
        history: the history.
        picture: the picture as SVG; None leaves it out.
    """
    title = _text(describe_history(history))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title></head>\n<body>\n{make_fragment(history, picture)}</body></html>\n"
    )


def make_fragment(history: History, picture: str | None) -> str:
    """Return the content of a page, with the same arguments."""
    title = describe_history(history)
    parts = [f"<h1>{_text(title[0].upper() + title[1:])}</h1>"]
    if history.score is not None:
        parts.append(f"<p>Score: {_text(str(history.score))}</p>")
    if picture is not None:
        parts.append(f'<div class="wide">{picture[picture.index("<svg") :]}</div>')
    parts += ["<h2>Rounds</h2>", *_rounds(history), "<h2>Learners</h2>", *_learners(history)]
    body = "\n".join(parts)
    return f'<div class="colearn"><style>{_STYLE}</style>\n{body}\n</div>\n'


def _rounds(history: History) -> Iterator[str]:
    if not history.rounds:
        yield "<p>No round has begun yet.</p>"
        return
    columns, legend = table_columns(history)
    heads = [(column.head, column.right) for column in columns]
    rows = zip(*(column.cells for column in columns), strict=True)
    rights = [column.right for column in columns]
    texts = [[cell.plain for cell in row] for row in rows]
    yield from _table(heads, [list(zip(row, rights, strict=True)) for row in texts])
    yield "<dl>"
    for term, text in legend:
        yield f"<dt><b>{_text(term)}</b></dt><dd>{_text(text)}</dd>"
    yield "</dl>"


def _learners(history: History) -> Iterator[str]:
    heads = [("index", True), ("name", False), ("account", False), ("state", False)]
    rows = [
        [
            (str(learner.index), True),
            (history.names.get(learner.account, ""), False),
            (learner.account, False),
            ("active" if learner.active else f"left before round {learner.until_round}", False),
        ]
        for learner in history.learners
    ]
    return _table(heads, rows)


def _table(
    heads: Sequence[tuple[str, bool]], rows: Sequence[Sequence[tuple[str, bool]]]
) -> Iterator[str]:
    """Yield the lines of a table of texts, each of which may be aligned to the right."""
    yield '<div class="wide"><table>'
    yield f"<tr>{''.join(_cell('th', *head) for head in heads)}</tr>"
    for row in rows:
        yield f"<tr>{''.join(_cell('td', *cell) for cell in row)}</tr>"
    yield "</table></div>"


def _cell(tag: str, text: str, right: bool) -> str:
    style = ' class="right"' if right else ""
    return f"<{tag}{style}>{_text(text)}</{tag}>"


def _text(text: str) -> str:
    return escape(escape_controls(text))
