"""The protocol, told as stories that every ledger must pass.

A ledger's test file subclasses `AllStories` with a fixture ``world`` and nothing else.
"""

from stories.deadlines import Deadlines, SettlingEarly, Strikes
from stories.enrolment import Enrolment
from stories.queries import Duties, Events, OrderOfErrors, Queries
from stories.rounds import Rounds
from stories.secret_ballots import SecretBallots
from stories.selection import AtRandom, Cancelling, Leaving, RoundRobin
from stories.signed_votes import SignedVotes

__all__ = ["AllStories"]


class AllStories(
    Enrolment,
    Rounds,
    RoundRobin,
    AtRandom,
    SecretBallots,
    SignedVotes,
    Strikes,
    SettlingEarly,
    Deadlines,
    Leaving,
    Cancelling,
    Queries,
    Events,
    Duties,
    OrderOfErrors,
):
    """Every story."""

    def __init_subclass__(cls) -> None:
        told = [n for base in AllStories.__bases__ for n in vars(base) if n.startswith("test")]
        doubled = {name for name in told if told.count(name) > 1}
        if doubled:
            raise TypeError(f"two stories share a name, one would not be told: {doubled}")
