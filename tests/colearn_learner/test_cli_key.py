"""`colearn key`: secrets are read from each source and never leak."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from colearn_learner.cli import main
from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.keys.wallet import Wallet

KEY = "0x" + "5e" * 32
WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"
PASSWORD = "open sesame 42"
COLEARN = [sys.executable, "-c", "from colearn_learner.cli import main; main(prog_name='colearn')"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the settings; keys of this process are encrypted at little cost."""
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("COLEARN_PASSWORD", raising=False)
    monkeypatch.setattr(Keystore.__init__, "__kwdefaults__", {"work": 2})
    return tmp_path / "home"


def colearn(*arguments: str, given: str = "", **env: str) -> Result:
    return CliRunner().invoke(main, arguments, input=given, env=env)


def run_process(*arguments: str, fds: tuple[int, ...]) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, with open file descriptors."""
    return subprocess.run([*COLEARN, *arguments], capture_output=True, text=True, pass_fds=fds)


def make_pipe(text: str) -> int:
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading


SHOW_LIMITS = """
import ctypes, resource, sys
from colearn_learner.cli import main
from colearn_learner.cli._support.secrets import KeyOptions, Passwords
from colearn_ledger.keys.keystore import Keystore

def show_limits():
    dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
    print(resource.getrlimit(resource.RLIMIT_CORE), dumpable)

Keystore.__init__.__kwdefaults__ = {"work": 2}
show_limits()
command = sys.argv[1:]
if command[0] == "open":
    KeyOptions(command[1], Passwords(None, None)).open_wallet()
else:
    main(command, standalone_mode=False)
show_limits()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has PR_SET_DUMPABLE")
@pytest.mark.parametrize(
    ("command", "is_protected"),
    [
        ("key list", False),
        ("key new bob", True),
        ("key import bob --from env:SECRET", True),
        ("key export alice --private-key --out -", True),
        ("open alice", True),
        ("open env:SECRET", True),
    ],
)
def test_process_with_an_unlocked_key_leaves_no_core_file(
    home: Path, command: str, is_protected: bool
):
    Keystore().save("alice", Wallet.from_key(KEY), PASSWORD)
    before, *_, after = subprocess.run(
        [sys.executable, "-c", SHOW_LIMITS, *command.split()],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLEARN_PASSWORD": PASSWORD, "SECRET": KEY},
    ).stdout.splitlines()
    assert after == ("(0, 0) 0" if is_protected else before)


def read_all_files(folder: Path) -> str:
    return "".join(p.read_text() for p in folder.rglob("*") if p.is_file())


def test_each_source_of_a_key_works_and_no_secret_leaks(home: Path):
    (home.parent / "key.txt").write_text(KEY + "\n")
    (home.parent / "password.txt").write_text(PASSWORD + "\nnot this\n")
    from_file = ("--password-file", str(home.parent / "password.txt"))
    key_fd, password_fd = make_pipe(KEY), make_pipe(PASSWORD)
    runs = [
        colearn("key", "import", "a", "--from", "env:K", K=KEY, COLEARN_PASSWORD=PASSWORD),
        colearn("key", "import", "b", *from_file, given=KEY),
        colearn("key", "import", "c", "--from", f"file:{home.parent / 'key.txt'}", *from_file),
        colearn("key", "import", "d", "--from", "env:K", *from_file, K=WORDS),
    ]
    assert [run.exit_code for run in runs] == [0] * 4, [run.output for run in runs]
    from_fds = ("--from", f"fd:{key_fd}", "--password-fd", str(password_fd))
    process = run_process("key", "import", "e", *from_fds, fds=(key_fd, password_fd))
    assert process.returncode == 0, process.stderr
    opened = {name: Keystore().open(name, PASSWORD).address for name in "abcde"}
    assert {opened[name] for name in "abce"} == {Wallet.from_key(KEY).address}
    assert opened["d"] == "0x58A57ed9d8d624cBD12e2C467D34787555bB1b25"
    shown = "".join(run.output for run in runs) + process.stdout + process.stderr
    everything = read_all_files(home) + shown
    for secret in (KEY[2:], PASSWORD, "winner"):
        assert secret not in everything
    assert {stat.S_IMODE(p.stat().st_mode) for p in (home / "keys").iterdir()} == {0o600}


def test_new_key_is_listed_and_shown_without_a_password(home: Path):
    made = json.loads(colearn("key", "new", "alice", "--json", COLEARN_PASSWORD=PASSWORD).stdout)
    assert json.loads(colearn("key", "list", "--json").stdout) == [made]
    assert made["account"] in colearn("key", "show", "alice").stdout
    assert Keystore().open("alice", PASSWORD).address == made["account"]


def test_accounts_are_shown_with_the_prefix_of_each_known_network(home: Path):
    wallet = Wallet.from_mnemonic(WORDS)
    Keystore(work=2).save("alice", wallet, PASSWORD)
    (shown,) = json.loads(colearn("key", "list", "--json").stdout)
    assert shown["cosmos_accounts"] == {p: wallet.cosmos_address(p) for p in ("wasm", "fetch")}
    for command in (("key", "list"), ("key", "show", "alice")):
        for lines in (colearn(*command).stdout, colearn(*command, "--prefix", "cosmos").stdout):
            words = " ".join(lines.split())
            assert wallet.address in words
            assert f"{wallet.cosmos_address('wasm')}" in words
            assert f"{wallet.cosmos_address('fetch')}" in words
            assert "fetch-mainnet, dorado" in words
        assert str(wallet.cosmos_address("cosmos")) in lines


@pytest.mark.parametrize("password", ["", "x", "1234567"])
def test_new_key_needs_a_password_that_protects_it(home: Path, password: str):
    refused = colearn("key", "new", "alice", COLEARN_PASSWORD=password)
    assert refused.exit_code == 2
    assert "choose one of at least 8 characters" in " ".join(refused.stderr.split())
    assert not Keystore().all()


def test_wrong_prefix_is_refused(home: Path):
    wrong = colearn("key", "list", "--prefix", "Fetch1")
    assert (wrong.exit_code, "use 1 to 20 lower-case letters" in wrong.stderr) == (2, True)


def test_cosmos_key_of_a_mnemonic_is_imported_by_path_and_exported(home: Path):
    path = ("--cosmos-path", "m/44'/118'/0'/0/5")
    run = colearn(
        *("key", "import", "alice", "--from", "env:K", *path), K=WORDS, COLEARN_PASSWORD=PASSWORD
    )
    wallet = Wallet.from_mnemonic(WORDS, cosmos_path=path[1])
    assert wallet.cosmos_address("wasm") in run.stdout
    export = ("key", "export", "alice", "--private-key", "--cosmos", "--out", "-")
    shown = colearn(*export, COLEARN_PASSWORD=PASSWORD)
    assert shown.stdout.strip() == wallet.reveal_key(cosmos=True)
    assert shown.stdout.strip() not in read_all_files(home)
    sealed = json.loads(colearn("key", "export", "alice", "--cosmos").stdout)
    assert sealed == json.loads((home / "keys" / "alice.cosmos.json").read_text())


def test_export_reveals_the_private_key_only_on_request(home: Path):
    Keystore(work=2).save("alice", Wallet.from_key(KEY), PASSWORD)
    assert json.loads(colearn("key", "export", "alice").stdout)["version"] == 3
    refused = colearn("key", "export", "alice", "--private-key", COLEARN_PASSWORD=PASSWORD)
    assert refused.exit_code == 2
    assert KEY not in refused.output
    out = home.parent / "key.txt"
    export = ("key", "export", "alice", "--private-key", "--out")
    shown = colearn(*export, str(out), COLEARN_PASSWORD=PASSWORD)
    assert shown.exit_code == 0, shown.output
    assert KEY not in shown.output
    assert out.read_text() == KEY + "\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "already exists" in colearn(*export, str(out), COLEARN_PASSWORD=PASSWORD).stderr
    assert colearn(*export, "-", COLEARN_PASSWORD=PASSWORD).stdout == KEY + "\n"


@pytest.mark.parametrize(
    ("arguments", "env", "code", "message"),
    [
        (("key", "new", "a/b"), {}, 2, "the name of the key is not valid"),
        (("key", "new", KEY), {}, 2, "the name of the key is not valid"),
        (("key", "new", "bob"), {}, 2, "set COLEARN_PASSWORD"),
        (("key", "new", "bob"), {"COLEARN_PASSWORD": ""}, 2, "the password is empty"),
        (("key", "new", "alice"), {"COLEARN_PASSWORD": "x"}, 1, "the key alice already exists"),
        (("key", "import", "bob", KEY), {}, 2, "must not be an argument"),
        (("key", "import", "bob", *WORDS.split()), {}, 2, "must not be an argument"),
        (("key", "import", "bob", "--from", KEY), {}, 2, "never pass the secret itself"),
        (("key", "import", "bob", "--from", "env:NONE"), {}, 2, "NONE is not set"),
        (
            ("key", "import", "bob", "--from", "fd:999999"),
            {},
            2,
            "cannot read the file descriptor 999999",
        ),
        (("key", "import", "bob", "--from", "env:K"), {"K": KEY[:-1]}, 1, "not a private key"),
        (("key", "import", "bob", "--from", "env:K"), {"K": WORDS + " x"}, 1, "is not a mnemonic"),
        (("key", "show", "bob"), {}, 1, "existing keys: alice"),
        (("key", "export", "alice", "--private-key", "--out", "-"), {"COLEARN_PASSWORD": "x"}, 1,
         "does not open the key alice"),
        (("deploy", "--key", KEY), {}, 2, "looks like a private key"),
        (("deploy", "--key", WORDS), {}, 2, "looks like a private key"),
        (("deploy", "--key", "env:K"), {"K": KEY + "0"}, 1, "not a private key"),
    ],
)  # fmt: skip
def test_wrong_usage_is_reported_in_one_line_without_secrets(
    home: Path, arguments: tuple[str, ...], env: dict[str, str], code: int, message: str
):
    Keystore(work=2).save("alice", Wallet.from_key(KEY), PASSWORD)
    run = colearn(*arguments, **env)
    output = run.output
    assert run.exit_code == code, output
    assert message in " ".join(output.split())
    assert "Traceback" not in output
    for secret in (KEY[2:66], KEY[2:-1], "winner", PASSWORD):
        assert secret not in output
    assert [k.name for k in Keystore().all()] == ["alice"]


def test_terminal_echoes_neither_key_nor_password(home: Path):
    """Type both at a real terminal, each only after its prompt."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [*COLEARN, "key", "import", "alice"], dict(os.environ))
    seen = b""

    def read_until(prompt: bytes) -> None:
        nonlocal seen
        start = len(seen)
        while prompt not in seen[start:]:
            seen += os.read(terminal, 4096)

    for prompt, typed in (
        (b"Private key or mnemonic: ", KEY),
        (b"Password of the key alice: ", PASSWORD),
        (b"Repeat for confirmation: ", PASSWORD),
    ):
        read_until(prompt)
        os.write(terminal, typed.encode() + b"\n")
    read_until(Wallet.from_key(KEY).address.encode())
    try:
        while more := os.read(terminal, 4096):
            seen += more
    except OSError:
        pass  # the child has closed the terminal
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert KEY[2:].encode() not in seen
    assert PASSWORD.encode() not in seen
    assert Keystore().open("alice", PASSWORD).reveal_key() == KEY


def test_process_list_shows_neither_key_nor_password(home: Path):
    """While the command waits for its password, every user can read its arguments."""
    Keystore(work=2).save("alice", Wallet.from_key(KEY), PASSWORD)
    reading, writing = os.pipe()
    export = ("key", "export", "alice", "--private-key", "--out", "-")
    run = subprocess.Popen(
        [*COLEARN, *export, "--password-fd", str(reading)],
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=(reading,),
    )
    shown = ""
    while not shown:  # arguments appear once it is executed; it then waits for its password
        shown = Path(f"/proc/{run.pid}/cmdline").read_text()
    os.write(writing, PASSWORD.encode() + b"\n")
    os.close(writing)
    os.close(reading)
    assert run.communicate()[0] == KEY + "\n"
    assert "export" in shown
    assert PASSWORD not in shown
    assert KEY[2:] not in shown
