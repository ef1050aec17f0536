"""Stories of the protocol that every ledger must pass.

A ledger's test file subclasses `AllStories` with a fixture ``world`` and nothing else.
"""

from tests.scenarios.stories.deadlines import Deadlines, SettlingEarly, Strikes
from tests.scenarios.stories.enrolment import Enrolment
from tests.scenarios.stories.queries import Duties, Events, OrderOfErrors, Queries
from tests.scenarios.stories.rounds import Rounds
from tests.scenarios.stories.secret_ballots import SecretBallots
from tests.scenarios.stories.selection import Cancelling, Leaving, RandomSelection, RoundRobin
from tests.scenarios.stories.signed_votes import SignedVotes

__all__ = ["AllStories"]


class AllStories(
    Enrolment,
    Rounds,
    RoundRobin,
    RandomSelection,
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
    """All stories."""

    def __init_subclass__(cls) -> None:
        names = [n for base in AllStories.__bases__ for n in vars(base) if n.startswith("test")]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise TypeError(f"two stories share a name, so one of them would not run: {doubled}")
