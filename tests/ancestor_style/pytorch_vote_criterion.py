"""Vote in PyTorch by a separate criterion, like the ancestor's examples."""

import os

import torch
import torch.nn as nn
import torch.nn.functional as nn_func
import torch.utils.data
from colearn.training import collective_learning_round, initial_result, set_equal_weights
from colearn.utils.plot import ColearnPlot
from colearn.utils.results import Results, print_results
from colearn_pytorch.pytorch_learner import PytorchLearner
from colearn_pytorch.utils import categorical_accuracy, prepare_data_split_list
from sklearn.datasets import load_digits

seed = 42
n_learners = 3
batch_size = 32
vote_threshold = 0.5
n_rounds = 4 if os.environ.get("COLEARN_EXAMPLES_TEST") else 20
device = torch.device("cpu")

torch.manual_seed(seed)
images, labels = load_digits(return_X_y=True)
digits = torch.utils.data.TensorDataset(
    torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(labels)
)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1)
        self.fc1 = nn.Linear(3 * 3 * 8, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        x = nn_func.relu(self.conv1(x))
        x = nn_func.max_pool2d(x, 2)
        x = x.view(-1, 3 * 3 * 8)
        x = nn_func.relu(self.fc1(x))
        return nn_func.log_softmax(self.fc2(x), dim=1)


all_learner_models = []
for part in torch.utils.data.random_split(digits, prepare_data_split_list(digits, n_learners)):
    train, vote, test = torch.utils.data.random_split(part, prepare_data_split_list(part, 3))
    model = Net()
    opt = torch.optim.Adam(model.parameters(), lr=0.01)
    all_learner_models.append(
        PytorchLearner(
            model=model,
            optimizer=opt,
            train_loader=torch.utils.data.DataLoader(train, batch_size=batch_size, shuffle=True),
            vote_loader=torch.utils.data.DataLoader(vote, batch_size=batch_size, shuffle=True),
            test_loader=torch.utils.data.DataLoader(test, batch_size=batch_size, shuffle=True),
            device=device,
            criterion=torch.nn.NLLLoss(reduction="mean"),
            num_test_batches=10,
            vote_criterion=categorical_accuracy,
            minimise_criterion=False,
        )
    )

set_equal_weights(all_learner_models)

results = Results()
results.data.append(initial_result(all_learner_models))

plot = ColearnPlot(score_name="categorical accuracy")
plot.plot_results_and_votes(results)
for round_index in range(n_rounds):
    results.data.append(collective_learning_round(all_learner_models, vote_threshold, round_index))
    print_results(results)
    plot.plot_results_and_votes(results)
plot.block()
