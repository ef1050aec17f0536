"""Text from strangers never controls the terminal, whichever command prints it."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from colearn_learner.cli import main
from colearn_learner.cli._support.output import dump_json, open_console
from colearn_learner.cli.logs import log_event, start_logging
from colearn_ledger.audit.statement import PREDICATE_TYPE, STATEMENT_TYPE
from colearn_ledger.chains.evm import EvmLedger
from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import EvmNetwork
from colearn_ledger.protocol import ExperimentParams, to_dict
from colearn_ledger.reference import LocalLedger
from colearn_ledger.weights.unixfs import content_of
from colearn_localnet.errors import LocalnetError
from colearn_localnet.net import Localnet
from tests.support.commands import list_commands
from tests.support.hostile_learner import HOSTILE

CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
REFERENCE = f"eip155:31337:{CONTRACT}/1"
LEARNER = ("--learner", "tests.support.hostile_learner:make")
KEY = ("--key", "alice")
STEERS = ("\x1b]", "\x07", "\x1b[2J", "\x9b", "\x7f", "\u202e")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("COLEARN_NETWORK", "COLEARN_STORE", "COLEARN_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLEARN_LOCALNET", str(tmp_path / "localnet"))
    monkeypatch.setenv("COLEARN_PASSWORD", "a password")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    Keystore(work=2).save("alice", Wallet.create(), "a password")
    store = f"folder:{tmp_path / 'store'}"
    Networks().save(EvmNetwork("local-evm", "http://x", 31337, store=store, contracts=(CONTRACT,)))
    handlers = logging.getLogger().handlers[:]
    yield tmp_path
    logging.getLogger().handlers[:] = handlers


Setup = Callable[[pytest.MonkeyPatch, Path], None]


def hostile_experiment(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Connect to a ledger without checks, on which a stranger has chosen a name and a topic."""
    for module in ("params", "rules"):
        patch.setattr(f"colearn_ledger.reference.{module}.check_text", lambda *_, **__: None)
    alice, bob = Wallet.create(), Wallet.create()
    ledger = LocalLedger.new(alice)
    content = content_of(b"weights")
    ledger.create(ExperimentParams(HOSTILE, content, content, 1, 2, 2))
    known = ledger.experiment(1).hash
    ledger.join(1, known)
    ledger.acting_for(bob).join(1, known)
    ledger.announce(1, HOSTILE, content)
    patch.setattr(EvmLedger, "connect", lambda *_, **__: ledger)


def hostile_node(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Connect to a node that answers with a hostile error."""

    def refuse(*_: object, **__: object) -> None:
        raise LedgerUnavailable(HOSTILE)

    patch.setattr(EvmLedger, "connect", refuse)
    patch.setattr("colearn_ledger.chains.evm.deployment.deploy_contract", refuse)
    (folder / "experiment.toml").write_text(
        'name = "x"\n[model]\nscore_name = "loss"\nhigher_is_better = false\n'
        '[weights]\nlearner = "colearn_learner.catalogue:share"\n'
        'arguments = { dataset = "wine", learner = 0, of = 2 }\n'
        "[terms]\nrounds = 1\nmin_learners = 2\nmax_learners = 2\n"
    )


def hostile_profile(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Save a network whose store is hostile."""
    Networks().save(EvmNetwork("local-evm", "http://x", 31337, store=f"folder:{HOSTILE}"))


def hostile_share(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Prepare a folder of records with a hostile description."""
    into = folder / "share"
    result = run("data", "prepare", "wine", "--into", str(into), "--n-learners", "2")
    assert result.exit_code == 0, result.output
    description = into / "learner-0" / "share.json"
    description.write_text(json.dumps({**json.loads(description.read_text()), "of": HOSTILE}))


def hostile_table(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Write a table with a hostile name of a column and of a class."""
    rows = [f"{number / 4},{number % 2 and HOSTILE}" for number in range(40)]
    (folder / "records.csv").write_text("\n".join([f"size,{HOSTILE}", *rows]))


def hostile_nodes(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make every step of the local network report and fail in a hostile way."""

    def fail(*_: object, report: Callable[[str], None] = print, **__: object) -> None:
        report(HOSTILE)
        raise LocalnetError(HOSTILE)

    for step in ("up", "down"):
        patch.setattr(Localnet, step, fail)
    patch.setattr(Localnet, "status", lambda _: fail(report=lambda _: None))


def hostile_logs(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make a node's log hostile."""
    log = folder / "anvil.log"
    log.write_text(f"{HOSTILE}\n")
    patch.setattr(Localnet, "status", lambda _: None)
    patch.setattr(Localnet, "logs", lambda _: [log])


def hostile_step(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make the first command of the quickstart print hostile text, and the second fail with it."""
    codes = iter([0, 1, 0])

    def run_step(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, next(codes), HOSTILE, HOSTILE)

    patch.setattr("colearn_learner.cli._support.walk.subprocess.run", run_step)


def hostile_certificate(_patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Write the statement of a certificate that a stranger has forged."""
    content = to_dict(content_of(b"x"))
    names = ("weights.safetensors", "history.json", "model-card.md")
    files = [{"name": name, "digest": {"sha256": HOSTILE}} for name in names]
    predicate = {
        "experiment": {"reference": HOSTILE, "name": HOSTILE, "hash": "", "rounds_begun": 1},
        "weights": content,
        "lineage": [{"weights": content}],
        "learners": [],
        "audit": {"audited_at": HOSTILE},
        "files": files[1:],
    }
    statement = {"_type": STATEMENT_TYPE, "predicateType": PREDICATE_TYPE, "subject": files[:1]}
    (folder / "out").mkdir()
    (folder / "out" / "history.json").touch()
    (folder / "out" / "statement.json").write_text(
        json.dumps({**statement, "predicate": predicate})
    )


def nothing(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Set nothing up: the argument itself is hostile, as if copied from a stranger's page."""


SHOWS_FOREIGN_TEXT: dict[tuple[str, ...], tuple[Setup, tuple[str, ...]]] = {
    ("experiment", "list"): (hostile_experiment, ("--network", "local-evm")),
    ("experiment", "show"): (hostile_experiment, (REFERENCE,)),
    ("history",): (hostile_experiment, (REFERENCE,)),
    ("audit",): (hostile_experiment, (REFERENCE, "--no-files")),
    ("audit", "verify"): (hostile_certificate, ("out",)),
    ("experiment", "create"): (hostile_node, ("--spec", "experiment.toml", *KEY)),
    ("experiment", "join"): (hostile_node, (REFERENCE, *KEY)),
    ("experiment", "leave"): (hostile_node, (REFERENCE, *KEY)),
    ("experiment", "start"): (hostile_node, (REFERENCE, *KEY)),
    ("experiment", "cancel"): (hostile_node, (REFERENCE, *KEY)),
    ("experiment", "admit"): (hostile_node, (REFERENCE, "alice", *KEY)),
    ("deploy",): (hostile_node, KEY),
    ("weights", "get"): (hostile_node, (REFERENCE, "--out", "x")),
    ("weights", "export"): (hostile_node, (REFERENCE, "--out", "x", *LEARNER)),
    ("relay", "run"): (hostile_node, ("--experiment", REFERENCE, *KEY, "--port", "0")),
    ("agent", "run"): (
        hostile_experiment,
        ("--experiment", REFERENCE, *KEY, *LEARNER, "--no-join"),
    ),
    ("learner", "new"): (hostile_table, ("own.py", "--csv", "records.csv")),
    ("learner", "check"): (nothing, ("tests.support.hostile_learner:make",)),
    ("learner", "serve"): (nothing, (*LEARNER, "--port", "0")),
    ("network", "list"): (hostile_profile, ()),
    ("network", "show"): (hostile_profile, ("local-evm",)),
    ("network", "add"): (nothing, (HOSTILE, "--rpc", "http://x", "--chain-id", "1")),
    ("network", "remove"): (nothing, (HOSTILE,)),
    ("network", "use-contract"): (nothing, ("local-evm", HOSTILE)),
    ("key", "new"): (nothing, ("bob", "--password-file", HOSTILE)),
    ("key", "import"): (nothing, ("bob", "--from", f"file:{HOSTILE}")),
    ("key", "export"): (nothing, ("alice", "--out", HOSTILE)),
    ("data", "prepare"): (nothing, ("mnist", "--into", "x", "--from", HOSTILE)),
    ("data", "check"): (hostile_share, ("share/learner-0",)),
    ("localnet", "up"): (hostile_nodes, ()),
    ("localnet", "down"): (hostile_nodes, ()),
    ("localnet", "status"): (hostile_nodes, ()),
    ("localnet", "fund"): (hostile_nodes, ("0x" + "11" * 20,)),
    ("localnet", "logs"): (hostile_logs, ()),
    ("quickstart",): (hostile_step, ("--out", "walk")),
    ("demo",): (nothing, ("--dataset", HOSTILE)),
}
ONLY_OUR_OWN_TEXT = {
    ("datasets",),
    ("models",),
    ("experiment", "template"),
    ("completion",),
    ("key", "list"),
    ("key", "show"),
    ("learner", "checks"),
}


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments), color=True)


def test_every_command_is_covered():
    assert set(list_commands(main)) == {*SHOWS_FOREIGN_TEXT, *ONLY_OUR_OWN_TEXT}


@pytest.mark.parametrize("force_terminal", [False, True], ids=["in a pipe", "on a terminal"])
@pytest.mark.parametrize("command", SHOWS_FOREIGN_TEXT, ids=" ".join)
def test_hostile_text_is_escaped(
    command: tuple[str, ...], force_terminal: bool, home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    if force_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "300")
    prepare, arguments = SHOWS_FOREIGN_TEXT[command]
    prepare(monkeypatch, home)
    output = run(*command, *arguments).output
    assert "owned" in output
    assert [steers for steers in STEERS if steers in output] == []


@pytest.mark.parametrize("more", [("--json",), ("--format", "csv"), ("--round", "0")])
def test_hostile_text_is_escaped_in_every_format_of_the_history(
    more: tuple[str, ...], home: Path, monkeypatch: pytest.MonkeyPatch
):
    hostile_experiment(monkeypatch, home)
    result = run("history", REFERENCE, *more)
    assert result.exit_code == 0
    assert [steers for steers in STEERS if steers in result.output] == []
    if more == ("--json",):
        assert json.loads(result.stdout)["experiment"]["params"]["name"] == HOSTILE


@pytest.mark.parametrize("as_json", [False, True])
def test_hostile_text_is_escaped_in_logs(as_json: bool):
    stream = StringIO()
    start_logging(as_json=as_json, verbose=False, stream=stream)
    logger = logging.getLogger("hostile")
    log_event(logger, HOSTILE, reason=HOSTILE)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logger.exception(HOSTILE)
    assert "owned" in stream.getvalue()
    assert [steers for steers in STEERS if steers in stream.getvalue()] == []


def test_console_escapes_text_and_markup_of_strangers():
    screen = StringIO()
    console = open_console(file=screen, force_terminal=True, width=200)
    console.print(HOSTILE, style="bold")
    with console.status(HOSTILE):
        pass
    assert "owned" in screen.getvalue()
    assert [steers for steers in STEERS if steers in screen.getvalue()] == []


def test_unexpected_errors_are_escaped_in_their_traceback(monkeypatch: pytest.MonkeyPatch):
    def break_down(*_: object) -> None:
        raise ZeroDivisionError(HOSTILE)

    monkeypatch.setattr(Networks, "all", break_down)
    result = run("network", "list")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.output
    assert [steers for steers in STEERS if steers in result.output] == []


def test_message_of_several_lines_cannot_imitate_another_message(home: Path):
    (home / "home" / "networks.toml").write_text('[networks."x\\nError: all is lost"]\n')
    result = run("network", "list")
    assert result.exit_code == 1
    assert "\nError: all is lost" not in result.output


def test_json_keeps_hostile_text_readable_for_programs():
    assert json.loads(dump_json({"name": HOSTILE})) == {"name": HOSTILE}
