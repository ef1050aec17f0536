"""Learners to start from: `colearn learner new` copies one of them and writes its experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PLACEHOLDER = "starter_module"
"""Stands in a starter for the name of the user's module."""


@dataclass(frozen=True, slots=True)
class Starter:
    """A learner to start from.

    Args:
        kind: its name.
        model: description of its model, for people.
        packages: the modules that it imports, which must be installed.
        merge: what several accepted proposals of a round become: ``mean`` or ``best``.
        max_bytes: the largest file of weights, in bytes; None if weights do not grow.
        max_classes: the most classes that it can tell apart; None for any number.
    """

    kind: str
    model: str
    packages: tuple[str, ...] = ()
    merge: str = "mean"
    max_bytes: int | None = None
    max_classes: int | None = None

    def write_text(self, module: str) -> str:
        """Return the text of a learner's file.

        Args:
            module: the name of the module, which is that of the file without ``.py``.
        """
        text = Path(__file__).with_name(f"{self.kind}_starter.py").read_text()
        return text.replace(PLACEHOLDER, module)


STARTERS: Mapping[str, Starter] = {
    starter.kind: starter
    for starter in (
        Starter("numpy", "logistic regression, in numpy", max_classes=2),
        Starter("sklearn", "logistic regression, SGDClassifier of scikit-learn", ("sklearn",)),
        Starter("keras", "network with one hidden layer, in Keras", ("keras", "tensorflow")),
        Starter("pytorch", "network with one hidden layer, in PyTorch", ("torch",)),
        Starter(
            "xgboost",
            "boosted trees, XGBoost",
            ("xgboost",),
            merge="best",
            max_bytes=10_000_000,
            max_classes=2,
        ),
    )
}
