"""Detect pneumonia in chest X-rays with a convolutional network in Keras.

python examples/keras_xray.py --data chest_xray
python examples/keras_xray.py --ledger evm
"""

import common
import keras

from colearn_learner.learners.keras import KerasLearner, _make_loader

STEPS_PER_ROUND = 40


def model_of(shape):
    """Return an untrained model; it has 19,265 parameters for grey pictures of any size."""
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.MaxPool2D(),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.GlobalMaxPool2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def learner_of(share, seed=1, learning_rate=0.001, batch_size=16):
    """Return the learner of some records."""
    keras.utils.set_random_seed(seed)
    model = model_of(share.train.inputs.shape[1:])
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="binary_crossentropy",
        metrics=[keras.metrics.AUC(name="auc")],
    )
    train, vote, test = (
        _make_loader(part.inputs, part.targets.reshape(-1, 1), batch_size)
        for part in (share.train, share.vote, share.test)
    )
    return KerasLearner(
        model=model,
        train_loader=train.repeat(3).take(STEPS_PER_ROUND),
        vote_loader=vote,
        test_loader=test,
        criterion="auc",
        minimise_criterion=False,
        model_fit_kwargs={"shuffle": False},  # the loader shuffles
    )


make_learner = common.factory(learner_of, "chest-xray")

if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=15, score="area under ROC")
