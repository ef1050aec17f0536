"""Keys on disk are interoperable, private, complete, and never shown."""

from __future__ import annotations

import json
import os
import stat
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as EthAccount

from colearn_ledger import home
from colearn_ledger.keys.keystore import BadKeyName, KeyExists, Keystore, UnknownKey
from colearn_ledger.keys.limits import CostlyKeystore, read_keystore
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


def describe_fully(error: BaseException) -> str:
    """Return everything that a traceback, a log or a debugger's summary would show of an error."""
    parts = ["".join(traceback.format_exception(error))]
    seen: BaseException | None = error
    while seen is not None:
        parts += [repr(seen), str(seen), repr(seen.args), repr(vars(seen))]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(parts)


def test_key_is_restored_only_with_its_password(store: Keystore):
    stored = store.save("alice", Wallet.from_key(KEY), PASSWORD)
    assert store.open("alice", PASSWORD).reveal_key() == KEY
    assert stored.address == Wallet.from_key(KEY).address == store.key("alice").address
    assert [k.name for k in store.all()] == ["alice"]
    with pytest.raises(WrongPassword, match="alice"):
        store.open("alice", PASSWORD + "x")


def test_keystores_are_exchanged_with_other_programs(store: Keystore):
    store.save("alice", Wallet.from_key(KEY), PASSWORD)
    document = json.loads(store.document("alice"))
    assert document["version"] == 3
    assert bytes(EthAccount.decrypt(document, PASSWORD)).hex() == KEY[2:]
    (store.folder / "theirs.json").write_text(json.dumps(VECTOR))
    assert store.open("theirs", "testpassword").reveal_key() == VECTOR_KEY
    assert store.key("theirs").address is None


def test_default_scrypt_cost_resists_guessing():
    params = json.loads(Wallet.from_key(KEY).encrypt(PASSWORD))["crypto"]["kdfparams"]
    assert params["n"] >= 2**17


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_and_folder_are_private_with_any_umask(store: Keystore, umask: int):
    before = os.umask(umask)
    try:
        store.save("alice", Wallet.from_key(KEY), PASSWORD)
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(p.stat().st_mode) for p in store.folder.iterdir()] == [0o600]


def test_existing_folder_becomes_private(store: Keystore):
    store.folder.mkdir(mode=0o755)
    store.save("alice", Wallet.from_key(KEY), PASSWORD)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_concurrent_saves_never_overwrite_a_key(store: Keystore):
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


def test_failed_write_leaves_no_file(store: Keystore, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(home.os, "fsync", full)
    with pytest.raises(home.HomeNotWritable, match="No space left"):
        store.save("alice", Wallet.from_key(KEY), PASSWORD)
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "../alice", "a/b", ".alice", "x" * 65, "a b", "ä", KEY, KEY[2:]]
)
def test_invalid_key_name_is_refused_and_not_repeated(store: Keystore, name: str):
    for use in (
        lambda: store.save(name, Wallet.from_key(KEY), PASSWORD),
        lambda: store.open(name, PASSWORD),
    ):
        with pytest.raises(BadKeyName) as caught:
            use()
        assert not name or name not in str(caught.value)


def test_unknown_key_error_lists_existing_keys(store: Keystore):
    store.save("alice", Wallet.from_key(KEY), PASSWORD)
    with pytest.raises(UnknownKey, match="existing keys: alice"):
        store.open("alicia", PASSWORD)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"crypto": 3}', '{"crypto": {}}', "\x00", '{"crypto": {"kdf":1}}'],
)
def test_damaged_file_is_refused_and_left_out_of_the_list(store: Keystore, text: str):
    store.folder.mkdir()
    (store.folder / "bad.json").write_text(text)
    with pytest.raises(InvalidKey):
        store.open("bad", PASSWORD)
    store.save("good", Wallet.from_key(KEY), PASSWORD)
    assert "good" in [k.name for k in store.all()]


def damage_parameters(store: Keystore, document: dict[str, Any], **changes: Any) -> None:
    """Save a keystore with other parameters of the key derivation as the key ``costly``."""
    changed = json.loads(json.dumps(document))
    changed["crypto"]["kdfparams"] |= changes
    (store.folder / "costly.json").write_text(json.dumps(changed))


@pytest.fixture
def no_decryption(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if a keystore is decrypted."""

    def refuse(*_: object) -> None:
        pytest.fail("the keystore was decrypted")

    monkeypatch.setattr(EthAccount, "decrypt", refuse)


@pytest.mark.usefixtures("no_decryption")
class TestCost:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"n": 2**22},
                r"4,096 MiB of memory \(scrypt with n=4,194,304, r=8 .* at most 512 MiB",
            ),
            ({"n": 2**19, "r": 9}, "576 MiB of memory"),
            ({"n": 2, "r": 2**21, "p": 16}, "4,096 MiB of memory"),
            ({"p": 17}, r"17 repetitions of scrypt.* at most 16"),
            ({"dklen": 2**31}, r"another length than 32 bytes \(dklen\)"),
        ],
    )
    def test_costly_scrypt_is_refused(self, store: Keystore, changes: dict[str, int], message: str):
        store.save("alice", Wallet.from_key(KEY), PASSWORD)
        damage_parameters(store, json.loads(store.document("alice")), **changes)
        with pytest.raises(CostlyKeystore, match=f"the key costly is not opened: .*{message}"):
            store.open("costly", PASSWORD)

    def test_costly_pbkdf2_is_refused(self, store: Keystore):
        store.folder.mkdir()
        damage_parameters(store, VECTOR, c=2**31)
        with pytest.raises(CostlyKeystore, match=r"2,147,483,648 rounds .* at most 10,000,000"):
            store.open("costly", PASSWORD)

    def test_names_in_upper_case_do_not_hide_the_cost(self, store: Keystore):
        store.folder.mkdir()
        damage_parameters(store, VECTOR, c=2**31)
        path = store.folder / "costly.json"
        path.write_text(path.read_text().replace("kdfparams", "KdfParams").replace('"c"', '"C"'))
        with pytest.raises(CostlyKeystore):
            store.open("costly", PASSWORD)

    @pytest.mark.parametrize("value", [None, "262144", True, 1.5, -1, 0, [], {}])
    @pytest.mark.parametrize("name", ["n", "r", "p", "dklen"])
    def test_parameter_of_another_type_is_refused(self, store: Keystore, name: str, value: object):
        store.save("alice", Wallet.from_key(KEY), PASSWORD)
        damage_parameters(store, json.loads(store.document("alice")), **{name: value})
        with pytest.raises(InvalidKey, match="is not an Ethereum keystore"):
            store.open("costly", PASSWORD)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('"version": 3', '"version": 4'),
            ('"scrypt"', '"argon2"'),
            ('"kdf":', '"KDF": "pbkdf2", "kdf":'),
            ('"kdf":', '"kdf": "pbkdf2", "kdf":'),
        ],
    )
    def test_other_and_ambiguous_documents_are_refused(self, store: Keystore, old: str, new: str):
        store.save("alice", Wallet.from_key(KEY), PASSWORD)
        text = store.document("alice")
        assert old in text
        (store.folder / "other.json").write_text(text.replace(old, new))
        with pytest.raises(InvalidKey):
            store.open("other", PASSWORD)


def test_own_keystores_with_the_default_cost_are_accepted():
    params = json.loads(Wallet.from_key(KEY).encrypt(PASSWORD))
    assert read_keystore(json.dumps(params)) == params


def test_key_that_does_not_match_its_address_is_refused(store: Keystore):
    store.save("alice", Wallet.from_key(KEY), PASSWORD)
    document = json.loads(store.document("alice")) | {"address": "00" * 20}
    (store.folder / "mallory.json").write_text(json.dumps(document))
    with pytest.raises(InvalidKey, match="does not match the address"):
        store.open("mallory", PASSWORD)


# ------------------------------------------------------------------ wallets


def test_mnemonic_yields_the_same_accounts_as_other_wallets():
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
def test_invalid_secret_is_never_repeated(secret: str):
    with pytest.raises(InvalidKey) as caught:
        Wallet.from_secret(secret)
    shown = describe_fully(caught.value)
    assert secret not in shown
    assert secret.removeprefix("0x") not in shown
    assert "colearnsecretword" not in shown
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_errors_and_repr_reveal_no_secret(store: Keystore):
    wallet = Wallet.from_key(KEY)
    store.save("alice", wallet, PASSWORD)
    tried = "hunter2-" * 2
    with pytest.raises(WrongPassword) as caught:
        store.open("alice", tried)
    shown = describe_fully(caught.value) + repr(wallet) + str(wallet)
    assert tried not in shown
    assert PASSWORD not in shown
    assert KEY[2:] not in shown
