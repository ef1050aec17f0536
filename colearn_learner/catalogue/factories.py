"""Make learners of the catalogue for `colearn agent run`.

For one share of a data set that comes with scikit-learn:

    colearn agent run … --learner colearn_learner.catalogue:share
        --learner-arg dataset=breast-cancer --learner-arg learner=0 --learner-arg of=5

Agents with the same ``dataset``, ``of`` and ``seed`` divide the same records among the learners
0 … of − 1.

For a folder that `colearn data prepare` made:

    colearn agent run … --learner colearn_learner.catalogue:prepared
        --learner-arg data=prepared/learner-0
"""

from __future__ import annotations

from typing import Any

from colearn_learner.catalogue.baselines import Comparison, compare
from colearn_learner.catalogue.models import default_model, make_learner
from colearn_learner.catalogue.models import model as find_model
from colearn_learner.catalogue.settings import Training
from colearn_learner.datasets import Dataset, Share, read_share, split
from colearn_learner.datasets import dataset as find_dataset
from colearn_learner.errors import InvalidArgument

_TRAIN_RATIO = 0.6


def share(dataset: str, learner: int, *, of: int, model: str | None = None, seed: int = 1) -> Any:
    """Return the learner of one share.

    Args:
        dataset: name of a data set that comes with scikit-learn; see ``colearn datasets``.
        learner: number of the share, from 0.
        of: number of learners that divide the data set.
        model: name of a model in the catalogue; by default the simplest that fits.
        seed: seed of the division and of the first weights, the same for all learners.

    Raises:
        InvalidArgument: there is no such share.
        UnknownName: there is no such data set or model.
        UnfitModel: the model cannot learn the data set's task.
        NotEnoughData: the data set has too few records for this number of learners.
    """
    if type(of) is not int or type(learner) is not int or not 0 <= learner < of:
        raise InvalidArgument(
            f"learner={learner!r} is not valid with of={of!r}; use a number from 0 to of - 1"
        )
    data = find_dataset(str(dataset))
    parts = split(data.load(), task=data.task, n_learners=of, train_ratio=_TRAIN_RATIO, seed=seed)
    return _make_learner(parts.shares[learner], data, model, seed)


def prepared(data: str, *, model: str | None = None, seed: int = 1) -> Any:
    """Return the learner of a folder of records.

    Args:
        data: the folder that contains ``share.json``.
        model: name of a model in the catalogue; by default the simplest that fits. Images are
            flattened to rows.
        seed: seed of the first weights, the same for all learners.

    Raises:
        NoShare: the folder contains no records.
        InvalidData: the records were changed or are not valid.
        UnknownName: there is no such model.
        UnfitModel: the model cannot learn the data set's task.
    """
    found = read_share(str(data))
    return _make_learner(found.share.flat(), found.dataset, model, seed)


def compare_shares(weights: Any, dataset: str, *, of: int, n_rounds: int) -> Comparison:
    """Compare weights that learners made by `share` agreed on with each of them alone.

    Args:
        weights: the weights, in the form that a learner accepts.
        dataset: the name of the data set.
        of: the number of learners that divided it.
        n_rounds: the number of rounds.
    """
    data = find_dataset(dataset)
    chosen = find_model(default_model(data), data)
    return compare(
        [weights],
        split(data.load(), task=data.task, n_learners=of, train_ratio=_TRAIN_RATIO, seed=1),
        model=chosen,
        data=data,
        trainings=(Training(chosen.learning_rate, seed=1),) * of,
        n_rounds=n_rounds,
    )


def _make_learner(records: Share, data: Dataset, model: str | None, seed: int) -> Any:
    chosen = find_model(model or default_model(data), data)
    training = Training(chosen.learning_rate, seed=seed)
    return make_learner(chosen, records, data=data, training=training)
