"""Classify handwritten digits with a Keras network trained with differential privacy.

Each training step clips what every record contributes and adds noise, so that the weights reveal
little about any one record. Epsilon bounds how much; a smaller epsilon is more private. A learner
whose next training would exceed its budget stops proposing, but still votes. Vote and test records
are not protected, so they must differ from the training records.

    python examples/keras_mnist_diffpriv.py --data ~/.keras/datasets/mnist.npz
    python examples/keras_mnist_diffpriv.py --ledger evm
"""

import common
import keras

from colearn_learner import DiffPrivConfig
from colearn_learner.learners.keras import KerasLearner

PRIVACY = DiffPrivConfig(
    target_epsilon=8.0, target_delta=1e-5, max_grad_norm=1.0, noise_multiplier=1.2
)


def model_of(shape, classes):
    """Return a small untrained model, because the noise grows with the number of weights.

    None of its layers may mix the records of a batch.
    """
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )


def learner_of(share, seed=1, learning_rate=1.0, batch_size=64):
    """Return the learner of some records."""
    keras.utils.set_random_seed(seed)
    model = model_of(share.train.inputs.shape[1:], classes=10)
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["sparse_categorical_accuracy"],
    )
    return KerasLearner(
        model=model,
        # arrays, because each step draws its records from all of them
        train_loader=(share.train.inputs, share.train.targets),
        vote_loader=(share.vote.inputs, share.vote.targets),
        test_loader=(share.test.inputs, share.test.targets),
        criterion="sparse_categorical_accuracy",
        minimise_criterion=False,
        model_fit_kwargs={"batch_size": batch_size, "epochs": 1},
        diff_priv_config=PRIVACY,
    )


make_learner = common.factory(learner_of, "mnist")

if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=20, score="accuracy")
