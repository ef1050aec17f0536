"""The commands `colearn experiment`: create, list, show, join and administer experiments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colearn_learner.cli._support.connect import (
    Place,
    choose_store,
    find_contract,
    find_experiment,
    network_option,
    open_content_store,
    open_ledger,
    open_view,
    parse_account,
    store_option,
)
from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.experiment_views import (
    document,
    fields,
    progress,
    reference_of,
    summary,
)
from colearn_learner.cli._support.options import json_option
from colearn_learner.cli._support.output import (
    print_fields,
    print_json,
    print_line,
    print_table,
    print_text,
    show_spinner,
)
from colearn_learner.cli._support.refusals import explain_refusals
from colearn_learner.cli._support.secrets import key_option
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.profiles import Network
from colearn_ledger.networks.references import ExperimentReference
from colearn_ledger.protocol import MAX_PAGE, Account, to_dict

if TYPE_CHECKING:
    from colearn_learner.cli._support.experiment_file import ExperimentFile
    from colearn_ledger.ledger import Ledger, Pending
    from colearn_ledger.protocol import ContentRef, Experiment, ExperimentId, Learner
    from colearn_ledger.weights.store import ContentStore

_reference = click.argument("reference", metavar="REF")
_contract = click.option(
    "--contract", metavar="ADDRESS", help="The contract. [default: the network's own]"
)
_TIMEOUT = 300.0  # seconds for a transaction to get into a block


@click.group()
def experiment() -> None:
    """Experiments: create, list, show, join, leave, admit, start and cancel.

    REF is the reference that `create` prints, eip155:31337:0x…/7, or just 7 with --network.
    """


@experiment.command()
@report_errors
def template() -> None:
    """Print an example of the file that `create --spec` takes, with comments."""
    from colearn_learner.cli._support.experiment_file import TEMPLATE

    print_text(TEMPLATE)


# ------------------------------------------------------------------ creating


@experiment.command()
@click.option(
    "--spec",
    "spec_file",
    required=True,
    type=click.Path(path_type=Path),
    help="TOML; colearn experiment template prints an example.",
)
@network_option
@_contract
@key_option
@store_option
@json_option
@report_errors
def create(
    *,
    spec_file: Path,
    network_name: str | None,
    contract: str | None,
    wallet: Callable[[], Wallet],
    store: str | None,
    as_json: bool,
) -> None:
    """Check a file, upload specification and first weights, and create the experiment.

    Prints the experiment's reference, which all other commands take.
    """
    from colearn_learner.cli._support.experiment_file import read_experiment_file

    described = read_experiment_file(spec_file)
    network, address = find_contract(network_name, contract)
    place = choose_store(store, network)
    weights, spec = _make_first_weights(described)
    creator = wallet()
    ledger = open_ledger(network, address, creator)
    with show_spinner("uploading specification and weights"):
        opened = open_content_store(place, f"creator-{ledger.account}")
        references = _upload(opened, spec), _upload(opened, weights)
    with show_spinner("creating the experiment"):
        receipt = ledger.create(described.params(*references)).wait(_TIMEOUT)
    reference = ExperimentReference(network.chain, address, receipt.experiment)
    if as_json:
        spec_json, initial_json = (to_dict(content) for content in references)
        print_json(
            {
                "reference": str(reference),
                "experiment": receipt.experiment,
                "transaction": receipt.transaction,
                "gas": receipt.cost,
                "spec": spec_json,
                "initial": initial_json,
            }
        )
        return
    print_line(str(reference))


def _make_first_weights(described: ExperimentFile) -> tuple[bytes, bytes]:
    """Return the files of the first weights and of the specification, checked together."""
    from colearn_learner.cli._support.experiment_file import BadExperimentFile
    from colearn_learner.cli._support.factories import load_learner
    from colearn_ledger.spec import ExperimentSpec
    from colearn_ledger.weights.codec import decode_weights, encode_weights
    from colearn_ledger.weights.pickles import check_initial_weights
    from colearn_ledger.weights.schema import WeightsSchema

    if described.learner is not None:
        learner = load_learner(described.learner, described.arguments)
        data = encode_weights(learner.mli_get_current_weights().weights)
    else:
        path = described.file or Path()
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BadExperimentFile(f"cannot read {path}: {error.strerror}") from error
    weights = decode_weights(data).weights
    check_initial_weights(weights)
    schema = WeightsSchema.of(weights, max_bytes=described.max_bytes)
    decode_weights(data, schema=schema)  # checks the size, too
    spec = ExperimentSpec(
        described.model, schema, described.score_name, described.higher_is_better, described.text
    )
    return data, spec.to_bytes()


def _upload(store: ContentStore, data: bytes) -> ContentRef:
    content = store.put([data])
    store.pin(content)
    return content


# ------------------------------------------------------------------ looking


@experiment.command("list")
@network_option
@_contract
@json_option
@report_errors
def list_experiments(*, network_name: str | None, contract: str | None, as_json: bool) -> None:
    """List the experiments of a contract."""
    network, address = find_contract(network_name, contract)
    ledger = open_view(network, address)
    found: list[Experiment] = []
    while page := ledger.experiments(len(found), MAX_PAGE):
        found += page
    if as_json:
        print_json([summary(reference_of(network, address, e), e) for e in found])
        return
    rows = [
        [
            str(e.id),
            e.params.name,
            e.status.name.lower(),
            progress(e),
            f"{e.active_learners} of {e.params.max_learners}",
            str(reference_of(network, address, e)),
        ]
        for e in found
    ]
    print_table(
        ("id", "name", "status", "round", "learners", "reference"),
        rows,
        empty=f"There are no experiments at {address} on {network.name} yet.",
    )


@experiment.command()
@_reference
@network_option
@json_option
@report_errors
def show(*, reference: str, network_name: str | None, as_json: bool) -> None:
    """Show an experiment, its rules and its learners."""
    place = find_experiment(reference, network_name)
    ledger = place.open_view()
    with explain_refusals(place.reference):
        shown = ledger.experiment(place.experiment)
    learners: list[Learner] = []
    while page := ledger.learners(place.experiment, len(learners), MAX_PAGE):
        learners += page
    if as_json:
        print_json(document(place, shown, learners))
        return
    print_fields(fields(place, shown))
    print_table(
        ("learner", "account", "active", "strikes"),
        [
            [str(one.index), one.account, "yes" if one.active else "no", str(one.strikes)]
            for one in learners
        ],
        empty="Nobody has joined yet.",
    )


# ------------------------------------------------------------------ acting


@dataclass(frozen=True, slots=True)
class _Act:
    """A transaction that a command is about to send."""

    place: Place
    wallet: Callable[[], Wallet]
    as_json: bool

    def send(self, what: str, call: Callable[[Ledger, ExperimentId], Pending]) -> None:
        """Send the transaction and report that it took effect."""
        place = self.place
        ledger = place.open_ledger(self.wallet())
        with show_spinner(what), explain_refusals(place.reference):
            receipt = call(ledger, place.experiment).wait(_TIMEOUT)
        if self.as_json:
            print_json(
                {
                    "reference": str(place.reference),
                    "account": ledger.account,
                    "transaction": receipt.transaction,
                    "gas": receipt.cost,
                    "events": [type(event).__name__ for event in receipt.events],
                }
            )
            return
        print_line(f"{what}: done by {ledger.account}, {receipt.cost:,} gas")


def _sends_transaction(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of commands that send a transaction; the command gets an `_Act`."""

    @_reference
    @network_option
    @key_option
    @json_option
    @report_errors
    @wraps(command)
    def acting(
        *,
        reference: str,
        network_name: str | None,
        wallet: Callable[[], Wallet],
        as_json: bool,
        **more: Any,
    ) -> None:
        command(_Act(find_experiment(reference, network_name), wallet, as_json), **more)

    return acting


@experiment.command()
@_sends_transaction
def join(act: _Act) -> None:
    """Join as a learner. Agents do this by themselves."""
    act.send("join", lambda ledger, number: ledger.join(number))


@experiment.command()
@_sends_transaction
def leave(act: _Act) -> None:
    """Leave the experiment permanently; the agent of this key then ends."""
    act.send("leave", lambda ledger, number: ledger.leave(number))


@experiment.command()
@_sends_transaction
@click.argument("accounts", nargs=-1, required=True, metavar="ACCOUNT…")
def admit(act: _Act, *, accounts: tuple[str, ...]) -> None:
    """Let accounts join (creator only, with an allowlist).

    An ACCOUNT is an address, or the name of a key of your keystore.
    """
    admitted = [_account(text, act.place.network) for text in accounts]
    act.send("admit", lambda ledger, number: ledger.admit(number, admitted))


def _account(text: str, network: Network) -> Account:
    if text.startswith("0x") or network.is_account(text):
        return parse_account(text)
    from colearn_ledger.keys.keystore import Keystore

    known = network.account_of(Keystore().key(text))
    if known is None:
        raise click.UsageError(
            f"the file of the key {text} does not contain its address; give the address itself"
        )
    return known


@experiment.command()
@_sends_transaction
def start(act: _Act) -> None:
    """Start before max_learners have joined (creator only)."""
    act.send("start", lambda ledger, number: ledger.start(number))


@experiment.command()
@_sends_transaction
def cancel(act: _Act) -> None:
    """Cancel the experiment permanently (creator only)."""
    act.send("cancel", lambda ledger, number: ledger.cancel(number))
