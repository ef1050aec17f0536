"""Let a fourth learner join a running experiment and receive what the others have learned.

The program creates by hand what `colearn_learner.simulation.run` creates for other examples: a
ledger with a view for each wallet, a store, an experiment, and agents. The agents take their steps
in turn.

    python examples/late_joiner.py
    python examples/late_joiner.py --ledger evm
"""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

import common
from sklearn.linear_model import SGDClassifier

from colearn_learner.agent.loop import Agent
from colearn_learner.agent.observation import Action
from colearn_learner.learners.sklearn import SklearnLearner
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import ExperimentParams
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import write_weights
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.stores.directory import DirectoryStore

FROM_THE_START, LATE = [0, 1, 2], 3
ROUNDS, JOINS_IN_ROUND = (4, 1) if common.SHORTENED else (12, 5)


def make_learner(learner, of=4, data=None, seed=1):
    """Return a learner of handwritten digits."""
    share = common.share("digits", learner, of, data, seed)
    return SklearnLearner(
        SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.05, random_state=seed),
        *((part.inputs, part.targets) for part in (share.train, share.vote, share.test)),
        classes=range(10),
        criterion="accuracy",
        seed=seed,
    )


def create_views(kind, wallets):
    """Return a view of one new ledger for each wallet."""
    if kind == "local":
        from colearn_ledger.reference import LocalLedger

        first = LocalLedger.new(wallets[0])
    else:
        from colearn_ledger.chains.evm.embedded import EmbeddedChain

        chain = EmbeddedChain()
        first = chain.deploy(wallets[0])
        for wallet in wallets[1:]:
            chain.fund(wallet)
    return [first.acting_for(wallet) for wallet in wallets]


def create_experiment(ledger, learner, store):
    """Create an experiment that starts with three learners and has a place for a fourth."""
    weights = learner.mli_get_current_weights().weights
    spec = ExperimentSpec("digits", WeightsSchema.of(weights), "accuracy", higher_is_better=True)
    params = ExperimentParams(
        name="late joiner",
        spec=spec.put(store),
        initial=write_weights(store, weights),
        rounds=ROUNDS,
        min_learners=len(FROM_THE_START),
        max_learners=4,
        late_join=True,
    )
    for content in (params.spec, params.initial):
        store.pin(content)
    return ledger.create(params).wait().experiment


def main():
    """Run the experiment."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--ledger", choices=["local", "evm"], default="local")
    learners = [make_learner(n) for n in range(4)]
    ledgers = create_views(options.parse_args().ledger, [Wallet.create() for _ in learners])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stores = [DirectoryStore(folder / "store", owner=str(n)) for n in range(4)]
        experiment = create_experiment(ledgers[0], learners[0], stores[0])

        def create_agent(n):
            agent = Agent(
                ledgers[n],
                stores[n],
                learner=learners[n],
                experiment=experiment,
                folder=folder / str(n),
            )
            agent.on_observation(common.print_closed)
            return stack.enter_context(agent)

        def score(n):
            """Return the score of a learner's current weights on its own test records."""
            return learners[n].mli_test_weights(learners[n].mli_get_current_weights()).test_score

        agents = [create_agent(n) for n in FROM_THE_START]
        for agent in agents:
            agent.step()  # join
        ledgers[0].start(experiment).wait()
        print(f"start: accuracy {score(LATE):.3f} on the records of learner {LATE}, not yet joined")
        while Action.DONE not in (done := [agent.step() for agent in agents]):
            if len(agents) == LATE and ledgers[0].experiment(experiment).round == JOINS_IN_ROUND:
                agents.append(create_agent(LATE))
                print(f"learner {LATE} joins in round {JOINS_IN_ROUND}")
            if set(done) == {Action.WAITED}:
                ledgers[0].wait_for_change(0.5)
        place = ledgers[0].learner(experiment, ledgers[LATE].account)
        print(f"learner {LATE} votes and proposes from round {place.from_round} on")
    print(f"end: accuracy {score(LATE):.3f} on the records of learner {LATE}")


if __name__ == "__main__":
    main()
