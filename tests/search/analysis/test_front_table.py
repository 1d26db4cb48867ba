"""The front that is kept up to date against the one that is computed anew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gnv2_nas.search.analysis.front_table import FrontTable
from gnv2_nas.search.analysis.pareto import joint_front
from gnv2_nas.search.sampler.remeasurement import select_for_remeasurement
from gnv2_nas.search.study.budgets import parse_budgets, parse_limits
from gnv2_nas.search.study.settings import StudyDevice
from tests.search.study_helpers import SETTINGS, candidate, latency

ONE = replace(SETTINGS, budgets=parse_budgets(["2ms"]))
SEVERAL = replace(
    SETTINGS, devices=(StudyDevice("cpu"), StudyDevice("board")),
    objectives=("quality", "latency-ratio"), budgets=(),
)  # fmt: skip
LIMITS = ["1ms@cpu,2ms@cpu"]
LIMITED = replace(
    SEVERAL,
    budgets=parse_budgets(LIMITS, SEVERAL.device_labels),
    limits=parse_limits(LIMITS, SEVERAL.device_labels),
)
TIMES = st.none() | st.integers(1, 6)
CHANGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), TIMES, TIMES), max_size=30)


def trial(settings, number, quality, *times):
    """Without a latency on the devices whose time is None."""
    latencies = {
        device: time and replace(latency(number, time / 2.0), device=device)
        for device, time in zip(settings.device_labels, times, strict=False)
    }
    return replace(
        candidate(number, quality=float(quality)), number=number, latencies=latencies,
        budgets=settings.budgets,
    )  # fmt: skip


@given(st.sampled_from([ONE, SEVERAL, LIMITED]), CHANGES)
def test_after_any_changes_the_front_and_the_choice_are_those_of_all_trials(settings, changes):
    table, trials = FrontTable(settings), {}
    for number, *values in changes:
        trials[number] = trial(settings, number, *values)
        table.put(trials[number])
    front = joint_front(list(trials.values()), settings)
    assert table.front() == {each.number for each in front}
    for device in settings.device_labels:
        view = settings.on(device)
        members = [each.seen(view) for each in front]
        by_table = [trials[number].seen(view) for number in sorted(table.contenders(device))]
        anew = [trials[number].seen(view) for number in sorted(trials)]
        assert select_for_remeasurement(by_table, members, view) == select_for_remeasurement(
            anew, members, view
        )
