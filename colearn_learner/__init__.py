"""Collective learning for those who learn: the interface, learners, the local driver, the agent.

Every name is imported when it is first asked for: importing the package itself loads no numpy,
no plotting and no machine learning framework. Learners of a framework are in modules of their
own, `colearn_learner.sklearn` and `colearn_learner.keras`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from colearn_learner.mli_factory import ExampleMliFactory, MliFactory
    from colearn_learner.onnx import convert_model_to_onnx, deser_model
    from colearn_learner.plot import ColearnPlot
    from colearn_learner.registry import FactoryRegistry, RegistryException
    from colearn_learner.results import Result, Results, print_results
    from colearn_learner.training import (
        collective_learning_round,
        individual_training_round,
        initial_result,
        run,
        run_one_round,
        set_equal_weights,
    )

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
    "ColearnPlot": "plot",
    **dict.fromkeys(("ExampleMliFactory", "MliFactory"), "mli_factory"),
    **dict.fromkeys(("FactoryRegistry", "RegistryException"), "registry"),
    **dict.fromkeys(("Result", "Results", "print_results"), "results"),
    **dict.fromkeys(("convert_model_to_onnx", "deser_model"), "onnx"),
    **dict.fromkeys(
        (
            "collective_learning_round",
            "individual_training_round",
            "initial_result",
            "run",
            "run_one_round",
            "set_equal_weights",
        ),
        "training",
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
