"""The `colearn` command, which imports a subcommand only when it is used.

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import click

from colearn_learner.cli._support.deferred_pairings import defer_pairings
from colearn_learner.cli._support.output import escape_errors
from colearn_learner.cli._support.plain_text import allow_plain_output

_SUBCOMMANDS = {
    "demo": ("colearn_learner.cli.demo", "Let learners train one model together on this machine."),
    "datasets": ("colearn_learner.cli.catalogue", "List the data sets, and where to get them."),
    "data": ("colearn_learner.cli.data", "Divide a data set into folders, one for each learner."),
    "models": ("colearn_learner.cli.catalogue", "List the models of the catalogue."),
    "localnet": (
        "colearn_learner.cli.localnet",
        "Run a chain and IPFS nodes on this machine, for trials.",
    ),
    "key": ("colearn_learner.cli.key", "Create, import and list encrypted keys."),
    "network": (
        "colearn_learner.cli.network",
        "Choose the nodes through which to reach each chain.",
    ),
    "deploy": ("colearn_learner.cli.deploy", "Deploy the contract to a network."),
    "experiment": ("colearn_learner.cli.experiment", "Create, list, join and cancel experiments."),
    "learner": (
        "colearn_learner.cli.learner",
        "Check a learner, or serve one to an agent on another machine.",
    ),
    "agent": ("colearn_learner.cli.agent", "Run the agent of a learner."),
    "relay": ("colearn_learner.cli.relay", "Submit ballots for learners that cannot pay for gas."),
    "history": ("colearn_learner.cli.history", "Show what happened in an experiment."),
    "audit": (
        "colearn_learner.cli.audit",
        "Check an experiment against its rules, from the chain and the store alone.",
    ),
    "quickstart": (
        "colearn_learner.cli.quickstart",
        "Run a whole experiment on real nodes, command by command.",
    ),
    "completion": (
        "colearn_learner.cli.completion",
        "Print a script for the shell that completes commands with Tab.",
    ),
    "weights": ("colearn_learner.cli.weights", "Fetch and verify the weights of an experiment."),
}
"""Module and short help of each subcommand, so that ``--help`` need not import it."""


class _LazyGroup(click.Group):
    """A group that lists its subcommands by name and imports one only when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _SUBCOMMANDS:
            return None
        defer_pairings()
        command = getattr(importlib.import_module(_SUBCOMMANDS[cmd_name][0]), cmd_name)
        if isinstance(command, click.Group):
            _show_whole_summaries(command)
        return command if isinstance(command, click.Command) else None

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        allow_plain_output()
        with escape_errors():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with escape_errors():
            try:
                return super().invoke(ctx)
            except click.NoSuchOption as error:
                if not error.option_name[1:2].isdecimal():
                    raise
                raise click.UsageError(
                    f"{error.option_name} is not an option, and no argument here is negative; "
                    "experiments are counted from 1",
                    error.ctx,
                ) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from colearn_learner.names import UnknownName, find_name

        if args and not args[0].startswith("-"):
            try:
                find_name("command", args[0], _SUBCOMMANDS)
            except UnknownName as error:
                raise click.UsageError(str(error), ctx) from error
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _SUBCOMMANDS.items()])


def _show_whole_summaries(group: click.Group) -> None:
    """Let a group's help show the first paragraph of each command, which click would cut."""
    for command in group.commands.values():
        if command.help and not command.short_help:
            paragraph = " ".join(inspect.cleandoc(command.help).split("\n\n")[0].split())
            command.short_help = paragraph.removesuffix(".")


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="colearn-ledger", prog_name="colearn")
def main() -> None:
    """Machine learning among parties who do not trust each other.

    Learners take turns to propose new weights for a shared model. The others test them on their
    own data and vote, and a smart contract counts the votes. No data ever leaves its owner.

    Start with:  colearn demo
    """
