"""Predict failures of the air pressure system of trucks with a small dense Keras network.

Failures are rare, so a model that calls every truck sound is seldom wrong. The score is therefore
the area under the ROC curve. `make_residual_learner` makes learners with a residual network.

    python examples/keras_scania.py --data aps_failure
    python examples/keras_scania.py --ledger evm
    python examples/run_demo.py -m KERAS_SCANIA_RESNET -d aps_failure
"""

from functools import partial

import common
import keras

from colearn_learner.learners.keras import KerasLearner, _make_loader

STEPS_PER_ROUND = 100


def model_of(features):
    """Return an untrained dense network for the given number of features."""
    return keras.Sequential(
        [
            keras.Input((features,)),
            keras.layers.Dense(100, activation="relu"),
            keras.layers.Dense(50, activation="relu"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


def residual_model_of(features, width=64, blocks=3):
    """Return an untrained residual network: each block adds to the output of the previous one.

    It is not a ResNet50, which sends 94 MB a round and needs a download of pretrained weights.
    """
    inputs = keras.Input((features,))
    x = keras.layers.Dense(width)(inputs)
    for _ in range(blocks):
        added = keras.layers.LayerNormalization()(x)
        added = keras.layers.Dense(width, activation="relu")(added)
        x = keras.layers.add([x, keras.layers.Dense(width)(added)])
    x = keras.layers.LayerNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))


def learner_of(share, seed=1, learning_rate=0.001, batch_size=32, model_of=model_of):
    """Return the learner of some records."""
    keras.utils.set_random_seed(seed)
    model = model_of(share.train.inputs.shape[1])
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="categorical_crossentropy",
        metrics=[
            keras.metrics.AUC(name="auc", multi_label=True)
        ],  # the mean over both classes, whose values are equal
    )
    train, vote, test = (
        _make_loader(part.inputs, keras.utils.to_categorical(part.targets, 2), batch_size)
        for part in (share.train, share.vote, share.test)
    )
    return KerasLearner(
        model=model,
        train_loader=train.repeat(5).take(STEPS_PER_ROUND),
        vote_loader=vote,
        test_loader=test,
        criterion="auc",
        minimise_criterion=False,
        model_fit_kwargs={"shuffle": False},  # the loader shuffles
    )


residual_learner_of = partial(learner_of, model_of=residual_model_of)
make_learner = common.factory(learner_of, "scania-aps")
make_residual_learner = common.factory(residual_learner_of, "scania-aps")

if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=15, score="area under ROC")
