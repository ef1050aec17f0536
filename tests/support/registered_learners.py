"""A user's module that registers a loader and a model and provides an agent's factory."""

from __future__ import annotations

from sklearn.linear_model import SGDClassifier

from colearn_learner import ExampleMliFactory, FactoryRegistry
from colearn_learner.datasets import Share, read_share
from colearn_learner.learners.sklearn import SklearnLearner


@FactoryRegistry.register_dataloader("PREPARED")
def prepared(location: str, scale: float = 1.0) -> Share:
    share = read_share(location).share.flat()
    for part in (share.train, share.vote, share.test):
        part.inputs[:] *= scale
    return share


@FactoryRegistry.register_model_architecture("LINEAR", ["PREPARED"])
def linear(
    data_loaders: Share, learning_rate: float = 0.01, steps_per_epoch: int = 1
) -> SklearnLearner:
    parts = (data_loaders.train, data_loaders.vote, data_loaders.test)
    return SklearnLearner(
        SGDClassifier(learning_rate="constant", eta0=learning_rate, random_state=0),
        *((part.inputs, part.targets) for part in parts),
        classes=[0, 1],
        epochs=steps_per_epoch,
    )


get_mli = ExampleMliFactory().get_mli
