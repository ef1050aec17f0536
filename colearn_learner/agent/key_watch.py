"""Notice that another agent performs duties of the same account.

Two agents with one key pay for calls that the contract refuses, and one cannot reveal the secret
ballot that the other has committed to. Both see the same duties. This agent therefore knows which
duties were due, and which of them it may have performed itself. A duty that somebody else performed
with its key shows that there is another agent. So does a ballot in a round that this agent saw from
its first phase on, but in which it cast none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from colearn_learner.agent.folder import AgentFolder
from colearn_learner.errors import LearnerError
from colearn_ledger.chains.errors import KeyInUse, TransactionLost
from colearn_ledger.home import (
    FileInUse,
    FileLock,
    HomeNotWritable,
    data_home,
    private_folder,
)
from colearn_ledger.ledger import Ledger
from colearn_ledger.protocol import (
    Account,
    Agenda,
    BallotState,
    Duty,
    ExperimentId,
    Phase,
    ProtocolError,
    SlotState,
)
from colearn_ledger.weights.store import ContentNotStored, ContentUnavailable

_T = TypeVar("_T")

_NOT_SENT = (ProtocolError, KeyInUse, TransactionLost, ContentUnavailable, ContentNotStored)
"""Errors after which a step has sent nothing that can take effect."""


class KeyUsedElsewhere(LearnerError):
    """Raised if another agent performed a duty with the same key; it continues, this one ends.

    Args:
        account: the account of both agents.
        what: what the other agent did.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, account: Account, what: str) -> None:
        super().__init__(
            f"another agent uses the key of {account}: {what}, and not by this agent. This agent "
            "ends, so that they do not pay twice. Run one agent per key: stop the other one before "
            "you start this one again, and copy its folder if a secret ballot is not revealed yet"
        )


class AgentRuns(LearnerError):
    """Raised if an agent of the same account runs on this machine, in whatever folder."""

    exit_code: ClassVar[int] = KeyUsedElsewhere.exit_code


@contextmanager
def lock_part(name: str, account: Account) -> Iterator[None]:
    """Let no other agent of this user take an account's part in an experiment.

    Args:
        name: name of that part, valid as a file name.
        account: the account.

    Raises:
        AgentRuns: another agent does.
        HomeNotWritable: the lock cannot be created.
    """
    path = private_folder(data_home() / "agents") / f"{name}.lock"
    try:
        lock = FileLock(path)
    except FileInUse as error:
        raise AgentRuns(
            f"another agent uses the key of {account} in this experiment on this machine; stop it "
            "first"
        ) from error
    except OSError as error:
        raise HomeNotWritable(f"cannot lock {path}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class _Due:
    """A duty in a round; ``is_new`` if no earlier process of this agent may have performed it."""

    round: int
    is_proposal: bool
    is_new: bool


class KeyWatch:
    """Compare the duties that were performed with those that this agent performed.

    Args:
        ledger: the agent's ledger.
        experiment: the experiment.
        folder: the agent's folder.
    """

    def __init__(self, ledger: Ledger, experiment: ExperimentId, folder: AgentFolder) -> None:
        self._ledger = ledger
        self._experiment = experiment
        self._folder = folder
        self._due: _Due | None = None
        self._has_acted = False
        self._watched: int | None = None  # round whose only ballot of this account is its own
        self._voted_in: int | None = None  # last round in which it may have cast a ballot

    def check(self, agenda: Agenda) -> None:
        """Compare the agenda with the last one.

        Raises:
            KeyUsedElsewhere: another agent performed the duty that was due.
        """
        self._check_past_round(agenda)
        last, now = self._due, self._find_due(agenda)
        if last is not None and now is not None and _is_same(last, now):
            return
        if last is not None and last.is_new and not self._has_acted:
            self._check_not_done(last)
        self._due, self._has_acted = now, False

    def run(self, act: Callable[[], _T], waited: _T) -> _T:
        """Act on the agenda that was checked last, and return the result.

        Args:
            act: performs the duty.
            waited: the result if nothing was sent.
        """
        try:
            result = act()
        except _NOT_SENT:
            raise
        except Exception:
            self._note_action()  # perhaps
            raise
        if result != waited:
            self._note_action()
        return result

    def _note_action(self) -> None:
        self._has_acted = True
        if self._due is not None and not self._due.is_proposal:
            self._voted_in = self._due.round

    def _check_past_round(self, agenda: Agenda) -> None:
        """Look for a ballot in a round that is over, if this agent cast none."""
        round_, past = agenda.round, self._watched
        if past is not None and (round_ is None or round_.index != past):
            self._watched = None
            if self._voted_in != past and not self._folder.has_ballot(past):
                self._check_not_done(_Due(past, is_proposal=False, is_new=True))
        if round_ is not None and round_.phase == Phase.PROPOSING:
            is_voter = len(round_.slots) > 1 or round_.slots[0].proposer != self._ledger.account
            self._watched = round_.index if is_voter else None

    def _find_due(self, agenda: Agenda) -> _Due | None:
        round_ = agenda.round
        if round_ is None or agenda.duty not in (Duty.PROPOSE, Duty.VOTE, Duty.COMMIT):
            return None
        if agenda.duty == Duty.PROPOSE:
            return _Due(round_.index, True, not self._folder.has_trained(round_.index))
        return _Due(round_.index, False, not self._folder.has_ballot(round_.index))

    def _check_not_done(self, due: _Due) -> None:
        with suppress(ProtocolError):  # a reorganisation removed the round
            if due.is_proposal:
                self._check_slots(due.round)
            else:
                self._check_ballot(due.round)

    def _check_slots(self, index: int) -> None:
        account = self._ledger.account
        slots = self._ledger.round(self._experiment, index).slots
        if any(s.proposer == account and s.state == SlotState.PROPOSED for s in slots):
            raise KeyUsedElsewhere(account, f"weights were proposed in round {index}")

    def _check_ballot(self, index: int) -> None:
        account = self._ledger.account
        state = self._ledger.ballot(self._experiment, index, account).state
        if state == BallotState.COMMITTED:
            raise KeyUsedElsewhere(
                account,
                f"a secret ballot was committed in round {index}, which only the agent with its "
                "salt can reveal",
            )
        if state == BallotState.CAST:
            raise KeyUsedElsewhere(account, f"a ballot was cast in round {index}")


def _is_same(one: _Due, other: _Due) -> bool:
    return (one.round, one.is_proposal) == (other.round, other.is_proposal)
