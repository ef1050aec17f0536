"""`colearn data` and `colearn datasets`, as people and programs use them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from colearn_learner.cli._support.factories import load_learner, parse_arguments
from colearn_learner.datasets import DATASETS, SOURCES, read_share
from colearn_learner.errors import InvalidData
from tests.support.commands import colearn, run_json

HEAVY = {"tensorflow", "keras", "sklearn", "scipy", "PIL", "matplotlib", "web3", "wasmtime"}


def test_prepare_creates_and_lists_the_folders(tmp_path: Path):
    result = run_json(
        "data", "prepare", "breast-cancer", "--into", tmp_path / "out", "--n-learners", 4
    )
    assert (result["dataset"], result["records"], result["unused"]) == ("breast-cancer", 569, 0)
    assert result["stands_in_for"] is None
    assert [Path(one["folder"]).name for one in result["learners"]] == [
        f"learner-{n}" for n in range(4)
    ]
    total = 0
    for one in result["learners"]:
        share = read_share(one["folder"]).share
        sizes = (len(share.train), len(share.vote), len(share.test))
        assert sizes == (one["train"], one["vote"], one["test"])
        total += sum(sizes)
    assert total == 569


def test_prepare_explains_how_to_use_the_folders(tmp_path: Path):
    result = colearn("data", "prepare", "wine", "--into", tmp_path / "out", "--n-learners", "2")
    assert result.exit_code == 0
    assert "learner-1" in result.stdout
    assert "wine has 178 records; 0 of them are in no folder" in result.stderr
    assert "give each to one learner" in result.stderr


def test_options_define_the_division(tmp_path: Path):
    how = ("--how", "by-size", "--fractions", "0.5,0.25", "--drop-rest", "--n-learners", 2)
    more = ("--parts", "0.5,0.3,0.2", "--least", 3, "--seed", 12)
    result = run_json("data", "prepare", "wine", "--into", tmp_path / "a", *how, *more)
    division = read_share(tmp_path / "a" / "learner-0").description["division"]
    assert division == {
        **{"n_learners": 2, "how": "by-size", "alpha": 0.5, "fractions": [0.5, 0.25]},
        **{"parts": [0.5, 0.3, 0.2], "seed": 12, "least": 3, "drop_rest": True},
        "unused": result["unused"],
    }
    run_json(
        "data", "prepare", "wine", "--into", tmp_path / "b", "--how", "label-skew", "--alpha", 0.1
    )
    division = read_share(tmp_path / "b" / "learner-4").description["division"]
    assert (division["how"], division["alpha"]) == ("label-skew", 0.1)


def test_factory_loads_a_prepared_folder(tmp_path: Path):
    result = run_json("data", "prepare", "wine", "--into", tmp_path / "out", "--n-learners", 2)
    given = parse_arguments([f"data={result['learners'][1]['folder']}", "model=mlp", "seed=3"])
    learner = load_learner("colearn_learner.catalogue:prepared", given)
    assert learner.mli_test_weights(learner.mli_propose_weights()).vote is True
    (tmp_path / "out" / "learner-1" / "vote.npz").write_bytes(b"other")
    with pytest.raises(InvalidData, match=r"vote\.npz"):
        load_learner("colearn_learner.catalogue:prepared", given)


def test_downloaded_files_are_prepared_from_their_path(tmp_path: Path):
    from sklearn.datasets import load_digits

    digits, kinds = load_digits(return_X_y=True)
    images, labels = (digits.reshape(-1, 8, 8) * 15).astype(np.uint8), kinds.astype(np.uint8)
    arrays = {"x_train": images[:1500], "y_train": labels[:1500]}
    np.savez(tmp_path / "mnist.npz", x_test=images[1500:], y_test=labels[1500:], **arrays)
    place = ("--from", tmp_path / "mnist.npz", "--into", tmp_path / "out")
    result = run_json("data", "prepare", "mnist", *place)
    assert (result["dataset"], result["stands_in_for"], result["records"]) == ("mnist", None, 1797)
    shown = colearn("data", "check", tmp_path / "out" / "learner-0").stdout
    assert "mnist, classification, 1797 records" in shown
    assert "8 × 8 × 1 uint8" in shown
    assert "0 of 5" in shown


def test_replacing_mnist_by_digits_is_announced(tmp_path: Path):
    program = "from colearn_learner.cli import main; main(prog_name='colearn')"
    arguments = ("data", "prepare", "mnist", "--into", str(tmp_path / "out"), "--json")
    refused = colearn(*arguments)
    assert refused.exit_code == 2
    assert "nothing was written" in " ".join(refused.output.split())
    assert not (tmp_path / "out").exists()
    arguments = (*arguments, "--stand-in")
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert "digits replace it" in run.stderr
    result = json.loads(run.stdout)
    assert (result["dataset"], result["stands_in_for"]) == ("digits", "mnist")
    assert read_share(tmp_path / "out" / "learner-0").dataset.name == "digits"


def test_check_returns_the_description(tmp_path: Path):
    run_json("data", "prepare", "diabetes", "--into", tmp_path / "out")
    result = run_json("data", "check", tmp_path / "out" / "learner-2")
    assert result == json.loads((tmp_path / "out" / "learner-2" / "share.json").read_text())
    shown = colearn("data", "check", tmp_path / "out" / "learner-2").stdout
    assert "none; the targets are numbers" in shown


def test_prepared_data_is_replaced_only_with_overwrite(tmp_path: Path):
    out = tmp_path / "out"
    run_json("data", "prepare", "wine", "--into", out)
    refused = colearn("data", "prepare", "digits", "--into", out)
    assert refused.exit_code == 1
    assert "contains prepared data already" in refused.stderr
    run_json("data", "prepare", "digits", "--into", out, "--overwrite")
    assert read_share(out / "learner-0").dataset.name == "digits"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("prepare", "mnits", "--into", "out"), 2, "did you mean mnist"),
        (("prepare", "wine"), 2, "--into"),
        (("prepare", "wine", "--into", "out", "--from", "."), 2, "comes with scikit-learn"),
        (("prepare", "cifar-10", "--into", "out"), 1, "get the binary version"),
        (
            ("prepare", "mnist", "--into", "out", "--from", "no"),
            1,
            "no does not exist. To get mnist",
        ),
        (("prepare", "wine", "--into", "out", "--n-learners", "60"), 2, "too few for 60 learners"),
        (
            ("prepare", "wine", "--into", "out", "--how", "by-size"),
            2,
            "needs fractions, and no other",
        ),
        (
            ("prepare", "wine", "--into", "out", "--fractions", "1"),
            2,
            "needs fractions, and no other",
        ),
        (
            ("prepare", "wine", "--into", "out", "--fractions", "a"),
            2,
            "numbers separated by commas",
        ),
        (("prepare", "wine", "--into", "out", "--parts", "0.5,0.5"), 2, "three fractions"),
        (("prepare", "wine", "--into", "out", "--parts", "0.5,0.4,nan"), 2, "above 0"),
        (("prepare", "wine", "--into", "out", "--alpha", "0"), 2, "--alpha"),
        (("prepare", "wine", "--into", "out", "--alpha", "inf"), 2, "alpha is inf"),
        (("prepare", "wine", "--into", "/dev/null/out"), 1, "/dev/null"),
        (("check", "nothing"), 1, "there is no such folder"),
    ],
)
def test_wrong_usage_is_reported_in_one_line_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    result = colearn("data", *arguments)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


def test_datasets_command_lists_all_sources():
    rows = {row["name"]: row for row in json.loads(colearn("datasets", "--json").stdout)}
    assert set(rows) == {*DATASETS, *SOURCES}
    assert rows["wine"]["where"] == "comes with scikit-learn"
    assert "mnist.npz" in rows["mnist"]["where"]
    assert rows["fraud-ieee"]["features"] == 431
    assert rows["covid-xray"]["records"] is None
    shown = colearn("datasets").stdout
    assert all(source.where in shown for source in SOURCES.values())


def test_help_loads_nothing_heavy(tmp_path: Path):
    program = """
import json, sys
from colearn_learner.cli import main
for command in (["data", "prepare", "--help"], ["data", "check", "--help"], ["datasets"]):
    try:
        main(command, prog_name="colearn", standalone_mode=False)
    except SystemExit:
        pass
print(json.dumps(sorted(sys.modules)))
"""
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in json.loads(run.stdout.splitlines()[-1])}
    assert "click" in loaded
    assert not loaded & HEAVY
