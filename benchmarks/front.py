"""Does a front hold? Its networks measured again, in a process that knows nothing of the search.

`python -m benchmarks.front STUDY` measures a whole front side by side and says how many
of its members are still on it: no other member is at least as good in everything that is exact, and
faster beyond both intervals. `make bench ARGS=front` searches a small space first.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.table import machine, table
from gnv2_nas.measurement import Measurement, measure
from gnv2_nas.measurement.records.record import compare
from gnv2_nas.search.analysis.pareto import study_front
from gnv2_nas.search.storage.studies import open_study
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.metrics import loss
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.workflows.search.request import SearchRequest
from gnv2_nas.workflows.search.session import SearchSession

SECONDS_PER_NETWORK = 3.0
PROMISED = 0.9
TRIALS = 40
COLUMNS = ("network", "score", "÷ V2 1.0 then", "÷ V2 1.0 now", "still on the front")


def run() -> Table:
    from gnv2_nas.search.confirmation import confirm_and_ablate

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        request = SearchRequest(space="tiny", trials=TRIALS, timeout=600.0, ablations=0)
        with contextlib.closing(SearchSession(request.check())) as session:
            loop = session.loop()
            loop.run()
            confirm_and_ablate(loop, 0)
            return front_table(session.store.record())


def front_table(record: StudyRecord) -> Table:
    """The members of the front, measured anew."""
    members = study_front(record)
    again = measure(
        [each.architecture for each in members],
        record.settings.devices[0].name,
        seconds_per_network=SECONDS_PER_NETWORK,
        seed=1,
    )
    exact = [name for name in record.settings.objectives if name != "latency"]
    held = [
        not any(
            _dominates(members[other], again[other], member, latency, exact)
            for other in range(len(members))
            if other != number
        )
        for number, (member, latency) in enumerate(zip(members, again, strict=True))
    ]
    title = (
        f"Front of {record.name}: {sum(held)} of {len(held)} members "
        f"({sum(held) / len(held):.0%}) are still non-dominated within their intervals "
        f"(promised: {PROMISED:.0%})"
    )
    rows = [
        (
            f"{record.name}:{member.number}",
            "" if member.quality is None else f"{member.quality:.2f}",
            "" if member.latency is None else _ratio(member.latency),
            _ratio(latency),
            "yes" if on_front else "no",
        )
        for member, latency, on_front in zip(members, again, held, strict=True)
    ]
    return table(title, COLUMNS, rows)


def _dominates(
    other: Trial, other_latency: Measurement, member: Trial, latency: Measurement,
    exact: Sequence[str],
) -> bool:  # fmt: skip
    no_worse = all(loss(other, name) <= loss(member, name) for name in exact)
    return no_worse and compare(other_latency, latency).verdict == "FASTER"


def _ratio(latency: Measurement) -> str:
    low, high = latency.ratio_ci95
    return f"{latency.ratio:.3f} [{low:.3f}, {high:.3f}]"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.front")
    parser.add_argument("study")
    parser.add_argument("--storage", default=defaults.STORAGE)
    given = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(machine(), markup=False)
    console.print(front_table(open_study(given.storage, given.study).record()))


if __name__ == "__main__":
    main()
