"""`collect`, which passes several options to a command as one dataclass."""

from __future__ import annotations

from dataclasses import dataclass

import click
from click.testing import CliRunner, Result

from colearn_learner.cli._support.collect import collect
from colearn_learner.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __post_init__(self) -> None:
        if self.port == 0:
            raise InvalidArgument("port is 0; choose another one")


@dataclass(frozen=True, slots=True)
class Server:
    address: Address
    name: str


@click.command()
@click.option("--host", default="localhost")
@click.option("--port", type=int, required=True)
@collect(Address, "address")
@click.option("--name", default="one")
@collect(Server, "server")
@click.option("--json", "as_json", is_flag=True)
def serve(*, server: Server, as_json: bool) -> None:
    click.echo(f"{server} {as_json}")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(serve, list(arguments))


def test_options_reach_the_command_as_one_object_and_others_stay_separate():
    expected = Server(Address("example.org", 5), "one")
    assert run("--host", "example.org", "--port", "5", "--json").output == f"{expected} True\n"


def test_values_that_the_dataclass_refuses_are_wrong_usage():
    result = run("--port", "0")
    assert result.exit_code == 2
    assert "port is 0; choose another one" in result.output


def test_help_lists_collected_options_in_the_order_of_the_decorators():
    lines = [line.split() for line in run("--help").output.splitlines()]
    flags = [line[0] for line in lines if line and line[0].startswith("--")]
    assert flags == ["--host", "--port", "--name", "--json", "--help"]
