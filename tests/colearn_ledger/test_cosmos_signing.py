"""ADR-036 ballots and the Cosmos side of wallets and keys."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
from cosmpy.aerial.wallet import LocalWallet
from cosmpy.crypto.address import Address
from cosmpy.crypto.keypairs import PublicKey

from colearn_ledger.keys.keystore import BadKeyName, KeyExists, Keystore
from colearn_ledger.keys.signing import ballot_signer, cosmos_domain, sign_ballot, signing_domain
from colearn_ledger.keys.wallet import InvalidKey, Wallet, cosmos_address
from colearn_ledger.protocol import (
    Account,
    Basis,
    ExperimentId,
    Scores,
    SigningScheme,
    Vote,
)

KEY = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
WORDS = "abandon " * 11 + "about"
PASSWORD = "correct horse battery"
CONTRACT = cosmos_address("wasm", b"\2" + bytes(32))
DOMAIN = cosmos_domain("testing-1", CONTRACT)
BASIS = Basis(ExperimentId(7), 3, b"\xdd" * 32)
VOTE = Vote(5, (Scores(0.5, None), Scores(-2.0, 0.25)))
SCORES = "3fe00000000000007ff8000000000000c0000000000000003fd0000000000000"
SIGNATURE = (
    "06d5382e9b0408cc9a85d25987680186f1f006fc30c1fa4bcf3bf7c444424e47"
    "494d7f830eb96dbf8f84077828b31a8d1b908fcc5ebb310dcae61a2936c1c184"
)
"""Signatures are deterministic (RFC 6979), so every implementation makes the same one."""
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def wallet() -> Wallet:
    return Wallet.from_key(KEY)


class TestBallot:
    def test_document_follows_the_protocol_and_is_verified_by_another_library(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, BASIS, VOTE)
        learner = wallet.cosmos_address("wasm")
        signed_data = (
            f'{{"approvals":5,"chain":"testing-1","contract":"{CONTRACT}","experiment":"7",'
            f'"learner":"{learner}","proposals":"{"dd" * 32}","round":3,"scores":"{SCORES}"}}'
        )
        data = base64.b64encode(signed_data.encode()).decode()
        document = (
            '{"account_number":"0","chain_id":"","fee":{"amount":[],"gas":"0"},"memo":"","msgs":'
            f'[{{"type":"sign/MsgSignData","value":{{"data":"{data}","signer":"{learner}"}}}}],'
            '"sequence":"0"}'
        )
        key, signature = ballot.signature[:33], ballot.signature[33:]
        assert PublicKey(key).verify(document.encode(), signature)
        assert str(Address(PublicKey(key), "wasm")) == learner == ballot.learner
        assert len(signature) == 64
        assert int.from_bytes(signature[32:], "big") <= ORDER // 2
        assert signature.hex() == SIGNATURE

    def test_signer_is_recovered_and_bound_to_the_contract_and_what_is_judged(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, BASIS, VOTE)
        assert ballot_signer(DOMAIN, BASIS, ballot) == wallet.cosmos_address("wasm")
        elsewhere = [
            (cosmos_domain("testing-2", CONTRACT), BASIS),
            (cosmos_domain("testing-1", wallet.cosmos_address("wasm")), BASIS),
            (DOMAIN, dataclasses.replace(BASIS, experiment=ExperimentId(8))),
            (DOMAIN, dataclasses.replace(BASIS, round=4)),
            (DOMAIN, dataclasses.replace(BASIS, proposals=b"\xde" * 32)),
            (signing_domain(1, Account("0x" + "11" * 20)), BASIS),
        ]
        assert [ballot_signer(*place, ballot) for place in elsewhere] == [None] * 6

    def test_changed_vote_or_learner_has_no_signer(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, BASIS, VOTE)
        turned = dataclasses.replace(ballot, vote=Vote(4, VOTE.scores))
        given = dataclasses.replace(ballot, learner=Wallet.create().cosmos_address("wasm"))
        assert ballot_signer(DOMAIN, BASIS, turned) is None
        assert ballot_signer(DOMAIN, BASIS, given) is None

    def test_malformed_signatures_have_no_signer(self, wallet: Wallet):
        good = sign_ballot(wallet, DOMAIN, BASIS, VOTE)
        key, r, s = good.signature[:33], good.signature[33:65], good.signature[65:]
        twin = (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
        for broken in (b"", key, key + r, bytes(97), key + r + twin, key + r + s + b"\0",
                       b"\4" + key[1:] + r + s, key + b"\xff" * 32 + s):  # fmt: skip
            ballot = dataclasses.replace(good, signature=broken)
            assert ballot_signer(DOMAIN, BASIS, ballot) is None


def test_domain_is_that_of_the_contract():
    text = b"CollectiveLearning\x002\x00testing-1\x00" + CONTRACT.encode()
    assert DOMAIN.separator == hashlib.sha256(text).digest()
    assert (DOMAIN.scheme, DOMAIN.chain_id) == (SigningScheme.ADR036, "testing-1")
    evm = signing_domain(31337, Account("0x" + "11" * 20))
    assert (evm.scheme, evm.chain, evm.chain_id) == (SigningScheme.EIP712, "eip155:31337", 31337)


# ------------------------------------------------------------------ wallets and keys


def test_mnemonic_gives_the_accounts_that_other_wallets_derive():
    wallet = Wallet.from_mnemonic(WORDS)
    assert wallet.address == "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
    assert wallet.cosmos_address("cosmos") == "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4"
    for prefix in ("fetch", "wasm"):
        other = str(LocalWallet.from_mnemonic(WORDS, prefix=prefix).address())
        assert wallet.cosmos_address(prefix) == other
    assert wallet.has_own_cosmos_key
    second = Wallet.from_mnemonic(WORDS, cosmos_path="m/44'/118'/0'/0/1")
    assert second.address == wallet.address
    assert second.cosmos_address("wasm") != wallet.cosmos_address("wasm")


def test_private_key_is_used_on_both_kinds_of_chains(wallet: Wallet):
    assert not wallet.has_own_cosmos_key
    assert wallet.reveal_key() == wallet.reveal_key(cosmos=True) == KEY
    assert wallet.cosmos_address("wasm") == str(
        Address(PublicKey(wallet.cosmos_public_key), "wasm")
    )
    assert wallet.account_on(DOMAIN) == wallet.cosmos_address("wasm")
    assert wallet.account_on(signing_domain(1, Account("0x" + "11" * 20))) == wallet.address


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "keys", work=2)


def test_both_keys_of_a_mnemonic_are_encrypted_and_listed_as_one(store: Keystore):
    wallet = Wallet.from_mnemonic(WORDS)
    stored = store.save("alice", wallet, PASSWORD)
    files = sorted(path.name for path in store.folder.iterdir())
    assert files == ["alice.cosmos.json", "alice.json"]
    assert {path.stat().st_mode & 0o777 for path in store.folder.iterdir()} == {0o600}
    assert [key.name for key in store.all()] == ["alice"]
    assert stored.cosmos_address("wasm") == wallet.cosmos_address("wasm")
    opened = store.open("alice", PASSWORD)
    assert opened.reveal_key() == wallet.reveal_key()
    assert opened.reveal_key(cosmos=True) == wallet.reveal_key(cosmos=True)
    everything = "".join(path.read_text() for path in store.folder.iterdir())
    for secret in (wallet.reveal_key()[2:], wallet.reveal_key(cosmos=True)[2:], "abandon"):
        assert secret not in everything + repr(wallet) + repr(stored)
    second = json.loads(store.document("alice", cosmos=True))
    assert second["version"] == 3
    assert second != json.loads(store.document("alice"))


def test_key_for_both_kinds_of_chains_has_one_file(store: Keystore, wallet: Wallet):
    stored = store.save("bob", wallet, PASSWORD)
    assert [path.name for path in store.folder.iterdir()] == ["bob.json"]
    assert stored.cosmos_address("fetch") == wallet.cosmos_address("fetch")
    assert store.document("bob", cosmos=True) == store.document("bob")


def test_missing_second_file_is_reported_and_no_other_account_is_used(store: Keystore):
    store.save("alice", Wallet.from_mnemonic(WORDS), PASSWORD)
    (store.folder / "alice.cosmos.json").unlink()
    with pytest.raises(InvalidKey, match="does not match the Cosmos account"):
        store.open("alice", PASSWORD)


def test_name_of_the_second_file_of_another_key_is_refused(store: Keystore):
    with pytest.raises(BadKeyName, match="cosmos"):
        store.save("alice.cosmos", Wallet.create(), PASSWORD)


def test_existing_second_file_is_not_overwritten(store: Keystore):
    store.folder.mkdir()
    (store.folder / "alice.cosmos.json").write_text("another's")
    with pytest.raises(KeyExists):
        store.save("alice", Wallet.from_mnemonic(WORDS), PASSWORD)
    assert [path.name for path in store.folder.iterdir()] == ["alice.cosmos.json"]


def test_file_of_another_program_without_a_cosmos_account_is_used_on_both_kinds(store: Keystore):
    store.save("alice", Wallet.from_key(KEY), PASSWORD)
    document = json.loads(store.document("alice"))
    del document["cosmos_account"]
    (store.folder / "theirs.json").write_text(json.dumps(document))
    assert store.key("theirs").cosmos_address("wasm") is None
    opened = store.open("theirs", PASSWORD)
    assert opened.cosmos_address("wasm") == Wallet.from_key(KEY).cosmos_address("wasm")
