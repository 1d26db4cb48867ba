"""From timings to ratios with intervals. It knows no runtime.

The model is log t = level of the network in its session + state of the machine + noise. The state
changes within tenths of a second and is similar for all networks, so it is estimated from the
visits just before and after, of whichever network; levels and state are fitted alternately. The
effect of a network is the mean of its levels over sessions. The difference of two effects is the
log of their ratio.

The panel gives the machine's speed in the batch (`references`). The error has four parts, see
`ErrorParts`. A bootstrap over rounds gives the network's own part, because the calls of a round are
correlated. The part of its sessions is the device's known spread, scaled by how far the sessions of
all networks in the batch differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.measurement.plan import Timings
from gnv2_nas.measurement.records.record import ErrorParts
from gnv2_nas.measurement.references import (
    SESSION_SPREAD,
    SIZE_SPREAD,
    calibration_error,
    estimate_speeds,
    size_correlation,
    widen_for_few,
)
from gnv2_nas.stats.intervals import Z95

Array = NDArray[np.float64]

STATE_VISITS = 1.0
"""Standard deviation, in visits, of the Gaussian window that smooths the machine's state."""
STATE_LIMIT = 0.2
"""Largest deviation, in logs, of a visit from the median around it; larger ones are clipped."""
MEDIAN_REACH = 7
"""Number of visits on either side that this median covers."""
SWEEPS = 12
TRIM = 0.2
"""Share of rounds dropped at each end of the trimmed mean."""
RESAMPLES = 300
SPREAD_WEIGHT = 10
"""Weight of the expected spread between sessions, in observed differences."""
VISIT_NOISE, NOISE_WEIGHT = 0.05, 2
"""Prior noise of one visit, in logs, and its weight in visits. Without it, two equal rounds would
give an error of zero."""


class Prior(msgspec.Struct, frozen=True):
    """What is known of a batch before it is measured. Arrays are (networks,) in its order."""

    positions: Array
    """See `panel.position`."""
    session_spread: Array
    """Standard deviation between sessions of each network, in logs."""
    size_spread: float = SIZE_SPREAD
    network_spread: float = 0.0
    """Standard deviation, in logs, of a network relative to others of its size for the length of a
    batch; 0 if all are files of one network."""
    covariance: Array | None = None
    """(panel, panel) covariance of the errors of the panel's log ratios; None if they are exact."""


class Estimates(msgspec.Struct, frozen=True):
    """Every network relative to the reference. Arrays are (networks,)."""

    log_ratio: Array
    own: Array
    """See `ErrorParts`, as for the next three."""
    own_sessions: Array
    panel: Array
    calibration: Array
    spread: Array
    """Standard deviation between sessions of each network, in logs."""
    reference_seconds: float
    """Time of the reference in these rounds, from the panel."""

    @property
    def half(self) -> Array:
        """Half-width of the 95 % interval of `log_ratio`."""
        return Z95 * np.sqrt((self.narrowable / Z95) ** 2 + self.calibration**2)

    @property
    def narrowable(self) -> Array:
        """`half` without the calibration's part, which more rounds and sessions do not reduce."""
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
    """Estimate ratios to the reference with their errors.

    Args:
        timings: of all networks.
        panel: row → log of its known ratio to the reference; 0 for the reference itself.
        prior: what is known of the networks (default: all are of one size).
        busy: whether to use the busy clock or wall time.
        seed: seed of the bootstrap.
    """
    if prior is None:
        networks = len(timings.wall)
        prior = Prior(np.zeros(networks), np.full(networks, SESSION_SPREAD))
    adjusted = adjust_logs(timings, busy=busy)
    rounds_of = _rounds_of_sessions(timings)
    levels = _session_means(adjusted, rounds_of)
    # A shift that all networks share in a session says nothing about any of them.
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
    speeds = estimate_speeds(prior.positions, rows, noise, scale * prior.size_spread)
    machine = effects[rows] - known
    covariance = np.zeros((len(rows),) * 2) if prior.covariance is None else prior.covariance
    return Estimates(
        log_ratio=effects - speeds.weights @ machine,
        own=own,
        own_sessions=own_sessions,
        panel=np.sqrt(speeds.variance),
        calibration=calibration_error(speeds.weights, covariance, prior.network_spread),
        spread=spread,
        reference_seconds=math.exp(float(speeds.constant @ machine + shifts @ shares)),
    )


def session_levels(timings: Timings, *, busy: bool = True) -> tuple[Array, Array]:
    """Return the levels of networks in each session, without the machine's state.

    Returns:
        (networks, sessions) logs of seconds, and (networks,) variances of their noise.
    """
    adjusted, rounds_of = adjust_logs(timings, busy=busy), _rounds_of_sessions(timings)
    levels = _session_means(adjusted, rounds_of)
    for number, rounds in enumerate(rounds_of):
        adjusted[:, rounds] -= levels[:, number, None]
    own = _own_error(adjusted, rounds_of, np.random.default_rng(0))
    return levels, own**2 * timings.sessions


def adjust_logs(timings: Timings, *, busy: bool = True) -> Array:
    """Return (networks, rounds) log seconds of the calls that count, without the machine's state.

    Both calls of a visit inform about the state, each relative to its own level.
    """
    calls = (timings.first_busy, timings.busy) if busy else (timings.first_wall, timings.wall)
    logs = np.log(np.stack(calls))
    in_time = np.argsort(timings.order, axis=None)
    state = np.zeros_like(logs[1])
    for _ in range(SWEEPS):
        residual = logs - _levels_by_round(logs - state, timings.session)
        clipped = _clip_outliers(residual.mean(axis=0).flat[in_time])
        state.flat[in_time] = _average_neighbours(clipped)
    adjusted: Array = logs[1] - state
    return adjusted


def preempted_share(wall: Array, busy: Array) -> float:
    """Return the share of calls whose wall time exceeds their CPU time by more than 10 %."""
    return float((wall > 1.1 * busy).mean())


def _rounds_of_sessions(timings: Timings) -> list[NDArray[np.intp]]:
    return [np.flatnonzero(timings.session == s) for s in range(timings.sessions)]


def _session_means(adjusted: Array, rounds_of: list[NDArray[np.intp]]) -> Array:
    return np.stack([_trimmed_mean(adjusted[:, rounds]) for rounds in rounds_of], axis=1)


def _levels_by_round(values: Array, session: NDArray[np.intp]) -> Array:
    """Return trimmed means over the rounds of each session, repeated for each of its rounds."""
    levels = np.empty_like(values)
    for number in range(int(session[-1]) + 1):
        rounds = session == number
        levels[..., rounds] = _trimmed_mean(values[..., rounds])[..., None]
    return levels


def _clip_outliers(values: Array) -> Array:
    """Clip `values`, which are in order of time, to within `STATE_LIMIT` of the running median."""
    reflects = len(values) > MEDIAN_REACH
    padded = np.pad(values, MEDIAN_REACH, mode="reflect" if reflects else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * MEDIAN_REACH + 1)
    median = np.median(windows, axis=-1)
    clipped: Array = values.clip(median - STATE_LIMIT, median + STATE_LIMIT)
    return clipped


def _average_neighbours(values: Array) -> Array:
    """Return Gaussian means over the visits before and after.

    The visit itself is left out: its own noise must not be mistaken for the machine's state.
    """
    half_width = min(math.ceil(3 * STATE_VISITS), (len(values) - 1) // 2)
    window = np.exp(-0.5 * (np.arange(-half_width, half_width + 1) / STATE_VISITS) ** 2)
    window[half_width] = 0
    weights = np.convolve(np.ones_like(values), window, "same")
    means: Array = np.convolve(values, window, "same") / np.maximum(weights, 1e-12)
    return means


def _own_error(
    adjusted: Array, rounds_of: list[NDArray[np.intp]], rng: np.random.Generator
) -> Array:
    """Return (networks,) standard errors of the trimmed mean, by resampling within sessions."""
    picks = [rng.choice(rounds, size=(RESAMPLES, len(rounds))) for rounds in rounds_of]
    means = _trimmed_mean(adjusted[:, np.concatenate(picks, axis=1)])
    rounds = adjusted.shape[1]
    seen = rounds * means.var(axis=1, ddof=1)
    noise = (rounds * seen + NOISE_WEIGHT * VISIT_NOISE**2) / (rounds + NOISE_WEIGHT)
    error: Array = np.sqrt(noise / rounds) * _bootstrap_correction(rounds)
    return error


def _spread_scale(levels: Array, noise: Array, prior: Prior) -> float:
    """Return the observed spread between sessions relative to the expected one.

    Args:
        levels: (networks, sessions).
        noise: (networks,) variance of a level caused by the noise of its rounds.
        prior: what is expected.
    """
    networks, sessions = levels.shape
    observations = (networks - 1) * (sessions - 1)
    if not observations:
        return 1.0
    centred = levels - levels.mean(axis=0)
    apart = centred - centred.mean(axis=1, keepdims=True)
    alike = size_correlation(prior.positions, prior.positions)
    # Deviations are from the mean of all networks, so what similar sizes share cancels in part.
    by_size = 1 - 2 * alike.mean(axis=1) + alike.mean()
    expected = prior.session_spread**2 + prior.size_spread**2 * by_size
    seen = (apart**2).sum(axis=1) * networks / (networks - 1) - (sessions - 1) * noise
    excess = (networks - 1) / networks * float((seen / expected).sum())
    return math.sqrt(max(SPREAD_WEIGHT + excess, 1.0) / (SPREAD_WEIGHT + observations))


def _bootstrap_correction(rounds: int) -> float:
    """Return the factor that widens a bootstrap of few rounds: Student's t, and n / (n - 1)."""
    used = max(rounds - 2 * int(rounds * TRIM), 2)
    return widen_for_few(used - 1) * math.sqrt(used / (used - 1))


def _trimmed_mean(values: Array) -> Array:
    """Return the mean over the last axis without the shares `TRIM` of either end."""
    count = values.shape[-1]
    cut = int(count * TRIM)
    ordered = np.sort(values, axis=-1)
    mean: Array = ordered[..., cut : count - cut].mean(axis=-1)
    return mean
