"""Random lives of experiments: the next call, given the state of the model.

The generator reads the model to make most calls sensible, and spoils some of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import Random
from typing import Any

from colearn_ledger.protocol import (
    Admission,
    Duty,
    Phase,
    Scores,
    SignedBallot,
    Status,
    Vote,
)
from tests.model import answers
from tests.model.facts import (
    Facts,
    active,
    current_of,
    deadline_of,
    is_voter,
    phase_of,
    proposals_of,
    strikes_of,
    voters_of,
)
from tests.model.hashes import commitment_of, make_malleable, sign
from tests.model.samples import (
    BAD_PARAMS,
    CONTENTS,
    EDGES,
    KEYS,
    PEOPLE,
    SALTS,
    SCORES,
    WORD,
    Action,
    draw_params,
)
from tests.model.wild_calls import draw_call, spoil


@dataclass
class Life:
    """A ledger's life so far, as the generator sees it."""

    random: Random
    world: Facts
    now: int
    temper: float = 0.5
    """How likely a voter approves a proposal."""
    is_lazy: bool = False
    """Whether most rounds pass without a proposal, so that there are many selections."""
    votes: dict[Any, Any] = field(default_factory=dict)
    """The digest, the vote and the salt behind each commitment."""


# ---------------------------------------------------------------------- experiments


def create(life: Life) -> Action:
    """Create an experiment, sometimes with parameters at their bounds."""
    edges = life.random.choice(EDGES) if life.random.random() < 0.05 else {}
    return life.random.choice((0, 0, 1)), "create", (replace(draw_params(life.random), **edges),)


def create_badly(life: Life) -> Action:
    """Create an experiment with one or two parameters out of their bounds."""
    random, names = life.random, list(BAD_PARAMS)
    first = random.randrange(len(names))
    chosen = {names[first], names[random.choice((first, first - 1, random.randrange(len(names))))]}
    params = draw_params(random)
    for name in sorted(chosen):
        params = replace(params, **random.choice(BAD_PARAMS[name]))
    return 0, "create", (params,)


def join(life: Life, e: Facts, person: int) -> Action:
    hash_ = e["hash"] if life.random.random() < 0.95 else WORD
    return person, "join", (e["id"], hash_, life.random.choice((bytes(32), WORD)))


def come(life: Life, e: Facts) -> Action:
    """Let the next account join, or admit it first."""
    strangers = [i for i in range(1, 10) if PEOPLE[i] not in e["members"]] or [9, 10]
    person = life.random.choice(strangers)
    closed = e["params"].admission == Admission.ALLOWLIST
    if closed and PEOPLE[person] not in e["admitted"] and life.random.random() < 0.8:
        return admit(life, e)
    return join(life, e, person)


def admit(life: Life, e: Facts) -> Action:
    accounts = [life.random.choice(PEOPLE) for _ in range(life.random.choice((0, 1, 5, 9)))]
    return creator_of(life, e), "admit", (e["id"], accounts)


def creator_of(life: Life, e: Facts) -> int:
    """Return the experiment's creator, or sometimes anybody."""
    if life.random.random() < 0.1:
        return life.random.randrange(len(PEOPLE))
    return PEOPLE.index(e["creator"])


def leave(life: Life, e: Facts) -> Action:
    account = life.random.choice(active(e) or PEOPLE)
    return PEOPLE.index(account), "leave", (e["id"],)


def remove(life: Life, e: Facts) -> Action:
    """Remove the account with the most strikes, or any other."""
    known = sorted(e["members"], key=lambda account: -strikes_of(e["members"][account]))
    present = [account for account in known if account in active(e)]
    account = life.random.choice([*present[:1] * 4, life.random.choice(PEOPLE)])
    return life.random.randrange(len(PEOPLE)), "remove", (e["id"], account)


def change_key(life: Life, e: Facts) -> Action:
    key = life.random.choice((WORD, SALTS[0], bytes(31)))
    return life.random.randrange(len(PEOPLE)), "set_encryption_key", (e["id"], key)


def announce(life: Life, e: Facts) -> Action:
    topic = life.random.choice(("t", "model", "ü" * 16, "x" * 33, "", "a\nb", "\x7f", "ü" * 17))
    person = PEOPLE.index(life.random.choice([*active(e), PEOPLE[10]]))
    return person, "announce", (e["id"], topic, life.random.choice(CONTENTS))


def start(life: Life, e: Facts) -> Action:
    return creator_of(life, e), "start", (e["id"],)


def cancel(life: Life, e: Facts) -> Action:
    return creator_of(life, e), "cancel", (e["id"],)


def advance(life: Life, e: Facts) -> Action:
    return life.random.randrange(len(PEOPLE)), "advance", (e["id"],)


# ---------------------------------------------------------------------- duties


def propose(life: Life, e: Facts, person: int) -> Action:
    index, random = len(e["rounds"]) - 1, life.random
    if random.random() < 0.15:
        return person, "decline", (e["id"], index)
    content = random.choice(CONTENTS)
    if random.random() < 0.1:
        content = random.choice(current_of(e)[0] or CONTENTS)
    return person, "propose", (e["id"], index, content, random.choice(SCORES))


def draw_vote(life: Life, r: Facts, person: int) -> Vote:
    """Draw a ballot; sometimes its bitmap or its length is wrong."""
    random = life.random
    others = [i for i, s in proposals_of(r).items() if s["proposer"] != PEOPLE[person]]
    approvals = sum(1 << i for i in others if random.random() < life.temper)
    length = 1 + len(proposals_of(r))
    if random.random() < 0.06:
        approvals ^= 1 << random.randrange(random.choice((len(r["slots"]), 16)))
    elif random.random() < 0.02:
        approvals += 2**16
    if random.random() < 0.04:
        length += random.choice((-1, 1))
    return Vote(approvals, tuple(random.choice(SCORES) for _ in range(length)))


def name_proposals(life: Life, r: Facts) -> bytes:
    """Return the digest of the proposals, sometimes another one."""
    wrong = (bytes(32), WORD, WORD[:31])
    return r["digest"] if life.random.random() < 0.94 else life.random.choice(wrong)


def vote(life: Life, e: Facts, person: int) -> Action:
    """Vote, or send a batch of signed ballots."""
    r = e["rounds"][-1]
    if life.random.random() < 0.3:
        return send_signed(life, e)
    return (
        person,
        "vote",
        (e["id"], r["index"], name_proposals(life, r), draw_vote(life, r, person)),
    )


def send_signed(life: Life, e: Facts) -> Action:
    r, random = e["rounds"][-1], life.random
    voters = [PEOPLE.index(account) for account in voters_of(e, r)]
    signers = random.sample(voters, random.randint(0, min(3, len(voters))))
    if random.random() < 0.4:
        others = [a for a in e["members"] if not is_voter(e, r, a)] or PEOPLE
        other = random.choice((*others, random.choice(PEOPLE)))
        signers.insert(random.randint(0, len(signers)), PEOPLE.index(other))
    if random.random() < 0.2:
        signers += signers[:1]
    ballots = [sign_ballot(life, e, signer) for signer in signers]
    arguments = (e["id"], r["index"], name_proposals(life, r), ballots)
    return random.randrange(len(PEOPLE)), "vote_signed", arguments


def sign_ballot(life: Life, e: Facts, person: int) -> SignedBallot:
    """Return a signed ballot; sometimes it is about something else, forged or malleable."""
    r, random, account = e["rounds"][-1], life.random, PEOPLE[person]
    ballot = draw_vote(life, r, person)
    if random.random() < 0.9:
        scores = tuple(random.choices(SCORES, k=1 + len(proposals_of(r))))
        ballot = Vote(ballot.approvals % 2**16, scores)
    if random.random() < 0.08:
        ballot = replace(
            ballot, approvals=ballot.approvals ^ 1 << random.randrange(len(r["slots"]))
        )
    how = random.choice([None] * 12 + ["digest", "round", "experiment", "other", "vote", "high s"])
    digest = WORD if how == "digest" else r["digest"]
    index = r["index"] + 1 if how == "round" else r["index"]
    id_ = e["id"] + 1 if how == "experiment" else e["id"]
    if not 0 <= ballot.approvals < 2**16:
        return SignedBallot(account, ballot, WORD + WORD + b"\x1b")
    place = (life.world["separator"], id_, index, account, digest)
    signature = sign(KEYS[person], place, ballot)
    life.world["signed"][signature] = (account, id_, index, digest, ballot)
    if how == "other":
        account = random.choice(PEOPLE)
    if how == "vote":
        ballot = replace(ballot, scores=(Scores(9.0, 9.0), *ballot.scores[1:]))
    if how == "high s":
        signature = make_malleable(signature)
    return SignedBallot(account, ballot, signature)


def commit(life: Life, e: Facts, person: int) -> Action:
    """Commit to a vote; sometimes to nothing, to noise or to somebody else's vote."""
    r, random, account = e["rounds"][-1], life.random, PEOPLE[person]
    ballot, salt = draw_vote(life, r, person), random.choice(SALTS)
    place = (life.world["separator"], e["id"], r["index"], account, r["digest"])
    commitment = commitment_of(place, replace(ballot, approvals=ballot.approvals % 2**16), salt)
    if random.random() < 0.1:
        others = list(r["commitments"].values()) or [WORD]
        commitment = random.choice((bytes(32), WORD, bytes(31), random.choice(others)))
    life.votes.setdefault((e["id"], r["index"], account), {})[commitment] = (ballot, salt)
    return person, "commit", (e["id"], r["index"], name_proposals(life, r), commitment)


def reveal(life: Life, e: Facts, person: int) -> Action:
    r, random, account = e["rounds"][-1], life.random, PEOPLE[person]
    commitment = r["commitments"].get(account)
    mine = life.votes.get((e["id"], r["index"], account), {})
    ballot, salt = mine.get(commitment) or (draw_vote(life, r, person), SALTS[0])
    if random.random() < 0.05:
        salt = random.choice((*SALTS, WORD[:31]))
    elif random.random() < 0.05:
        ballot = Vote(ballot.approvals ^ 1, ballot.scores)
    return person, "reveal", (e["id"], r["index"], ballot, salt)


DUTIES: dict[Duty, Callable[[Life, Facts, int], Action]] = {
    Duty.PROPOSE: propose,
    Duty.VOTE: vote,
    Duty.COMMIT: commit,
    Duty.REVEAL: reveal,
}


def do_duty(life: Life, e: Facts) -> Action:
    """Let an account do what the round waits for; accounts that have left vote as well."""
    r, random = e["rounds"][-1], life.random
    phase, deadline = phase_of(r), deadline_of(e, r)
    if deadline is not None and life.now >= deadline and random.random() < 0.8:
        return advance(life, e)
    duties = {a: answers.duty(life.world, e["id"], a, r["started_at"]) for a in PEOPLE}
    able = [a for a, duty in duties.items() if duty in DUTIES]
    gone = [a for a in e["members"] if a not in active(e) and is_voter(e, r, a)]
    if phase == Phase.PROPOSING:
        chosen = Duty.PROPOSE
    else:
        secret = bool(e["params"].reveal_window)
        chosen = Duty.REVEAL if phase == Phase.REVEALING else Duty.VOTE
        chosen = Duty.COMMIT if secret and phase == Phase.VOTING else chosen
        able += [a for a in gone if a not in r["cast"] and a not in r["commitments"]] + gone[:1]
    if not able or random.random() < 0.06:
        able = random.choice((PEOPLE, list(e["members"])))
    return DUTIES[chosen](life, e, PEOPLE.index(random.choice(able)))


def call_wildly(life: Life, e: Facts) -> Action:
    return draw_call(life.random, e)


Choice = Callable[[Life, Facts], Action]

CHOICES: dict[Status, dict[Choice, float]] = {
    Status.ENROLLING: {
        come: 16,
        start: 1.2,
        leave: 0.7,
        admit: 0.3,
        change_key: 0.3,
        announce: 0.3,
        cancel: 0.1,
        call_wildly: 1.2,
    },
    Status.RUNNING: {
        do_duty: 26,
        come: 1.0,
        leave: 0.6,
        remove: 1.0,
        change_key: 0.2,
        announce: 0.3,
        cancel: 0.3,
        advance: 0.4,
        admit: 0.1,
        call_wildly: 1.6,
    },
}
CHOICES[Status.COMPLETED] = CHOICES[Status.CANCELLED] = {call_wildly: 5, announce: 1, come: 0.5}


@lru_cache
def weigh(status: Status) -> tuple[list[Choice], list[float]]:
    choices = CHOICES[status]
    return list(choices), list(choices.values())


def choose(life: Life, e: Facts) -> Action:
    """Choose the next call; spoil a few, so that several checks fail at once."""
    random = life.random
    if e["cancel_requested"] and e["status"] == Status.RUNNING and random.random() < 0.05:
        return random.randrange(len(PEOPLE)), "cancel", (e["id"],)
    if life.is_lazy and e["status"] == Status.RUNNING and random.random() < 0.6:
        life.now = max(life.now, deadline_of(e, e["rounds"][-1]) or 0)
        return advance(life, e)
    options, weights = weigh(e["status"])
    action = random.choices(options, weights)[0](life, e)
    return spoil(random, action) if random.random() < 0.09 else action


def pass_time(life: Life, e: Facts) -> None:
    """Let no time pass, a moment, or as much as is left until a deadline."""
    random = life.random
    if random.random() < 0.85 or not e["rounds"]:
        life.now += random.random() < 0.1
        return
    deadline = deadline_of(e, e["rounds"][-1])
    if deadline is not None and random.random() < 0.35:
        life.now = max(life.now, deadline + random.choice((-1, -1, 0, 0, 0, 1)))
    else:
        life.now += 1
