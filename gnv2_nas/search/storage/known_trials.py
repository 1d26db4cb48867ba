"""The finished trials of a study that this process knows: each is read once."""

from __future__ import annotations

from optuna.trial import FrozenTrial

from gnv2_nas.search.storage.format import is_ours, label_of, network_of
from gnv2_nas.search.storage.transactions import NONE_YET, Last, StudyTransaction


class KnownTrials:
    """Grows by what other processes stored and by what this one does."""

    def __init__(self) -> None:
        self.all: list[FrozenTrial] = []
        """Oldest first."""
        self.last: Last = NONE_YET
        """The newest trial of the study, finished or not, another program's or not."""
        self._by_network: dict[str, list[FrozenTrial]] = {}
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
            for trial in newer:
                self._keep(trial)
            self._news += newer if self._has_read else ()
            self.last = last
        self._has_read = True

    def add(self, trial: FrozenTrial, place: Last) -> None:
        """A trial that this process stored."""
        self._keep(trial)
        self.last = place

    def _keep(self, trial: FrozenTrial) -> None:
        self.all.append(trial)
        self._by_network.setdefault(network_of(trial), []).append(trial)

    def twin(self, trial: FrozenTrial) -> FrozenTrial | None:
        """The trial that holds the same network, under the same label if `trial` has one."""
        label, same = label_of(trial), self._by_network.get(network_of(trial), ())
        return next((each for each in same if label in ("", label_of(each))), None)

    def no_news(self, trial: FrozenTrial) -> None:
        """The caller knows of this trial."""
        self._news = [each for each in self._news if each.number != trial.number]

    def take_news(self) -> list[FrozenTrial]:
        """What others stored, each once."""
        news, self._news = self._news, []
        return news
