"""Map the modules of the ancestor to the modules of this library.

Only import lines change. `rewrite_imports` changes them as a user would, by hand or with sed.
"""

from __future__ import annotations

import re

MODULES = {
    "colearn.ml_interface": "colearn_learner",
    "colearn.training": "colearn_learner",
    "colearn.standalone_driver": "colearn_learner",
    "colearn.utils.results": "colearn_learner",
    "colearn.utils.plot": "colearn_learner",
    "colearn.utils.data": "colearn_learner.compat.data",
    "colearn_keras.keras_learner": "colearn_learner.learners.keras",
    "colearn_keras.utils": "colearn_learner.learners.keras",
    "colearn_pytorch.pytorch_learner": "colearn_learner.learners.pytorch",
    "colearn_pytorch.utils": "colearn_learner.learners.pytorch",
    "colearn_grpc.factory_registry": "colearn_learner.compat.registry",
    "colearn_grpc.mli_factory_interface": "colearn_learner.compat.mli_factory",
    "colearn_grpc.example_mli_factory": "colearn_learner.compat.mli_factory",
    "colearn_grpc.grpc_server": "colearn_learner.compat.grpc_server",
    "colearn_grpc.example_grpc_learner_client": "colearn_learner.compat.grpc_client",
    "colearn_grpc.logging": "colearn_learner.compat.logging",
}
"""Replacement of each module of the ancestor, which has all `NAMES` of that module."""

NAMES = {
    "colearn.ml_interface": [
        *("MachineLearningInterface", "Weights", "ProposedWeights", "TrainingSummary"),
        *("DiffPrivBudget", "DiffPrivConfig", "ErrorCodes", "ColearnModel", "ModelFormat"),
        *("convert_model_to_onnx", "deser_model"),
    ],
    "colearn.training": [
        *("set_equal_weights", "initial_result", "collective_learning_round"),
        "individual_training_round",
    ],
    "colearn.standalone_driver": ["run", "run_one_round"],
    "colearn.utils.results": ["Result", "Results", "print_results"],
    "colearn.utils.plot": ["ColearnPlot"],
    "colearn.utils.data": ["get_data", "split_list_into_fractions"],
    "colearn_keras.keras_learner": ["KerasLearner"],
    "colearn_keras.utils": ["normalize_img", "_make_loader"],
    "colearn_pytorch.pytorch_learner": ["PytorchLearner"],
    "colearn_pytorch.utils": [
        *("binary_accuracy_from_logits", "auc_from_logits", "categorical_accuracy"),
        "prepare_data_split_list",
    ],
    "colearn_grpc.factory_registry": [
        *("FactoryRegistry", "RegistryException", "check_dataloader_callable"),
    ],
    "colearn_grpc.mli_factory_interface": ["MliFactory"],
    "colearn_grpc.example_mli_factory": ["ExampleMliFactory"],
    "colearn_grpc.grpc_server": ["GRPCServer"],
    "colearn_grpc.example_grpc_learner_client": [
        *("ExampleGRPCLearnerClient", "GRPCClientException"),
    ],
    "colearn_grpc.logging": ["get_logger", "set_log_levels"],
}
"""Names that programs import from each module of the ancestor."""

COPIED = {
    "colearn_keras.keras_cifar10": "keras_cifar10",
    "colearn_keras.keras_mnist": "keras_mnist",
    "colearn_other.demo_utils": "demo_utils",
    "colearn_other.fraud_dataset": "fraud_dataset",
    "colearn_pytorch.pytorch_covid_xray": "pytorch_covid_xray",
    "colearn_pytorch.pytorch_xray": "pytorch_xray",
}
"""Example modules of the ancestor, which users copy beside their programs, and their new names."""

_RELATIVE = {".utils": MODULES["colearn_pytorch.utils"]}
"""Replacement of the relative imports in the copied modules."""

_IMPORT = re.compile(
    r"^(\s*(?:from|import)\s+)(colearn\w*(?:\.\w+)*|\.utils)(?=\s+import\b|\s*(?:#.*)?$)",
    re.MULTILINE,
)


def rewrite_imports(program: str) -> str:
    """Return a program with the modules of its import lines replaced."""
    new_names = MODULES | COPIED | _RELATIVE
    return _IMPORT.sub(lambda found: found[1] + new_names[found[2]], program)
