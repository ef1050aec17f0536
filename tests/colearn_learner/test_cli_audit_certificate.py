"""The commands `colearn audit --certificate` and `colearn audit verify`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import Result

from colearn_learner.cli import main
from tests.support.audit_commands import CONFIRMATIONS, REFERENCE, Connected, connect_commands
from tests.support.audited import play
from tests.support.commands import colearn
from tests.support.signing_keys import CURVES, write_keys
from tests.support.toyworld import World

FILES = {"history.json", "model-card.md", "statement.json", "weights.safetensors"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return play(tmp_path_factory.mktemp("world"), "local", "plural mean")


@pytest.fixture
def connected(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connected:
    return connect_commands(world, tmp_path / "home", monkeypatch)


def certify(folder: Path, *options: object) -> Result:
    return colearn("audit", REFERENCE, "--certificate", folder, *options)


def verify(folder: Path, *options: object) -> Result:
    return colearn("audit", "verify", folder, *options)


def one_line(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


@pytest.mark.usefixtures("connected")
class TestCertificate:
    def test_honest_experiment_gets_a_certificate_that_verifies(self, tmp_path: Path):
        result = certify(tmp_path / "out")
        assert result.exit_code == 0, result.output
        assert "No findings." in result.stdout
        assert f"The certificate is in {tmp_path / 'out'}" in result.stderr
        assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
        verified = verify(tmp_path / "out")
        assert verified.exit_code == 0
        assert "The files fit together." in verified.stdout
        assert verified.stderr == ""

    def test_weights_are_those_that_everybody_can_fetch(self, tmp_path: Path):
        certify(tmp_path / "out")
        fetched = colearn("weights", "get", REFERENCE, "--out", tmp_path / "fetched")
        assert fetched.exit_code == 0, fetched.output
        certified = (tmp_path / "out" / "weights.safetensors").read_bytes()
        assert certified == (tmp_path / "fetched").read_bytes()

    def test_history_is_that_of_the_command(self, tmp_path: Path):
        certify(tmp_path / "out")
        shown = colearn("history", REFERENCE, "--json")
        assert (tmp_path / "out" / "history.json").read_text() == shown.stdout

    def test_json_of_the_audit_stays_a_document(self, tmp_path: Path):
        result = certify(tmp_path / "out", "--json")
        assert json.loads(result.stdout)["findings"] == []

    @pytest.mark.parametrize("curve", CURVES)
    def test_signed_certificate_is_verified_with_the_public_key(self, curve: str, tmp_path: Path):
        private, public = write_keys(tmp_path, curve)
        result = certify(tmp_path / "out", "--signing-key", private)
        assert result.exit_code == 0, result.output
        unverified = verify(tmp_path / "out")
        assert unverified.exit_code == 0
        assert "The signature was not verified; give the auditor's key" in unverified.stderr
        verified = verify(tmp_path / "out", "--public-key", public, "--json")
        assert verified.exit_code == 0, verified.output
        document = json.loads(verified.stdout)
        assert document["signature"] == "valid"
        assert document["reference"] == REFERENCE
        assert document["problems"] == []
        _, other = write_keys(tmp_path / "out", curve)
        refused = verify(tmp_path / "out", "--public-key", other)
        assert refused.exit_code == 1
        assert "The statement was not signed with this key." in refused.stdout


class TestRefusals:
    def test_findings_prevent_a_certificate(self, connected: Connected, tmp_path: Path):
        connected.ledger.rewrites["current_weights"] = lambda found: found[:1]
        result = certify(tmp_path / "out")
        assert result.exit_code == 1
        assert "No certificate was written, because there are findings." in result.stderr
        assert not (tmp_path / "out").exists()

    def test_experiment_has_to_be_over_up_to_the_confirmations(
        self, connected: Connected, tmp_path: Path
    ):
        certify(tmp_path / "out")
        assert connected.confirmations == [CONFIRMATIONS, 1]

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            (("--no-files",), "leave out --no-files"),
            (("--signing-key", "wrong.pem"), "contains no key of Ed25519 or NIST P-256"),
        ],
    )
    def test_impossible_options_are_refused_before_anything_is_read(
        self,
        options: tuple[str, ...],
        reason: str,
        connected: Connected,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ):
        monkeypatch.chdir(tmp_path)
        Path("wrong.pem").touch()
        result = certify(tmp_path / "out", *options)
        assert result.exit_code == 2
        assert reason in one_line(result.stderr)
        assert connected.confirmations == []

    def test_folder_with_files_is_refused_before_anything_is_read(
        self, connected: Connected, tmp_path: Path
    ):
        (tmp_path / "notes").touch()
        result = certify(tmp_path)
        assert result.exit_code == 2
        assert "is not empty; choose a new one" in result.stderr
        assert connected.confirmations == []

    def test_key_without_a_certificate_is_refused(self, tmp_path: Path):
        private, _ = write_keys(tmp_path, "P-256")
        result = colearn("audit", REFERENCE, "--signing-key", private)
        assert result.exit_code == 2
        assert "use it with --certificate" in result.stderr

    def test_running_experiment_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        from tests.support.toyworld import TowardsTarget

        running = World(tmp_path / "world", [TowardsTarget(1.0) for _ in range(3)])
        for agent in running.agents():
            agent.step()
        connect_commands(running, tmp_path / "home", monkeypatch)
        result = certify(tmp_path / "out")
        assert result.exit_code == 2
        assert "is running, so its weights are not final" in result.stderr


@pytest.mark.usefixtures("connected")
class TestVerify:
    def test_changed_file_is_reported(self, tmp_path: Path):
        certify(tmp_path / "out")
        with (tmp_path / "out" / "weights.safetensors").open("ab") as file:
            file.write(b"x")
        result = verify(tmp_path / "out")
        assert result.exit_code == 1
        assert "✘ weights.safetensors was changed" in result.stdout

    def test_other_files_are_named(self, tmp_path: Path):
        certify(tmp_path / "out")
        (tmp_path / "out" / "notes").touch()
        result = verify(tmp_path / "out")
        assert result.exit_code == 0
        assert "The statement does not cover: notes" in result.stderr

    def test_other_folder_cannot_be_checked(self, tmp_path: Path):
        result = verify(tmp_path)
        assert result.exit_code == 2
        assert "could not be checked" in result.stderr
        assert "so it is not a certificate" in result.stderr

    def test_missing_folder_is_wrong_usage(self):
        assert colearn("audit", "verify").exit_code == 2


class TestSubcommand:
    def test_help_shows_the_argument_and_the_subcommand(self):
        help_text = colearn("audit", "--help").output
        assert "[OPTIONS] REF" in help_text
        assert "verify" in help_text[help_text.index("Commands:") :]
        assert "audit verify [OPTIONS] FOLDER" in colearn("audit", "verify", "--help").output

    @pytest.mark.parametrize(
        ("words", "incomplete", "expected"),
        [
            (["audit"], "v", ["verify"]),
            (["audit"], "--certif", ["--certificate"]),
            (["audit", "verify"], "--publ", ["--public-key"]),
            (["audit", "1"], "--sign", ["--signing-key"]),
        ],
    )
    def test_completion(self, words: list[str], incomplete: str, expected: list[str]):
        found = ShellComplete(main, {}, "colearn", "_X").get_completions(words, incomplete)
        assert [item.value for item in found] == expected
