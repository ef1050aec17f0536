"""Train PyTorch with loaders of a single batch, on which the ancestor's learner failed."""

import torch
from colearn.training import collective_learning_round, initial_result, set_equal_weights
from colearn.utils.results import Results
from colearn_pytorch.pytorch_learner import PytorchLearner
from colearn_pytorch.utils import auc_from_logits, binary_accuracy_from_logits
from sklearn.datasets import load_breast_cancer
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)
inputs, labels = load_breast_cancer(return_X_y=True)
inputs = torch.tensor(inputs / inputs.max(axis=0), dtype=torch.float32)
labels = torch.tensor(labels, dtype=torch.float32).unsqueeze(1)
whole = len(inputs)

all_learner_models = []
for n, score in enumerate([auc_from_logits, binary_accuracy_from_logits, auc_from_logits]):
    train, vote, test = (slice(150 * n + 50 * k, 150 * n + 50 * (k + 1)) for k in range(3))
    model = torch.nn.Linear(30, 1)
    all_learner_models.append(
        PytorchLearner(
            model,
            torch.optim.SGD(model.parameters(), lr=0.5),
            DataLoader(TensorDataset(inputs[train], labels[train]), batch_size=whole),
            DataLoader(TensorDataset(inputs[vote], labels[vote]), batch_size=whole),
            DataLoader(TensorDataset(inputs[test], labels[test]), batch_size=whole),
            criterion=torch.nn.BCEWithLogitsLoss(),
            minimise_criterion=False,
            vote_criterion=score,
        )
    )

set_equal_weights(all_learner_models)
results = Results()
results.data.append(initial_result(all_learner_models))
for round_index in range(6):
    results.data.append(collective_learning_round(all_learner_models, 0.5, round_index))
