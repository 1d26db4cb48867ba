"""The latencies that the models of a search predict: error of each study, replayed.

`python -m benchmarks.prediction STUDY… [--storage URL]` fits the present models to the networks
that each study knew when it proposed a batch, and compares their predictions with the values
measured later. "then" stands for the predictions that the study made itself.
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
from gnv2_nas.report.study_page.predictions import prediction_checks
from gnv2_nas.search.sampler.encoders import GraphEncoder
from gnv2_nas.search.sampler.models import OutcomeModels
from gnv2_nas.search.storage.format import latency_of
from gnv2_nas.search.storage.studies import open_study
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.metrics import format_share
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.space import load_space
from gnv2_nas.stats.ridge import Matrix, Vector

THIRDS = 3


def replay(record: StudyRecord) -> tuple[Vector, Vector, Vector]:
    """Predict each network that models proposed, in the order of the study.

    Returns:
        (n,) predicted and (n,) measured milliseconds, and (n,) standard deviations that the models
        gave, relative.
    """
    trials = [trial for trial in record.trials if trial.params and trial.latency]
    space = load_space(record.provenance.space_source or record.settings.space)
    encoder = GraphEncoder(space, (), ("latency",), set())
    features = encoder.encode([trial.params for trial in trials]).features
    last = np.array([trial.value("latency") for trial in trials])
    models, rows, found = OutcomeModels(encoder.feature_sets), [], []
    start = 0
    for _, batch in groupby(trials, key=_batch):
        size = len(list(batch))
        proposed = [n for n in range(start, start + size) if trials[n].origin == "model"]
        if proposed:
            models.fit(features[:start], last[:start, None], np.zeros(1))
            means, stds = models.mean_and_std(features[proposed])
            rows += proposed
            found.append(np.hstack([means, stds / means]))
        start += size
    predicted: Matrix = np.vstack(found)
    return predicted[:, 0], last[rows], predicted[:, 1]


def _batch(trial: Trial) -> str:
    """The batch that a network was measured in at first."""
    first = latency_of(trial.sampled) if trial.sampled else None
    return first.batch if first else ""


def prediction_table(records: Sequence[StudyRecord]) -> Table:
    """One row a study."""
    rows = []
    for record in records:
        then = next(each for each in prediction_checks(record) if each.metric.name == "latency")
        predicted, measured, _ = replay(record)
        errors = np.abs(predicted / measured - 1)
        parts = [each.mean() for each in np.array_split(errors, THIRDS)]
        shares = [then.constant, then.macs, then.error, errors.mean(), *parts, then.floor]
        rows.append((record.name, str(len(errors)), *map(format_share, shares)))
    columns = ("", "networks", "constant", "FLOPs", "then", "now", "first third", "second",
               "last", "noise")  # fmt: skip
    return table(
        "Mean error of the latencies that were predicted before networks were measured",
        columns, rows,
    )  # fmt: skip


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
