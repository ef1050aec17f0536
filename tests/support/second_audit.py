"""The second implementation of the audit, and nodes that lie to both implementations alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.abi import event_abi_to_log_topic, function_abi_to_4byte_selector
from web3.providers.base import BaseProvider

from colearn_ledger.audit import ChangingLedger, audit_experiment
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.chains.evm import EvmLedger
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account
from scripts.independent_audit.auditing import audit
from scripts.independent_audit.reading import ABI, Unchecked
from tests.support.evm_world import FaultyNode

NOT_CHECKED = "not checked"
"""The verdict of an audit that could not read the node's answers."""

Log = dict[str, Any]
Path = Sequence[str | int]

_ENTRIES: list[Any] = json.loads(ABI.read_text())["abi"]
EVENTS = {each["name"]: each for each in _ENTRIES if each["type"] == "event"}
FUNCTIONS = {each["name"]: each for each in _ENTRIES if each["type"] == "function"}


def send_to(provider: BaseProvider) -> Callable[[str, list[Any]], Any]:
    """Return the second implementation's way to send requests to a node in this process."""

    def send(method: str, parameters: list[Any]) -> Any:
        answer: Any = provider.request_func(None, None)(method, parameters)  # type: ignore[arg-type]
        if "error" in answer:
            raise Unchecked(answer["error"]["message"])
        return answer["result"]

    return send


def audit_again(provider: BaseProvider, contract: str, experiment: int) -> dict[str, Any]:
    """Return the report of the second implementation."""
    report: dict[str, Any] = audit(send_to(provider), contract, experiment)
    return report


def list_rounds(provider: BaseProvider, contract: Account, experiment: Any) -> tuple[Any, Any]:
    """Return the rounds in which each of both implementations finds a fraud, in order.

    An empty list is a clean report, `NOT_CHECKED` no report.
    """
    first: Any = NOT_CHECKED
    second: Any = NOT_CHECKED
    try:
        report = audit_experiment(EvmLedger.connect(provider, contract), None, experiment)
        first = [finding.round for finding in report.findings]
    except (LedgerUnavailable, ChangingLedger, BadAnswer):
        pass
    try:
        found = audit_again(provider, contract, experiment)
        second = [finding["round"] for finding in found["findings"]]
    except Unchecked:
        pass
    return first, second


# ---------------------------------------------------------------------- lies


def find_log(logs: Sequence[Log], name: str, round_: int | None = None) -> int:
    """Return the position of the first event of a name, in a round if one is given."""
    topic = "0x" + event_abi_to_log_topic(EVENTS[name]).hex()
    for at, log in enumerate(logs):
        if log["topics"][0] == topic and (round_ is None or int(log["topics"][2], 16) == round_):
            return at
    raise LookupError(f"there is no {name} in round {round_}")


def lie_about_logs(node: FaultyNode, edit: Callable[[list[Log]], list[Log]]) -> None:
    """Let a node edit its logs."""

    def answer(parameters: list[Any], ask: Callable[[], Any]) -> Any:
        honest = ask()
        if not honest["result"] or len(parameters[0]["topics"]) < 2:
            return honest
        return {**honest, "result": edit([dict(log) for log in honest["result"]])}

    node.overrides["eth_getLogs"] = answer


def change_log(log: Log, name: str, path: Path, change: Any) -> Log:
    """Return a log with another value of a field; the change may be a function."""
    inputs = EVENTS[name]["inputs"]
    indexed = [each["name"] for each in inputs if each["indexed"]]
    if path[0] in indexed:
        at = 1 + indexed.index(str(path[0]))
        topics = list(log["topics"])
        topics[at] = "0x" + (
            change[2:].rjust(64, "0") if isinstance(change, str) else f"{change:064x}"
        )
        return {**log, "topics": topics}
    others = [each for each in inputs if not each["indexed"]]
    data = _change_data(others, bytes.fromhex(log["data"][2:]), path, change)
    return {**log, "data": "0x" + data.hex()}


def change_event(
    node: FaultyNode, name: str, path: Path, change: Any, *, round_: int | None = None
) -> None:
    """Let a node change a field of the first event of a name."""

    def edit(logs: list[Log]) -> list[Log]:
        at = find_log(logs, name, round_)
        return [*logs[:at], change_log(logs[at], name, path, change), *logs[at + 1 :]]

    lie_about_logs(node, edit)


def change_answer(
    node: FaultyNode, query: str, path: Path, change: Any, *, numbers: Sequence[int] = ()
) -> None:
    """Let a node change a value in the answers to a query whose first arguments are these."""
    selector = "0x" + function_abi_to_4byte_selector(FUNCTIONS[query]).hex()
    wanted = selector + "".join(f"{number:064x}" for number in numbers)

    def answer(parameters: list[Any], ask: Callable[[], Any]) -> Any:
        honest = ask()
        if not parameters[0]["data"].startswith(wanted):
            return honest
        data = bytes.fromhex(honest["result"][2:])
        try:
            changed = _change_data(FUNCTIONS[query]["outputs"], data, (0, *path), change)
        except IndexError:  # a page without this row
            return honest
        return {**honest, "result": "0x" + changed.hex()}

    node.overrides["eth_call"] = answer


def change_call(node: FaultyNode, name: str, path: Path, change: Any) -> None:
    """Let a node change an argument in the data of all calls of a name."""
    selector = "0x" + function_abi_to_4byte_selector(FUNCTIONS[name]).hex()

    def answer(_: list[Any], ask: Callable[[], Any]) -> Any:
        honest = ask()
        sent = honest["result"]
        if sent is None or not sent["input"].startswith(selector):
            return honest
        data = bytes.fromhex(sent["input"][10:])
        changed = _change_data(FUNCTIONS[name]["inputs"], data, path, change)
        return {**honest, "result": {**sent, "input": selector + changed.hex()}}

    node.overrides["eth_getTransactionByHash"] = answer


def change_result(node: FaultyNode, method: str, field: str, change: Callable[[Any], Any]) -> None:
    """Let a node change a field in all results of a method."""

    def answer(_: list[Any], ask: Callable[[], Any]) -> Any:
        honest = ask()
        if honest.get("result") is None:
            return honest
        return {**honest, "result": {**honest["result"], field: change(honest["result"][field])}}

    node.overrides[method] = answer


def _change_data(entries: Sequence[Any], data: bytes, path: Path, change: Any) -> bytes:
    types = [_name_type(each) for each in entries]
    values = _change({"type": "tuple", "components": entries}, decode(types, data), path, change)
    return encode(types, values)


def _change(entry: Any, value: Any, path: Path, change: Any) -> Any:
    if not path:
        return change(value) if callable(change) else change
    step, *rest = path
    if entry["type"].endswith("[]"):
        at, inner = step, {**entry, "type": entry["type"][:-2]}
    else:
        names = [each["name"] for each in entry["components"]]
        at = names.index(step) if isinstance(step, str) else step
        inner = entry["components"][at]
    assert isinstance(at, int)
    changed = _change(inner, value[at], rest, change)
    return (*value[:at], changed, *value[at + 1 :])


def _name_type(entry: Any) -> str:
    inner = ",".join(_name_type(each) for each in entry.get("components", ()))
    return str(entry["type"].replace("tuple", f"({inner})"))
