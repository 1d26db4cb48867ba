"""Scorers and devices that sleep for a drawn time and answer from a formula."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.formats.foreign.network import TimedNetwork
from gnv2_nas.graph import Counts, count
from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.measurement.records.record import ErrorParts, Measurement
from gnv2_nas.quality import ESTIMATORS
from gnv2_nas.search.engine import OutOfTime, ScoringFailure
from gnv2_nas.search.lane import SEARCHING
from gnv2_nas.search.pace import Deadline, MeasuringPace

READY_SECONDS = 0.3
"""To write, send and load the file of a network."""
LATENCY_ERROR = 0.012
REFERENCE_MS = 7.5
THIS = Fingerprint("simulated", 1, 1.0, "none", "none", "none")

_counts = lru_cache(4096)(count)
_REFERENCE = count(preset("ghostnetv2-1.0"))


@dataclass
class Work:
    """Seconds that simulated machines were busy, and CPU time that simulating them took."""

    speedup: float
    """All times are divided by it."""
    busy: float = 0.0
    """In simulated seconds."""
    cpu: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def lasting(self, seconds: float) -> Iterator[None]:
        """Sleep for what is left of a time after what is computed in it."""
        until = time.monotonic() + seconds / self.speedup
        yield
        time.sleep(max(0.0, until - time.monotonic()))
        with self._lock:
            self.busy += seconds

    def simulate(self, answer: Callable[[], float]) -> float:
        began = time.thread_time()
        found = answer()
        with self._lock:
            self.cpu += time.thread_time() - began
        return found


def draw(rng: random.Random, mean: float, spread: float) -> float:
    """A time of a lognormal distribution; `spread` is the deviation of its logarithm."""
    return mean * rng.lognormvariate(-(spread**2) / 2, spread)


class SleepingScorers:
    """A `ScoringBackend` of threads that sleep."""

    info = ESTIMATORS["params"]

    def __init__(self, count: int, mean: float, spread: float, work: Work) -> None:
        self.count, self.work = count, work
        self._mean, self._spread, self._rng = mean, spread, random.Random(0)
        self._threads = ThreadPoolExecutor(count)

    def score(self, architecture: Architecture) -> float:
        """Larger networks are better, with diminishing returns, and some are better than others."""
        counts, rng = _counts(architecture), random.Random(architecture.id)
        size = 0.6 * math.log(counts.macs) + 0.4 * math.log(counts.params)
        return size + rng.gauss(0, 0.1)

    def submit(self, architecture: Architecture) -> Future[float | ScoringFailure]:
        return self._threads.submit(
            self._score, architecture, draw(self._rng, self._mean, self._spread)
        )

    def _score(self, architecture: Architecture, seconds: float) -> float:
        with self.work.lasting(seconds):
            return self.work.simulate(lambda: self.score(architecture))

    def scores(
        self,
        architectures: Sequence[Architecture],
        observe: Callable[[int], None] = lambda _: None,
        seconds: float | None = None,
    ) -> list[float | ScoringFailure | OutOfTime]:
        futures = [self.submit(each) for each in architectures]
        for done, _ in enumerate(as_completed(futures, seconds), start=1):
            observe(done)
        return [future.result() for future in futures]

    def paused(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)


class SleepingLane:
    """What a running search asks of a `Lane`, of a device that takes a drawn time for a batch."""

    def __init__(self, name: str, slowness: float, spread: float, speedup: float) -> None:
        self.name, self.machine = name, f"ssh {name}"
        self.pace, self.work = MeasuringPace(), Work(speedup)
        self._slowness, self._spread, self._rng = slowness, spread, random.Random(name)
        shares = [self._rng.random() for _ in range(3)]
        self._shares = [each / sum(shares) for each in shares]
        self._device, self._batches = threading.Lock(), 0

    def prepare(self, architectures: Sequence[Architecture]) -> None:
        """The files are made when they are measured."""

    def measure(
        self,
        networks: Sequence[TimedNetwork],
        options: MeasurementOptions = SEARCHING,
        *,
        deadline: Deadline = Deadline(),  # noqa: B008  frozen
        reusable: int = 0,
    ) -> list[Measurement]:
        del deadline, reusable
        if not networks:
            return []
        with self._device:
            readying = READY_SECONDS * len(networks)
            timing = options.seconds_per_network * (len(networks) + 1)
            self._batches += 1
            with self.work.lasting(
                draw(self._rng, self._slowness * (readying + timing), self._spread)
            ):
                answers = [self.answer(each) for each in networks]
            self.pace.readied(len(networks), readying / self.work.speedup)
            return answers

    def answer(self, network: TimedNetwork) -> Measurement:
        """A measurement, at once."""
        assert isinstance(network, Architecture)
        ratio = self.work.simulate(lambda: self._ratio(_counts(network)))
        ms, half = ratio * REFERENCE_MS, 1.96 * LATENCY_ERROR
        low, high = 1 - half, 1 + half
        return Measurement(
            architecture=network.id, device=self.name, runtime="none", threads=1,
            precision="fp32", ms=ms, ci95=(low * ms, high * ms), ratio=ratio,
            ratio_ci95=(low * ratio, high * ratio), stable=True, reason="", clock="cpu", raw_ms=ms,
            rounds=60, taken_at=datetime.now(UTC).isoformat(timespec="seconds"), fingerprint=THIS,
            sessions=2, errors=ErrorParts(own=LATENCY_ERROR), batch=f"{self.name}{self._batches}",
        )  # fmt: skip

    def _ratio(self, counts: Counts) -> float:
        """A mean of three counts relative to the reference, weighted as suits the device."""
        parts = (
            counts.macs / _REFERENCE.macs,
            counts.params / _REFERENCE.params,
            counts.peak_activation_bytes / _REFERENCE.peak_activation_bytes,
        )
        mean = sum(share * part**0.7 for share, part in zip(self._shares, parts, strict=True))
        return float(mean) * math.exp(self._rng.gauss(0, LATENCY_ERROR))

    def evaluate_metrics(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        return [{} for _ in architectures]

    def reach(self) -> None:
        """It always answers."""
