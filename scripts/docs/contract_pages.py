"""Generate the contract references: EVM from ABI and NatSpec, CosmWasm from its schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ROOT / "contracts" / "evm" / "src"
ARTIFACT = ROOT / "colearn_ledger" / "chains" / "evm" / "CollectiveLearning.json"
SCHEMA = ROOT / "contracts" / "cosmwasm" / "schema" / "collective-learning.json"

_DOCUMENTED = re.compile(
    r"((?:^[ \t]*///.*\n)*)^[ \t]*(function|event|error|struct|enum) (\w+)", re.MULTILINE
)
_TAG = re.compile(r"@(\w+) ?")

# ------------------------------------------------------------------ the EVM contract

_EVM_HEAD = """# The EVM contract

Generated from the ABI of the contract in the package and from the comments in `contracts/evm/src`.
[The protocol](../protocol.md) has the rules and the order of the checks.
"""


def evm_page() -> str:
    """Return the EVM contract's page as Markdown."""
    abi = json.loads(ARTIFACT.read_text())["abi"]
    comments = _read_natspec()
    functions = [e for e in abi if e["type"] == "function"]
    calls = [e for e in functions if e["stateMutability"] != "view"]
    queries = [e for e in functions if e["stateMutability"] == "view"]
    parts = [_EVM_HEAD, "## Calls", *(_describe_function(e, comments) for e in calls)]
    parts += ["## Queries", *(_describe_function(e, comments) for e in queries)]
    parts += ["## Events", *(_describe_entry(e, comments) for e in abi if e["type"] == "event")]
    parts += ["## Errors", _make_table(e for e in abi if e["type"] == "error")]
    parts += ["## Values", *(_describe_value(kind, name) for kind, name in _find_values())]
    return "\n\n".join(parts) + "\n"


def _read_natspec() -> dict[tuple[str, str], dict[str, list[str]]]:
    """Return the NatSpec of each function, event, error, struct and enum, by tag."""
    found = {}
    for path in sorted(SOURCES.glob("ICollectiveLearning.sol")) + sorted(SOURCES.glob("types/*")):
        for comment, kind, name in _DOCUMENTED.findall(path.read_text()):
            found.setdefault((kind, name), _parse_tags(comment))
    return found


def _parse_tags(comment: str) -> dict[str, list[str]]:
    lines = [line.strip().removeprefix("///").strip() for line in comment.splitlines()]
    tags: dict[str, list[str]] = {}
    for line in lines:
        tag = _TAG.match(line)
        if tag:
            tags.setdefault(tag[1], []).append(line[tag.end() :])
        elif tags:
            tags[list(tags)[-1]][-1] += f" {line}"
    return tags


def _describe_function(entry: Mapping[str, Any], comments: Mapping[Any, Any]) -> str:
    tags = comments.get(("function", entry["name"]), {})
    outputs = ", ".join(_format_argument(o) for o in entry["outputs"])
    returns = f" returns ({outputs})" if outputs else ""
    lines = [f"### `{entry['name']}`", " ".join(tags.get("notice", []))]
    lines.append(f"```solidity\n{entry['name']}({_format_inputs(entry)}){returns}\n```")
    described = [text.split(" ", 1) for text in tags.get("param", [])]
    lines += ["\n".join(f"- `{name}`: {_format_text(text)}" for name, text in described)]
    return "\n\n".join(line for line in lines if line)


def _describe_entry(entry: Mapping[str, Any], comments: Mapping[Any, Any]) -> str:
    tags = comments.get((entry["type"], entry["name"]), {})
    note = " ".join(tags.get("notice", []) + tags.get("dev", []))
    shown = (
        f"### `{entry['name']}`\n\n```solidity\n{entry['name']}({_format_arguments(entry)})\n```"
    )
    return f"{shown}\n\n{note}" if note else shown


def _format_inputs(entry: Mapping[str, Any]) -> str:
    """Return a function's arguments under their names in the interface."""
    source = (SOURCES / "ICollectiveLearning.sol").read_text()
    declared = re.search(rf"function {entry['name']}\(([^)]*)\)", source)
    if declared is None:
        raise SystemExit(f"{entry['name']} is in the ABI but not in the interface")
    names = [one.split()[-1] for one in declared[1].split(",") if one.strip()]
    called = [{**given, "name": name} for given, name in zip(entry["inputs"], names, strict=True)]
    return _format_arguments({"inputs": called})


def _format_arguments(entry: Mapping[str, Any]) -> str:
    return ", ".join(_format_argument(argument) for argument in entry["inputs"])


def _format_argument(argument: Mapping[str, Any]) -> str:
    """Return an argument's type, under its name in the sources, and its name."""
    declared = argument.get("internalType", argument["type"]).split(" ")[-1].split(".")[-1]
    indexed = "indexed" if argument.get("indexed") else ""
    return " ".join(word for word in (declared, indexed, argument["name"]) if word)


def _make_table(entries: Iterator[Mapping[str, Any]]) -> str:
    rows = [
        f"| `{e['name']}` | {f'`{_format_arguments(e)}`' if e['inputs'] else ''} |" for e in entries
    ]
    return "\n".join(["| error | values |", "|---|---|", *rows])


def _find_values() -> Iterator[tuple[str, str]]:
    for path in (SOURCES / "ICollectiveLearning.sol", *sorted((SOURCES / "types").glob("*.sol"))):
        for _, kind, name in _DOCUMENTED.findall(path.read_text()):
            if kind in ("struct", "enum") and path.name not in ("State.sol", "Tally.sol"):
                yield kind, name


def _describe_value(kind: str, name: str) -> str:
    for path in SOURCES.rglob("*.sol"):
        body = re.search(rf"^( *){kind} {name} {{\n.*?^\1}}", path.read_text(), re.M | re.S)
        if body:
            indent = len(body[1])
            code = "\n".join(line[indent:] for line in body[0].splitlines())
            tags = _read_natspec().get((kind, name), {})
            lines = [f"### `{name}`", " ".join(tags.get("notice", [])), f"```solidity\n{code}\n```"]
            fields = [text.split(" ", 1) for text in tags.get("param", [])]
            lines.append("\n".join(f"- `{field}`: {_format_text(text)}" for field, text in fields))
            return "\n\n".join(line for line in lines if line)
    raise SystemExit(f"{kind} {name} was not found in the sources under {SOURCES}")


def _format_text(text: str) -> str:
    """Return a text with each bit layout, which contains bars, in one code span."""
    return re.sub(r"(\|.*\|)", r"`\1`", text)


# ------------------------------------------------------------------ the CosmWasm contract

_COSMWASM_HEAD = """# The CosmWasm contract

Generated from the contract's JSON Schema, `contracts/cosmwasm/schema`. `MESSAGES.md` in the folder
above has the events, the errors and an example of each message. [The protocol](../protocol.md) has
the rules.
"""


def cosmwasm_page() -> str:
    """Return the CosmWasm contract's page as Markdown."""
    schema = json.loads(SCHEMA.read_text())
    parts = [_COSMWASM_HEAD, "## Instantiate", schema["instantiate"]["description"]]
    for title, kind in (("Execute", "execute"), ("Query", "query")):
        parts += [f"## {title}", schema[kind]["description"]]
        parts += [_describe_message(variant, schema) for variant in schema[kind]["oneOf"]]
    parts += ["## Types", *_describe_definitions(schema)]
    return "\n\n".join(parts) + "\n"


def _describe_message(variant: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Describe one message and, for a query, its answer."""
    ((name, body),) = variant["properties"].items()
    lines = [f"### `{name}`", variant.get("description", ""), _make_field_table(body)]
    answer = schema["responses"].get(name)
    if answer is not None:
        lines.append(
            f"Answer, `{answer['title']}`:\n\n{_make_field_table(answer, 'may be null. ')}"
        )
    return "\n\n".join(line for line in lines if line)


def _make_field_table(body: Mapping[str, Any], optional: str = "optional. ") -> str:
    fields = body.get("properties", {})
    if not fields:
        return "No fields."
    rows = ["| field | type | |", "|---|---|---|"]
    for name, field in fields.items():
        note = "" if name in body.get("required", []) else optional
        text = " ".join(field.get("description", "").split())
        rows.append(f"| `{name}` | {_format_type(field)} | {note}{text} |")
    return "\n".join(rows)


def _format_type(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"`{name}`"
    for several in ("allOf", "anyOf", "oneOf"):
        if several in field:
            kinds = [_format_type(one) for one in field[several]]
            return " or ".join(kind for kind in kinds if kind)
    if field.get("type") == "array":
        return f"list of {_format_type(field['items'])}"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    kinds = field.get("type", "any")
    return " or ".join(k for k in ([kinds] if isinstance(kinds, str) else kinds) if k != "null")


def _describe_definitions(schema: Mapping[str, Any]) -> Iterator[str]:
    known: dict[str, Any] = {}
    for part in (schema["execute"], schema["query"], *schema["responses"].values()):
        known.update(part.get("definitions", {}))
    for name, body in sorted(known.items()):
        text = " ".join(body.get("description", "").split()).split(" # ")[0]
        lines = [f"### `{name}`", text]
        if body.get("properties"):
            lines.append(_make_field_table(body, "may be null. "))
        elif "oneOf" in body or "enum" in body:
            values = body.get("enum", [v for one in body.get("oneOf", []) for v in one["enum"]])
            lines.append("One of " + ", ".join(f"`{value}`" for value in values) + ".")
        yield "\n\n".join(line for line in lines if line)
