"""The command `colearn audit`: its report, its exit codes, and its end by Ctrl-C."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from colearn_learner.cli import main
from colearn_ledger.ledger import LedgerUnavailable
from tests.support.audit_commands import REFERENCE, connect_commands
from tests.support.audited import play
from tests.support.lying_ledger import LyingLedger
from tests.support.toyworld import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return play(tmp_path_factory.mktemp("world"), "local", "plural mean")


@pytest.fixture
def ledger(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LyingLedger:
    return connect_commands(world, tmp_path / "home", monkeypatch).ledger


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["audit", REFERENCE, *arguments])


def test_honest_experiment_has_no_findings(ledger: LyingLedger):
    result = run()
    assert result.exit_code == 0
    assert "No findings." in result.stdout
    assert "4 merges computed again" in result.stdout
    assert result.stderr == ""


def test_state_is_as_new_as_the_events(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    connected = connect_commands(world, tmp_path / "home", monkeypatch)
    assert run().exit_code == 0
    assert connected.confirmations == [1]


@pytest.mark.parametrize("terminal", [False, True])
def test_finding_fits_into_80_columns(
    terminal: bool, ledger: LyingLedger, monkeypatch: pytest.MonkeyPatch
):
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "80")
    ledger.rewrites["current_weights"] = lambda found: found[:1]
    result = run()
    assert result.exit_code == 1
    text = click_text(result.stdout)
    table = text[text.index("round   kind") :].splitlines()
    assert max(map(len, table)) <= 80
    assert table[2].split(maxsplit=2)[:2] == ["3", "state"]
    assert "expected: " in text
    assert "found: " in text
    assert "are not those that the votes accepted" in text


def click_text(text: str) -> str:
    """Return a text without the codes that make letters bold."""
    return text.replace("\x1b[1m", "").replace("\x1b[0m", "")


def test_json_has_the_findings(ledger: LyingLedger):
    ledger.rewrites["current_weights"] = lambda found: found[:1]
    result = run("--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["reference"] == REFERENCE
    assert set(document) == {
        *("reference", "nodes", "proved", "version", "experiment", "name", "status"),
        *("checked", "unchecked", "findings"),
    }
    assert [(f["kind"], f["round"]) for f in document["findings"]] == [("state", 3)]


def test_what_was_not_checked_is_reported(ledger: LyingLedger):
    ledger.rewrite_origin = lambda _: None
    result = run("--no-files")
    assert result.exit_code == 0
    assert "Not checked: All files" in result.stderr
    assert "the signatures of signed ballots" in result.stderr


def test_only_the_first_findings_are_shown(ledger: LyingLedger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("colearn_learner.cli.audit._SHOWN", 1)
    ledger.rewrites["current_weights"] = lambda found: found[:1]
    ledger.rewrites["rounds"] = lambda rounds: rounds[:-1]
    result = run()
    assert result.exit_code == 1
    assert result.stdout.count("expected: ") == 1
    assert "2 findings. See the last 1 with --json." in result.stderr


def test_experiment_that_cannot_be_read_has_another_exit_code(ledger: LyingLedger):
    def refuse(_: object) -> Any:
        raise LedgerUnavailable("the node has dropped old events")

    ledger.rewrite_events = refuse
    result = run()
    assert result.exit_code == 2
    assert "could not be checked: the node has dropped old events" in result.stderr


def test_unknown_experiment_cannot_be_checked(ledger: LyingLedger):
    result = CliRunner().invoke(main, ["audit", REFERENCE[:-1] + "7"])
    assert result.exit_code == 2
    assert "the contract has no experiment 7" in result.stderr


def test_missing_store_cannot_be_checked(ledger: LyingLedger):
    result = run("--store", "folder:/nowhere")
    assert result.exit_code == 2
    assert "/nowhere does not exist" in result.stderr


def test_unexpected_failure_of_the_disk_cannot_be_checked(
    ledger: LyingLedger, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryDirectory", fail)
    result = run()
    assert result.exit_code == 2
    assert "No space left" in result.stderr


def test_interruption_ends_the_command_without_a_traceback(ledger: LyingLedger):
    def interrupt(_: object) -> Any:
        raise KeyboardInterrupt

    ledger.rewrite_events = interrupt
    result = run()
    assert result.exit_code == 130
    assert result.stderr == "Interrupted.\n"


def run_interrupted(monkeypatch: pytest.MonkeyPatch) -> Result:
    """Run the command, and interrupt it once it has checked eight files."""

    def interrupt(text: str) -> None:
        if text.startswith("checking files: 8"):
            raise KeyboardInterrupt

    with monkeypatch.context() as terminal:
        terminal.setattr("colearn_learner.cli.audit.show_steps", lambda _: nullcontext(interrupt))
        result = run()
    assert result.exit_code == 130
    return result


def test_interrupted_audit_is_continued_by_the_same_command(
    ledger: LyingLedger, monkeypatch: pytest.MonkeyPatch
):
    result = run_interrupted(monkeypatch)
    assert "the same command continues with them" in result.stderr
    result = run()
    assert result.exit_code == 0
    assert "8 of 14 files were fetched by an audit that was interrupted" in result.stderr
    assert "14 checked, 4 merges" in result.stdout
    assert run().stderr == ""


def test_fresh_audit_does_not_continue(ledger: LyingLedger, monkeypatch: pytest.MonkeyPatch):
    run_interrupted(monkeypatch)
    document = json.loads(run("--fresh", "--json").stdout)
    assert document["checked"]["files"] == 14
    assert document["checked"]["reused"] == 0


def test_terminal_shows_how_far_the_audit_is(ledger: LyingLedger, monkeypatch: pytest.MonkeyPatch):
    shown: list[str] = []

    class Steps:
        def __enter__(self) -> Any:
            return shown.append

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("colearn_learner.cli.audit.show_steps", lambda _: Steps())
    assert run().exit_code == 0
    assert any(text.startswith("reading events: ") for text in shown)
    assert shown[-1] == "checking files: 14 of 14"
