"""What a store asks of the access to its study, whichever it is."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from optuna.trial import FrozenTrial


class Last(NamedTuple):
    """The newest trial of a study."""

    trial_id: int
    """Its id in the database: of two trials of a study, the later has the larger."""
    number: int


NONE_YET = Last(-1, -1)


class StudyTransaction(Protocol):
    """What can be read and written at once."""

    def last(self) -> Last:
        """The newest trial, finished or not; `NONE_YET` in an empty study."""

    def newer(self, after: Last) -> list[FrozenTrial]:
        """Finished trials newer than `after`, oldest first."""

    def append(self, trial: FrozenTrial, after: Last) -> Last:
        """Write a finished trial behind the newest one."""

    def attributes(self) -> dict[str, Any]:
        """The user attributes of the study."""

    def set_attribute(self, key: str, value: Any) -> None:
        """Write a user attribute of the study."""


class StudyAccess(Protocol):
    """A study of a database."""

    def reading(self) -> AbstractContextManager[StudyTransaction]:
        """Look without keeping others from writing."""

    def writing(self) -> AbstractContextManager[StudyTransaction]:
        """Alone with the study: others wait, nothing is written unless all is."""

    def renew(self) -> None:
        """Drop every connection; the next transaction makes a fresh one."""
