"""`colearn learner`: for authors of learners."""

from __future__ import annotations

import click

from colearn_learner.cli.factories import found_factory, learner_arguments
from colearn_learner.cli.failing import failing_clearly
from colearn_learner.cli.showing import print_json

__all__ = ["learner"]

_COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow"}


@click.group()
def learner() -> None:
    """Learners: check one that you wrote."""


@learner.command("checks")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@failing_clearly
def list_checks(*, as_json: bool) -> None:
    """List what `check` looks at."""
    from colearn_learner.checking import checks

    if as_json:
        print_json([{"name": name, "holds": line} for name, line in checks().items()])
        return
    width = max(map(len, checks()))
    for name, line in checks().items():
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {line}")


@learner.command()
@click.argument("factory", metavar="MODULE:FACTORY")
@click.option(
    *("--learner-arg", "given"),
    multiple=True,
    metavar="NAME=VALUE",
    help="An argument of the factory; VALUE is JSON where it can be, else a text. Repeatable.",
)
@click.option(
    *("--skip", "skip"),
    multiple=True,
    metavar="CHECK",
    help="Leave this check out; colearn learner checks lists them. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@failing_clearly
def check(*, factory: str, given: tuple[str, ...], skip: tuple[str, ...], as_json: bool) -> None:
    """Check that a learner keeps to the interface.

    MODULE:FACTORY is what makes the learner, as for colearn agent run; it is called some twenty
    times, so let it use little data. Exits with 1 when a check failed.
    """
    from colearn_learner.checking import Verdict, check_learner

    arguments = learner_arguments(given)
    found_factory(factory)  # with the working folder on the path, and clear errors
    report = check_learner(factory, arguments, skip=skip)
    if as_json:
        outcomes = [
            {"name": c.name, "verdict": c.verdict.value, "reason": c.reason or None}
            for c in report.checks
        ]
        print_json({"factory": factory, "passed": report.passed, "checks": outcomes})
    else:
        for outcome in report.checks:
            verdict = outcome.verdict.value
            styled = click.style(verdict.ljust(8), fg=_COLOURS[verdict])
            click.echo(f"{styled} {outcome.name}")
            if outcome.reason:
                click.echo(f"         {outcome.reason}")
        counts = {v: sum(c.verdict is v for c in report.checks) for v in Verdict}
        click.echo(", ".join(f"{count} {v.value}" for v, count in counts.items()))
    if not report.passed:
        raise click.exceptions.Exit(1)
