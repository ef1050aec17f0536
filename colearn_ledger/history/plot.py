"""The picture of an experiment, and the files to write it to."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from colearn_ledger.history.chart import SidePanel, chart_of
from colearn_ledger.history.drawing import draw_chart
from colearn_ledger.history.page import make_page
from colearn_ledger.home import write_atomically
from colearn_ledger.optional import MissingPackage, import_optional
from colearn_ledger.protocol import LedgerError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from colearn_ledger.history.records import History

FORMATS = ("png", "svg", "html")


class UnknownFormat(LedgerError):
    """A picture was asked for in a format that does not exist."""


class FileError(LedgerError):
    """The file of a picture cannot be written."""


class Plot:
    """A picture of an experiment.

    Args:
        figure: matplotlib's figure, to change or to save in other formats.
    """

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    @classmethod
    def of(cls, history: History, panel: SidePanel | None = None) -> Plot:
        """Draw a history; see `History.plot`."""
        return cls(draw_chart(chart_of(history), panel))

    def to_png(self) -> bytes:
        """Return the picture as a PNG file."""
        return self._save("png", dpi=130)

    def to_svg(self) -> str:
        """Return the picture as an SVG file, the same bytes for the same history."""
        with import_optional("matplotlib", extra="plot", purpose="plots").rc_context(
            {"svg.hashsalt": "colearn"}
        ):
            return self._save("svg", metadata=self._NO_METADATA).decode()

    def _repr_png_(self) -> bytes:
        """Return the picture for notebooks."""
        return self.to_png()

    def _save(self, form: str, **options: Any) -> bytes:
        file = io.BytesIO()
        self.figure.savefig(file, format=form, **options)
        return file.getvalue()

    _NO_METADATA: ClassVar = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def check_format(path: Path) -> str:
    """Return the format that the ending of a file's name selects.

    Raises:
        UnknownFormat: there is no such format.
    """
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise UnknownFormat(
            f"{path} does not end with {', '.join(f'.{each}' for each in FORMATS)}; the ending "
            "selects the format of the picture"
        )
    return form


def write_plot(history: History, plot: Plot, path: Path) -> None:
    """Write a picture, or a page that contains it.

    Raises:
        UnknownFormat: the file's name has another ending.
        FileError: the file cannot be written.
    """
    form = check_format(path)
    if form == "png":
        data = plot.to_png()
    else:
        svg = plot.to_svg()
        data = (svg if form == "svg" else make_page(history, svg)).encode()
    try:
        write_atomically(path, data)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from error


def draw_svg(history: History) -> str | None:
    """Return the picture as SVG; None if matplotlib is not installed."""
    try:
        return Plot.of(history).to_svg()
    except MissingPackage:
        return None
