"""Run a program of 2022 with the packages of today: restore names that they dropped since.

Usage: python run_program.py PROGRAM [ARGUMENT…]
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from colearn_learner.learners.triton_guard import keep_triton_from_tensorflow

PRIVATE = "tensorflow_privacy.privacy.optimizers.dp_optimizer_keras"


def add_module(name: str, **contents: Any) -> None:
    """Make a module importable, with its parents if they do not exist."""
    parent, _, last = name.rpartition(".")
    if parent and parent not in sys.modules:
        add_module(parent)
    module = sys.modules.setdefault(name, ModuleType(name))
    module.__path__ = []
    vars(module).update(contents)
    if parent:
        setattr(sys.modules[parent], last, module)


def restore_keras() -> None:
    """Restore Keras 2's `lr` and `decay`, shapes that are numbers, and names in TensorFlow."""
    import keras
    import tensorflow as tf
    from tensorflow.python.data.ops import dataset_ops

    dataset_ops.PrefetchDataset = tf.data.Dataset
    adam, make_input = keras.optimizers.Adam, keras.Input

    class Adam(adam):
        def __init__(self, lr: Any = None, decay: float = 0.0, **options: Any) -> None:
            if lr is not None:
                options["learning_rate"] = lr
            super().__init__(**options)

    def make_any_input(shape: Any = None, **options: Any) -> Any:
        return make_input(shape=(shape,) if isinstance(shape, int) else shape, **options)

    for package in (keras, tf.keras):
        package.optimizers.Adam, package.Input = Adam, make_any_input
    old = "tensorflow.python.keras"
    add_module(f"{old}.applications.resnet", ResNet50=keras.applications.ResNet50)
    add_module(f"{old}.layers", Dropout=keras.layers.Dropout)


def make_private_adam(**options: Any) -> Any:
    """Return a stand-in for tensorflow_privacy's Adam, which cannot be installed with Keras 3."""
    import keras

    kind = type("DPKerasAdamOptimizer", (keras.optimizers.Adam,), {"__module__": PRIVATE})
    return kind(learning_rate=options["learning_rate"])


def restore_boston() -> None:
    """Return another data set for a regression, as scikit-learn dropped the Boston houses."""
    import sklearn.datasets

    sklearn.datasets.load_boston = sklearn.datasets.load_diabetes


if __name__ == "__main__":
    keep_triton_from_tensorflow()  # some programs use TensorFlow and PyTorch
    program, sys.argv = sys.argv[1], sys.argv[1:]
    if "keras" in Path(program).read_text():
        restore_keras()
    add_module(PRIVATE, DPKerasAdamOptimizer=make_private_adam)
    restore_boston()
    runpy.run_path(program, run_name="__main__")
