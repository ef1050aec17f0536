"""A `rich` console that escapes control characters in everything it prints."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from colearn_ledger.text.escaping import escape_controls


class EscapingConsole(Console):
    """A console that escapes control characters in text but keeps rich's own codes for colours."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render text, tables and live displays, as the base class does."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(escape_controls(segment.text, keep="\n"), segment.style)
