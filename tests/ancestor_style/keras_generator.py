"""Train Keras with endless generators, like the ancestor's fraud and X-ray examples."""

import os

import numpy as np
from colearn.training import collective_learning_round, initial_result, set_equal_weights
from colearn.utils.data import split_list_into_fractions
from colearn.utils.results import Results, print_results
from colearn_keras.keras_learner import KerasLearner
from sklearn.datasets import load_breast_cancer
from tensorflow import keras

n_learners = 3
n_rounds = 2 if os.environ.get("COLEARN_EXAMPLES_TEST") else 7
batch_size = 16
vote_batches = 4

keras.utils.set_random_seed(1)
inputs, labels = load_breast_cancer(return_X_y=True)
inputs = inputs / inputs.max(axis=0)
everybodys = np.random.RandomState(1).permutation(len(inputs))


def batch_generator(indices, seed, shuffle=True):
    random = np.random.RandomState(seed)
    while True:
        order = random.permutation(indices) if shuffle else indices
        for start in range(0, len(order) - batch_size + 1, batch_size):
            batch = order[start : start + batch_size]
            yield inputs[batch], labels[batch]


def make_model():
    model = keras.Sequential(
        [
            keras.layers.Input(shape=(30,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.02))
    return model


all_learner_models = []
shares = split_list_into_fractions(everybodys, [1 / n_learners] * n_learners)
for seed, indices in enumerate(shares):
    train, vote, test = split_list_into_fractions(indices, [0.4, 0.3, 0.3], min_part_size=16)
    all_learner_models.append(
        KerasLearner(
            make_model(),
            batch_generator(train, seed),
            batch_generator(vote, seed, shuffle=False),
            batch_generator(test, seed, shuffle=False),
            need_reset_optimizer=False,
            minimise_criterion=True,
            criterion="loss",
            model_fit_kwargs={"steps_per_epoch": 10},
            model_evaluate_kwargs={"steps": vote_batches},
        )
    )

set_equal_weights(all_learner_models)
results = Results()
results.data.append(initial_result(all_learner_models))
for round_index in range(n_rounds):
    results.data.append(
        collective_learning_round(all_learner_models, vote_threshold=0.5, round_index=round_index)
    )
    print_results(results)
