"""CIDs as text, also when several threads use them for the first time at once."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from colearn_ledger.text.cid import InvalidCid, decode_cid, encode_cid

EMPTY_FILE = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def test_text_and_parts_are_equivalent():
    codec, digest = decode_cid(EMPTY_FILE)
    assert (codec, digest.hex()[:8]) == (0x55, "e3b0c442")
    assert encode_cid(codec, digest) == EMPTY_FILE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "b" + 58 * "a",
        "b" + 58 * "7",
        "not a CID",
        "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
        "z" + EMPTY_FILE[1:],
        EMPTY_FILE[:-2],
        "\udcff",
    ],
)
def test_other_texts_and_kinds_of_cids_are_refused(text: str):
    with pytest.raises(InvalidCid):
        decode_cid(text)


def test_first_use_by_two_threads_at_once_succeeds():
    program = textwrap.dedent(f"""
        import threading
        from contextlib import suppress
        from multiformats.multibase import raw
        from colearn_ledger.text.cid import decode_cid

        together, register = threading.Barrier(2), raw.register

        def late(*arguments, **options):
            with suppress(threading.BrokenBarrierError):
                together.wait(1)  # until both are here, if both can be
            register(*arguments, **options)

        raw.register, done = late, []
        threads = [
            threading.Thread(target=lambda: done.append(decode_cid("{EMPTY_FILE}")[0]))
            for _ in range(2)
        ]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(done)
    """)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("[85, 85]\n", "")
