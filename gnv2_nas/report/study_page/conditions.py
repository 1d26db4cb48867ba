"""The conditions of a study, cautions, and whether its front was confirmed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from importlib import metadata

from gnv2_nas.measurement.records.record import Measurement, check_budget
from gnv2_nas.search.analysis.baselines import select_confirmed
from gnv2_nas.search.analysis.views import join_words
from gnv2_nas.search.study.records import StudyRecord, Trial

MAX_LISTED = 5
"""Maximum number of trials listed by number."""


def describe_confirmation(members: Sequence[Trial], confirmed: Set[int] = frozenset()) -> str:
    """How much of the front was confirmed; "" when nothing was, as in older studies.

    Args:
        members: the front.
        confirmed: numbers of the trials whose latency was measured again.
    """
    measured = [one for one in members if one.latency is not None]
    again = select_confirmed(measured, confirmed)
    if not confirmed or not measured:
        return ""
    batches = {one.latency.batch for one in again if one.latency is not None}
    how = "in the same rounds" if len(batches) == 1 else "in several batches"
    if len(again) == len(measured):
        return (
            f"The front is confirmed: the latency of each of its {len(again):,} networks was "
            f"measured again at the end, {how}. The page shows these measurements."
        )
    others = [one.number for one in measured if one not in again]
    return (
        f"{len(again):,} of the {len(measured):,} networks on the front were measured again at "
        f"the end, {how}. {_trials(others)} measured only during the search, where the best of "
        "many tends to look too good. Run the same command with more time to confirm the rest."
    )


def _trials(numbers: Sequence[int]) -> str:
    """Subject and verb of a sentence: "Trials 4 and 7 were"."""
    if len(numbers) == 1:
        return f"Trial {numbers[0]} was"
    if len(numbers) > MAX_LISTED:
        return f"The other {len(numbers):,} were"
    return f"Trials {join_words(list(map(str, numbers)))} were"


_CLOCKS = {
    "cpu": "CPU time",
    "wall": "wall time",
    "device": "the accelerator's own time",
    "program": "time that a benchmark program printed, which loads the network for each visit",
}


def list_conditions(record: StudyRecord) -> list[tuple[str, str]]:
    """Name and value of each condition, in the order of the page."""
    return [*_on_devices(record), *_search(record), *_software(record)]


def _on_devices(record: StudyRecord) -> list[tuple[str, str]]:
    """Conditions of each device; what several have in common is listed once."""
    values: dict[str, dict[str, str]] = {}
    labels = record.settings.device_labels
    for label in labels:
        alone = record.on(label)
        for name, value in (*_machine(alone), *_measurement(alone)):
            values.setdefault(name, {})[label] = value
    return [
        row
        for name, found in values.items()
        for row in (
            [(name, next(iter(found.values())))]
            if len(found) == len(labels) and len(set(found.values())) == 1
            else [(f"{name} ({label})", value) for label, value in found.items()]
        )
    ]


def _machine(record: StudyRecord) -> list[tuple[str, str]]:
    machine = record.fingerprint
    if machine is None:
        return [("Machine", "not recorded, because no latency was measured")]
    return [
        ("Machine", f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib:.1f} GiB"),
        ("System", f"{machine.system}, Python {machine.python}"),
        ("Runtime", machine.runtime),
        ("Governor, load at start", f"{machine.governor}, {machine.load:.2f}"),
    ]


def _measurement(record: StudyRecord) -> list[tuple[str, str]]:
    kinds = measurement_kinds(record)
    if not kinds:
        return [("Device", ", ".join(record.settings.device_labels))]
    device, runtime, threads, precision, clock = kinds.most_common(1)[0][0]
    measured = [one.latency for one in record.trials if one.latency is not None]
    rounds = [latency.rounds for latency in measured]
    dates = sorted(latency.taken_at for latency in measured)
    plural = "" if threads == "1" else "s"
    fewest, most = min(rounds), max(rounds)
    span = f"{most} rounds" if fewest == most else f"{fewest} to {most} rounds"
    return [
        ("Device", f"{device}: {runtime}, {threads} thread{plural}, {precision}, batch 1"),
        ("Clock", f"{_CLOCKS.get(clock, clock)}, {span}"),
        *_pace(measured),
        *_device_states(measured),
        *_parity(measured),
        *_reused(measured),
        ("Measured", f"{dates[0]} to {dates[-1]}" if dates[0] != dates[-1] else dates[0]),
    ]


def _pace(measured: Sequence[Measurement]) -> list[tuple[str, str]]:
    """Pauses between calls, where there were any."""
    paces = {latency.pace for latency in measured if latency.pace is not None}
    return [
        ("Pace", f"{pace:g} calls a second, with pauses between them") for pace in sorted(paces)
    ]


def _device_states(measured: Sequence[Measurement]) -> list[tuple[str, str]]:
    """Frequencies, temperatures and what changed, as far as the device tells it."""
    by_batch = {each.batch: each.conditions for each in measured if each.conditions is not None}
    seen = [each.conditions for each in measured if each.conditions is not None]
    if not seen:
        return []
    states = [state for each in seen for state in (each.before, each.after)]
    clusters = Counter(state.clusters for state in states).most_common(1)[0][0]
    heats = [max(state.temperatures.values()) for state in states if state.temperatures]
    rows = []
    if clusters:
        rows.append(("Cores", "; ".join(cluster.describe() for cluster in clusters)))
    if heats:
        waited = sum(each.cooled for each in by_batch.values())
        cooled = f", after {waited:.0f} s of waiting for it to cool down" if waited else ""
        rows.append(("Temperature", f"{min(heats):.0f} to {max(heats):.0f} °C{cooled}"))
    changed = sum(bool(each.changes) for each in seen)
    rows.append(
        (
            "Changes while measuring",
            f"in {changed} of {len(seen)} latencies" if changed else "none seen",
        )
    )
    return rows


def _changed_devices(record: StudyRecord) -> Iterator[str]:
    """Caution for latencies during which the device changed."""
    seen = [one.latency.conditions for one in record.trials if one.latency is not None]
    changes = Counter(change for each in seen if each is not None for change in each.changes)
    changed = sum(bool(each.changes) for each in seen if each is not None)
    if changed:
        often = "; ".join(change for change, _ in changes.most_common(MAX_LISTED))
        yield (
            f"The device changed while {changed} of {len(seen)} latencies were measured: {often}."
        )


def _parity(measured: Sequence[Measurement]) -> list[tuple[str, str]]:
    """Largest difference of a file's logits from PyTorch's, where it was checked."""
    known = [latency.parity for latency in measured if latency.parity is not None]
    if not known:
        return []
    difference = f"logits differ by at most {max(known):.1g} of the largest logit"
    return [("Parity with PyTorch", f"{len(known)} files checked before timing: {difference}")]


def _reused(measured: Sequence[Measurement]) -> list[tuple[str, str]]:
    """Number of latencies that were not measured for this study."""
    reused = sum(latency.reused for latency in measured)
    if not reused:
        return []
    return [
        (
            "From records",
            f"{reused} of {len(measured)} latencies: measured before under the same conditions, "
            "not in the same rounds as the others; their intervals contain that",
        )
    ]


def measurement_kinds(record: StudyRecord) -> Counter[tuple[str, str, str, str, str]]:
    """Number of latencies for each device, runtime, threads, precision and clock."""
    return Counter(
        (one.device, one.fingerprint.runtime, str(one.threads), one.precision, one.clock)
        for one in (trial.latency for trial in record.trials)
        if one is not None
    )


def _search(record: StudyRecord) -> list[tuple[str, str]]:
    settings = record.settings
    return [
        ("Study", f"{record.name}, started {record.provenance.created_at}"),
        ("Space", f"{settings.space} (hash {settings.space_hash})"),
        ("Sampler, seed", f"{record.provenance.sampler}, {record.provenance.seed}"),
        ("Objectives", ", ".join(settings.objectives)),
        ("Quality estimator", f"{settings.quality}: {record.quality_info.note}"),
        *_data(record),
        ("Budgets", "; ".join(settings.budget_texts) or "none"),
    ]


def _data(record: StudyRecord) -> list[tuple[str, str]]:
    """The images, if the study has any."""
    settings = record.settings
    if not settings.data:
        return []
    if not settings.data_hash:
        return [("Images", f"{settings.data}, used only for the number of classes")]
    return [("Images", f"{settings.data} (hash {settings.data_hash})")]


def _software(record: StudyRecord) -> list[tuple[str, str]]:
    begun_with = ", ".join(
        f"{name} {version}" for name, version in record.provenance.software.items()
    )
    made_by = f"gnv2-nas {metadata.version('gnv2-nas')}"
    return [("Software", begun_with or "not recorded"), ("Page made by", made_by)]


def _near_budgets(record: StudyRecord, members: Sequence[Trial]) -> Iterator[str]:
    """Latency budgets inside the interval of a network that keeps them by its estimate."""
    for budget in record.settings.budgets:
        latencies = [member.latency for member in members if member.latency is not None]
        verdicts = [check_budget(latency, budget.limit) for latency in latencies]
        near = verdicts.count("cannot tell")
        if budget.metric == "latency" and near:
            yield (
                f"{near} of {len(members)} networks on the front keep {budget.text} by their "
                "estimate, but their 95% interval extends beyond it, so they may exceed it."
            )


def _all_alike(record: StudyRecord) -> Iterator[str]:
    """Caution for a study whose scores differ by no more than their noise."""
    info = record.quality_info
    scores = [one.quality for one in record.trials if one.quality is not None]
    if len(scores) > 1 and info.noise and max(scores) - min(scores) <= info.noise:
        yield (
            f"The {info.in_text} of all {len(scores)} networks is equal within its noise "
            f"({info.noise:.2g}{info.unit}), so it does not show which network is better."
        )


def _lacking(record: StudyRecord) -> Iterator[str]:
    """Caution for each device that was not there to measure all networks."""
    for device in record.settings.device_labels if record.settings.measures else ():
        if lacking := sum(one.latencies.get(device) is None for one in record.trials):
            yield (
                f"{lacking:,} of {len(record.trials):,} networks have no latency on {device}, and "
                "cannot be on a front that needs it. The command of the search, run again, "
                "measures those that may be on it."
            )


def list_cautions(record: StudyRecord, unstable: int, members: Sequence[Trial]) -> list[str]:
    """What limits the conclusions that the front supports."""
    lines = list(_lacking(record))
    if unstable:
        lines.append(
            f"{unstable} of {len(members)} latencies on the front "
            f"{'is' if unstable == 1 else 'are'} not stable, and marked: the interval is wider "
            "than requested, or the device changed."
        )
    lines += _changed_devices(record)
    lines += _near_budgets(record, members)
    kinds = len(measurement_kinds(record))
    machines = {one.latency.fingerprint.cpu for one in record.trials if one.latency}
    if kinds > 1 or len(machines) > 1:
        lines.append(
            "The latencies were not all measured under the same conditions "
            f"(there were {max(kinds, len(machines))}): compare ratios, and with care."
        )
    lines += _all_alike(record)
    sizes = {"params": "parameter count", "macs": "number of multiply-adds"}
    if record.settings.quality in sizes and "quality" in record.settings.objectives:
        lines.append(
            f"The quality score of this study is the {sizes[record.settings.quality]} itself."
        )
    return lines
