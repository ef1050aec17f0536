"""Helper functions of the `colearn` library for Keras, and learners of prepared folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from colearn_learner.errors import InvalidData
from colearn_learner.learners.keras import _make_loader, normalize_img
from tests.support.prepared_folders import check_learners_of_prepared_folders

IMAGES, LABELS = load_digits(return_X_y=True)
IMAGES = (IMAGES.reshape(-1, 8, 8, 1) * 15).astype("uint8")


def test_normalize_img_maps_grey_values_to_zero_to_one():
    image, label = normalize_img(np.array([0, 51, 255], "uint8"), 7)
    assert image.dtype == "float32"
    np.testing.assert_allclose(image, [0.0, 0.2, 1.0], rtol=1e-6)
    assert label == 7


def test_loader_yields_each_record_once_with_its_label():
    numbered = np.arange(100.0)
    batches = list(_make_loader(numbered, numbered * 2).as_numpy_iterator())
    assert [len(inputs) for inputs, _ in batches] == [32, 32, 32, 4]
    inputs, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    np.testing.assert_array_equal(labels, inputs * 2)
    np.testing.assert_array_equal(np.sort(inputs), numbered)
    assert not np.array_equal(inputs, numbered)


def test_private_loader_is_the_pair_of_arrays():
    inputs, labels = _make_loader(IMAGES[:100], list(LABELS[:100]), 30, dp_enabled=True)
    np.testing.assert_array_equal(inputs, IMAGES[:100])
    np.testing.assert_array_equal(labels, LABELS[:100])


def test_keras_learner_accepts_the_loader():
    import keras

    from colearn_learner.learners.keras import KerasLearner

    keras.utils.set_random_seed(1)
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy")
    one = KerasLearner(
        model,
        _make_loader(IMAGES[:600], LABELS[:600]).map(normalize_img),
        _make_loader(IMAGES[600:900], LABELS[600:900]).map(normalize_img),
    )
    assert one.mli_test_weights(one.mli_propose_weights()).vote is True


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize(("images", "labels"), [(3, 2), (0, 0)])
def test_mismatched_or_missing_records_are_refused(images: int, labels: int, private: bool):
    with pytest.raises(InvalidData, match=f"{images} images and {labels} labels"):
        _make_loader(IMAGES[:images], LABELS[:labels], 10, dp_enabled=private)


def test_learners_of_prepared_folders_start_alike_and_improve(tmp_path: Path):
    check_learners_of_prepared_folders(tmp_path, "keras-mlp")
