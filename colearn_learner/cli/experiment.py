"""The commands `colearn experiment`: create, list, show, join and administer experiments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from colearn_learner.cli._support.collect import Command, collect
from colearn_learner.cli._support.connect import (
    choose_store,
    describe_other_contracts,
    find_experiment,
    open_content_store,
    open_ledger,
    open_view,
    parse_account,
)
from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.experiment_options import CreateOptions, create_options
from colearn_learner.cli._support.experiment_views import (
    document,
    fields,
    learner_rows,
    progress,
    reference_of,
    slot_rows,
    summary,
)
from colearn_learner.cli._support.options import (
    ContractOptions,
    ExperimentOptions,
    contract_options,
    experiment_argument,
    hash_option,
    json_option,
    store_option,
)
from colearn_learner.cli._support.output import (
    note,
    print_fields,
    print_json,
    print_line,
    print_table,
    print_text,
    show_spinner,
)
from colearn_learner.cli._support.refusals import Refused, explain_refusals
from colearn_learner.cli._support.secrets import KeyOptions, key_options
from colearn_ledger.keys.names import find_names
from colearn_ledger.networks.profiles import Network
from colearn_ledger.networks.references import ExperimentReference
from colearn_ledger.protocol import MAX_PAGE, Account, CancelRequested, experiment_hash, to_dict

if TYPE_CHECKING:
    from colearn_ledger.ledger import Ledger, Pending, Receipt
    from colearn_ledger.protocol import ContentRef, Experiment, ExperimentId, Learner
    from colearn_ledger.weights.store import ContentStore

_TIMEOUT = 300.0  # seconds until a transaction must be in a block


@click.group()
def experiment() -> None:
    """Create, list, show, join, leave, start and cancel experiments.

    REF is the reference that `create` prints, such as eip155:31337:0x…/7, or just 7 with --network.
    """


@experiment.command()
@report_errors
def template() -> None:
    """Print an example, with comments, of the file for `create --spec`."""
    from colearn_learner.cli._support.experiment_file import TEMPLATE

    print_text(TEMPLATE)


# -------------------------------------------------------------------------- create


@experiment.command()
@click.option(
    "--spec",
    "spec_file",
    required=True,
    type=click.Path(path_type=Path),
    help="The TOML file that describes the experiment; colearn experiment template prints an "
    "example.",
)
@create_options
@contract_options
@key_options
@store_option
@json_option
@report_errors
def create(
    *,
    spec_file: Path,
    changes: CreateOptions,
    chosen: ContractOptions,
    signer: KeyOptions,
    store: str | None,
    as_json: bool,
) -> None:
    """Check the file, upload the specification and the first weights, and create the experiment.

    Prints the experiment's reference, which the other commands take as REF or --experiment, and its
    hash, which learners compare before they join. Options replace the file's fields.
    """
    from colearn_learner.cli._support.experiment_file import (
        find_share_mismatch,
        read_experiment_file,
    )
    from colearn_learner.cli._support.first_weights import (
        continue_weights,
        make_first_weights,
        make_spec,
    )

    described = read_experiment_file(spec_file, changes.overrides())
    if warning := find_share_mismatch(described):
        note(f"warning: {warning}")
    network, address = chosen.find()
    place = choose_store(store, network)
    if changes.continue_from is None:
        first = make_first_weights(described)
    else:
        finished = find_experiment(changes.continue_from, None)
        with show_spinner("fetching the weights to continue with"):
            first = continue_weights(described, finished, choose_store(store, finished.network))
    spec = make_spec(described, first)
    ledger = open_ledger(network, address, signer.open_wallet())
    with show_spinner("uploading the specification and the weights"):
        opened = open_content_store(place, f"creator-{ledger.account}")
        params = described.params(_upload(opened, spec), _upload(opened, first.data))
    with show_spinner("creating the experiment"):
        receipt = ledger.create(params).wait(_TIMEOUT)
    reference = ExperimentReference(network.chain, address, receipt.experiment)
    created_hash = experiment_hash(ledger.account, params).hex()
    if as_json:
        print_json(
            {
                "reference": str(reference),
                "experiment": receipt.experiment,
                "hash": created_hash,
                "transaction": receipt.transaction,
                "gas": receipt.cost,
                "spec": to_dict(params.spec),
                "initial": to_dict(params.initial),
                "continues": first.continues,
            }
        )
        return
    print_line(str(reference))
    note(f"hash {created_hash}")


def _upload(store: ContentStore, data: bytes) -> ContentRef:
    content = store.put([data])
    store.pin(content)
    return content


# ------------------------------------------------------------------ list and show


@experiment.command("list")
@contract_options
@json_option
@report_errors
def list_experiments(*, chosen: ContractOptions, as_json: bool) -> None:
    """List the experiments of a contract."""
    network, address = chosen.find()
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
        ]
        for e in found
    ]
    print_table(
        ("id", "name", "status", "round", "learners"),
        rows,
        empty=f"There are no experiments at {address} on {network.name} yet"
        f"{describe_other_contracts(network.chain, address)}.",
    )
    if found:
        contract = str(reference_of(network, address, found[0])).rpartition("/")[0]
        print_line()
        print_line(f"reference  {contract}/ID")


@experiment.command()
@experiment_argument
@json_option
@report_errors
def show(*, experiment: ExperimentOptions, as_json: bool) -> None:
    """Show an experiment, its rules, its current round and its learners."""
    place = experiment.find()
    ledger = place.open_view()
    with explain_refusals(place.reference):
        shown = ledger.experiment(place.experiment)
        round_ = None if shown.round is None else ledger.round(place.experiment, shown.round)
    learners: list[Learner] = []
    while page := ledger.learners(place.experiment, len(learners), MAX_PAGE):
        learners += page
    if as_json:
        print_json(document(place, shown, round_, learners))
        return
    print_fields(fields(place, shown))
    names = find_names(each.account for each in learners)
    if round_ is not None:
        print_line()
        heads = ("slot", "proposer", "state", "approvals", "weights")
        print_table(heads, slot_rows(round_, learners, names), empty="")
    print_line()
    print_table(
        ("learner", "name", "account", "active", "strikes"),
        learner_rows(learners, names),
        empty="No learner has joined yet.",
    )


# -------------------------------------------------------------- transactions


@dataclass(frozen=True, slots=True)
class _TransactionOptions:
    """The experiment that a transaction is about, and the key that signs it."""

    experiment: ExperimentOptions
    signer: KeyOptions
    as_json: bool

    def send(self, what: str, call: Callable[[Ledger, ExperimentId], Pending]) -> None:
        """Send the transaction and report that it took effect."""
        place = self.experiment.find()
        ledger = place.open_ledger(self.signer.open_wallet())
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
        done = _describe_effect(receipt)
        print_line(f"{what}: {done} by {ledger.account}, {receipt.cost:,} gas")


def _describe_effect(receipt: Receipt) -> str:
    if any(isinstance(event, CancelRequested) for event in receipt.events):
        return (
            "requested (the open vote still counts; the experiment ends when its round has closed)"
        )
    return "done"


def _transaction_options(command: Command) -> Command:
    """Add the options of commands that send a transaction; the command gets ``transaction``."""
    collected = collect(_TransactionOptions, "transaction")(report_errors(command))
    return experiment_argument(key_options(json_option(collected)))


@experiment.command()
@_transaction_options
@hash_option
def join(*, transaction: _TransactionOptions, expected: bytes | None) -> None:
    """Join as a learner. An agent joins by itself."""

    def send(ledger: Ledger, number: ExperimentId) -> Pending:
        known = expected or ledger.experiment(number).hash
        if expected is None:
            note(f"joining the experiment with the hash {known.hex()}")
        return ledger.join(number, known)

    transaction.send("join", send)


@experiment.command()
@_transaction_options
def leave(*, transaction: _TransactionOptions) -> None:
    """Leave the experiment permanently. The agent of this key then stops."""
    transaction.send("leave", lambda ledger, number: ledger.leave(number))


@experiment.command()
@_transaction_options
@click.argument("accounts", nargs=-1, required=True, metavar="ACCOUNT…")
def admit(*, transaction: _TransactionOptions, accounts: tuple[str, ...]) -> None:
    """Allow accounts to join (creator only; for experiments with an allowlist).

    An ACCOUNT is an address, or the name of a key in your keystore.
    """
    network = transaction.experiment.find().network
    admitted = [_find_account(text, network) for text in accounts]
    transaction.send("admit", lambda ledger, number: ledger.admit(number, admitted))


def _find_account(text: str, network: Network) -> Account:
    if text.startswith("0x") or network.is_account(text):
        return parse_account(text)
    from colearn_ledger.keys.keystore import Keystore

    known = network.account_of(Keystore().key(text))
    if known is None:
        raise click.UsageError(
            f"the file of the key {text} does not contain its address; pass the address instead"
        )
    return known


@experiment.command()
@_transaction_options
def start(*, transaction: _TransactionOptions) -> None:
    """Start the experiment before max_learners have joined (creator only)."""
    transaction.send("start", lambda ledger, number: ledger.start(number))


@experiment.command()
@_transaction_options
def cancel(*, transaction: _TransactionOptions) -> None:
    """Cancel the experiment permanently (creator only).

    While a vote is open, this only requests it: nobody can void what the voters have decided.
    The round closes by its own rules, and the experiment then ends.
    """

    def send(ledger: Ledger, number: ExperimentId) -> Pending:
        if ledger.experiment(number).cancel_requested:
            raise Refused(
                f"experiment {number} is already being cancelled; it ends when its round has closed"
            )
        return ledger.cancel(number)

    transaction.send("cancel", send)
