"""Classify handwritten digits with a convolutional network in Keras.

`make_residual_learner` makes learners with a residual network instead.

    python examples/keras_mnist.py --data ~/.keras/datasets/mnist.npz
    python examples/keras_mnist.py --ledger evm
    python examples/run_demo.py -m KERAS_MNIST_RESNET
"""

from functools import partial

import common
import keras

from colearn_learner.learners.keras import KerasLearner, _make_loader

STEPS_PER_ROUND = 100


def model_of(shape, classes):
    """Return an untrained model for pictures of the given shape."""
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
            # its averages are weights too, and must adapt within the steps of one round
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.Conv2D(128, 3, strides=2, padding="same", activation="relu"),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.Flatten(),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )


def residual_model_of(shape, classes, channels=(16, 32)):
    """Return an untrained residual network: each block adds to the output of the previous one.

    It is not a ResNet50, which sends 94 MB a round and needs a download of pretrained weights.
    """

    def convolve(x, width, size=3, stride=1):
        x = keras.layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False)(x)
        return keras.layers.BatchNormalization(momentum=0.9)(x)

    inputs = keras.Input(shape)
    x = keras.layers.ReLU()(convolve(inputs, channels[0]))
    for width in channels:
        added = keras.layers.ReLU()(convolve(x, width, stride=2))
        added = convolve(added, width)
        x = keras.layers.add([convolve(x, width, size=1, stride=2), added])
        x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))


def learner_of(share, seed=1, learning_rate=0.001, batch_size=32, model_of=model_of):
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


residual_learner_of = partial(learner_of, model_of=residual_model_of)
make_learner = common.factory(learner_of, "mnist")
make_residual_learner = common.factory(residual_learner_of, "mnist")

if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=20, score="accuracy")
