"""Answers of local nodes that are not JSON are failures of the node."""

from __future__ import annotations

import pytest

from colearn_localnet import rpc
from colearn_localnet.errors import NodeFailed
from colearn_localnet.kubo import Kubo


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[" * 100_000, b'{"a": 1, "a": 2}'])
def test_answer_that_is_not_json_is_a_failure_of_the_node(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, tmp_path
):
    for name in ("get", "post"):
        monkeypatch.setattr(rpc, name, lambda url, **_: answer)
    for ask in (rpc.get_json, rpc.post_json):
        with pytest.raises(NodeFailed, match=r"http://node/id did not answer with JSON"):
            ask("http://node/id")
    node = Kubo(tmp_path)
    monkeypatch.setattr(Kubo, "api_url", "http://node")
    with pytest.raises(NodeFailed, match="did not answer with JSON"):
        node.connections()
