"""Keys on disk are interoperable, private, complete, and never shown."""

from __future__ import annotations

import json
import os
import stat
import threading
import traceback
from pathlib import Path

import pytest
from eth_account import Account as EthAccount

from colearn_ledger import home
from colearn_ledger.keys.keystore import BadKeyName, KeyExists, Keystore, UnknownKey
from colearn_ledger.keys.wallet import InvalidKey, Wallet, WrongPassword

KEY = "0x" + "4c" * 32
PASSWORD = "correct horse battery"
WORDS = "test test test test test test test test test test test junk"
FROM_WORDS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"

# The test vector of the Web3 Secret Storage Definition, PBKDF2.
VECTOR = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}
VECTOR_KEY = "0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "keys", work=2)


def everything_said(error: BaseException) -> str:
    """Return everything that a traceback, a log or a debugger's summary would show of an error."""
    said = ["".join(traceback.format_exception(error))]
    seen: BaseException | None = error
    while seen is not None:
        said += [repr(seen), str(seen), repr(seen.args), repr(vars(seen))]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(said)


def test_a_key_comes_back_with_its_password_alone(store: Keystore):
    stored = store.save("alice", Wallet.from_key(KEY), PASSWORD)
    assert store.open("alice", PASSWORD).reveal_key() == KEY
    assert stored.address == Wallet.from_key(KEY).address == store.key("alice").address
    assert [k.name for k in store.all()] == ["alice"]
    with pytest.raises(WrongPassword, match="alice"):
        store.open("alice", PASSWORD + "x")


def test_other_programs_read_ours_and_we_read_theirs(store: Keystore):
    store.save("alice", Wallet.from_key(KEY), PASSWORD)
    document = json.loads(store.document("alice"))
    assert document["version"] == 3
    assert bytes(EthAccount.decrypt(document, PASSWORD)).hex() == KEY[2:]
    (store.folder / "theirs.json").write_text(json.dumps(VECTOR))
    assert store.open("theirs", "testpassword").reveal_key() == VECTOR_KEY
    assert store.key("theirs").address is None


def test_the_default_work_is_hard_to_guess_against():
    params = json.loads(Wallet.from_key(KEY).encrypted(PASSWORD))["crypto"]["kdfparams"]
    assert params["n"] >= 2**17


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_and_folder_are_their_owners_alone_whatever_the_umask(store: Keystore, umask: int):
    before = os.umask(umask)
    try:
        store.save("alice", Wallet.from_key(KEY), PASSWORD)
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(p.stat().st_mode) for p in store.folder.iterdir()] == [0o600]


def test_a_folder_left_open_is_closed(store: Keystore):
    store.folder.mkdir(mode=0o755)
    store.save("alice", Wallet.from_key(KEY), PASSWORD)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_a_key_is_never_overwritten_also_in_a_race(store: Keystore):
    start = threading.Barrier(4)
    outcomes: list[str] = []

    def save(number: int) -> None:
        wallet = Wallet.from_key(bytes([number + 1]) * 32)
        start.wait()
        try:
            outcomes.append(store.save("alice", wallet, PASSWORD).address or "")
        except KeyExists:
            outcomes.append("refused")

    threads = [threading.Thread(target=save, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("refused") == 3
    (winner,) = set(outcomes) - {"refused"}
    assert store.open("alice", PASSWORD).address == winner
    assert len(list(store.folder.iterdir())) == 1


def test_a_write_that_fails_leaves_nothing(store: Keystore, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(home.os, "fsync", full)
    with pytest.raises(home.HomeNotWritable, match="No space left"):
        store.save("alice", Wallet.from_key(KEY), PASSWORD)
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "../alice", "a/b", ".alice", "x" * 65, "a b", "ä", KEY, KEY[2:]]
)
def test_names_stay_within_the_folder_and_are_no_keys(store: Keystore, name: str):
    for use in (
        lambda: store.save(name, Wallet.from_key(KEY), PASSWORD),
        lambda: store.open(name, PASSWORD),
    ):
        with pytest.raises(BadKeyName) as caught:
            use()
        assert not name or name not in str(caught.value)


def test_an_unknown_key_is_told_with_those_there_are(store: Keystore):
    store.save("alice", Wallet.from_key(KEY), PASSWORD)
    with pytest.raises(UnknownKey, match="there are alice"):
        store.open("alicia", PASSWORD)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"crypto": 3}', '{"crypto": {}}', "\x00", '{"crypto": {"kdf":1}}'],
)
def test_a_damaged_file_is_said_to_be_one(store: Keystore, text: str):
    store.folder.mkdir()
    (store.folder / "bad.json").write_text(text)
    with pytest.raises(InvalidKey):
        store.open("bad", PASSWORD)
    store.save("good", Wallet.from_key(KEY), PASSWORD)
    assert "good" in [k.name for k in store.all()]


def test_a_file_with_anothers_address_is_refused(store: Keystore):
    store.save("alice", Wallet.from_key(KEY), PASSWORD)
    document = json.loads(store.document("alice")) | {"address": "00" * 20}
    (store.folder / "mallory.json").write_text(json.dumps(document))
    with pytest.raises(InvalidKey, match="another key"):
        store.open("mallory", PASSWORD)


# ------------------------------------------------------------------ wallets


def test_a_mnemonic_gives_the_accounts_that_every_wallet_gives():
    assert Wallet.from_mnemonic(WORDS).address == FROM_WORDS
    assert Wallet.from_secret(f"  {WORDS}\n").address == FROM_WORDS
    second = Wallet.from_mnemonic(WORDS, path="m/44'/60'/0'/0/1")
    assert second.address == "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@pytest.mark.parametrize(
    "secret",
    [
        KEY[:-1],
        KEY[:-2],
        KEY + "00",
        "0x" + "ff" * 32,  # beyond the curve's order
        "zz" * 32,
        WORDS.replace("junk", "test"),  # wrong checksum
        WORDS.replace("junk", "colearnsecretword"),
        "pass phrase of some words",
    ],
)
def test_a_bad_secret_is_never_repeated(secret: str):
    with pytest.raises(InvalidKey) as caught:
        Wallet.from_secret(secret)
    said = everything_said(caught.value)
    assert secret not in said
    assert secret.removeprefix("0x") not in said
    assert "colearnsecretword" not in said
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_a_wrong_password_and_a_wallet_show_nothing(store: Keystore):
    wallet = Wallet.from_key(KEY)
    store.save("alice", wallet, PASSWORD)
    tried = "hunter2-" * 2
    with pytest.raises(WrongPassword) as caught:
        store.open("alice", tried)
    said = everything_said(caught.value) + repr(wallet) + str(wallet)
    assert tried not in said
    assert PASSWORD not in said
    assert KEY[2:] not in said
