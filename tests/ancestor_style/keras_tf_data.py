"""Train Keras with tf.data sets, like the ancestor's MNIST example."""

import os

import numpy as np
import tensorflow as tf
from colearn.training import collective_learning_round, initial_result, set_equal_weights
from colearn.utils.plot import ColearnPlot
from colearn.utils.results import Results, print_results
from colearn_keras.keras_learner import KerasLearner
from colearn_keras.utils import _make_loader, normalize_img
from sklearn.datasets import load_digits

n_learners = 3
n_rounds = 2 if os.environ.get("COLEARN_EXAMPLES_TEST") else 20
vote_threshold = 0.5
score_name = "sparse_categorical_accuracy"

tf.keras.utils.set_random_seed(1)
raw_images, labels = load_digits(return_X_y=True)
images, labels = normalize_img(raw_images.reshape(-1, 8, 8, 1) * 16, labels)
images = images.numpy()


def get_model():
    inputs = tf.keras.Input(shape=(8, 8, 1), name="Input")
    x = tf.keras.layers.Conv2D(8, (3, 3), activation="relu", padding="same")(inputs)
    x = tf.keras.layers.MaxPooling2D()(x)
    x = tf.keras.layers.Flatten()(x)
    outputs = tf.keras.layers.Dense(10, activation="softmax")(x)
    model = tf.keras.Model(inputs=inputs, outputs=outputs)
    model.compile(
        loss="sparse_categorical_crossentropy",
        metrics=[tf.keras.metrics.SparseCategoricalAccuracy()],
        optimizer=tf.keras.optimizers.Adam(learning_rate=0.01),
    )
    return model


all_learner_models = []
for part in np.array_split(np.arange(900), n_learners):
    train, vote, test = np.split(part, [200, 250])
    all_learner_models.append(
        KerasLearner(
            model=get_model(),
            train_loader=_make_loader(images[train], labels[train], batch_size=32),
            vote_loader=_make_loader(images[vote], labels[vote], batch_size=32),
            test_loader=_make_loader(images[test], labels[test]),
            criterion=score_name,
            minimise_criterion=False,
            model_fit_kwargs={"epochs": 3},
        )
    )

set_equal_weights(all_learner_models)

results = Results()
results.data.append(initial_result(all_learner_models))

plot = ColearnPlot(score_name=score_name)
for round_index in range(n_rounds):
    results.data.append(collective_learning_round(all_learner_models, vote_threshold, round_index))
    print_results(results)
    plot.plot_results_and_votes(results)
plot.block()
