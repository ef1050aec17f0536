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

Made from the ABI of the contract that the package ships and from the comments in
`contracts/evm/src`. The rules, and which error comes first, are in [the protocol](../protocol.md).
"""


def evm_page() -> str:
    """Return the EVM contract's page as Markdown."""
    abi = json.loads(ARTIFACT.read_text())["abi"]
    said = _natspec()
    functions = [e for e in abi if e["type"] == "function"]
    calls = [e for e in functions if e["stateMutability"] != "view"]
    queries = [e for e in functions if e["stateMutability"] == "view"]
    parts = [_EVM_HEAD, "## Calls", *(_function(e, said) for e in calls)]
    parts += ["## Queries", *(_function(e, said) for e in queries)]
    parts += ["## Events", *(_entry(e, said) for e in abi if e["type"] == "event")]
    parts += ["## Errors", _table(e for e in abi if e["type"] == "error")]
    parts += ["## Values", *(_value(kind, name) for kind, name in _values())]
    return "\n\n".join(parts) + "\n"


def _natspec() -> dict[tuple[str, str], dict[str, list[str]]]:
    """Return the NatSpec of each function, event, error, struct and enum, by tag."""
    found = {}
    for path in sorted(SOURCES.glob("ICollectiveLearning.sol")) + sorted(SOURCES.glob("types/*")):
        for comment, kind, name in _DOCUMENTED.findall(path.read_text()):
            found.setdefault((kind, name), _tags(comment))
    return found


def _tags(comment: str) -> dict[str, list[str]]:
    lines = [line.strip().removeprefix("///").strip() for line in comment.splitlines()]
    tags: dict[str, list[str]] = {}
    for line in lines:
        tag = _TAG.match(line)
        if tag:
            tags.setdefault(tag[1], []).append(line[tag.end() :])
        elif tags:
            tags[list(tags)[-1]][-1] += f" {line}"
    return tags


def _function(entry: Mapping[str, Any], said: Mapping[Any, Any]) -> str:
    tags = said.get(("function", entry["name"]), {})
    outputs = ", ".join(_named(o) for o in entry["outputs"])
    returns = f" returns ({outputs})" if outputs else ""
    lines = [f"### `{entry['name']}`", " ".join(tags.get("notice", []))]
    lines.append(f"```solidity\n{entry['name']}({_given(entry)}){returns}\n```")
    described = [text.split(" ", 1) for text in tags.get("param", [])]
    lines += ["\n".join(f"- `{name}`: {_plain(text)}" for name, text in described)]
    return "\n\n".join(line for line in lines if line)


def _entry(entry: Mapping[str, Any], said: Mapping[Any, Any]) -> str:
    tags = said.get((entry["type"], entry["name"]), {})
    note = " ".join(tags.get("notice", []) + tags.get("dev", []))
    shown = f"### `{entry['name']}`\n\n```solidity\n{entry['name']}({_arguments(entry)})\n```"
    return f"{shown}\n\n{note}" if note else shown


def _given(entry: Mapping[str, Any]) -> str:
    """Return a function's arguments under their names in the interface."""
    source = (SOURCES / "ICollectiveLearning.sol").read_text()
    declared = re.search(rf"function {entry['name']}\(([^)]*)\)", source)
    if declared is None:
        raise SystemExit(f"{entry['name']} is in the ABI and not in the interface")
    names = [one.split()[-1] for one in declared[1].split(",") if one.strip()]
    called = [{**given, "name": name} for given, name in zip(entry["inputs"], names, strict=True)]
    return _arguments({"inputs": called})


def _arguments(entry: Mapping[str, Any]) -> str:
    return ", ".join(_named(argument) for argument in entry["inputs"])


def _named(argument: Mapping[str, Any]) -> str:
    """Return an argument's type, under its name in the sources, and its name."""
    declared = argument.get("internalType", argument["type"]).split(" ")[-1].split(".")[-1]
    indexed = "indexed" if argument.get("indexed") else ""
    return " ".join(word for word in (declared, indexed, argument["name"]) if word)


def _table(entries: Iterator[Mapping[str, Any]]) -> str:
    rows = [f"| `{e['name']}` | {f'`{_arguments(e)}`' if e['inputs'] else ''} |" for e in entries]
    return "\n".join(["| error | values |", "|---|---|", *rows])


def _values() -> Iterator[tuple[str, str]]:
    for path in (SOURCES / "ICollectiveLearning.sol", *sorted((SOURCES / "types").glob("*.sol"))):
        for _, kind, name in _DOCUMENTED.findall(path.read_text()):
            if kind in ("struct", "enum") and path.name not in ("State.sol", "Tally.sol"):
                yield kind, name


def _value(kind: str, name: str) -> str:
    for path in SOURCES.rglob("*.sol"):
        body = re.search(rf"^( *){kind} {name} {{\n.*?^\1}}", path.read_text(), re.M | re.S)
        if body:
            indent = len(body[1])
            code = "\n".join(line[indent:] for line in body[0].splitlines())
            tags = _natspec().get((kind, name), {})
            lines = [f"### `{name}`", " ".join(tags.get("notice", [])), f"```solidity\n{code}\n```"]
            fields = [text.split(" ", 1) for text in tags.get("param", [])]
            lines.append("\n".join(f"- `{field}`: {_plain(text)}" for field, text in fields))
            return "\n\n".join(line for line in lines if line)
    raise SystemExit(f"{kind} {name} is in none of the sources under {SOURCES}")


def _plain(text: str) -> str:
    """Return a text with each bit layout, which contains bars, in one code span."""
    return re.sub(r"(\|.*\|)", r"`\1`", text)


# ------------------------------------------------------------------ the CosmWasm contract

_COSMWASM_HEAD = """# The CosmWasm contract

Made from the contract's JSON Schema, `contracts/cosmwasm/schema`. `MESSAGES.md` in the folder above
has an example of each message, the events and the errors; the rules are in
[the protocol](../protocol.md).
"""


def cosmwasm_page() -> str:
    """Return the CosmWasm contract's page as Markdown."""
    schema = json.loads(SCHEMA.read_text())
    parts = [_COSMWASM_HEAD, "## Instantiate", schema["instantiate"]["description"]]
    for title, kind in (("Execute", "execute"), ("Query", "query")):
        parts += [f"## {title}", schema[kind]["description"]]
        parts += [_message(variant, schema) for variant in schema[kind]["oneOf"]]
    parts += ["## Types", *_definitions(schema)]
    return "\n\n".join(parts) + "\n"


def _message(variant: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Describe one message and, for a query, its answer; calls have none."""
    ((name, body),) = variant["properties"].items()
    lines = [f"### `{name}`", variant.get("description", ""), _fields(body)]
    answer = schema["responses"].get(name)
    if answer is not None:
        lines.append(f"Answer, `{answer['title']}`:\n\n{_fields(answer, 'may be null. ')}")
    return "\n\n".join(line for line in lines if line)


def _fields(body: Mapping[str, Any], optional: str = "may be left out. ") -> str:
    fields = body.get("properties", {})
    if not fields:
        return "No fields."
    rows = ["| field | type | |", "|---|---|---|"]
    for name, field in fields.items():
        note = "" if name in body.get("required", []) else optional
        text = " ".join(field.get("description", "").split())
        rows.append(f"| `{name}` | {_type(field)} | {note}{text} |")
    return "\n".join(rows)


def _type(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"`{name}`"
    for several in ("allOf", "anyOf", "oneOf"):
        if several in field:
            kinds = [_type(one) for one in field[several]]
            return " or ".join(kind for kind in kinds if kind)
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    kinds = field.get("type", "any")
    return " or ".join(k for k in ([kinds] if isinstance(kinds, str) else kinds) if k != "null")


def _definitions(schema: Mapping[str, Any]) -> Iterator[str]:
    known: dict[str, Any] = {}
    for part in (schema["execute"], schema["query"], *schema["responses"].values()):
        known.update(part.get("definitions", {}))
    for name, body in sorted(known.items()):
        text = " ".join(body.get("description", "").split()).split(" # ")[0]
        lines = [f"### `{name}`", text]
        if body.get("properties"):
            lines.append(_fields(body, "may be null. "))
        elif "oneOf" in body or "enum" in body:
            values = body.get("enum", [v for one in body.get("oneOf", []) for v in one["enum"]])
            lines.append("One of " + ", ".join(f"`{value}`" for value in values) + ".")
        yield "\n\n".join(line for line in lines if line)
