"""Draw the documentation's pictures, boxes and arrows, as SVG for browsers, into docs/images.

Usage: .venv/bin/python scripts/docs/pictures.py [--check]

With --check, nothing is written; the exit status is 1 if a picture differs.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"

INK, PAPER, ACCENT = "#37474f", "#eceff1", "#00897b"
HALO = " stroke='white' stroke-width='5' paint-order='stroke'"
"""Style that keeps text readable in front of a line."""

STYLE = "font-family='sans-serif' font-size='14'"


@dataclass
class Drawing:
    """A picture under construction; coordinates are pixels from the upper left corner."""

    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def box(self, x: int, y: int, width: int, text: str, *, accent: bool = False) -> None:
        """Draw a box with the lines of ``text``, the first one bold."""
        lines = text.splitlines()
        height = 22 * len(lines) + 16
        fill, ink = (ACCENT, "white") if accent else (PAPER, INK)
        self.parts.append(
            f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='6' fill='{fill}' "
            f"stroke='{INK}'/>"
        )
        for n, line in enumerate(lines):
            weight = "bold" if n == 0 else "normal"
            self._text(x + width // 2, y + 25 + 22 * n, line, ink, weight)

    def arrow(self, start: tuple[int, int], end: tuple[int, int], text: str = "") -> None:
        """Draw an arrow with text next to its middle."""
        (x1, y1), (x2, y2) = start, end
        self.parts.append(
            f"<line x1='{x1}' y1='{y1}' x2='{x2}' y2='{y2}' stroke='{INK}' stroke-width='1.5' "
            "marker-end='url(#tip)'/>"
        )
        for n, line in enumerate(text.splitlines()):
            self._text((x1 + x2) // 2, (y1 + y2) // 2 - 8 + 18 * n, line, INK, "normal", HALO)

    def svg(self) -> str:
        """Return the picture as SVG."""
        head = (
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {self.width} {self.height}' "
            f"width='{self.width}' height='{self.height}' role='img' {STYLE}>"
            f"<title>{escape(self.title)}</title>"
            "<defs><marker id='tip' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='8' "
            f"markerHeight='8' orient='auto'><path d='M0 0 L10 5 L0 10 z' fill='{INK}'/></marker>"
            "</defs><rect width='100%' height='100%' fill='white'/>"
        )
        return head + "".join(self.parts) + "</svg>\n"

    def _text(self, x: int, y: int, text: str, ink: str, weight: str, halo: str = "") -> None:
        self.parts.append(
            f"<text x='{x}' y='{y}' text-anchor='middle' fill='{ink}' font-weight='{weight}'"
            f"{halo}>{escape(text)}</text>"
        )


def life_of_a_round() -> str:
    """Draw the phases of a round and the events that lead from one to the next."""
    picture = Drawing(860, 300, "The phases of a round")
    picture.box(20, 40, 180, "Proposing\nthe proposer trains")
    picture.box(330, 40, 180, "Voting\nthe voters test")
    picture.box(640, 40, 200, "Revealing\nsecret ballots only")
    picture.box(20, 210, 180, "Closed\nno proposal")
    picture.box(330, 210, 180, "Closed\naccepted", accent=True)
    picture.box(640, 210, 200, "Closed\nrejected")
    picture.arrow((200, 70), (328, 70), "propose")
    picture.arrow((510, 70), (638, 70), "all committed")
    picture.arrow((110, 100), (110, 208), "declined, or too late")
    picture.arrow((420, 100), (420, 208), "enough approvals")
    picture.arrow((510, 96), (660, 208), "too few")
    picture.arrow((660, 100), (512, 208))
    picture.arrow((740, 100), (740, 208))
    return picture.svg()


def who_knows_what() -> str:
    """Draw the data that leaves a learner, and its destinations."""
    picture = Drawing(860, 290, "What leaves a learner, and where it goes")
    picture.box(20, 40, 220, "Learner A\nrecords, labels\nmodel, optimizer", accent=True)
    picture.box(620, 40, 220, "Learner B\nrecords, labels\nmodel, optimizer", accent=True)
    picture.box(300, 20, 260, "Content store\nfiles of weights")
    picture.box(270, 170, 320, "Contract\nwho proposed what, who voted how\nscores, hashes, times")
    picture.arrow((240, 60), (298, 50))
    picture.arrow((560, 50), (618, 60))
    picture.arrow((130, 126), (268, 200), "votes, hashes")
    picture.arrow((730, 126), (592, 200), "votes, hashes")
    return picture.svg()


def processes() -> str:
    """Draw the processes and the connections between them."""
    picture = Drawing(860, 250, "The processes of one learner")
    picture.box(20, 90, 190, "Learner\nyour code, your data", accent=True)
    picture.box(310, 90, 190, "Agent\ncolearn agent run")
    picture.box(640, 20, 200, "Chain node\nJSON-RPC or gRPC")
    picture.box(640, 160, 200, "Content store\nfolder or IPFS node")
    picture.arrow((310, 118), (212, 118), "five methods")
    picture.arrow((500, 105), (638, 55), "transactions")
    picture.arrow((500, 130), (638, 185), "weights")
    return picture.svg()


PICTURES = {
    "processes.svg": processes,
    "round.svg": life_of_a_round,
    "who-knows-what.svg": who_knows_what,
}


def main(*, check: bool) -> int:
    """Write the pictures, or compare them with the files, and return the exit status."""
    for name, draw in PICTURES.items():
        path = FOLDER / name
        if not check:
            path.write_text(draw())
        elif not path.is_file() or path.read_text() != draw():
            print(f"{path} differs; run scripts/docs/pictures.py", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__)
        sys.exit(2)
    sys.exit(main(check=sys.argv[1:] == ["--check"]))
