"""The trials of a study that this process has read."""

from __future__ import annotations

from collections.abc import Iterable

from optuna.trial import FrozenTrial

from gnv2_nas.measurement.record import Measurement
from gnv2_nas.search.storage.format import label_of, latency_of, network_of


class TrialCache:
    """Finished trials in the order of their numbers, without repeated networks.

    Two processes may store the same network at the same moment, and a process whose connection
    broke during a commit may store it again. Every reader adds the trials in the same order and
    drops the later of the two, so all readers see the same trials.
    """

    def __init__(self) -> None:
        self.trials: list[FrozenTrial] = []
        self.first_latency: Measurement | None = None
        """Of the first trial that has one, as it was stored."""
        self._by_network: dict[str, list[FrozenTrial]] = {}
        self._news: list[FrozenTrial] = []
        self._has_read = False

    @property
    def reference_ms(self) -> float | None:
        """Milliseconds of the reference network that `first_latency` is expressed in."""
        first = self.first_latency
        return first.ms / first.ratio if first else None

    def add(self, trials: Iterable[FrozenTrial]) -> None:
        """Add trials that were read; those of the first call are no news."""
        for trial in trials:
            if self.find_twin(trial) is not None:
                continue
            self.trials.append(trial)
            self._by_network.setdefault(network_of(trial), []).append(trial)
            if self.first_latency is None:
                self.first_latency = latency_of(trial)
            if self._has_read:
                self._news.append(trial)
        self._has_read = True

    def find_twin(self, trial: FrozenTrial) -> FrozenTrial | None:
        """The trial of the same network; of the same label too, if `trial` has one."""
        label, same = label_of(trial), self._by_network.get(network_of(trial), ())
        return next((each for each in same if label in ("", label_of(each))), None)

    def forget_news(self, trial: FrozenTrial) -> None:
        """Leave out of the news a trial that the caller knows."""
        self._news = [each for each in self._news if each.number != trial.number]

    def take_news(self) -> list[FrozenTrial]:
        """The trials added since the last call, except the caller's own."""
        news, self._news = self._news, []
        return news
