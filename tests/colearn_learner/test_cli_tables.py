"""Tables of commands stay readable on narrow terminals."""

from __future__ import annotations

import pytest

from colearn_learner.cli._support import output
from colearn_learner.cli._support.console import EscapingConsole

HEADS = ("name", "account", "networks")
ROWS = (
    ("alice", "0x2E30D1f36748aEE1ba8D40069A6D6834B7adB550", "EVM networks"),
    ("", "wasm1pw0lnm9cl640qk38wd0em4wmv0zr08m4w99qqy", "local-cosmos"),
    ("bob", "0xd54dC96c0A0fc6EA8B0E73d884cB52952b207A8c", ""),
)


def print_at(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> str:
    def open_terminal(**_: object) -> EscapingConsole:
        return EscapingConsole(width=width, force_terminal=True, color_system=None)

    monkeypatch.setattr(output, "open_console", open_terminal)
    output.print_table(HEADS, ROWS, empty="none")
    return capsys.readouterr().out


def test_table_that_fits_the_terminal_has_a_line_for_each_row(monkeypatch, capsys):
    lines = print_at(80, monkeypatch, capsys).splitlines()
    assert lines[0].split() == list(HEADS)
    assert len(lines) == 2 + len(ROWS)


def test_wider_table_becomes_a_block_for_each_row(monkeypatch, capsys):
    assert print_at(60, monkeypatch, capsys).splitlines() == [
        "name      alice",
        "account   0x2E30D1f36748aEE1ba8D40069A6D6834B7adB550",
        "networks  EVM networks",
        "account   wasm1pw0lnm9cl640qk38wd0em4wmv0zr08m4w99qqy",
        "networks  local-cosmos",
        "",
        "name      bob",
        "account   0xd54dC96c0A0fc6EA8B0E73d884cB52952b207A8c",
    ]
