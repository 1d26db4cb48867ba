"""The latencies that the models of a search predict: error of each study, replayed.

`python -m benchmarks.prediction STUDY… [--storage URL]` fits the present models to the networks
that each study knew when it proposed a batch, and compares their predictions with the values
measured later. "then" stands for the predictions that the study made itself. If there are several
studies, of one device, "with others" adds the latencies of all others, as for a later search.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.table import machine, table
from gnv2_nas.errors import InputError
from gnv2_nas.report.study_page.predictions import prediction_checks
from gnv2_nas.search.sampler.encoders import GraphEncoder
from gnv2_nas.search.sampler.models import OutcomeModels
from gnv2_nas.search.storage.format import latencies_of
from gnv2_nas.search.storage.studies import open_study
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.metrics import format_share
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.space import load_space
from gnv2_nas.stats.ridge import Vector

THIRDS = 3


def replay(record: StudyRecord, others: Sequence[Trial] = ()) -> Vector:
    """Predict each network that models proposed, in the order of the study.

    Args:
        record: of the study.
        others: networks of other studies that are known from the start.

    Returns:
        (n,) errors, relative to the measured milliseconds.
    """
    trials = [trial for trial in record.trials if trial.params and trial.latency]
    space = load_space(record.provenance.space_source or record.settings.space)
    encoder = GraphEncoder(space, (), ("latency",), set(), lambda: others)
    known, elsewhere = encoder.encode([trial.params for trial in trials]), encoder.elsewhere()
    more = elsewhere.values.get(0, np.empty(0))
    last = np.array([trial.value("latency") for trial in trials])
    models, errors = OutcomeModels(encoder.feature_sets), []
    start = 0
    for _, batch in groupby(trials, key=_batch):
        size = len(list(batch))
        proposed = [n for n in range(start, start + size) if trials[n].origin == "model"]
        if proposed:
            models.fit(
                known.features[:start], last[:start, None], np.zeros(1),
                elsewhere.features, more[:, None],
            )  # fmt: skip
            errors.append(models.mean(known.features[proposed])[:, 0] / last[proposed] - 1)
        start += size
    result: Vector = np.concatenate(errors)
    return result


def _batch(trial: Trial) -> str:
    """The batch that a network was measured in at first."""
    first = latencies_of(trial.sampled) if trial.sampled else {}
    return next((latency.batch for latency in first.values() if latency), "")


def prediction_table(records: Sequence[StudyRecord]) -> Table:
    """One row a study."""
    rows = []
    for record in records:
        then = next(each for each in prediction_checks(record) if each.metric.name == "latency")
        now = np.abs(replay(record))
        others = [_in_milliseconds_of(record, each) for each in records if each is not record]
        wider = np.abs(replay(record, [trial for each in others for trial in each]))
        parts = [each.mean() for each in np.array_split(now, THIRDS)]
        shares = [then.constant, then.macs, then.error, now.mean(), *parts]
        shares += [wider.mean()] if others else []
        rows.append((record.name, str(len(now)), *map(format_share, [*shares, then.floor])))
    columns = [
        "", "networks", "constant", "FLOPs", "then", "now", "first third", "second", "last",
        *(["with others"] if len(records) > 1 else []), "noise",
    ]  # fmt: skip
    return table(
        "Mean error of the latencies that were predicted before networks were measured",
        columns, rows,
    )  # fmt: skip


def _in_milliseconds_of(record: StudyRecord, other: StudyRecord) -> list[Trial]:
    """The measured networks of another study of the same device."""
    (mine, theirs) = (
        next(trial.latency for trial in each.trials if trial.latency) for each in (record, other)
    )
    if mine.profile_hash != theirs.profile_hash:
        raise InputError(
            f"studies of one device are replayed together, but {record.name!r} and {other.name!r} "
            "are of two; name them in two calls"
        )
    reference_ms = mine.ms / mine.ratio
    return [
        trial.with_latency(trial.latency.rescale(reference_ms))
        for trial in other.trials
        if trial.latency is not None
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prediction")
    parser.add_argument("studies", nargs="+", metavar="STUDY")
    parser.add_argument("--storage", default=defaults.STORAGE, metavar="URL")
    given = parser.parse_args(arguments)
    records = [open_study(given.storage, name).record() for name in given.studies]
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(machine(), markup=False)
    console.print(prediction_table(records))


if __name__ == "__main__":
    main()
