"""Searching: evaluate networks, confirm the front, and write the report."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import msgspec

from gnv2_nas.measurement.records.store import store_path
from gnv2_nas.report.files import ReportFiles
from gnv2_nas.report.study_page.write import write_report
from gnv2_nas.report.wording import summarize_view
from gnv2_nas.search.analysis.pareto import joint_front
from gnv2_nas.search.analysis.views import list_views
from gnv2_nas.search.confirmation import confirm_and_ablate
from gnv2_nas.search.loop import SearchLoop
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.records import StudyRecord
from gnv2_nas.workflows.events import Events, Message, ignore
from gnv2_nas.workflows.references import describe_size
from gnv2_nas.workflows.search.corners import Corner
from gnv2_nas.workflows.search.request import CheckedSearch
from gnv2_nas.workflows.search.session import SearchSession


class SearchResult(msgspec.Struct, frozen=True):
    """The outcome of a search."""

    record: StudyRecord
    ended: str
    """Why the search ended, in words."""
    interrupted: bool
    """Whether Ctrl-C ended it. Everything that was finished is kept."""
    report: ReportFiles | None

    def to_json(self) -> dict[str, Any]:
        """Return the result for scripts: the front, and the recommended network of each view."""
        page = "" if self.report is None else str(self.report.html)
        names = ("number", "architecture", "params", "baseline", "counts", "quality", "latencies",
                 "measured", "origin", "predicted")  # fmt: skip
        rows = [
            {name: getattr(trial, name) for name in names} | {"violations": trial.broken_budgets}
            for trial in joint_front(self.record.trials, self.record.settings)
        ]
        picks = [summarize_view(view) for view in list_views(self.record)]
        return {
            "study": self.record.name, "ended": self.ended, "report": page, "front": rows,
            "picks": picks, "foreign": self.record.foreign,
        }  # fmt: skip


def run_search(
    checked: CheckedSearch, events: Events = ignore, began: float | None = None
) -> SearchResult:
    """Search, confirm the front side by side, evaluate single changes, and write the report.

    Args:
        checked: the search.
        events: told about messages and progress.
        began: start of the time limit, of `time.monotonic`; None for now.

    Raises:
        StudyError: the study cannot be opened, or was made with other settings.
        InfeasibleBudgetError: even the smallest network is much too slow.
        OutOfTimeError: the time limit was reached before the search began.
        StorageError: the database failed; finished trials are kept.
    """
    for message in _introduce(checked):
        events(Message(message))
    session = SearchSession(checked, events, began)
    if session.dataset is not None:
        for line in (*session.dataset.report.lines(), _describe_estimator(session)):
            events(Message(line))
    with closing(session):
        if checked.settings.measures:
            session.calibrate()
        if session.resumed:
            events(
                Message(f"continuing after {len(session.store.frozen_trials())} finished trials")
            )
        for corner in session.corners():
            size = describe_size(corner.architecture)
            events(Message(f"{corner.name:>8}: {size}{_describe_latency(corner)}"))
        try:
            ended, interrupted = _run_loop(session), False
        except KeyboardInterrupt:
            ended, interrupted = "interrupted; run the same command again to continue", True
    record, folder = session.store.record(), checked.request.reports
    files = None if folder is None else write_report(record, folder)
    return SearchResult(record, ended, interrupted, files)


def _introduce(checked: CheckedSearch) -> list[str]:
    space, quality = checked.space, checked.settings.quality
    lines = [f"study {checked.study} · space {space.name}, {space.size:.1e} genotypes"]
    if quality not in (checked.request.quality, defaults.QUALITY):
        lines.insert(
            0,
            f"score: {quality}, the best of the data-free scores on this space according to "
            "gnv2-nas quality check",
        )
    return lines


def _describe_estimator(session: SearchSession) -> str:
    info = session.evaluator.estimator.info
    noise = f"; differences below {info.noise:.2g}{info.unit} are noise" if info.noise else ""
    return f"{info.in_text}: {info.note}; a network costs {info.cost}{noise}"


def _run_loop(session: SearchSession) -> str:
    """Search, confirm the front, and return why the search ended."""
    loop = session.loop()
    ended = loop.run()
    for sentence in confirm_and_ablate(loop, session.checked.request.ablations):
        session.events(Message(sentence))
    for device in loop.lanes.aside:
        session.events(Message(describe_absence(loop, device)))
    for failure in loop.failed:
        session.events(Message(f"not scored: {failure.reason}"))
    if loop.reused:
        session.events(Message(describe_reuse(loop)))
    return ended


def describe_absence(loop: SearchLoop, device: str) -> str:
    """Say how many networks lack what a device that failed would have measured."""
    lacking = len(loop.list_lacking(device))
    return (
        f"device {device} is still set aside; {lacking} networks lack its measurements, which the "
        "same command takes later"
    )


def describe_reuse(loop: SearchLoop) -> str:
    """Say how many latencies a search took from records, and whether its front rests on them."""
    paths = " and ".join(str(store_path(device)) for device in loop.lanes.names)
    # Confirming replaces them, unless its time was over.
    left = sum(any(each.reused for each in t.measured_on.values()) for t in loop.front)
    front = f"{left} of the front rest on them" if left else "the front was measured anew"
    return (
        f"{loop.reused} latencies came from earlier measurements in {paths}; {front} "
        "(--no-reuse measures everything)"
    )


def _describe_latency(corner: Corner) -> str:
    """Return ", 4.21 ms", or ", 4.21 ms on cpu, 9.7 ms on pi5"; "" if it was not measured."""
    several = len(corner.latencies) > 1
    return "".join(
        f", {latency.ms:.2f} ms{f' on {device}' if several else ''}"
        f"{', measured earlier' if latency.reused else ''}"
        for device, latency in corner.latencies.items()
    )
