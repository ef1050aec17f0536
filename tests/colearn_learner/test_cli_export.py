"""`colearn weights export` writes an experiment's weights as a model, on anvil."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_learner.catalogue.factories import share
from colearn_learner.cli._support.experiment_file import TEMPLATE
from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import EvmNetwork
from colearn_ledger.weights.codec import decode_weights
from colearn_localnet.anvil import Anvil
from tests.support.commands import colearn, run_json

PASSWORD = "a password"
SHARE = {"dataset": "breast-cancer", "learner": 0, "of": 5, "model": "keras-mlp"}
INPUTS = np.random.default_rng(1).normal(size=(20, 30)).astype("float32")
EXPORTING = "tests.support.exporting_learners"


def learner_arguments(**given: object) -> list[str]:
    pairs = [("--learner-arg", f"{name}={value}") for name, value in given.items()]
    return ["--learner", "colearn_learner.catalogue:share", *(word for p in pairs for word in p)]


OTHER_LEARNER = learner_arguments(**SHARE, seed=9)
"""Arguments of a learner of the experiment with different first weights."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Create an experiment of Keras learners with first weights; yield its reference and folder."""
    folder = tmp_path_factory.mktemp("export")
    with Anvil() as chain, pytest.MonkeyPatch.context() as patch:
        for name in ("COLEARN_NETWORK", "COLEARN_STORE", "COLEARN_KEY"):
            patch.delenv(name, raising=False)
        patch.setenv("COLEARN_HOME", str(folder / "home"))
        patch.setenv("COLEARN_PASSWORD", PASSWORD)
        Keystore(work=2).save("owner", Wallet.from_key(chain.keys[0]), PASSWORD)
        Networks().save(
            EvmNetwork("local-evm", chain.url, 31337, store=f"folder:{folder / 'store'}")
        )
        run_json("deploy", "--network", "local-evm", "--key", "owner")
        text = TEMPLATE.replace("of = 5 }", 'of = 5, model = "keras-mlp" }')
        (folder / "experiment.toml").write_text(text)
        spec = ("--spec", folder / "experiment.toml", "--key", "owner")
        yield str(run_json("experiment", "create", *spec)["reference"]), folder


@pytest.fixture(scope="module")
def expected() -> Any:
    """Return the predictions of the model with the experiment's weights."""
    return share(**SHARE).model.predict(INPUTS, verbose=0)


def test_onnx_export_predicts_as_the_experiments_model(place: tuple[str, Path], expected: Any):
    import onnxruntime

    reference, folder = place
    report = run_json(
        "weights", "export", reference, *OTHER_LEARNER, "--out", folder / "model.onnx"
    )
    assert report["format"] == "onnx"
    [current] = run_json("experiment", "show", reference)["current"]
    assert (report["cid"], report["merged_from"]) == (current["cid"], [])
    data = (folder / "model.onnx").read_bytes()
    assert report["bytes"] == len(data)
    (predicted,) = onnxruntime.InferenceSession(data).run(None, {"inputs": INPUTS})
    np.testing.assert_allclose(predicted, expected, rtol=1e-5, atol=1e-6)


def test_keras_export_predicts_as_the_experiments_model(place: tuple[str, Path], expected: Any):
    import keras

    reference, folder = place
    out = folder / "model.keras"
    run_json("weights", "export", reference, *OTHER_LEARNER, "--format", "keras", "--out", out)
    predicted = keras.saving.load_model(out).predict(INPUTS, verbose=0)
    np.testing.assert_allclose(predicted, expected, rtol=1e-5, atol=1e-6)


def test_safetensors_export_contains_the_weights_unchanged(place: tuple[str, Path]):
    reference, folder = place
    out = folder / "model.safetensors"
    run_json(
        "weights", "export", reference, *OTHER_LEARNER, "--format", "safetensors", "--out", out
    )
    exported = decode_weights(out.read_bytes()).weights
    for actual, original in zip(exported, share(**SHARE).model.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, original)


@pytest.mark.parametrize(
    ("learner", "model_format", "message"),
    [
        (learner_arguments(**SHARE | {"model": "mlp"}), "onnx", "do not match the experiment"),
        (
            ["--learner", f"{EXPORTING}:make_without_model"],
            "onnx",
            "does not return an ONNX model",
        ),
        (
            ["--learner", f"{EXPORTING}:make_without_model"],
            "keras",
            "has no Keras model",
        ),
        (
            ["--learner", f"{EXPORTING}:make_failing_export"],
            "onnx",
            "ValueError: out of order",
        ),
    ],
    ids=["another model", "no model", "not Keras", "breaks"],
)
def test_failed_export_is_reported_and_writes_nothing(
    place: tuple[str, Path],
    learner: list[str],
    model_format: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
):
    reference, folder = place
    out = folder / "absent"
    result = colearn(
        "weights", "export", reference, *learner, "--format", model_format, "--out", out
    )
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
    assert not list(folder.glob("*absent*"))
