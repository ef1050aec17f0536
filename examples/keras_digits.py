"""Five Keras learners on scikit-learn's digits, a tf.data set each, drawn round by round.

Run it with `python examples/keras_digits.py`; COLEARN_EXAMPLES_TEST=1 makes it one round.
"""

import os

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from colearn_learner import (
    ColearnPlot,
    Results,
    collective_learning_round,
    initial_result,
    print_results,
    set_equal_weights,
)
from colearn_learner.keras import KerasLearner

N_LEARNERS = 5
N_ROUNDS = 1 if os.environ.get("COLEARN_EXAMPLES_TEST") else 10


def make_model():
    model = tf.keras.Sequential(
        [
            tf.keras.Input((64,)),
            tf.keras.layers.Dense(32, activation="relu"),
            tf.keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=tf.keras.optimizers.Adam(0.003),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def make_loader(images, labels):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(32)


def main():
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32")
    order = np.random.default_rng(1).permutation(len(images))
    learners = []
    for mine in np.array_split(order, N_LEARNERS):
        train, vote, test = np.split(mine, [len(mine) * 8 // 10, len(mine) * 9 // 10])
        learners.append(
            KerasLearner(
                model=make_model(),
                train_loader=make_loader(images[train], labels[train]),
                vote_loader=make_loader(images[vote], labels[vote]),
                test_loader=make_loader(images[test], labels[test]),
                criterion="accuracy",
                minimise_criterion=False,
                model_fit_kwargs={"epochs": 2},
            )
        )
    set_equal_weights(learners)
    results = Results()
    results.data.append(initial_result(learners))
    plot = ColearnPlot(score_name="accuracy")
    for round_index in range(N_ROUNDS):
        results.data.append(
            collective_learning_round(learners, vote_threshold=0.5, round_index=round_index)
        )
        print_results(results)
        plot.plot_results_and_votes(results)
    plot.block()


if __name__ == "__main__":
    main()
