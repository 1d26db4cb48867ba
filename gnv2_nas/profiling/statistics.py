"""From visits to ratios with intervals. Knows no runtime.

log t = network in its session + state of the machine + noise. The state changes within tenths of
a second and is much alike for all networks, so it is read off the visits just before and after,
whichever networks those were; levels and state are fitted in turn. A network's effect is the mean
of its levels over sessions, and the difference of two effects is the log of their ratio.

The error has two parts: rounds (a bootstrap: the calls of a round are not independent) and
sessions (the spread of all networks' levels between their sessions, pooled: two or three sessions
of one network alone would say little).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.profiling.plan import Visits
from gnv2_nas.profiling.record import NORMAL_95, Errors

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
SPREAD_WEIGHT = 10
"""How many observed differences between sessions that figure is worth."""


class Estimates(msgspec.Struct, frozen=True):
    """Every network against the reference, arrays of (networks,)."""

    log_ratio: Array
    half: Array
    """Half of the 95 % interval of `log_ratio`."""
    own: Array
    """See `Errors`."""
    own_sessions: float
    panel: float
    spread: float
    """Standard deviation between sessions of one network, in logs."""
    reference_seconds: float
    """Time of the reference in these rounds."""

    def errors(self, network: int) -> Errors:
        return Errors(float(self.own[network]), self.own_sessions, self.panel)


def estimate(
    visits: Visits,
    panel: Mapping[int, float],
    *,
    busy: bool = True,
    spread: float = SESSION_SPREAD,
    seed: int = 0,
) -> Estimates:
    """Ratios to the reference with 95 % intervals.

    Args:
        visits: of all networks.
        panel: rows whose ratio to the reference is known → the log of that ratio; 0 for the
            reference itself.
        busy: whether the busy clock counts or wall time.
        spread: what the device is known to differ by between sessions of a network, see
            `SESSION_SPREAD`.
        seed: of the bootstrap.
    """
    adjusted = adjusted_logs(visits, busy=busy)
    rounds_of = [np.flatnonzero(visits.session == s) for s in range(visits.sessions)]
    levels = np.stack([_trimmed_mean(adjusted[:, rounds]) for rounds in rounds_of], axis=1)
    # What a session is slower by for all networks alike says nothing about any of them.
    shifts = levels.mean(axis=0)
    for rounds, shift in zip(rounds_of, shifts, strict=True):
        adjusted[:, rounds] -= shift
    effects = _trimmed_mean(adjusted)
    own = _bootstrap_error(adjusted, rounds_of, np.random.default_rng(seed))
    noise = own * math.sqrt(visits.sessions)
    spread = _session_spread(levels, float((noise**2).mean()), spread)
    weights = np.array([len(rounds) for rounds in rounds_of]) / visits.rounds
    own_sessions = spread * math.sqrt(float((weights**2).sum()))
    rows, known = list(panel), np.array(list(panel.values()))
    reference = float((effects[rows] - known).mean())
    panel_error = math.hypot(
        math.sqrt(float((own[rows] ** 2).sum())) / len(rows), own_sessions / math.sqrt(len(rows))
    )
    half = NORMAL_95 * np.sqrt(own**2 + own_sessions**2 + panel_error**2)
    return Estimates(
        log_ratio=effects - reference,
        half=half,
        own=own,
        own_sessions=own_sessions,
        panel=panel_error,
        spread=spread,
        reference_seconds=math.exp(reference + float(shifts @ weights)),
    )


def adjusted_logs(visits: Visits, *, busy: bool = True) -> Array:
    """(networks, rounds): log seconds of the calls that count, freed of the machine's state.

    Both calls of a visit tell about the state of its neighbours, each against its own level.
    """
    calls = (visits.first_busy, visits.busy) if busy else (visits.first_wall, visits.wall)
    logs = np.log(np.stack(calls))
    in_time = np.argsort(visits.order, axis=None)
    state = np.zeros_like(logs[1])
    for _ in range(SWEEPS):
        residual = logs - _levels_by_round(logs - state, visits.session)
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


def _bootstrap_error(
    adjusted: Array, rounds_of: list[NDArray[np.intp]], rng: np.random.Generator
) -> Array:
    """(networks,): standard error of the trimmed mean, rounds drawn anew within each session."""
    picks = [rng.choice(rounds, size=(RESAMPLES, len(rounds))) for rounds in rounds_of]
    means = _trimmed_mean(adjusted[:, np.concatenate(picks, axis=1)])
    error: Array = means.std(axis=1, ddof=1) * _few_rounds(adjusted.shape[1])
    return error


def _session_spread(levels: Array, noise_variance: float, prior: float) -> float:
    """Standard deviation between sessions of one network beyond the noise of their rounds.

    Args:
        levels: (networks, sessions).
        noise_variance: what the noise of rounds alone makes levels of one session vary by.
        prior: what is known before, worth `SPREAD_WEIGHT` observations.
    """
    networks, sessions = levels.shape
    centred = levels - levels.mean(axis=0)
    apart = centred - centred.mean(axis=1, keepdims=True)
    observations = (networks - 1) * (sessions - 1)
    if not observations:
        return prior
    excess = max(float((apart**2).sum()) / observations - noise_variance, 0.0)
    weighted = SPREAD_WEIGHT * prior**2 + observations * excess
    return math.sqrt(weighted / (SPREAD_WEIGHT + observations))


def _few_rounds(rounds: int) -> float:
    """What a bootstrap of few rounds must be widened by to cover 95 %.

    Student's t over the normal quantile, to first order of the Cornish-Fisher expansion, and
    the bootstrap's missing n / (n - 1).
    """
    used = max(rounds - 2 * int(rounds * TRIM), 2)
    return (1 + 1.21 / (used - 1)) * math.sqrt(used / (used - 1))


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
