"""A command with an argument of its own that has subcommands, too."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem


class CommandWithSubcommands(click.Command):
    """A command that runs a subcommand if its first argument is the name of one.

    So `colearn audit REF` and `colearn audit verify FOLDER` exist side by side. `click.Group`
    cannot do this, because it would parse REF before the subcommand's name.
    """

    def __init__(self, name: str | None, **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.subcommands: dict[str, click.Command] = {}

    def add_command(self, command: click.Command) -> None:
        """Add a subcommand under its own name."""
        self.subcommands[str(command.name)] = command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse the arguments, and return the context of the command that they choose."""
        if args and (chosen := self.subcommands.get(args[0])) is not None:
            above = click.Context(self, info_name=info_name, parent=parent)
            return chosen.make_context(chosen.name, args[1:], above, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters, without arguments in a subcommand's context and for completion.

        Otherwise the path of a subcommand would contain the argument, and names of subcommands
        would not be completed in its place.
        """
        parameters = super().get_params(ctx)
        if ctx.command is self and not ctx.resilient_parsing:
            return parameters
        return [each for each in parameters if not isinstance(each, click.Argument)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options and then the subcommands."""
        super().format_options(ctx, formatter)
        rows = [(name, each.get_short_help_str(1_000)) for name, each in self.subcommands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the subcommands and options that begin with a text."""
        named = [
            CompletionItem(name, help=each.get_short_help_str())
            for name, each in self.subcommands.items()
            if name.startswith(incomplete)
        ]
        return [*named, *super().shell_complete(ctx, incomplete)]
