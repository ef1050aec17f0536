"""Run many learners in one process as if on many machines, to develop models.

Every learner has its own wallet, folder, agent and view of the ledger. Learners communicate only
through the ledger and the store. The agents act in turn:

    result = simulation.run([make_learner(share) for share in shares], n_rounds=10)
    result.history.plot("rounds.png")
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from colearn_learner.agent.context import AgentConfig
from colearn_learner.agent.loop import Agent
from colearn_learner.agent.observation import Action, Observation
from colearn_learner.agent.turns import run_in_turns
from colearn_learner.compat.history import results_of
from colearn_learner.compat.results import Results
from colearn_learner.errors import LearnerError
from colearn_ledger.history import History, read_history
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger
from colearn_ledger.protocol import (
    MAX_PROPOSERS,
    Admission,
    ContentRef,
    ExperimentId,
    ExperimentParams,
    Merge,
    Status,
)
from colearn_ledger.spec import DEFAULT_VOTING, ExperimentSpec, SpecError, VoteRule, parse_vote_rule
from colearn_ledger.weights.codec import write_weights
from colearn_ledger.weights.current import obtain_current
from colearn_ledger.weights.errors import WeightsError
from colearn_ledger.weights.pickles import check_initial_weights
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.stores.directory import DirectoryStore

_log = logging.getLogger(__name__)

LedgerKind = Literal["local", "evm"]

_WINDOW = 3_600  # seconds for each duty; far more than a learner needs on one machine

PAGE = "rounds.html"
"""The page that shows the rounds, in the folder of a simulation."""

_SPARE = 60.0
"""Seconds that unpinned content stays; on one machine it is pinned at once."""


class SimulationError(LearnerError):
    """Raised if the simulation cannot run with its arguments, or stops before its end."""


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """Configuration of a simulation.

    Args:
        name: name of the experiment.
        model: description of the model, for people.
        score_name: name of the score.
        higher_is_better: whether a higher score is better.
        secret_ballots: whether voters first commit, and reveal their ballots after all have.
        n_proposers: number of learners that train and propose in each round, up to 16.
        merge: ``mean`` or ``best``: what several accepted proposals of a round become. By default
            their mean, or the best one if the learners' weights have no mean.
        vote_rule: the rule by which agents approve proposals; by default that of experiments with
            an allowlist.
        tolerance, max_distance: see `ExperimentSpec`.
        keys: private keys, one per learner; by default new ones.
        on_event: called with each observation of the agents, in order.
        agent: configuration of all agents; their names are ``learner 0`` and so on.
        threads: number of learners that train, or test proposals, at the same time. More than one
            helps only if their work leaves Python's lock free and does not use all cores by itself.
    """

    name: str = "simulation"
    model: str = "a model"
    score_name: str = "score"
    higher_is_better: bool = True
    secret_ballots: bool = False
    n_proposers: int = 1
    merge: Literal["mean", "best"] | None = None
    vote_rule: VoteRule | str = DEFAULT_VOTING[Admission.ALLOWLIST].rule
    tolerance: float = 0.0
    max_distance: float = DEFAULT_VOTING[Admission.ALLOWLIST].max_distance
    keys: Sequence[str | bytes] | None = None
    on_event: Callable[[Observation], None] | None = None
    agent: AgentConfig = field(default_factory=lambda: AgentConfig(poll=0.5, fetch_patience=5.0))
    threads: int = 1


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """The result of a simulation.

    Args:
        experiment: id of the experiment on the ledger.
        history: all rounds and ballots.
        results: the history for `ColearnPlot` and `print_results`; absent scores are NaN.
        content: reference of the final weights: of an accepted file, or of the mean of several.
        weights: the final weights, in the form that a learner accepts.
        weights_file: safetensors file of the final weights.
        cost: cost of all transactions, in gas on an EVM, otherwise 0.
    """

    experiment: ExperimentId
    history: History
    results: Results
    content: ContentRef
    weights: Any
    weights_file: bytes
    cost: int


class SimulationInterrupted(KeyboardInterrupt):
    """Raised after Ctrl-C during the experiment, when the agents have stopped.

    Each agent first finishes its current step; a second Ctrl-C does not wait for that.

    Args:
        result: result of the rounds so far, of which the last may still be open. The weights are
            the last accepted ones.
    """

    def __init__(self, result: SimulationResult) -> None:
        self.result = result
        rounds = len(result.history.rounds)
        super().__init__(f"the simulation was interrupted in round {rounds}")


def run(
    learners: Sequence[Any],
    n_rounds: int = 10,
    *,
    vote_threshold: float = DEFAULT_VOTING[Admission.ALLOWLIST].approval,
    ledger: LedgerKind = "local",
    folder: Path | str | None = None,
    config: SimulationConfig | None = None,
) -> SimulationResult:
    """Run an experiment to its end.

    All learners start with the first learner's current weights. The same learners with the same
    seeds produce the same weights on every ledger: proposers take turns in the given order, and
    the order in which proposals and ballots arrive makes no difference.

    Args:
        learners: at least two objects with the five methods of `MachineLearningInterface`.
        n_rounds: number of rounds.
        vote_threshold: share of the voters that must approve, above 0 and up to 1, in steps of a
            hundredth of a percent; by default that of experiments with an allowlist.
        ledger: ``local``, or ``evm`` for the compiled contract on an embedded chain.
        folder: folder for the files of the agents and the store; by default a temporary one. At
            the end, the store contains the specification and the last
            ``config.agent.keep_accepted`` accepted weights, and ``rounds.html`` shows the rounds.
        config: all other settings; by default `SimulationConfig()`.

    Raises:
        SimulationError: an argument is out of its bounds, the first learner's weights are missing
            or pickled, or an agent failed.
        SimulationInterrupted: Ctrl-C was pressed; the error contains the result so far.
    """
    config = config or SimulationConfig()
    _check(learners, n_rounds, vote_threshold, config)
    with ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="colearn-"))
        root = Path(folder or temporary)
        wallets = _wallets(len(learners), config.keys)
        views = stack.enter_context(_views(ledger, wallets))
        store = _store(root, 0)
        experiment = _create(views[0], store, learners, n_rounds, vote_threshold, config)
        watch = _Watch(config.on_event)
        agents = [
            stack.enter_context(
                Agent(
                    views[i],
                    _store(root, i),
                    learner=learner,
                    experiment=experiment,
                    folder=root / "agents" / str(i),
                    config=replace(config.agent, name=f"learner {i}"),
                )
            )
            for i, learner in enumerate(learners)
        ]
        for agent in agents:
            agent.on_observation(watch.observe)
        _join_in_order(agents)
        try:
            _run_to_the_end(agents, config.threads)
        except KeyboardInterrupt as interruption:
            so_far = _result(views[0], experiment, root, watch.cost, has_page=folder is not None)
            raise SimulationInterrupted(so_far) from interruption
        result = _result(views[0], experiment, root, watch.cost, has_page=folder is not None)
        if result.history.experiment.status != Status.COMPLETED:
            raise SimulationError("the experiment was cancelled before its end")
        _store(root, 0).collect(older_than=0)
        return result


class _Watch:
    """Forward all agents' observations one at a time, and add up the cost."""

    def __init__(self, listener: Callable[[Observation], None] | None) -> None:
        self._listener = listener
        self._one_at_a_time = threading.Lock()
        self.cost = 0

    def observe(self, observation: Observation) -> None:
        with self._one_at_a_time:
            self.cost += observation.cost
            if self._listener is not None:
                self._listener(observation)


def _check(
    learners: Sequence[Any], n_rounds: int, vote_threshold: float, config: SimulationConfig
) -> None:
    if len(learners) < 2:
        raise SimulationError(f"there are {len(learners)} learners; give at least two")
    if n_rounds < 1:
        raise SimulationError(f"n_rounds is {n_rounds}; give at least one")
    if not 0 < vote_threshold <= 1 or round(vote_threshold * 10_000) < 1:
        raise SimulationError(
            f"the vote threshold {vote_threshold} is out of bounds; give one above 0 and up to 1"
        )
    if not 1 <= config.n_proposers <= MAX_PROPOSERS:
        raise SimulationError(
            f"n_proposers is {config.n_proposers}; give a number from 1 to {MAX_PROPOSERS}"
        )
    if config.threads < 1:
        raise SimulationError(f"threads is {config.threads}; give at least one")
    if config.merge not in (None, "mean", "best"):
        raise SimulationError(f"there is no merge {config.merge!r}; choose mean or best")
    if config.keys is not None and len(config.keys) != len(learners):
        raise SimulationError(
            f"there are {len(config.keys)} keys for {len(learners)} learners; give one key each"
        )


def _wallets(n_learners: int, keys: Sequence[str | bytes] | None) -> list[Wallet]:
    if keys is None:
        return [Wallet.create() for _ in range(n_learners)]
    return [Wallet.from_key(key) for key in keys]


@contextmanager
def _views(kind: LedgerKind, wallets: Sequence[Wallet]) -> Iterator[list[Any]]:
    """Yield a view of one new ledger for each wallet."""
    if kind == "local":
        from colearn_ledger.reference import LocalLedger

        local = LocalLedger.new(wallets[0])
        yield [local.acting_for(wallet) for wallet in wallets]
        return
    if kind != "evm":
        raise SimulationError(f"there is no ledger {kind!r}; choose local or evm")
    from colearn_ledger.chains.evm.embedded import EmbeddedChain

    chain = EmbeddedChain()
    ledger = chain.deploy(wallets[0])
    for wallet in wallets[1:]:
        chain.fund(wallet)
    yield [ledger.acting_for(wallet) for wallet in wallets]


def _create(
    ledger: Ledger,
    store: DirectoryStore,
    learners: Sequence[Any],
    n_rounds: int,
    vote_threshold: float,
    config: SimulationConfig,
) -> ExperimentId:
    """Create the experiment as the first learner, starting from its current weights."""
    weights = learners[0].mli_get_current_weights().weights
    try:
        check_initial_weights(weights)
    except WeightsError as error:
        raise SimulationError(f"no experiment can start from the first learner: {error}") from error
    schema = WeightsSchema.of(weights)
    try:
        spec = ExperimentSpec(
            model=config.model,
            schema=schema,
            score_name=config.score_name,
            higher_is_better=config.higher_is_better,
            vote_rule=parse_vote_rule(config.vote_rule, "the specification's vote_rule"),
            tolerance=config.tolerance,
            max_distance=config.max_distance,
        )
    except SpecError as error:
        raise SimulationError(str(error)) from error
    references = spec.put(store), write_weights(store, weights)
    for content in references:
        store.pin(content)
    params = ExperimentParams(
        name=config.name,
        spec=references[0],
        initial=references[1],
        rounds=n_rounds,
        min_learners=len(learners),
        max_learners=len(learners),
        approval_bps=round(vote_threshold * 10_000),
        propose_window=_WINDOW,
        vote_window=_WINDOW,
        reveal_window=_WINDOW if config.secret_ballots else 0,
        proposers=config.n_proposers,
        merge=_choose_merge(config, spec.schema),
    )
    return ledger.create(params).wait().experiment


def _choose_merge(config: SimulationConfig, schema: WeightsSchema) -> Merge:
    if config.merge == "mean" and config.n_proposers > 1 and not schema.can_average:
        raise SimulationError(
            "weights with text or bytes, such as those of trees, have no mean; set merge to best"
        )
    if config.merge is None:
        return Merge.MEAN if schema.can_average else Merge.BEST
    return Merge[config.merge.upper()]


def _store(root: Path, index: int) -> DirectoryStore:
    return DirectoryStore(root / "store", owner=f"learner-{index}", spare=_SPARE)


def _join_in_order(agents: Sequence[Agent]) -> None:
    """Join the learners one after another, to keep the caller's order."""
    for agent in agents:
        if agent.step() != Action.JOINED:
            raise SimulationError("a learner could not join; see the log")


def _run_to_the_end(agents: Sequence[Agent], threads: int) -> None:
    try:
        run_in_turns(agents, threads=threads)
    except Exception as error:
        raise SimulationError(f"an agent failed: {error}") from error


def _result(
    ledger: Ledger, experiment: ExperimentId, root: Path, cost: int, *, has_page: bool
) -> SimulationResult:
    store = _store(root, 0)
    history = read_history(ledger, experiment, store=store)
    names = {learner.account: f"learner {learner.index}" for learner in history.learners}
    history, now = replace(history, names=names), history.experiment
    schema = ExperimentSpec.read(store, now.params.spec).schema
    with tempfile.TemporaryDirectory(prefix="colearn-") as folder:
        current = obtain_current(store, now, Path(folder), schema=schema, ledger=ledger)
        data, weights = current.path.read_bytes(), current.read(schema).weights
    if has_page:
        (root / PAGE).write_text(history.to_html(), encoding="utf-8")
    results = results_of(history)
    return SimulationResult(experiment, history, results, current.content, weights, data, cost)
