"""The learner's side of collective learning: interface, learners, local driver and agent.

Every name is imported on first use, so importing the package loads no numpy, no plotting library
and no machine learning framework. Each framework's learners have their own module, for example
`colearn_learner.learners.sklearn` and `colearn_learner.learners.keras`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colearn_learner.compat.mli_factory import ExampleMliFactory, MliFactory
    from colearn_learner.compat.plot import ColearnPlot
    from colearn_learner.compat.registry import FactoryRegistry, RegistryException
    from colearn_learner.compat.results import Result, Results, print_results
    from colearn_learner.compat.training import (
        collective_learning_round,
        individual_training_round,
        initial_result,
        run,
        run_one_round,
        set_equal_weights,
    )
    from colearn_learner.errors import LearnerError
    from colearn_learner.interface import (
        ColearnModel,
        DiffPrivBudget,
        DiffPrivConfig,
        ErrorCodes,
        Learner,
        MachineLearningInterface,
        ModelFormat,
        ProposedWeights,
        TrainingSummary,
        Weights,
    )
    from colearn_learner.learners.onnx import convert_model_to_onnx, deser_model

__all__ = [
    "ColearnModel",
    "ColearnPlot",
    "DiffPrivBudget",
    "DiffPrivConfig",
    "ErrorCodes",
    "ExampleMliFactory",
    "FactoryRegistry",
    "Learner",
    "LearnerError",
    "MachineLearningInterface",
    "MliFactory",
    "ModelFormat",
    "ProposedWeights",
    "RegistryException",
    "Result",
    "Results",
    "TrainingSummary",
    "Weights",
    "collective_learning_round",
    "convert_model_to_onnx",
    "deser_model",
    "individual_training_round",
    "initial_result",
    "print_results",
    "run",
    "run_one_round",
    "set_equal_weights",
]

_MODULE_OF = {
    "LearnerError": "errors",
    "ColearnPlot": "compat.plot",
    **dict.fromkeys(("ExampleMliFactory", "MliFactory"), "compat.mli_factory"),
    **dict.fromkeys(("FactoryRegistry", "RegistryException"), "compat.registry"),
    **dict.fromkeys(("Result", "Results", "print_results"), "compat.results"),
    **dict.fromkeys(("convert_model_to_onnx", "deser_model"), "learners.onnx"),
    **dict.fromkeys(
        (
            "collective_learning_round",
            "individual_training_round",
            "initial_result",
            "run",
            "run_one_round",
            "set_equal_weights",
        ),
        "compat.training",
    ),
}
"""All other names of `__all__` are in the module `interface`."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULE_OF.get(name, 'interface')}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
