"""The finished trials of a study that this process knows: each is read once."""

from __future__ import annotations

from optuna.trial import FrozenTrial

from gnv2_nas.search.study_access import NONE_YET, Last, StudyTransaction
from gnv2_nas.search.study_format import is_ours, is_twin


class KnownTrials:
    """Grows by what other processes stored and by what this one does."""

    def __init__(self) -> None:
        self.all: list[FrozenTrial] = []
        """Oldest first."""
        self.last: Last = NONE_YET
        """The newest trial of the study, finished or not, another program's or not."""
        self._news: list[FrozenTrial] = []
        self._has_read = False

    def catch_up(self, transaction: StudyTransaction) -> None:
        """Read what is new; what is there at the first time is no news."""
        last = transaction.last()
        if last != self.last:
            # Between the two queries a trial may come that is newer than `last`: not yet.
            newer = [
                trial
                for trial in transaction.newer(self.last)
                if trial.number <= last.number and is_ours(trial)
            ]
            self.all += newer
            self._news += newer if self._has_read else ()
            self.last = last
        self._has_read = True

    def add(self, trial: FrozenTrial, place: Last) -> None:
        """A trial that this process stored."""
        self.all.append(trial)
        self.last = place

    def twin(self, trial: FrozenTrial) -> FrozenTrial | None:
        """One of the news that holds the same network."""
        return next((each for each in self._news if is_twin(trial, each)), None)

    def no_news(self, trial: FrozenTrial) -> None:
        """The caller knows of one of the news already."""
        self._news.remove(trial)

    def take_news(self) -> list[FrozenTrial]:
        """What others stored, each once."""
        news, self._news = self._news, []
        return news
