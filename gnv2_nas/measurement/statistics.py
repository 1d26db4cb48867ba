"""From visits to ratios with intervals. Knows no runtime.

log t = network in its session + state of the machine + noise. The state changes within tenths of
a second and is much alike for all networks, so it is read off the timings just before and after,
whichever networks those were; levels and state are fitted in turn. A network's effect is the mean
of its levels over sessions, and the difference of two effects is the log of their ratio.

The machine's speed in the batch is read off the panel (`references`). The error has four parts,
told apart in `ErrorParts`: the network's own rounds (a bootstrap: the calls of a round are not
independent) and sessions (what its device is known to do, corrected by how far apart all networks
of the batch were), the panel's, and the calibration's, which all measurements of a device share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.measurement.plan import Timings
from gnv2_nas.measurement.record import ErrorParts
from gnv2_nas.measurement.references import calibration_error, estimate_speeds, size_correlation
from gnv2_nas.stats.intervals import Z95, student_95

Array = NDArray[np.float64]

STATE_VISITS = 1.0
"""Standard deviation, in visits, of the Gaussian window that the machine's state is read with."""
STATE_LIMIT = 0.2
"""A visit counts as no farther off than this, in logs, from the median of the visits around it."""
AROUND = 7
"""So many visits to either side of it."""
SWEEPS = 12
TRIM = 0.2
"""Share of rounds dropped at each end of the trimmed mean."""
RESAMPLES = 300
SESSION_SPREAD = 0.01
"""Standard deviation, in logs, between sessions of a network, where the device's own is unknown."""
SIZE_SPREAD = 0.05
"""By how much more, in logs, a machine slows one size of network down than another, likewise."""
NETWORK_SPREAD = 0.003
"""Likewise of one network than another of its size: what networks of 5 and 15 ms differed by from
one process to the next beyond all else (`python -m benchmarks coverage`)."""
SPREAD_WEIGHT = 10
"""How many observed differences between sessions these figures are worth."""
VISIT_NOISE, NOISE_WEIGHT = 0.05, 2
"""Noise of one visit, in logs, before any was seen, and how many visits that figure is worth: the
spread of two rounds may happen to be nothing."""


class Prior(msgspec.Struct, frozen=True):
    """What is known of a batch before it is measured. Arrays of (networks,) in its order."""

    positions: Array
    """See `panel.position`."""
    session_spread: Array
    """Standard deviation between sessions of each network, in logs."""
    size_spread: float = SIZE_SPREAD
    network_spread: float = 0.0
    """By how much more, in logs, a machine slows one network down than another of its size, for as
    long as a batch lasts; 0 where all are files of one network."""
    covariance: Array | None = None
    """(panel, panel) of the errors of the panel's known log ratios; None when they are exact."""


class Estimates(msgspec.Struct, frozen=True):
    """Every network against the reference, arrays of (networks,)."""

    log_ratio: Array
    own: Array
    """See `ErrorParts`, as for the next three."""
    own_sessions: Array
    panel: Array
    calibration: Array
    spread: Array
    """Standard deviation between sessions of each network, in logs."""
    reference_seconds: float
    """Time of the reference in these rounds, by the panel."""

    @property
    def half(self) -> Array:
        """Half of the 95 % interval of `log_ratio`."""
        return Z95 * np.sqrt((self.narrowable / Z95) ** 2 + self.calibration**2)

    @property
    def narrowable(self) -> Array:
        """The same without the calibration's error: what more rounds and sessions narrow."""
        return Z95 * np.sqrt(self.own**2 + self.own_sessions**2 + self.panel**2)

    def errors(self, network: int) -> ErrorParts:
        parts = (self.own, self.own_sessions, self.panel, self.calibration)
        return ErrorParts(*(float(part[network]) for part in parts))


def estimate(
    timings: Timings,
    panel: Mapping[int, float],
    prior: Prior | None = None,
    *,
    busy: bool = True,
    seed: int = 0,
) -> Estimates:
    """Ratios to the reference with their errors.

    Args:
        timings: of all networks.
        panel: rows whose ratio to the reference is known → the log of that ratio; 0 for the
            reference itself.
        prior: what is known of the networks; without it all are taken to be of one size.
        busy: whether the busy clock counts or wall time.
        seed: of the bootstrap.
    """
    if prior is None:
        networks = len(timings.wall)
        prior = Prior(np.zeros(networks), np.full(networks, SESSION_SPREAD))
    adjusted = adjust_logs(timings, busy=busy)
    rounds_of = _rounds_of(timings)
    levels = _levels(adjusted, rounds_of)
    # What a session is slower by for all networks alike says nothing about any of them.
    shifts = levels.mean(axis=0)
    for rounds, shift in zip(rounds_of, shifts, strict=True):
        adjusted[:, rounds] -= shift
    effects = _trimmed_mean(adjusted)
    own = _own_error(adjusted, rounds_of, np.random.default_rng(seed))
    scale = _spread_scale(levels, own**2 * timings.sessions, prior)
    spread = scale * prior.session_spread
    shares = np.array([len(rounds) for rounds in rounds_of]) / timings.rounds
    own_sessions = spread * math.sqrt(float((shares**2).sum()))
    rows, known = np.array(list(panel), dtype=np.intp), np.array(list(panel.values()))
    noise = own[rows] ** 2 + own_sessions[rows] ** 2
    found = estimate_speeds(prior.positions, rows, noise, scale * prior.size_spread)
    machine = effects[rows] - known
    covariance = np.zeros((len(rows),) * 2) if prior.covariance is None else prior.covariance
    return Estimates(
        log_ratio=effects - found.weights @ machine,
        own=own,
        own_sessions=own_sessions,
        panel=np.sqrt(found.variance),
        calibration=calibration_error(found.weights, covariance, prior.network_spread),
        spread=spread,
        reference_seconds=math.exp(float(found.constant @ machine + shifts @ shares)),
    )


def session_levels(timings: Timings, *, busy: bool = True) -> tuple[Array, Array]:
    """(networks, sessions) logs of the time of each network in each session, freed of the
    machine's state within it; and (networks,) variances of their noise."""
    adjusted, rounds_of = adjust_logs(timings, busy=busy), _rounds_of(timings)
    levels = _levels(adjusted, rounds_of)
    for number, rounds in enumerate(rounds_of):
        adjusted[:, rounds] -= levels[:, number, None]
    own = _own_error(adjusted, rounds_of, np.random.default_rng(0))
    return levels, own**2 * timings.sessions


def _rounds_of(timings: Timings) -> list[NDArray[np.intp]]:
    return [np.flatnonzero(timings.session == s) for s in range(timings.sessions)]


def _levels(adjusted: Array, rounds_of: list[NDArray[np.intp]]) -> Array:
    return np.stack([_trimmed_mean(adjusted[:, rounds]) for rounds in rounds_of], axis=1)


def adjust_logs(timings: Timings, *, busy: bool = True) -> Array:
    """(networks, rounds): log seconds of the calls that count, freed of the machine's state.

    Both calls of a visit tell about the state of its neighbours, each against its own level.
    """
    calls = (timings.first_busy, timings.busy) if busy else (timings.first_wall, timings.wall)
    logs = np.log(np.stack(calls))
    in_time = np.argsort(timings.order, axis=None)
    state = np.zeros_like(logs[1])
    for _ in range(SWEEPS):
        residual = logs - _levels_by_round(logs - state, timings.session)
        state.flat[in_time] = _from_neighbours(_tamed(residual.mean(axis=0).flat[in_time]))
    adjusted: Array = logs[1] - state
    return adjusted


def _levels_by_round(values: Array, session: NDArray[np.intp]) -> Array:
    """Trimmed means over the rounds of each session, repeated for each of its rounds."""
    levels = np.empty_like(values)
    for number in range(int(session[-1]) + 1):
        rounds = session == number
        levels[..., rounds] = _trimmed_mean(values[..., rounds])[..., None]
    return levels


def _tamed(values: Array) -> Array:
    """`values` in order of time, with single outliers brought near to what is around them."""
    padded = np.pad(values, AROUND, mode="reflect" if len(values) > AROUND else "edge")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND + 1), axis=-1)
    tamed: Array = values.clip(around - STATE_LIMIT, around + STATE_LIMIT)
    return tamed


def _from_neighbours(values: Array) -> Array:
    """Mean over the visits before and after with Gaussian weights, without the visit itself: its
    own noise must not be taken for the machine's state."""
    reach = min(math.ceil(3 * STATE_VISITS), (len(values) - 1) // 2)
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) / STATE_VISITS) ** 2)
    window[reach] = 0
    weights = np.convolve(np.ones_like(values), window, "same")
    means: Array = np.convolve(values, window, "same") / np.maximum(weights, 1e-12)
    return means


def _own_error(
    adjusted: Array, rounds_of: list[NDArray[np.intp]], rng: np.random.Generator
) -> Array:
    """(networks,): standard error of the trimmed mean, rounds drawn anew within each session."""
    picks = [rng.choice(rounds, size=(RESAMPLES, len(rounds))) for rounds in rounds_of]
    means = _trimmed_mean(adjusted[:, np.concatenate(picks, axis=1)])
    rounds = adjusted.shape[1]
    seen = rounds * means.var(axis=1, ddof=1)
    noise = (rounds * seen + NOISE_WEIGHT * VISIT_NOISE**2) / (rounds + NOISE_WEIGHT)
    error: Array = np.sqrt(noise / rounds) * _few_rounds(rounds)
    return error


def _spread_scale(levels: Array, noise: Array, prior: Prior) -> float:
    """How many times as far apart sessions are as was expected of these networks.

    Args:
        levels: (networks, sessions).
        noise: (networks,) what the noise of rounds alone makes levels of one session vary by.
        prior: what is expected.
    """
    networks, sessions = levels.shape
    observations = (networks - 1) * (sessions - 1)
    if not observations:
        return 1.0
    centred = levels - levels.mean(axis=0)
    apart = centred - centred.mean(axis=1, keepdims=True)
    alike = size_correlation(prior.positions, prior.positions)
    # Of a network's distance from the mean of all: sizes that move together do not show.
    by_size = 1 - 2 * alike.mean(axis=1) + alike.mean()
    expected = prior.session_spread**2 + prior.size_spread**2 * by_size
    seen = (apart**2).sum(axis=1) * networks / (networks - 1) - (sessions - 1) * noise
    excess = (networks - 1) / networks * float((seen / expected).sum())
    return math.sqrt(max(SPREAD_WEIGHT + excess, 1.0) / (SPREAD_WEIGHT + observations))


def few_observations(freedom: int) -> float:
    """Student's t over the normal quantile at 95 %: what a standard error of few observations
    must be widened by (Cornish and Fisher's expansion, to second order)."""
    return student_95(freedom, terms=2) / Z95


def _few_rounds(rounds: int) -> float:
    """What a bootstrap of few rounds must be widened by: the above, and its own n / (n - 1)."""
    used = max(rounds - 2 * int(rounds * TRIM), 2)
    return few_observations(used - 1) * math.sqrt(used / (used - 1))


def _trimmed_mean(values: Array) -> Array:
    """Mean over the last axis without the `TRIM` smallest and largest shares."""
    count = values.shape[-1]
    cut = int(count * TRIM)
    ordered = np.sort(values, axis=-1)
    mean: Array = ordered[..., cut : count - cut].mean(axis=-1)
    return mean


def preempted_share(wall: Array, busy: Array) -> float:
    """Share of calls that waited for the processor: wall time above CPU time by 10 %."""
    return float((wall > 1.1 * busy).mean())
