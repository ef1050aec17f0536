"""Options that several commands share."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from colearn_learner.cli._support.collect import Command, collect
from colearn_learner.cli._support.connect import Place, find_contract, find_experiment
from colearn_learner.cli._support.factories import load_learner, parse_arguments

if TYPE_CHECKING:
    from colearn_ledger.networks.profiles import Network
    from colearn_ledger.protocol import Account


# ------------------------------------------------------------------------------------ output


@dataclass(frozen=True, slots=True)
class LogOptions:
    """The format and the level of detail of a log."""

    as_json: bool
    verbose: bool


def json_option(command: Command) -> Command:
    """Add ``--json`` for results; the command gets ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def log_options(command: Command) -> Command:
    """Add ``--json`` and ``--verbose`` for logs; the command gets ``log``."""
    as_json = click.option("--json", "as_json", is_flag=True, help="Log one JSON object per line.")
    verbose = click.option("--verbose", is_flag=True, help="Also log debug messages.")
    return as_json(verbose(collect(LogOptions, "log")(command)))


# ------------------------------------------------------------------------------------ places


@dataclass(frozen=True, slots=True)
class ExperimentOptions:
    """An experiment, and the network to use it through if the user chose one."""

    reference: str
    network_name: str | None

    def find(self) -> Place:
        """Return the experiment and its network.

        Raises:
            UnknownName, click.UsageError: there is no such network, or several fit.
        """
        return find_experiment(self.reference, self.network_name)


@dataclass(frozen=True, slots=True)
class ContractOptions:
    """A contract and its network, as far as the user chose them."""

    network_name: str | None
    contract: str | None

    def find(self) -> tuple[Network, Account]:
        """Return the network and the contract's address.

        Raises:
            UnknownName, click.UsageError: there is no such network, or no contract is known on it.
        """
        return find_contract(self.network_name, self.contract)


def network_option(command: Command) -> Command:
    """Add ``--network``; the command gets ``network_name``."""
    return click.option(
        "--network",
        "network_name",
        envvar="COLEARN_NETWORK",
        metavar="NAME",
        help="The network to use; see colearn network list. [default: $COLEARN_NETWORK, or the "
        "only network that fits]",
    )(command)


def experiment_options(command: Command) -> Command:
    """Add ``--experiment`` and ``--network``; the command gets ``experiment``."""
    option = click.option(
        "--experiment",
        "reference",
        required=True,
        metavar="REF",
        help="The experiment: eip155:31337:0x…/7, or just 7 with --network.",
    )
    return option(network_option(collect(ExperimentOptions, "experiment")(command)))


def experiment_argument(command: Command) -> Command:
    """Add the argument REF and ``--network``; the command gets ``experiment``."""
    argument = click.argument("reference", metavar="REF")
    return argument(network_option(collect(ExperimentOptions, "experiment")(command)))


def hash_option(command: Command) -> Command:
    """Add ``--hash``; the command gets ``expected``, which is ``None`` by default."""
    return click.option(
        "--hash",
        "expected",
        metavar="HEX",
        callback=lambda _context, _option, text: parse_hash(text, "--hash"),
        help="The hash of the experiment that you agreed to, as printed by colearn experiment "
        "show; no other is joined. [default: the hash of the experiment that REF names now]",
    )(command)


def parse_hash(text: str | None, option: str) -> bytes | None:
    """Return the 32 bytes of a hash, ``None`` without a text.

    Raises:
        click.BadParameter: the text is not a hash; the error names the option.
    """
    if text is None:
        return None
    digits = text.removeprefix("0x")
    if len(digits) != 64 or set(digits) - set(string.hexdigits):
        raise click.BadParameter(
            f"{text!r} is not a hash of 64 hexadecimal digits", param_hint=option
        )
    return bytes.fromhex(digits)


def contract_options(command: Command) -> Command:
    """Add ``--network`` and ``--contract``; the command gets ``chosen``."""
    option = click.option(
        "--contract",
        metavar="ADDRESS",
        help="The contract. [default: the one deployed last on the network]",
    )
    return network_option(option(collect(ContractOptions, "chosen")(command)))


def store_option(command: Command) -> Command:
    """Add ``--store``, also called ``--ipfs``; the command gets ``store``."""
    return click.option(
        "--store",
        "--ipfs",
        "store",
        envvar="COLEARN_STORE",
        metavar="PLACE",
        help="The store of the weights: folder:/path, the URL of an IPFS node's API, gateway:URL, "
        "or several of them separated by commas. Set tokens in $COLEARN_STORE_TOKENS: "
        "host=token,…  [default: $COLEARN_STORE, or the network's store]",
    )(command)


# ------------------------------------------------------------------------------------ voting

VOTE_RULES = ("better-alone", "leave-one-out", "track-record")
"""The values of `colearn_ledger.spec.VoteRule`; importing that module would load numpy."""


def vote_rule_options(*, voters: str, default: str) -> Callable[[Command], Command]:
    """Return a decorator that adds ``--vote-rule`` and ``--tolerance``.

    The command gets ``vote_rule`` and ``tolerance``, which are ``None`` by default.

    Args:
        voters: for the help, who votes by them, with the verb: "agents approve".
        default: for the help, whose values are used by default: "the file's".
    """
    rule = click.option(
        "--vote-rule",
        type=click.Choice(VOTE_RULES),
        help=f"The rule by which {voters} proposals. [default: {default}]",
    )
    tolerance = click.option(
        "--tolerance",
        type=click.FloatRange(0),
        help="How much worse a proposal may make the mean, as a share of the score, before "
        f"leave-one-out rejects it. [default: {default}]",
    )
    return lambda command: rule(tolerance(command))


# ---------------------------------------------------------------------------------- learners


@dataclass(frozen=True, slots=True)
class LearnerOptions:
    """A learner's factory or server, and the arguments for it."""

    factory: str
    given: tuple[str, ...]

    def parse(self) -> dict[str, Any]:
        """Return the arguments by name.

        Raises:
            click.UsageError: an argument is malformed, or given twice.
        """
        return parse_arguments(self.given)

    def load(self) -> Any:
        """Return the learner; see `load_learner` for the errors."""
        return load_learner(self.factory, self.parse())


def learner_options(
    text: str, *, metavar: str = "MODULE:FACTORY", argument_text: str = ""
) -> Callable[[Command], Command]:
    """Return a decorator that adds ``--learner`` and ``--learner-arg``.

    The command gets ``learner``.

    Args:
        text: the help of ``--learner``.
        metavar: the form of its value.
        argument_text: a sentence to add to the help of ``--learner-arg``.
    """

    def decorate(command: Command) -> Command:
        option = click.option("--learner", "factory", required=True, metavar=metavar, help=text)
        return option(_learner_arguments(argument_text)(command))

    return decorate


def factory_argument(command: Command) -> Command:
    """Add the argument MODULE:FACTORY and ``--learner-arg``; the command gets ``learner``."""
    argument = click.argument("factory", metavar="MODULE:FACTORY")
    return argument(_learner_arguments("")(command))


def _learner_arguments(more: str) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        option = click.option(
            "--learner-arg",
            "given",
            multiple=True,
            metavar="NAME=VALUE",
            help="An argument for the factory. VALUE is parsed as JSON if possible, and is text "
            f"otherwise. {more}{' ' if more else ''}Repeatable.",
        )
        return option(collect(LearnerOptions, "learner")(command))

    return decorate
