"""Let five hospitals train a model of tumours on a chain; no record leaves its hospital.

Kinds of tumours are spread unevenly over the hospitals, as in reality. Each hospital has its own
key, folder and agent. The agents communicate only through the contract and the store. At the end
the program compares the common model with those of hospitals that trained alone.

    python examples/hospitals_on_a_chain.py
    python examples/hospitals_on_a_chain.py --ledger local
"""

import argparse

import common
from sklearn.linear_model import SGDClassifier

from colearn_learner import Weights, individual_training_round, simulation
from colearn_learner.compat.results import mean_score
from colearn_learner.datasets import Division, Share, dataset, read_share
from colearn_learner.datasets.splitting import divide
from colearn_learner.learners.sklearn import SklearnLearner

HOSPITALS = 5
ROUNDS = 2 if common.SHORTENED else 15


def share_of(learner, of, seed):
    """Return one hospital's records; ``of`` and ``seed`` must be the same at all hospitals."""
    data = dataset("breast-cancer").load()
    division = Division(of, how="label-skew", alpha=0.3, seed=seed, least=4)
    places = divide(data.targets, "classification", division)
    return Share(*(data.take(part) for part in places[learner]))


def make_learner(learner, of=HOSPITALS, data=None, seed=1):
    """Return one hospital; ``data`` is its folder from ``colearn data prepare``."""
    share = read_share(data).share if data else share_of(learner, of, seed)
    return SklearnLearner(
        SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.02, random_state=seed),
        *((part.inputs, part.targets) for part in (share.train, share.vote, share.test)),
        classes=[0, 1],
        criterion="log_loss",
        minimise_criterion=True,
        seed=seed,
    )


def train_alone():
    """Return each hospital's weights after as many rounds of training alone."""
    hospitals = [make_learner(n) for n in range(HOSPITALS)]
    for n in range(ROUNDS):
        individual_training_round(hospitals, n)
    return [hospital.mli_get_current_weights() for hospital in hospitals]


def main():
    """Run the experiment, and print its cost and what it gained."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--ledger", choices=["local", "evm"], default="evm")
    hospitals = [make_learner(n) for n in range(HOSPITALS)]

    def mean_everywhere(weights):
        """Return the mean score of weights on the test records of all hospitals."""
        return mean_score([h.mli_test_weights(weights).test_score for h in hospitals])

    chosen = options.parse_args().ledger
    print(f"start: log loss {mean_everywhere(hospitals[0].mli_get_current_weights()):.3f}")
    result = simulation.run(
        hospitals,
        n_rounds=ROUNDS,
        ledger=chosen,
        config=simulation.SimulationConfig(
            name="tumours",
            score_name="log loss",
            higher_is_better=False,
            secret_ballots=True,
            on_event=common.print_closed,
        ),
    )
    apart = [mean_everywhere(weights) for weights in train_alone()]
    print(f"end: log loss {mean_everywhere(Weights(result.weights)):.3f} together")
    print(f"     log loss {mean_score(apart):.3f} alone, from {min(apart):.3f} to {max(apart):.3f}")
    print(f"{result.cost:,} gas; weights {result.content.cid}")


if __name__ == "__main__":
    main()
