"""Detect fraud among online payments with a dense network in Keras.

Fraud is rare, so a model that calls every payment honest is seldom wrong. The score is therefore
the area under the ROC curve.

    python examples/keras_fraud.py --data ieee-fraud-detection
    python examples/keras_fraud.py --ledger evm
"""

import common
import keras

from colearn_learner.learners.keras import KerasLearner, _make_loader

STEPS_PER_ROUND = 100


def model_of(features):
    """Return an untrained model for payments with the given number of features."""
    model = keras.Sequential([keras.Input((features,))])
    for _ in range(3):
        model.add(keras.layers.Dense(512, activation="relu"))
        model.add(keras.layers.BatchNormalization(momentum=0.9))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    return model


def learner_of(share, seed=1, learning_rate=0.001, batch_size=64):
    """Return the learner of some records."""
    keras.utils.set_random_seed(seed)
    model = model_of(share.train.inputs.shape[1])
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
        train_loader=train.repeat(5).take(STEPS_PER_ROUND),
        vote_loader=vote,
        test_loader=test,
        criterion="auc",
        minimise_criterion=False,
        model_fit_kwargs={"shuffle": False},  # the loader shuffles
    )


make_learner = common.factory(learner_of, "fraud-ieee")

if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=7, score="area under ROC")
