"""Options, records and rounds that the examples share.

To use the learners with your own records, replace `share` by a function that reads them.
"""

import argparse
import logging
import os
import sys
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from colearn_learner import (
    ColearnPlot,
    Results,
    Weights,
    collective_learning_round,
    initial_result,
    set_equal_weights,
    simulation,
)
from colearn_learner.compat.results import mean_score
from colearn_learner.datasets import DATASETS, SOURCES, Data, Division, Share, load, read_share
from colearn_learner.datasets.folders import SHARE_FILE
from colearn_learner.datasets.splitting import divide
from colearn_learner.errors import LearnerError
from colearn_ledger.protocol import RoundClosed

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # silence TensorFlow's greeting

SHORTENED = bool(os.environ.get("COLEARN_EXAMPLES_TEST"))
"""Run two rounds of three learners on few records, for the tests."""

# ------------------------------------------------------------------ records

STAND_INS = {
    "mnist": ("digits", None),
    "cifar-10": ("digits", None),
    "chest-xray": ("digits", lambda digit: digit % 2),
    "fraud-ieee": ("breast-cancer", lambda benign: 1 - benign),
    "scania-aps": ("breast-cancer", lambda benign: 1 - benign),
    "covid-xray": ("wine", None),
    "california-housing": ("diabetes", None),
}
"""scikit-learn's substitute for each missing data set, and the conversion of its targets."""

FETCHED = {"mnist": "~/.keras/datasets/mnist.npz"}
"""Where Keras keeps the files that it downloads."""


@lru_cache
def records(name, path=None):
    """Return a data set's records; without a path, those of its substitute, with a message."""
    fetched = Path(FETCHED.get(name, "")).expanduser()
    if not path and fetched.is_file() and not SHORTENED:
        path = fetched
    if path or name in DATASETS:
        data = load(name, path).data
    else:
        other, targets_of = STAND_INS[name]
        print(
            f"{name} was not found: scikit-learn's {other} records are used instead.\n"
            f"To use it, pass its path as --data; to get it: {SOURCES[name].where}.",
            file=sys.stderr,
        )
        data = load(other).data
        inputs = data.inputs
        if other == "digits":  # convert to pictures
            inputs = np.round(inputs * 255).astype(np.uint8).reshape(-1, 8, 8, 1)
        data = Data(inputs, targets_of(data.targets) if targets_of else data.targets)
    if SHORTENED:
        data = data.take(np.random.default_rng(0).permutation(len(data))[:500])
    return data


def divide_records(data, of, seed, train_ratio=0.6):
    """Return the indices of each learner's records: equal numbers, drawn at random."""
    rest = (1 - train_ratio) / 2
    parts = (train_ratio, rest, rest)
    task = "classification" if data.targets.dtype.kind in "iu" else "regression"
    return divide(data.targets, task, Division(of, parts=parts, seed=seed))


def share(name, learner, of=5, data=None, seed=1):
    """Return one learner's records to train, vote and test with; pictures are scaled to 0 … 1.

    Args:
        name: name of the data set.
        learner: number of the share, from 0.
        of: number of learners that divide the data set, the same for each learner.
        data: folder of the files, or this learner's own folder from `colearn data prepare`.
        seed: seed of the division, the same for each learner.
    """
    if data and (Path(data) / SHARE_FILE).is_file():
        mine = read_share(data).share
    else:
        whole = records(name, data)
        mine = Share(*(whole.take(places) for places in divide_records(whole, of, seed)[learner]))
    return Share(scale(mine.train), scale(mine.vote), scale(mine.test))


def scale(data):
    """Return brightness 0 … 255 as float32 from 0 to 1, and anything else as float32."""
    factor = np.float32(1 / 255 if data.inputs.dtype == np.uint8 else 1)
    return Data(data.inputs.astype("float32") * factor, data.targets)


def factory(learner_of, name):
    """Return a factory of learners for `colearn agent run` and `main`."""

    def make_learner(learner, of=5, data=None, seed=1):
        return learner_of(share(name, learner, of, data, seed), seed)

    return make_learner


# ------------------------------------------------------------------ rounds


def parser(description, rounds):
    """Return the parser of the options of every example."""
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", help="folder of the data set's files")
    options.add_argument("--ledger", choices=["local", "evm"], help="run agents on a ledger")
    options.add_argument("--learners", type=int, default=3 if SHORTENED else 5)
    options.add_argument("--rounds", type=int, default=2 if SHORTENED else rounds)
    add_voting(options, "--threshold")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--plot", metavar="FILE", help="write a picture of the rounds")
    return options


def add_voting(options, *names):
    """Add the options for the share that must approve, under these names, and for proposers."""
    options.add_argument(
        *names,
        type=float,
        dest="threshold",
        help="share of the voters that must approve; default: 0.5, and 0.25 with --ledger",
    )
    options.add_argument(
        "--proposers", type=int, default=1, help="learners that propose in a round; needs --ledger"
    )


def main(make_learner, description, *, rounds, score, higher_is_better=True):
    """Create the learners, run the rounds of the command line, and print the scores."""
    options = parser(description, rounds).parse_args()
    try:
        learners = [
            make_learner(n, options.learners, options.data, options.seed)
            for n in range(options.learners)
        ]
        run_rounds(learners, options, score, higher_is_better)
    except LearnerError as error:
        raise SystemExit(f"error: {error}") from error


def run_rounds(learners, options, score, higher_is_better=True):
    """Run the rounds, by the local driver or by agents on a ledger."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it would warn about many models
    if options.proposers > 1 and not options.ledger:
        raise SystemExit("error: the local driver has one proposer in a round; add --ledger local")
    set_equal_weights(learners)
    show = partial(print_mean, learners, score)
    show("start")
    if options.ledger:
        direction = {"score_name": score, "higher_is_better": higher_is_better}
        config = simulation.SimulationConfig(
            n_proposers=options.proposers, on_event=print_closed, **direction
        )
        chosen = {} if options.threshold is None else {"vote_threshold": options.threshold}
        run = simulation.run(
            learners, options.rounds, ledger=options.ledger, config=config, **chosen
        )
        results = run.results
        for learner in learners:
            learner.mli_accept_weights(Weights(run.weights))
        print(f"{run.cost:,} gas" if run.cost else "no gas", f"· weights {run.content.cid}")
    else:
        results, threshold = Results(), 0.5 if options.threshold is None else options.threshold
        for n in range(options.rounds):
            results.data.append(collective_learning_round(learners, threshold, n))
            print_round(n, results.data[-1], score)
    show("end")
    print_budgets(learners)
    if options.plot:
        plot = ColearnPlot(score_name=score)
        plot.plot_results_and_votes(results)
        plot.save(options.plot)


def print_mean(learners, score, when):
    """Print the mean score of the learners' current weights on their own test records."""
    scores = initial_result(learners).test_scores
    print(f"{when}: {score} {mean_score(scores):.3f}, mean over the learners' own test records")


def print_budgets(learners):
    """Print what was spent of the privacy budgets, if there are any."""
    for n, learner in enumerate(learners):
        summary = learner.mli_get_current_weights().training_summary
        if summary is not None and summary.dp_budget is not None:
            budget = summary.dp_budget
            spent = f"epsilon {budget.consumed_epsilon:.3f} of {budget.target_epsilon:g}"
            print(f"learner {n} has spent {spent} at delta {budget.target_delta:g}")


def print_round(n, result, score):
    """Print a round of the local driver."""
    votes = [vote for vote in result.votes if vote is not None]
    outcome = "accepted" if result.vote else "rejected"
    summary = result.training_summaries[result.block_proposer]
    error = f" ({summary.error_code.name})" if summary and summary.error_code else ""
    print(
        f"round {n}: proposal of learner {result.block_proposer} {outcome} by {sum(votes)} of"
        f" {len(votes)}, {score} {mean_score(result.test_scores):.3f}{error}"
    )


def print_closed(observation):
    """Print rounds as the ledger closes them."""
    for event in observation.events:
        if isinstance(event, RoundClosed):
            approvals = " ".join(map(str, event.approvals))
            outcome = f"round {event.round}: {event.outcome.name.lower()}"
            if len(event.approvals) > 1:
                outcome += f" {event.accepted.bit_count()}"
            print(f"{outcome}, {approvals} of {event.eligible} approve")
