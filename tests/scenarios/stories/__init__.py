"""Stories of the protocol that every ledger must pass.

A ledger's test file subclasses `AllStories` with a fixture ``world`` and nothing else.
"""

from tests.scenarios.stories.announcing import (
    Agendas,
    Announcing,
    EncryptionKeys,
    Hashes,
    PluralParameters,
)
from tests.scenarios.stories.cancelling import Cancelling, Patience
from tests.scenarios.stories.deadlines import Deadlines, SettlingEarly, Strikes
from tests.scenarios.stories.enrolment import Enrolment
from tests.scenarios.stories.leaving import Leaving
from tests.scenarios.stories.plural import PluralRounds
from tests.scenarios.stories.plural_ballots import MissedDuties, PluralBatches, PluralSecrets
from tests.scenarios.stories.plural_voting import PluralVoting, SettlingSlotsEarly
from tests.scenarios.stories.queries import Duties, Events, OrderOfErrors, Queries
from tests.scenarios.stories.random_selection import RandomSelection
from tests.scenarios.stories.rounds import Rounds
from tests.scenarios.stories.secret_ballots import SecretBallots
from tests.scenarios.stories.selection import RoundRobin
from tests.scenarios.stories.signed_votes import SignedVotes

__all__ = ["AllStories"]


class AllStories(
    Enrolment,
    Hashes,
    PluralParameters,
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
    Patience,
    PluralRounds,
    PluralVoting,
    SettlingSlotsEarly,
    PluralSecrets,
    PluralBatches,
    MissedDuties,
    Announcing,
    EncryptionKeys,
    Agendas,
    Queries,
    Events,
    Duties,
    OrderOfErrors,
):
    """All stories."""

    def __init_subclass__(cls) -> None:
        names = [n for base in AllStories.__bases__ for n in vars(base) if n[:2] != "__"]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise TypeError(f"two stories or their helpers share a name: {doubled}")
