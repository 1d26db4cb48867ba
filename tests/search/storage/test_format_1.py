"""A study that was stored before format 2: read, continued and reported."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gnv2_nas.errors import StudyError
from gnv2_nas.report.study_page.write import write_report
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.storage.studies import open_or_create, open_study
from gnv2_nas.search.study.records import Progress
from gnv2_nas.workflows.references import find_network
from tests.search.search_helpers import STORAGE
from tests.search.study_helpers import append, as_optuna, latency, on_board

DUMP = Path(__file__).with_name("study_format_1.sql.gz")
TRIALS = 25


@pytest.fixture
def store(folder: Path) -> Store:
    with closing(sqlite3.connect(folder / "studies.db")) as database:
        database.executescript(gzip.decompress(DUMP.read_bytes()).decode())
    return open_study(STORAGE, "before")


def test_it_is_read_and_reported(store, folder):
    record = store.record()
    assert [trial.number for trial in record.trials] == list(range(TRIALS))
    assert [budget.text for budget in record.settings.budgets] == ["3MFLOPs", "2MB"]
    assert (record.provenance.sampler, record.provenance.seed, record.provenance.space_source) == (
        "predictor",
        1,
        "tiny",
    )
    assert record.progress.proposed > 0
    assert record.fingerprint.cpu == "AMD EPYC"
    assert len(record.confirmed) > 1
    assert (first := record.trials[0].latency)
    assert first.ms / first.ratio == pytest.approx(6.50131327)
    assert find_network("before:3", STORAGE) == record.trials[3].architecture
    assert "before" in write_report(record, folder / "reports").html.read_text()


def test_it_is_continued_under_its_own_keys(store):
    """A process of an earlier version may be at work on it."""
    before = store.record()
    again, has_trials = open_or_create(STORAGE, "before", store.settings, store.provenance)
    assert has_trials
    assert append(again, 0) == [TRIALS]
    again.save_progress(Progress(7))
    again.save_latencies([(again.trials()[TRIALS], latency(0, ms=1.25))])
    record = store.record()
    assert record.trials[:TRIALS] == before.trials
    assert record.trials[TRIALS].latency.ratio == pytest.approx(latency(0, ms=1.25).ratio)
    assert record.progress.proposed == before.progress.proposed + 7
    attributes = as_optuna(STORAGE, "before").user_attrs
    assert attributes["gnv2_nas:format"] == 1
    assert "gnv2_nas:study" not in attributes


def test_other_settings_are_refused(store):
    other = on_board(store.settings)
    with pytest.raises(StudyError, match="was made with device cpu, not board"):
        open_or_create(STORAGE, "before", other, store.provenance)
