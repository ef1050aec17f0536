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
    ExperimentId,
    Scores,
    SigningScheme,
    Vote,
    commitment_hash,
)
from colearn_ledger.text.address import address_bytes

KEY = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
WORDS = "abandon " * 11 + "about"
PASSWORD = "correct horse battery"
CONTRACT = cosmos_address("wasm", b"\2" + bytes(32))
DOMAIN = cosmos_domain("testing-1", CONTRACT)
EXPERIMENT = ExperimentId(7)
VOTE = Vote(True, Scores(0.5, None))
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def wallet() -> Wallet:
    return Wallet.from_key(KEY)


class TestBallot:
    def test_document_follows_the_protocol_and_is_verified_by_another_library(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, EXPERIMENT, 3, VOTE)
        learner = wallet.cosmos_address("wasm")
        signed_data = (
            f'{{"approve":true,"chain":"testing-1","contract":"{CONTRACT}","experiment":"7",'
            f'"learner":"{learner}","round":3,"test_score":"9221120237041090560",'
            '"vote_score":"4602678819172646912"}'
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

    def test_signer_is_recovered_and_bound_to_experiment_and_round(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, EXPERIMENT, 3, VOTE)
        assert ballot_signer(DOMAIN, EXPERIMENT, 3, ballot) == wallet.cosmos_address("wasm")
        elsewhere = [
            (cosmos_domain("testing-2", CONTRACT), EXPERIMENT, 3),
            (cosmos_domain("testing-1", wallet.cosmos_address("wasm")), EXPERIMENT, 3),
            (DOMAIN, ExperimentId(8), 3),
            (DOMAIN, EXPERIMENT, 4),
            (signing_domain(1, Account("0x" + "11" * 20)), EXPERIMENT, 3),
        ]
        assert [ballot_signer(*place, ballot) for place in elsewhere] == [None] * 5

    def test_changed_vote_or_learner_has_no_signer(self, wallet: Wallet):
        ballot = sign_ballot(wallet, DOMAIN, EXPERIMENT, 3, VOTE)
        turned = dataclasses.replace(ballot, vote=Vote(False, VOTE.scores))
        given = dataclasses.replace(ballot, learner=Wallet.create().cosmos_address("wasm"))
        assert ballot_signer(DOMAIN, EXPERIMENT, 3, turned) is None
        assert ballot_signer(DOMAIN, EXPERIMENT, 3, given) is None

    def test_malformed_signatures_have_no_signer(self, wallet: Wallet):
        good = sign_ballot(wallet, DOMAIN, EXPERIMENT, 3, VOTE)
        key, r, s = good.signature[:33], good.signature[33:65], good.signature[65:]
        twin = (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
        for broken in (b"", key, key + r, bytes(97), key + r + twin, key + r + s + b"\0",
                       b"\4" + key[1:] + r + s, key + b"\xff" * 32 + s):  # fmt: skip
            ballot = dataclasses.replace(good, signature=broken)
            assert ballot_signer(DOMAIN, EXPERIMENT, 3, ballot) is None


def test_domain_is_that_of_the_contract():
    text = b"CollectiveLearning\x001\x00testing-1\x00" + CONTRACT.encode()
    assert DOMAIN.separator == hashlib.sha256(text).digest()
    assert (DOMAIN.scheme, DOMAIN.chain_id) == (SigningScheme.ADR036, "testing-1")
    evm = signing_domain(31337, Account("0x" + "11" * 20))
    assert (evm.scheme, evm.chain, evm.chain_id) == (SigningScheme.EIP712, "eip155:31337", 31337)


def test_commitment_hashes_the_bytes_of_the_address(wallet: Wallet):
    account, salt = wallet.cosmos_address("wasm"), bytes(range(32))
    hashed = (
        DOMAIN.separator
        + (7).to_bytes(8, "big")
        + (3).to_bytes(4, "big")
        + address_bytes(account)
        + b"\1"
        + (4602678819172646912).to_bytes(8, "big")
        + (0x7FF8 << 48).to_bytes(8, "big")
        + salt
    )
    made = commitment_hash(DOMAIN, EXPERIMENT, 3, account, VOTE, salt)
    assert made == hashlib.sha256(hashed).digest()
    assert len(address_bytes(account)) == 20


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
