"""Commands on experiments with several proposers in a round."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from colearn_learner.cli import main
from colearn_ledger.protocol import ExperimentParams
from colearn_ledger.text.ranges import format_numbers
from colearn_ledger.text.shortening import shorten
from colearn_ledger.weights.codec import decode_weights
from colearn_ledger.weights.unixfs import content_of
from tests.support.commands import colearn, run_json
from tests.support.local_network import LocalNetwork, open_network


@pytest.fixture
def five(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalNetwork:
    """Play a round of five proposers in which slots 0, 2 and 4 are accepted."""
    network = open_network(tmp_path, monkeypatch, 5, proposers=5)
    network.made.play(lambda _, slot: slot % 2 == 0)
    return network


def read_rows(output: str) -> list[str]:
    """Return the lines of a table that begin with a number."""
    return [line for line in output.splitlines() if re.match(r" {1,4}\d+ ", line)]


# ------------------------------------------------------------------ history


def test_history_has_one_line_for_each_round(five: LocalNetwork, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "120")
    output = colearn("history", five.reference).stdout
    first, second = read_rows(output)
    assert re.search(r"^ *0 +3 of 5 accepted +✔✔✔✔✔ +1\.99", first)
    # the keys 0, 1 and 2 have names; the accounts of the other learners are shortened
    assert re.search(r" 0, 2, 0x\w{6}…\w{4} +mean of 3$", first)
    assert re.search(r"^ *1 +proposing +★★★★★ ", second)
    assert "Score: score, higher is better" in output


@pytest.mark.parametrize("width", [40, 80, 200])
def test_history_of_thirty_two_learners_stays_compact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
):
    network = open_network(tmp_path, monkeypatch, 32, proposers=16)
    network.made.play(lambda _, slot: slot != 3)
    network.made.play(lambda learner, slot: learner == slot)
    monkeypatch.setenv("COLUMNS", str(width))
    lines = colearn("history", network.reference).stdout.splitlines()
    first, second, _ = read_rows("\n".join(lines))
    assert "15 of 16 accepted" in first
    assert "0 of 16 accepted" in second
    assert max(map(len, lines)) <= width
    monkeypatch.setenv("COLUMNS", str(max(width, 80)))
    detail = colearn("history", network.reference, "--round", 0).stdout
    assert len(read_rows(detail)) == 16 + 32 + 16
    assert "has every learner's scores of each proposal" in " ".join(detail.split())
    assert len(run_json("history", network.reference)["rounds"][0]["slots"]) == 16


def test_history_of_one_round_shows_each_slot_and_ballot(
    five: LocalNetwork, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "120")
    rows = read_rows(colearn("history", five.reference, "--round", 0).stdout)
    slots, ballots, files = rows[:5], rows[5:10], rows[10:]
    assert [row.split()[2] for row in slots] == ["accepted", "proposed"] * 2 + ["accepted"]
    assert "4 of 4" in slots[0]
    assert five.made.ledger.round(five.made.id, 0).slots[4].content.cid in files[4]
    assert "✔       2, 4  " in ballots[0]
    assert "✔       0, 2, 4  " in ballots[1]
    # learner 1: its current weights' score, then slots 0 to 4, with its own proposal's
    expected = ["0.9900", "1.0000", "1.5000", "1.0200", "1.0300", "1.0400"]
    assert ballots[1].split()[-6:] == expected


def test_names_come_from_the_keystore_and_from_files(five: LocalNetwork, tmp_path: Path):
    accounts = five.made.accounts
    own = tmp_path / "home" / "names.toml"
    own.write_text(f'dave = "{accounts[3]}"\nerin = "{accounts[4]}"\n')
    given = tmp_path / "others.toml"
    given.write_text(f'hospital = ["{accounts[4]}"]\n')
    shown = colearn("history", five.reference, "--round", 0, "--names", given).stdout
    assert [row.split()[1] for row in read_rows(shown)[:5]] == ["0", "1", "2", "dave", "hospital"]
    given.write_text('nobody = "0x12"\n')
    refused = colearn("history", five.reference, "--names", given)
    assert refused.exit_code == 1
    assert "the account of 'nobody': '0x12' is not an address" in refused.stderr


def test_history_is_drawn_into_a_file(five: LocalNetwork, tmp_path: Path):
    path = tmp_path / "rounds.html"
    drawn = colearn("history", five.reference, "--plot", path)
    assert drawn.exit_code == 0
    assert f"The rounds are drawn in {path}." in drawn.stderr
    assert "<svg" in path.read_text()
    assert "score, higher is better" in path.read_text()
    assert colearn("history", five.reference, "--plot", tmp_path / "x.pdf").exit_code == 2
    missing = colearn("history", five.reference, "--plot", tmp_path / "none" / "x.png")
    assert missing.exit_code == 2
    assert "does not exist; create it first" in missing.stderr


def test_unreachable_specification_leaves_the_history_readable(five: LocalNetwork, tmp_path: Path):
    shown = colearn("history", five.reference, "--store", f"folder:{tmp_path / 'none'}")
    assert shown.exit_code == 0
    assert "The score's name is unknown" in shown.stderr
    assert len(read_rows(shown.stdout)) == 2


def test_negative_number_is_not_taken_for_an_option(five: LocalNetwork):
    refused = colearn("history", "-1")
    assert refused.exit_code == 2
    assert "no argument here is negative; experiments are counted from 1" in refused.stderr
    assert "No such option" in colearn("history", "1", "-x").stderr


def test_output_in_ascii_has_marks_instead_of_an_error(
    five: LocalNetwork,
):
    shown = CliRunner(charset="ascii").invoke(main, ["history", five.reference])
    assert shown.exit_code == 0, shown.exception
    assert re.search("3 of 5 accepted  [+]{5} ", shown.stdout)
    assert "0xe1AB81~b276" in shown.stdout


def test_announcements_are_listed(five: LocalNetwork):
    five.made.views[1].announce(five.made.id, "keys", content_of(b"keys"))
    output = colearn("history", five.reference).stdout
    assert shorten(content_of(b"keys").cid) in output


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([0, 2, 4], "0, 2, 4"),
        ([0, 1, 4, 5, 6], "0, 1, 4-6"),
        ([30, 31, 0, 1, 2], "30, 31, 0-2"),
    ],
)
def test_three_numbers_in_a_row_become_a_range(numbers: list[int], text: str):
    assert format_numbers(numbers) == text


# --------------------------------------------------------------- experiment


def test_show_has_hash_slots_and_files_of_the_weights(five: LocalNetwork):
    five.made.propose(1)
    shown = run_json("experiment", "show", five.reference)
    assert shown["hash"] == five.made.ledger.experiment(1).hash.hex()
    assert (shown["phase"], len(shown["current"])) == ("voting", 3)
    states = [slot["state"] for slot in shown["slots"]]
    assert states == ["proposed", "declined", "proposed", "proposed", "proposed"]
    output = colearn("experiment", "show", five.reference).stdout
    assert shown["hash"] in output
    assert "5 a round, round robin, mean of the accepted" in output
    assert "mean of 3 files" in output
    cid = shown["slots"][4]["content"]["cid"]
    assert f"{cid[:8]}…{cid[-4:]}" in output


def test_cancel_during_a_vote_is_explained_and_takes_effect_later(five: LocalNetwork):
    five.made.propose()
    cancelled = colearn("experiment", "cancel", five.reference, "--key", "0")
    assert "requested (the open vote still counts" in cancelled.stdout
    assert "running, cancel requested" in colearn("experiment", "show", five.reference).stdout
    again = colearn("experiment", "cancel", five.reference, "--key", "0")
    assert again.exit_code == 1
    assert "already being cancelled" in again.stderr
    five.made.vote(lambda *_: True)
    assert run_json("experiment", "show", five.reference)["status"] == "cancelled"


def test_cancel_while_proposing_takes_effect_at_once(five: LocalNetwork):
    assert "cancel: done by" in colearn("experiment", "cancel", five.reference, "--key", "0").stdout
    assert run_json("experiment", "show", five.reference)["status"] == "cancelled"


def test_join_names_the_experiment_by_its_hash(five: LocalNetwork):
    content = content_of(b"spec")
    five.made.ledger.create(ExperimentParams("other", content, content, 1, 3, 3))
    known = five.made.ledger.experiment(2).hash.hex()
    assert known in colearn("experiment", "join", 2, "--key", "0").stderr
    assert run_json("experiment", "join", 2, "--key", "1", "--hash", f"0x{known}")
    wrong = colearn("experiment", "join", 2, "--key", "2", "--hash", "11" * 32)
    assert wrong.exit_code == 1
    assert f"has the hash {known}" in wrong.stderr
    malformed = colearn("experiment", "join", 2, "--key", "2", "--hash", "1234")
    assert malformed.exit_code == 2
    assert "64 hexadecimal digits" in malformed.stderr


def test_agent_refuses_an_experiment_with_another_hash(five: LocalNetwork):
    run = ("agent", "run", "--experiment", five.reference, "--key", "0", "--learner", "no:learner")
    wrong = colearn(*run, "--hash", "11" * 32)
    assert wrong.exit_code == 1
    known = five.made.ledger.experiment(five.made.id).hash.hex()
    assert f"has the hash {known}, so its creator or its rules are not" in wrong.stderr
    right = colearn(*run, "--hash", known)
    assert "No module named 'no'" in right.stderr or "no:learner" in right.stderr
    assert "hash" not in right.stderr
    malformed = colearn(*run, "--hash", "1234")
    assert malformed.exit_code == 2
    assert "64 hexadecimal digits" in malformed.stderr


# ------------------------------------------------------------------ weights


def read_number(path: Path) -> float:
    [array] = decode_weights(path.read_bytes()).weights
    assert (array == array[0]).all()
    return float(array[0])


def test_current_weights_are_the_mean_of_the_accepted_files(five: LocalNetwork):
    out = five.folder / "mean.safetensors"
    report = run_json("weights", "get", five.reference, "--out", out)
    assert read_number(out) == np.float32((0 + 2 + 4) / 3)
    accepted = [content.cid for content in five.made.ledger.current_weights(five.made.id)]
    assert (report["merged_from"], report["round"]) == (accepted, None)
    assert report["sha256"] == content_of(out.read_bytes()).sha256
    assert "the mean of 3 accepted files" in (
        colearn("weights", "get", five.reference, "--out", out).stderr
    )


def test_missing_file_is_named(five: LocalNetwork):
    _, missing, _ = five.made.ledger.current_weights(five.made.id)
    five.file_of(missing).unlink()
    out = five.folder / "mean.safetensors"
    result = colearn("weights", "get", five.reference, "--out", out)
    assert result.exit_code == 1
    assert "1 of the 3 accepted files" in result.stderr
    assert missing.cid in result.stderr
    assert not out.exists()


def test_announced_mean_replaces_a_missing_file(five: LocalNetwork):
    out = five.folder / "mean.safetensors"
    fetch = ("weights", "get", five.reference, "--out", out)
    report = run_json(*fetch)
    merged = five.store.put([out.read_bytes()])
    five.file_of(five.made.ledger.current_weights(five.made.id)[1]).unlink()
    out.unlink()
    for learner in (1, 3):
        assert colearn(*fetch).exit_code == 1  # two have to announce it
        five.made.views[learner].announce(five.made.id, "merge", merged)
    assert run_json(*fetch) == report
    assert read_number(out) == np.float32((0 + 2 + 4) / 3)
    assert "announced by 2 learners of that round" in colearn(*fetch).stderr


def test_proposal_of_a_round_is_chosen_by_its_slot(five: LocalNetwork):
    out = five.folder / "slot.safetensors"
    fetch = ("weights", "get", five.reference, "--out", out)
    unclear = colearn(*fetch, "--round", 0)
    assert unclear.exit_code == 2
    assert "choose one with --slot: 0, 1, 2, 3, 4" in unclear.stderr
    report = run_json(*fetch, "--round", 0, "--slot", 3)
    assert (report["slot"], report["merged_from"], read_number(out)) == (3, [], 3.0)
    assert "was not accepted" in colearn(*fetch, "--round", 0, "--slot", 3).stderr
    absent = colearn(*fetch, "--round", 0, "--slot", 9)
    assert absent.exit_code == 1
    assert "slot 9 of round 0 has no proposal" in absent.stderr
    assert colearn(*fetch, "--slot", 0).exit_code == 2
