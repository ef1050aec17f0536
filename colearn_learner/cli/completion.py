"""The command `colearn completion`: print the script that completes commands in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.output import print_text

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="\b\nExamples:\n  colearn completion bash >> ~/.bashrc\n  colearn completion zsh >> "
    "~/.zshrc\n  colearn completion fish > ~/.config/fish/completions/colearn.fish"
)
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
@report_errors
def completion(context: click.Context, *, shell: str) -> None:
    """Print a script that lets the Tab key complete commands and options in a shell."""
    complete = get_completion_class(shell)
    if complete is None:
        raise click.ClickException(f"this version of click has no completion for {shell}")
    main = context.find_root().command
    print_text(complete(main, {}, "colearn", "_COLEARN_COMPLETE").source())
