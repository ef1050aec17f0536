"""Calls that make no sense, to reach every refusal."""

from __future__ import annotations

from random import Random
from typing import Any

from colearn_ledger.protocol import ContentRef, SignedBallot, Vote
from tests.model.facts import Facts
from tests.model.hashes import encode_scores
from tests.model.samples import CONTENTS, PEOPLE, SCORES, WORD, Action


def draw_call(random: Random, e: Facts) -> Action:
    """Draw any call by anybody, at any time and about any round."""
    last = len(e["rounds"]) - 1
    id_ = random.choice((e["id"], e["id"], e["id"], e["id"] % 2 + 1, 99, 0, 2**64 - 1))
    index = random.choice((last, last, last, last + 1, max(last - 1, 0), 2**32 - 1))
    word = random.choice((WORD, e["rounds"][-1]["digest"] or WORD) if e["rounds"] else (WORD,))
    content, account = random.choice(CONTENTS), random.choice(PEOPLE)
    ballot = Vote(random.choice((0, 0, 1, 2, 3)), (SCORES[0], SCORES[1]))
    hash_ = random.choice((e["hash"], WORD))
    signed = [SignedBallot(account, ballot, encode_scores(SCORES[:4]) + b"\x1b")]
    calls: dict[str, tuple[Any, ...]] = {
        "admit": ([account, account],),
        "join": (hash_, WORD),
        "set_encryption_key": (WORD,),
        "leave": (),
        "remove": (account,),
        "start": (),
        "cancel": (),
        "advance": (),
        "announce": ("topic", content),
        "propose": (index, content, SCORES[1]),
        "decline": (index,),
        "vote": (index, word, ballot),
        "commit": (index, word, WORD),
        "reveal": (index, ballot, WORD),
        "vote_signed": (index, word, signed),
    }
    timid = {"leave", "cancel"} if random.random() < 0.8 else set()
    name = random.choice(sorted(calls.keys() - timid))
    return random.randrange(len(PEOPLE)), name, (id_, *calls[name])


def spoil(random: Random, action: Action) -> Action:
    """Replace the caller or some arguments of a call."""
    person, name, arguments = action
    spoiled = list(arguments)
    for place in random.sample(range(len(spoiled)), random.randint(0, min(2, len(spoiled)))):
        value = spoiled[place]
        if place == 0:
            continue
        if isinstance(value, int):
            spoiled[place] = value + 1
        elif isinstance(value, bytes):
            spoiled[place] = random.choice((bytes(32), WORD))
        elif isinstance(value, Vote):
            spoiled[place] = Vote(random.choice((value.approvals, 1, 3, 1 << 15)), value.scores[1:])
        elif isinstance(value, list):
            spoiled[place] = []
        elif isinstance(value, ContentRef):
            spoiled[place] = random.choice(CONTENTS)
    if random.random() < 0.5:
        person = random.randrange(len(PEOPLE))
    return person, name, tuple(spoiled)
