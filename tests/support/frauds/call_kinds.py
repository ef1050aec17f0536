"""Frauds in what a ledger shows of the transactions behind its events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from colearn_ledger.calls import CALLS
from colearn_ledger.keys.signing import PUBLIC_KEY_BYTES, sign_ballot
from colearn_ledger.ledger import Origin
from colearn_ledger.protocol import (
    Basis,
    ContentRef,
    ExperimentId,
    Scores,
    Selection,
    SignedBallot,
    Vote,
    VoteCast,
)
from tests.support.frauds.cases import Case, Fraud, Kinds, NotHere, alter, alter_content
from tests.support.frauds.event_kinds import alter_scores, stranger_of
from tests.support.samples import wallet_of

CALLS_OF_LEDGER = Kinds()
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def _pick_call(case: Case, *names: str) -> int:
    """Return the position of the first event of a call with one of these names, or any name."""
    seen: set[str] = set()
    places = []
    for at, (each, origin) in enumerate(zip(case.events, case.origins, strict=True)):
        is_first = each.transaction not in seen
        seen.add(each.transaction)
        name = origin.call.name if origin is not None and origin.call is not None else None
        if is_first and name is not None and (not names or name in names):
            places.append(at)
    return case.pick(places)


def _change(case: Case, at: int, what: str, change: Callable[[Origin], Origin]) -> Fraud:
    case.set_origins(case.events[at].transaction, change)
    origin = case.origins[at]
    name = origin.call.name if origin is not None and origin.call is not None else "unknown"
    return Fraud(f"{what} of {name} at {at}", frozenset({case.places[at]}))


def _change_argument(case: Case, at: int, number: int, change: Callable[[Any], Any]) -> Fraud:
    def rewrite(origin: Origin) -> Origin:
        given = list(origin.arguments)
        given[number] = change(given[number])
        return replace(origin, arguments=tuple(given))

    return _change(case, at, f"argument {number}", rewrite)


@CALLS_OF_LEDGER.add("call: sender", needs_calls=True)
def sender(case: Case) -> Fraud:
    names = [n for n in CALLS if n not in ("vote_signed", "advance", "remove")]
    at = _pick_call(case, *names)  # anybody may make the others
    return _change(case, at, "sender", lambda o: replace(o, sender=stranger_of(case)))


@CALLS_OF_LEDGER.add("call: score", needs_calls=True)
def score(case: Case) -> Fraud:
    at = _pick_call(case, "propose", "vote", "reveal")
    origin = case.origins[at]
    assert origin is not None

    def change(found: Any) -> Any:
        if isinstance(found, Scores):
            return alter_scores(case, found)
        place = case.random.randrange(len(found.scores))
        new = alter_scores(case, found.scores[place])
        return replace(found, scores=(*found.scores[:place], new, *found.scores[place + 1 :]))

    [number] = [n for n, each in enumerate(origin.arguments) if isinstance(each, Scores | Vote)]
    return _change_argument(case, at, number, change)


@CALLS_OF_LEDGER.add("call: argument", needs_calls=True)
def argument(case: Case) -> Fraud:
    """Change an approval, a content reference, a round, an index, a digest or a salt."""
    at = _pick_call(case)
    origin = case.origins[at]
    assert origin is not None
    number = case.pick(
        number
        for number, value in enumerate(origin.arguments)
        if isinstance(value, int | bytes | Vote | ContentRef)
    )

    def change(found: Any) -> Any:
        if isinstance(found, Vote):
            return replace(found, approvals=found.approvals ^ 1 << case.random.randrange(3))
        if isinstance(found, ContentRef):
            return alter_content(case.random, found)
        return alter(case.random, found)

    return _change_argument(case, at, number, change)


@CALLS_OF_LEDGER.add("call: another one", needs_calls=True)
def other_call(case: Case) -> Fraud:
    """Show the call of another transaction."""
    at = _pick_call(case)
    own = case.origins[at]
    assert own is not None
    others = [o for o in case.origins if o is not None and (o.call, o.arguments) != _call_of(own)]
    other = case.pick(others)
    return _change(case, at, "another call", lambda o: replace(other, entropy=o.entropy))


def _call_of(origin: Origin) -> tuple[Any, ...]:
    return origin.call, origin.arguments


@CALLS_OF_LEDGER.add("call: salt", needs_calls=True)
def salt(case: Case) -> Fraud:
    at = _pick_call(case, "reveal")
    return _change_argument(case, at, 3, lambda value: alter(case.random, value))


@CALLS_OF_LEDGER.add("call: entropy", needs_calls=True)
def entropy(case: Case) -> Fraud:
    """Change the entropy of the transaction that begins a round, from which its seed follows."""
    if case.experiment.params.selection != Selection.RANDOM:
        raise NotHere
    at, index = case.pick(
        (at, index)
        for at, (e, index) in enumerate(zip(case.events, case.places, strict=True))
        if type(e.event).__name__ == "RoundStarted"
    )
    fraud = _change(case, at, "entropy", lambda o: replace(o, entropy=bytes(32)))
    # a seed may lead to the same proposers by chance, but not to the same later ones and seed
    return replace(fraud, rounds=frozenset(range(index or 0, case.last + 1)))


# ---------------------------------------------------------------------- signed ballots


def _pick_signed(case: Case) -> tuple[int, int, SignedBallot]:
    """Return an event of a signed ballot that was counted, its number in the batch, and it."""
    places = []
    for at, (each, origin) in enumerate(zip(case.events, case.origins, strict=True)):
        if origin is None or origin.call is None or origin.call.name != "vote_signed":
            continue
        if isinstance(each.event, VoteCast):
            before = [e for e in case.events[:at] if e.transaction == each.transaction]
            places.append((at, len(before), origin.arguments[3][len(before)]))
    return case.pick(places)


def _resign(case: Case, what: str, change: Callable[[SignedBallot, Basis], bytes]) -> Fraud:
    """Put another signature on a signed ballot."""
    at, number, ballot = _pick_signed(case)
    event = case.events[at].event
    assert isinstance(event, VoteCast)
    digest = case.rounds[event.round].proposals
    assert digest is not None
    changed = replace(ballot, signature=change(ballot, Basis(case.id, event.round, digest)))
    _change_argument(case, at, 3, lambda batch: [*batch[:number], changed, *batch[number + 1 :]])
    return Fraud(f"{what} at {at}", frozenset({event.round}))


@CALLS_OF_LEDGER.add("ballot signed by a non-member", needs_calls=True)
def signed_by_stranger(case: Case) -> Fraud:
    """Put a stranger's signature on a learner's ballot, or let a stranger's ballot count."""

    def change(ballot: SignedBallot, basis: Basis) -> bytes:
        wallet = wallet_of("stranger")
        signed = sign_ballot(wallet, case.ledger.domain, basis, ballot.vote)
        return signed.signature

    if case.random.random() < 0.5:
        return _resign(case, "signature of a stranger", change)
    at, number, ballot = _pick_signed(case)
    event = case.events[at].event
    assert isinstance(event, VoteCast)
    digest = case.rounds[event.round].proposals
    assert digest is not None
    basis = Basis(case.id, event.round, digest)
    own = sign_ballot(wallet_of("stranger"), case.ledger.domain, basis, ballot.vote)
    case.set_event(at, learner=own.learner)
    _change_argument(case, at, 3, lambda batch: [*batch[:number], own, *batch[number + 1 :]])
    return Fraud(f"ballot of a stranger at {at}", frozenset({event.round}))


@CALLS_OF_LEDGER.add("malleable signature", needs_calls=True)
def malleable(case: Case) -> Fraud:
    def change(ballot: SignedBallot, _: Basis) -> bytes:
        signature, cosmos = ballot.signature, len(ballot.signature) != 65
        start = PUBLIC_KEY_BYTES if cosmos else 0
        s = _ORDER - int.from_bytes(signature[start + 32 : start + 64], "big")
        twin = signature[: start + 32] + s.to_bytes(32, "big")
        return twin if cosmos else twin + bytes([55 - signature[64]])

    return _resign(case, "high s", change)


@CALLS_OF_LEDGER.add("wrong signature", needs_calls=True)
def wrong_signature(case: Case) -> Fraud:
    """Spoil a signature, or take one on another ballot, round, experiment or contract."""
    how = case.random.randrange(5)

    def change(ballot: SignedBallot, basis: Basis) -> bytes:
        domain, vote = case.ledger.domain, ballot.vote
        names = {wallet_of(n).account_on(domain): n for n in ("ana", "bob", "cy", "dan", "eve")}
        wallet = wallet_of(names[ballot.learner])
        if how == 0:
            return bytes(alter(case.random, ballot.signature))
        if how == 1:
            vote = replace(vote, approvals=vote.approvals ^ 1)
        elif how == 2:
            basis = replace(basis, round=basis.round + 1)
        elif how == 3:
            basis = replace(basis, proposals=case.random.randbytes(32))
        else:
            basis = replace(basis, experiment=ExperimentId(basis.experiment + 1))
        return sign_ballot(wallet, domain, basis, vote).signature

    return _resign(case, ("a bit", "vote", "round", "proposals", "experiment")[how], change)


@CALLS_OF_LEDGER.add("batch of signed ballots", needs_calls=True)
def batch(case: Case) -> Fraud:
    """Show a ballot less or more in a batch, or another order."""
    at, number, ballot = _pick_signed(case)
    how = case.random.randrange(3)

    def change(given: list[SignedBallot]) -> list[SignedBallot]:
        if how == 0 and len(given) > 1:
            return [*given[:number], *given[number + 1 :]]
        if how == 1 and len(given) > 1 and given != given[::-1]:
            return given[::-1]
        return [*given, ballot]

    return _change_argument(case, at, 3, change)


@CALLS_OF_LEDGER.add("another chain's ballots", needs_calls=True)
def other_chain(case: Case) -> Fraud:
    """Show ballots that were signed, or committed, for another chain."""
    domain = case.ledger.domain
    first = case.places[_pick_call(case, "vote_signed", "reveal")]
    for place, origin in zip(case.places, case.origins, strict=True):
        if origin and origin.call and origin.call.name in ("vote_signed", "reveal"):
            first = place
            break
    separator = case.random.randbytes(32)
    case.ledger.shown_domain = replace(domain, chain=f"{domain.chain}1", separator=separator)
    if case.experiment.params.selection == Selection.RANDOM:  # a false seed may draw the same
        return Fraud("another chain's seed", frozenset(range((first or 0) + 1)))
    return Fraud("another chain's ballots", frozenset({first}))
