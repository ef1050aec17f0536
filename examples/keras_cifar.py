"""Classify small colour pictures of ten kinds with a convolutional network in Keras.

python examples/keras_cifar.py --data cifar-10-batches-bin
python examples/keras_cifar.py --ledger evm
"""

import common
import keras

from colearn_learner.learners.keras import KerasLearner, _make_loader

STEPS_PER_ROUND = 100


def model_of(shape, classes):
    """Return an untrained model for pictures of the given shape."""

    def convolution(filters):
        return keras.layers.Conv2D(filters, 5, padding="same", activation="relu")

    return keras.Sequential(
        [
            keras.Input(shape),
            convolution(32),
            keras.layers.MaxPool2D(),
            convolution(32),
            keras.layers.MaxPool2D(),
            convolution(64),
            keras.layers.MaxPool2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )


def learner_of(share, seed=1, learning_rate=0.001, batch_size=32):
    """Return the learner of some records."""
    keras.utils.set_random_seed(seed)
    model = model_of(share.train.inputs.shape[1:], classes=10)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["sparse_categorical_accuracy"],
    )
    train, vote, test = (
        _make_loader(part.inputs, part.targets, batch_size)
        for part in (share.train, share.vote, share.test)
    )
    return KerasLearner(
        model=model,
        train_loader=train.repeat(5).take(STEPS_PER_ROUND),
        vote_loader=vote,
        test_loader=test,
        criterion="sparse_categorical_accuracy",
        minimise_criterion=False,
        model_fit_kwargs={"shuffle": False},  # the loader shuffles
    )


make_learner = common.factory(learner_of, "cifar-10")

if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=20, score="accuracy")
