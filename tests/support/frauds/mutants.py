"""Dishonest contracts: our Solidity source with one line changed, compiled and deployed."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import subprocess
from dataclasses import dataclass

from colearn_ledger.chains.evm import EvmLedger
from colearn_ledger.chains.evm.abi import load_artifact
from colearn_ledger.chains.evm.config import EvmConfig, EvmSenderConfig
from colearn_ledger.chains.evm.deployment import DeployedContract
from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.chains.evm.encoder import EvmEncoder
from colearn_ledger.chains.evm.node import Node
from colearn_ledger.chains.evm.sender import Sender
from colearn_ledger.protocol import Account
from colearn_localnet.toolchains import cache_folder
from tests.support import ROOT
from tests.support.samples import ANYONE, wallet_of

EVM = ROOT / "contracts" / "evm"
_IMPORT = re.compile(r'(?:from|import) "([^"]+)"')
_SETTINGS = {
    "evmVersion": "cancun",
    "viaIR": True,
    "optimizer": {"enabled": True, "runs": 400},
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
    "outputSelection": {"*": {"CollectiveLearning": ["evm.bytecode.object"]}},
}


@dataclass(frozen=True)
class Mutant:
    """A change of one line.

    Args:
        name: what the contract does then.
        path: the file in ``contracts/evm/src``.
        line: a part of the line, which occurs once.
        changed: what takes its place.
    """

    name: str
    path: str
    line: str
    changed: str


MUTANTS = (
    Mutant(
        "accepts with one approval less",
        "libraries/Rounds.sol",
        "passed = counts.reaching(tally.judged(), tally.needed());",
        "passed = counts.reaching(tally.judged(), tally.needed() - 1);",
    ),
    Mutant(
        "accepts all that pass instead of the best",
        "libraries/Rounds.sol",
        "passed = counts.highest(passed);",
        "passed = counts.highest(passed) | passed;",
    ),
    Mutant(
        "closes every vote early",
        "libraries/Rounds.sol",
        "return tally.settlesEarly() && isFixed(tally, counts);",
        "return isFixed(tally, counts);",
    ),
    Mutant(
        "needs a single approval",
        "Lifecycle.sol",
        "uint16 needed = share == 0 ? 1 : uint16(share);",
        "uint16 needed = share == 0 ? 1 : 1;",
    ),
    Mutant(
        "counts the proposer as a voter",
        "Lifecycle.sol",
        "uint16 eligible = members - 1;",
        "uint16 eligible = members;",
    ),
    Mutant(
        "gives proposers more time",
        "Lifecycle.sol",
        "uint40 deadline = uint40(block.timestamp) + e.params.proposeWindow;",
        "uint40 deadline = uint40(block.timestamp) + e.params.proposeWindow + 1;",
    ),
    Mutant(
        "gives voters less time",
        "Lifecycle.sol",
        "uint40 deadline = uint40(block.timestamp) + e.params.voteWindow;",
        "uint40 deadline = uint40(block.timestamp) + e.params.voteWindow - 1;",
    ),
    Mutant(
        "starts from a known seed",
        "Lifecycle.sol",
        "e.seed = sha256(abi.encodePacked(_separator(), id, block.prevrandao));",
        "e.seed = sha256(abi.encodePacked(_separator(), id, uint256(7)));",
    ),
    Mutant(
        "draws without the chain's entropy",
        "Lifecycle.sol",
        "e.seed = sha256(abi.encodePacked(e.seed, block.prevrandao, salts));",
        "e.seed = sha256(abi.encodePacked(e.seed, uint256(7), salts));",
    ),
    Mutant(
        "ignores the revealed salts",
        "Voting.sol",
        "state.salts ^= salt;",
        "state.salts ^= 0;",
    ),
    Mutant(
        "draws every slot with the same hash",
        "libraries/Selections.sol",
        "abi.encodePacked(self.seed, uint8(slot))",
        "abi.encodePacked(self.seed, uint8(0))",
    ),
    Mutant(
        "lets a proposer approve its own proposal",
        "Voting.sol",
        'if (approvals & ~judged != 0) revert InvalidParameter("approvals");',
        'if (approvals & ~proposed != 0) revert InvalidParameter("approvals");',
    ),
    Mutant(
        "counts a ballot that is signed wrongly",
        "Voting.sol",
        "            if (isSigned) {",
        "            if (account != address(0)) {",
    ),
    Mutant(
        "counts late ballots",
        "Lifecycle.sol",
        "if (block.timestamp >= tally.time()) revert",
        "if (block.timestamp >= tally.time() + 100_000) revert",
    ),
    Mutant(
        "advances before the deadline",
        "CollectiveLearning.sol",
        "if (block.timestamp < tally.time()) revert",
        "if (block.timestamp + 100_000 < tally.time()) revert",
    ),
    Mutant(
        "takes the current weights as a proposal",
        "CollectiveLearning.sol",
        "if (_isCurrent(e, content.sha256Hash)) revert Unchanged();",
        "if (_isCurrent(e, bytes32(0))) revert Unchanged();",
    ),
    Mutant(
        "opens commitments of other ballots",
        "Voting.sol",
        "if (state.pledges[msg.sender] != commitment) revert",
        "if (state.pledges[msg.sender] == 0) revert",
    ),
    Mutant(
        "ends a round early",
        "Lifecycle.sol",
        "if (index + 1 == e.params.rounds) {",
        "if (index + 2 == e.params.rounds) {",
    ),
    Mutant(
        "goes on after a cancellation",
        "Lifecycle.sol",
        "} else if (e.cancelRequested) {",
        "} else if (e.cancelRequested && index == 9) {",
    ),
    Mutant(
        "has other current weights than it accepted",
        "Lifecycle.sol",
        "e.currentSlots = uint16(accepted);",
        "e.currentSlots = uint16(accepted & (~accepted + 1));",
    ),
    Mutant(
        "reports another tally in its event",
        "Lifecycle.sol",
        "approvals[slot] = counts.at(slot);",
        "approvals[slot] = counts.at(slot) + 1;",
    ),
    Mutant(
        "removes learners without strikes",
        "CollectiveLearning.sol",
        "if (e.params.maxStrikes == 0 || strikes < e.params.maxStrikes) revert",
        "if (e.params.maxStrikes == 99 && strikes < e.params.maxStrikes) revert",
    ),
    Mutant(
        "lets anybody join that is not admitted",
        "CollectiveLearning.sol",
        "if (e.params.admission == Admission.Allowlist && !e.admitted[msg.sender]) {",
        "if (e.params.admission == Admission.Allowlist && e.creator == address(0)) {",
    ),
    Mutant(
        "forgets missed ballots",
        "Lifecycle.sol",
        "++e.misses;",
        "e.misses += 0;",
    ),
)


def read_source(mutant: Mutant) -> str:
    """Return the file with the changed line."""
    text = (EVM / "src" / mutant.path).read_text()
    if text.count(mutant.line) != 1:
        raise LookupError(f"{mutant.path} has {text.count(mutant.line)} times: {mutant.line}")
    return text.replace(mutant.line, mutant.changed)


def compile_mutant(mutant: Mutant) -> bytes:
    """Return the creation code, from the user's cache if these sources were compiled before."""
    request = json.dumps(
        {"language": "Solidity", "sources": _list_sources(mutant), "settings": _SETTINGS},
        sort_keys=True,
    )
    folder = cache_folder() / "evm" / "mutants"
    known = folder / hashlib.sha256(request.encode()).hexdigest()[:32]
    if not known.exists():
        run = subprocess.run(
            ["node", "solc.js", "--standard-json"],
            cwd=EVM,
            input=request,
            capture_output=True,
            text=True,
            check=True,
        )
        output = json.loads(run.stdout)
        errors = [e for e in output.get("errors", ()) if e["severity"] == "error"]
        if errors:
            raise ValueError(errors[0]["formattedMessage"])
        [built] = [file["CollectiveLearning"] for file in output["contracts"].values()]
        folder.mkdir(parents=True, exist_ok=True)
        partial = known.with_suffix(".partial")
        partial.write_text(built["evm"]["bytecode"]["object"])
        partial.replace(known)
    return bytes.fromhex(known.read_text())


def _list_sources(mutant: Mutant) -> dict[str, dict[str, str]]:
    """Return the sources that the contract imports, by name."""
    sources: dict[str, dict[str, str]] = {}
    names = ["src/CollectiveLearning.sol"]
    while names:
        name = names.pop()
        if name in sources:
            continue
        if name == f"src/{mutant.path}":
            text = read_source(mutant)
        elif name.startswith("solady/"):
            path = name.removeprefix("solady/")
            text = (EVM / "node_modules" / "solady" / "src" / path).read_text()
        else:
            text = (EVM / name).read_text()
        sources[name] = {"content": text}
        folder = posixpath.dirname(name)
        names += [
            posixpath.normpath(posixpath.join(folder, each)) if each.startswith(".") else each
            for each in _IMPORT.findall(text)
        ]
    return sources


def deploy(chain: EmbeddedChain, creation: bytes) -> EvmLedger:
    """Deploy a contract, and return its ledger without the check of its code."""
    wallet = wallet_of(ANYONE)
    chain.fund(wallet)
    config = EvmConfig(
        chain_id=1337,
        sending=EvmSenderConfig(fee_seconds=3_600),
        poll_seconds=0.02,
        log_range=1_000_000,
    )
    node = Node(chain.provider)
    sender = Sender(node, 1337, config.sending)
    receipt = sender.wait(sender.send(wallet, None, creation), None)
    deployed = DeployedContract(node, Account(str(receipt.contract)), config, sender)
    return EvmLedger(EvmEncoder(load_artifact().abi), deployed, wallet)
