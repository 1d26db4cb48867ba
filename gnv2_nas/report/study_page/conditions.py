"""Under which conditions the numbers of a study came about.

Whether the front was confirmed: its latencies taken a second time, side by side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from importlib import metadata

from gnv2_nas.measurement.comparison import check_budget
from gnv2_nas.measurement.record import Measurement
from gnv2_nas.search.analysis.baselines import select_confirmed
from gnv2_nas.search.study.records import StudyRecord, Trial

NAMED = 5
"""Trials that are named at most."""


def confirmation_sentence(members: Sequence[Trial], confirmed: Set[int] = frozenset()) -> str:
    """What was confirmed of the front; "" where no trial was, as in older studies.

    Args:
        members: the front.
        confirmed: numbers of the trials whose latency was measured again.
    """
    measured = [one for one in members if one.latency is not None]
    again = select_confirmed(measured, confirmed)
    if not confirmed or not measured:
        return ""
    # Later rounds replace what was measured in earlier ones, for those that are in them.
    batches = {one.latency.batch for one in again if one.latency is not None}
    how = "in the same rounds" if len(batches) == 1 else "interleaved with others"
    if len(again) == len(measured):
        return (
            f"The front is confirmed: the latency of each of its {len(again):,} networks was "
            f"measured again at the end, {how}, and is the one shown."
        )
    others = [one.number for one in measured if one not in again]
    return (
        f"{len(again):,} of the {len(measured):,} networks on the front were measured again at "
        f"the end, {how}. {_trials(others)} on the measurement of the search, where the best of "
        "many is a little lucky; the same command with more time measures again what is missing."
    )


def _trials(numbers: Sequence[int]) -> str:
    """ "Trials 4 and 7 stand", the subject of a sentence."""
    if len(numbers) == 1:
        return f"Trial {numbers[0]} stands"
    if len(numbers) > NAMED:
        return f"The other {len(numbers):,} stand"
    *first, last = map(str, numbers)
    return f"Trials {', '.join(first)} and {last} stand"


_CLOCKS = {"cpu": "CPU time", "wall": "wall time", "device": "the accelerator's own time"}


def conditions(record: StudyRecord) -> list[tuple[str, str]]:
    """Name and value of each condition, in the order of the page."""
    return [*_machine(record), *_measurement(record), *_search(record), *_software(record)]


def _machine(record: StudyRecord) -> list[tuple[str, str]]:
    machine = record.fingerprint
    if machine is None:
        return [("Machine", "not recorded: no latency was measured")]
    return [
        ("Machine", f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib:.1f} GiB"),
        ("System", f"{machine.system}, Python {machine.python}"),
        ("Runtime", machine.runtime),
        ("Governor, load at start", f"{machine.governor}, {machine.load:.2f}"),
    ]


def _measurement(record: StudyRecord) -> list[tuple[str, str]]:
    kinds = measurement_kinds(record)
    if not kinds:
        return [("Device", record.settings.device)]
    device, runtime, threads, precision, clock = kinds.most_common(1)[0][0]
    measured = [one.latency for one in record.trials if one.latency is not None]
    rounds = [latency.rounds for latency in measured]
    dates = sorted(latency.taken_at for latency in measured)
    plural = "" if threads == "1" else "s"
    return [
        ("Device", f"{device}: {runtime}, {threads} thread{plural}, {precision}, batch 1"),
        ("Clock", f"{_CLOCKS.get(clock, clock)}, {min(rounds)} to {max(rounds)} rounds"),
        *_parity(measured),
        ("Measured", f"{dates[0]} to {dates[-1]}" if dates[0] != dates[-1] else dates[0]),
    ]


def _parity(measured: Sequence[Measurement]) -> list[tuple[str, str]]:
    """How far any file's logits were from torch's, where that was asked."""
    known = [latency.parity for latency in measured if latency.parity is not None]
    if not known:
        return []
    said = f"logits differ by at most {max(known):.1g} of the largest"
    return [("Files against torch", f"{len(known)} checked before they were timed: {said}")]


def measurement_kinds(record: StudyRecord) -> Counter[tuple[str, str, str, str, str]]:
    """Device, runtime, threads, precision and clock of the latencies, and how often."""
    return Counter(
        (one.device, one.fingerprint.runtime, str(one.threads), one.precision, one.clock)
        for one in (trial.latency for trial in record.trials)
        if one is not None
    )


def _search(record: StudyRecord) -> list[tuple[str, str]]:
    settings = record.settings
    budgets = ", ".join(budget.text for budget in settings.budgets)
    return [
        ("Study", f"{record.name}, begun {record.created_at}"),
        ("Space", f"{settings.space} (hash {settings.space_hash})"),
        ("Sampler, seed", f"{record.sampler}, {record.seed}"),
        ("Objectives", ", ".join(settings.objectives)),
        ("Quality estimator", f"{settings.quality}: {record.quality_info.note}"),
        *_data(record),
        ("Budgets", budgets or "none"),
    ]


def _data(record: StudyRecord) -> list[tuple[str, str]]:
    """The images, where there were any."""
    settings = record.settings
    if not settings.data:
        return []
    if not settings.data_hash:
        return [("Images", f"{settings.data}, for the number of classes alone")]
    return [("Images", f"{settings.data} (hash {settings.data_hash})")]


def _software(record: StudyRecord) -> list[tuple[str, str]]:
    begun_with = ", ".join(f"{name} {version}" for name, version in record.software.items())
    made_by = f"gnv2-nas {metadata.version('gnv2-nas')}"
    return [("Software", begun_with or "not recorded"), ("Page made by", made_by)]


def _near_budgets(record: StudyRecord, members: Sequence[Trial]) -> Iterator[str]:
    """Latency budgets that lie within an interval: kept by the estimate, but not for certain."""
    for budget in record.settings.budgets:
        latencies = [member.latency for member in members if member.latency is not None]
        verdicts = [check_budget(latency, budget.limit) for latency in latencies]
        near = verdicts.count("cannot tell")
        if budget.metric == "latency" and near:
            yield (
                f"{near} of {len(members)} networks on the front keep {budget.text} by their "
                "estimate, but their interval reaches beyond it: cannot tell."
            )


def _all_alike(record: StudyRecord) -> Iterator[str]:
    """Where the quality axis holds nothing but luck."""
    info = record.quality_info
    scores = [one.quality for one in record.trials if one.quality is not None]
    if len(scores) > 1 and info.noise and max(scores) - min(scores) <= info.noise:
        yield (
            f"All {len(scores)} networks are within luck of each other in {info.in_text} "
            f"({info.noise:.2g}{info.unit}): this study does not say which is the better one."
        )


def cautions(record: StudyRecord, unstable: int, members: Sequence[Trial]) -> list[str]:
    """What a reader should know before believing the front."""
    lines = []
    if unstable:
        lines.append(
            f"{unstable} of {len(members)} latencies on the front are not stable: their interval "
            "is wider than was asked for. They are marked."
        )
    lines += _near_budgets(record, members)
    kinds = len(measurement_kinds(record))
    machines = {one.latency.fingerprint.cpu for one in record.trials if one.latency}
    if kinds > 1 or len(machines) > 1:
        lines.append(
            "The latencies were not all taken under the same conditions "
            f"({max(kinds, len(machines))} different ones): compare them by ratio, with care."
        )
    lines += _all_alike(record)
    sizes = {"params": "parameter count", "macs": "number of multiply-adds"}
    if record.settings.quality in sizes and "quality" in record.settings.objectives:
        lines.append(f"The score of this study is the {sizes[record.settings.quality]} itself.")
    return lines
