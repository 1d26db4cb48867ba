"""A whole evaluation: real trainings of a few steps, real files, real measurements."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gnv2_nas import evaluate, load_study
from gnv2_nas.arch import preset
from gnv2_nas.checkpoints.checkpoint import read_training
from gnv2_nas.data import loading
from gnv2_nas.errors import TrainingError
from gnv2_nas.evaluation import entrants
from gnv2_nas.evaluation.results import Evaluation
from gnv2_nas.measurement import calibration
from gnv2_nas.measurement.plan import MeasurementPlan
from gnv2_nas.workflows import calibration_images
from gnv2_nas.workflows.evaluation import random_rivals, run, trainings
from gnv2_nas.workflows.events import Event, Message
from gnv2_nas.workflows.trainings import TrainedNetwork, TrainingJob
from tests.cli.command import make_invoke
from tests.search.search_helpers import BRIEFLY, searched

EPOCHS = 0.05
DIGITS = 400
STOCK = "repghostnet-0.5"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with a study, in which everything is measured briefly."""
    folder = tmp_path_factory.mktemp("evaluation")
    images, labels = loading.read_digits()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(loading, "read_digits", lambda: (images[:DIGITS], labels[:DIGITS]))
        patch.setattr(calibration, "PLAN", MeasurementPlan(sessions=2, rounds=3, max_sessions=2))
        patch.setattr(run, "MEASURING", BRIEFLY)
        patch.setattr(random_rivals, "SEARCHING", BRIEFLY)
        patch.setattr(entrants, "DRAWS", 60)
        patch.setattr(entrants, "SHORTLIST", 3)
        patch.setattr(random_rivals, "RANDOM", 1)
        patch.setattr(calibration_images, "MAX_IMAGES", 16)
        searched(folder, trials=2, data="digits")
        yield folder


def evaluated(seeds: int, *networks: str, **asked: Any) -> tuple[Evaluation, list[str]]:
    """Evaluate a network that the search found, and return what was said, too."""
    said: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Message):
            said.append(event.text)

    options: dict[str, Any] = {"epochs": EPOCHS, "events": listen}
    return evaluate(found_name(), seeds=seeds, networks=networks, **options | asked), said


def found_name() -> str:
    """A network that the search found."""
    found = next(each for each in load_study("demo").trials if not each.baseline)
    return f"demo:{found.number}"


def test_more_seeds_train_only_what_is_missing(folder: Path) -> None:
    first, _ = evaluated(1, "random", STOCK)
    weights = {path: path.read_bytes() for path in (folder / "reports").rglob("*.safetensors")}
    assert len(weights) == 3  # the pick, the stock network, a random one
    second, said = evaluated(2, "random", STOCK)
    assert "3 of 6 trainings were done before" in said
    assert all(path.read_bytes() == content for path, content in weights.items())
    (one,), (two,) = first.tables, second.tables
    labels = [result.label for result in two.results]
    assert labels == [result.label for result in one.results]
    assert [each.role for each in two.results] == ["pick", "stock", "random"]
    assert [each.of_seeds[0] for each in two.results] == [each.of_seeds[0] for each in one.results]
    assert any("trained once" in caution for caution in first.cautions)
    assert not any("trained once" in caution for caution in second.cautions)


def test_the_command_prints_the_verdict_and_the_next_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    invoke = make_invoke(monkeypatch, capfd)
    command = f"evaluate {found_name()} --seeds 1 --epochs {EPOCHS} --networks {STOCK}"
    answer = invoke(command, folder)
    assert answer.code == 0, answer.err
    assert f": {found_name()} against {STOCK} at 32 px, " in answer.out
    assert answer.err.splitlines()[-1].startswith("next: gnv2-nas export reports/demo-evaluation/")


def test_the_accuracy_is_that_of_the_file(folder: Path) -> None:
    found, said = evaluated(1)
    pick = found.tables[0].pick
    record = read_training(Path(found.weights))
    assert record is not None
    assert pick.of_seeds[0] == pytest.approx(record.accuracy, abs=0.011)
    assert record.held_out_images == found.held_out_images
    kept = json.loads((folder / "reports" / "demo-evaluation" / "evaluation.json").read_text())
    assert kept["tables"][0]["results"][0]["accuracy"]["value"] == pick.accuracy.value
    page = (folder / "reports" / "demo-evaluation" / "evaluation.html").read_text()
    assert "demo beside its rivals" in page
    assert said[-1].startswith("page: ")


@pytest.mark.usefixtures("folder")
def test_files_at_8_bits_are_calibrated_on_training_images() -> None:
    found, said = evaluated(1, precision="int8")
    (table,) = found.tables
    record = read_training(Path(found.weights))
    assert record is not None
    assert any("at 8 bits, the ranges of feature maps come from noise" in each for each in said)
    assert table.runtime.endswith("int8")
    assert (table.device, table.pick.latency.precision) == ("cpu-int8", "int8")
    assert table.pick.accuracy.value == pytest.approx(record.accuracy, abs=0.1)


@pytest.mark.usefixtures("folder")
def test_a_rival_that_cannot_be_trained_is_left_out_and_the_others_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = trainings.train_networks
    refused = preset(STOCK).replace(resolution=32, num_classes=10)

    def refuse(
        jobs: Sequence[TrainingJob], *rest: Any, **more: Any
    ) -> Iterator[tuple[int, TrainedNetwork | TrainingError]]:
        for number, job in enumerate(jobs):
            if job.architecture.id == refused.id:
                yield number, TrainingError("memory ran out")
            else:
                yield number, next(train([job], *rest, **more))[1]

    monkeypatch.setattr(trainings, "train_networks", refuse)
    # Another recipe than that of the other tests: nothing was trained before.
    found, said = evaluated(2, STOCK, epochs=0.2)
    assert [each.role for each in found.tables[0].results] == ["pick"]
    assert found.left_out == (f"{STOCK} at 32 px: memory ran out",)
    assert sum("is left out: memory ran out" in line for line in said) == 2
