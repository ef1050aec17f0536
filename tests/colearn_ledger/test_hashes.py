"""Hashes of the protocol: each is compared with bytes written by hand."""

from __future__ import annotations

import hashlib
import re
from dataclasses import fields, replace

import pytest

from colearn_ledger.keys.signing import cosmos_domain, signing_domain
from colearn_ledger.protocol import (
    CODEC_DAG_PB,
    CODEC_RAW,
    Account,
    Admission,
    Basis,
    ContentRef,
    ExperimentId,
    ExperimentParams,
    Merge,
    Scores,
    Selection,
    Vote,
    commitment_hash,
    experiment_hash,
    first_seed,
    next_seed,
    proposals_digest,
)
from colearn_ledger.text.address import encode_bech32

ANA = Account("0x" + "22" * 20)
DOMAIN = signing_domain(1, Account("0x" + "11" * 20))
SPEC = ContentRef.from_digest(CODEC_RAW, b"\xab" * 32, "ab" * 32, 1_200)
INITIAL = ContentRef.from_digest(CODEC_DAG_PB, b"\xcd" * 32, "ef" * 32, 300_000)
PARAMS = ExperimentParams(
    name="Zürich",
    spec=SPEC,
    initial=INITIAL,
    rounds=10,
    min_learners=3,
    max_learners=5,
    approval_bps=6_000,
    propose_window=600,
    vote_window=700,
    reveal_window=800,
    selection=Selection.RANDOM,
    proposers=4,
    merge=Merge.BEST,
    admission=Admission.ALLOWLIST,
    late_join=True,
    settle_early=False,
    max_strikes=2,
    patience=7,
)


def hash_of_hex(text: str) -> bytes:
    """Return the sha256 of hexadecimal digits; spaces and line breaks are left out."""
    return hashlib.sha256(bytes.fromhex(text)).digest()


class TestExperimentHash:
    TAIL = """
        0000000a 0003 0005 1770 00000258 000002bc 00000320
        01 04 01 01 01 00 0002 00000007 5ac3bc72696368"""
    CONTENT = f"55 {'ab' * 64} 00000000000004b0"

    def test_hash_is_over_the_bytes_of_creator_and_parameters(self):
        initial = f"70 {'cd' * 32} {'ef' * 32} 00000000000493e0"
        expected = hash_of_hex(f"14 {'22' * 20} {self.CONTENT} {initial} {self.TAIL}")
        assert experiment_hash(ANA, PARAMS) == expected

    def test_missing_initial_weights_are_zeros(self):
        expected = hash_of_hex(f"14 {'22' * 20} {self.CONTENT} {'00' * 73} {self.TAIL}")
        assert experiment_hash(ANA, replace(PARAMS, initial=None)) == expected

    def test_creator_that_is_a_contract_of_a_cosmos_chain_has_32_bytes(self):
        creator = Account(encode_bech32("wasm", b"\x33" * 32))
        expected = hash_of_hex(f"20 {'33' * 32} {self.CONTENT} {'00' * 73} {self.TAIL}")
        assert experiment_hash(creator, replace(PARAMS, initial=None)) == expected

    CHANGES = (
        ("name", "Zurich"),
        ("spec", replace(SPEC, size=1_201)),
        ("spec", replace(SPEC, cid=INITIAL.cid)),
        ("initial", replace(INITIAL, sha256="ee" * 32)),
        ("initial", SPEC),
        ("initial", None),
        *((name, getattr(PARAMS, name) + 1) for name in (
            "rounds", "min_learners", "max_learners", "approval_bps", "propose_window",
            "vote_window", "reveal_window", "proposers", "max_strikes", "patience",
        )),
        ("selection", Selection.ROUND_ROBIN),
        ("merge", Merge.MEAN),
        ("admission", Admission.OPEN),
        ("late_join", False),
        ("settle_early", True),
    )  # fmt: skip

    @pytest.mark.parametrize(("name", "value"), CHANGES)
    def test_every_parameter_changes_the_hash(self, name: str, value: object):
        assert experiment_hash(ANA, replace(PARAMS, **{name: value})) != experiment_hash(
            ANA, PARAMS
        )

    def test_changes_cover_all_parameters_and_differ_from_each_other(self):
        assert {name for name, _ in self.CHANGES} == {field.name for field in fields(PARAMS)}
        changed = {
            experiment_hash(ANA, replace(PARAMS, **{name: value})) for name, value in self.CHANGES
        }
        assert len(changed) == len(self.CHANGES)

    def test_creator_changes_the_hash(self):
        assert experiment_hash(Account("0x" + "23" * 20), PARAMS) != experiment_hash(ANA, PARAMS)

    def test_length_of_the_creator_keeps_two_experiments_apart(self):
        # All bytes are 0x70. Without the creator's length, the 12 bytes by which the second creator
        # is longer could be 12 bytes of the first experiment's name.
        content = ContentRef.from_digest(0x70, b"p" * 32, "70" * 32, int("70" * 8, 16))
        sizes = {"min_learners": 2, "max_learners": 2, "approval_bps": 2, "max_strikes": 2}
        bytes_of = {"rounds": 4, "propose_window": 4, "vote_window": 4, "reveal_window": 4,
                    "patience": 4, "proposers": 1, "selection": 1, "merge": 1, "admission": 1,
                    "late_join": 1, "settle_early": 1, **sizes}  # fmt: skip
        numbers = {name: int("70" * size, 16) for name, size in bytes_of.items()}
        first = ExperimentParams("p" * 32, content, content, **numbers)
        second = replace(first, name="p" * 20)
        long = Account(encode_bech32("wasm", b"p" * 32))
        assert experiment_hash(Account("0x" + "70" * 20), first) != experiment_hash(long, second)


class TestProposalsDigest:
    def test_digest_of_one_proposal_is_the_sha256_of_its_file(self):
        assert proposals_digest({3: "ab" * 32}) == b"\xab" * 32

    def test_digest_of_several_is_over_slots_and_files_in_slot_order(self):
        expected = hash_of_hex(f"00 {'ab' * 32} 02 {'cd' * 32} 0f {'ab' * 32}")
        assert proposals_digest({15: "ab" * 32, 0: "ab" * 32, 2: "cd" * 32}) == expected

    def test_digest_depends_on_the_slots_of_equal_files(self):
        pairs = [(0, 1), (0, 2), (1, 2)]
        digests = {proposals_digest(dict.fromkeys(pair, "ab" * 32)) for pair in pairs}
        assert len(digests) == 3


class TestCommitment:
    basis = Basis(ExperimentId(1), 2, b"\xdd" * 32)
    vote = Vote(0x0102, (Scores(0.5, None), Scores(-1.0, 0.25)))
    SCORES = "3fe0000000000000 7ff8000000000000 bff0000000000000 3fd0000000000000"

    def hash(self, **change: object) -> bytes:
        values: dict[str, object] = {
            "domain": DOMAIN,
            "basis": self.basis,
            "account": ANA,
            "vote": self.vote,
            "salt": b"\xee" * 32,
        }
        return commitment_hash(**(values | change))  # type: ignore[arg-type]

    def test_commitment_is_over_the_bytes_of_its_parts(self):
        assert self.hash() == hash_of_hex(
            f"{DOMAIN.separator.hex()} 0000000000000001 00000002 {'22' * 20} {'dd' * 32} 0102"
            f"{self.SCORES} {'ee' * 32}"
        )

    def test_account_of_a_cosmos_contract_has_32_bytes(self):
        contract = Account(encode_bech32("wasm", b"\x33" * 32))
        domain = cosmos_domain("testing-1", contract)
        assert self.hash(domain=domain, account=contract) == hash_of_hex(
            f"{domain.separator.hex()} 0000000000000001 00000002 {'33' * 32} {'dd' * 32} 0102"
            f"{self.SCORES} {'ee' * 32}"
        )

    @pytest.mark.parametrize(
        "change",
        [
            {"domain": signing_domain(2, DOMAIN.contract)},
            {"domain": signing_domain(1, Account("0x" + "33" * 20))},
            {"basis": replace(basis, experiment=ExperimentId(2))},
            {"basis": replace(basis, round=1)},
            {"basis": replace(basis, proposals=bytes(32))},
            {"account": Account("0x" + "23" * 20)},
            {"vote": replace(vote, approvals=0x0103)},
            {"vote": replace(vote, scores=vote.scores[::-1])},
            {"vote": replace(vote, scores=vote.scores[:1])},
            {"vote": replace(vote, scores=(Scores(0.5, 0.5), vote.scores[1]))},
            {"salt": b"\1" * 32},
        ],
        ids=lambda change: re.sub(r"\W+", "-", repr(change))[:60],
    )
    def test_commitment_depends_on_every_part(self, change: dict[str, object]):
        assert self.hash(**change) != self.hash()


def test_separator_of_a_contract_is_that_of_version_2():
    text = b"CollectiveLearning\x002\x00testing-1\x00wasm1abc"
    assert cosmos_domain("testing-1", Account("wasm1abc")).separator == (
        hashlib.sha256(text).digest()
    )


def test_seeds_are_hashes_of_their_parts():
    assert first_seed(DOMAIN, ExperimentId(5), b"e" * 32) == (
        hashlib.sha256(DOMAIN.separator + (5).to_bytes(8, "big") + b"e" * 32).digest()
    )
    assert next_seed(b"a" * 32, b"b" * 32, b"c" * 32) == (
        hashlib.sha256(b"a" * 32 + b"b" * 32 + b"c" * 32).digest()
    )
