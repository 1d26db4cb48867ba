"""Trainings in real processes of Ray, on a cluster of two nodes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from gnv2_nas.checkpoints.checkpoint import read_training
from gnv2_nas.errors import TrainingError
from gnv2_nas.files.outputs import PAGE_MARK
from gnv2_nas.nn import read_checkpoint
from gnv2_nas.training import decode_history, train_network
from gnv2_nas.training.context import torch_threads
from gnv2_nas.training.history import history_path, state_path
from gnv2_nas.workflows.events import Event, TaskProgress
from gnv2_nas.workflows.training_request import TrainRequest, check_trainings
from gnv2_nas.workflows.trainings import (
    FinishedTraining,
    TrainedNetwork,
    TrainingJob,
    run_trainings,
    train_networks,
)
from gnv2_nas.workflows.trust import TrustRequest, run_trust
from tests.search.spaces import SMALL, write_space
from tests.training.small import RESOLUTION, digits_at, same, short_recipe, small_network
from tests.waiting import until


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """The number of threads decides how sums are rounded."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with torch_threads(1):
        yield


def job(output: Path, steps: int, **changes: Any) -> TrainingJob:
    return TrainingJob(small_network(), short_recipe(steps, **changes), RESOLUTION, 1, output)


def find_training_processes() -> list[int]:
    """The workers of this process that train at the moment."""
    children = psutil.Process().children(recursive=True)
    return [each.pid for each in children if each.name().startswith("ray::ScorerActor.")]


def test_a_training_whose_worker_is_killed_continues_in_another(cluster, here):
    long, short = job(here / "long.safetensors", 40), job(here / "short.safetensors", 6)
    short = msgspec.structs.replace(
        short, architecture=short.architecture.replace(resolution=24), side=24
    )
    wrong = msgspec.structs.replace(short, recipe=short_recipe(learning_rate=1e30), output=None)
    results = train_networks([short, long, wrong], "digits", digits_at, ray="auto", save_every=0)
    found = dict([next(results)])
    until(state_path(long.output).exists)
    (process,) = find_training_processes()
    os.kill(process, signal.SIGKILL)
    found |= dict(results)
    for number, each in enumerate((short, long)):
        alone = train_network(
            each.architecture, digits_at(each.side), each.recipe, None, seed=each.seed
        )
        assert isinstance(found[number], TrainedNetwork)
        assert found[number].accuracy == alone.accuracy
        assert same(read_checkpoint(each.output), dict(alone.model.state_dict()))
        assert not state_path(each.output).exists()
    notes = [
        point.note for point in decode_history(history_path(long.output).read_bytes()) if point.note
    ]
    assert [note.startswith("resuming after step ") for note in notes] == [True]
    assert isinstance(found[2], TrainingError)
    assert "tried 2 times, each time " in str(found[2])


def test_networks_of_one_command_are_trained_by_workers(cluster, here, monkeypatch):
    monkeypatch.chdir(here)
    Path("one.json").write_text(small_network().to_json())
    Path("two.json").write_text(small_network(head_channels=48).to_json())
    request = TrainRequest("", "digits", Path("weights"), epochs=0.1)
    checked = check_trainings(["one.json", "two.json"], request, ray="auto")
    assert not any(each.finished for each in checked)
    events: list[Event] = []
    found = {
        each.output: result for each, result in run_trainings(checked, 1, "auto", events.append)
    }
    assert {each.share for each in events if isinstance(each, TaskProgress)} == {0, 0.5, 1}
    for output in (Path("weights/one.safetensors"), Path("weights/two.safetensors")):
        finished, record = found[output], read_training(output)
        assert isinstance(finished, FinishedTraining)
        assert finished.result["output"] == str(output)
        assert finished.result["accuracy"] == record.accuracy
        assert finished.messages[0] == "data digits"
        assert PAGE_MARK in output.with_suffix(".html").read_text()
    assert all(each.finished for each in check_trainings(["one.json", "two.json"], request))


@pytest.mark.slow  # two trainings take 15 s
def test_a_check_gets_the_same_accuracies_from_workers(cluster, tmp_path, monkeypatch):
    accuracies = []
    for ray in ("", "auto"):
        folder = tmp_path / f"ray {ray}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        write_space(folder, SMALL)
        request = TrustRequest("digits", "small.yaml", networks=2, seeds=2, epochs=0.1, ray=ray)
        panel = run_trust(request.check())
        lines = Path("search_spaces/small.trust.jsonl").read_text().splitlines()
        assert len(lines) == 4
        accuracies.append([each.accuracies for each in panel.networks])
    assert accuracies[0] == accuracies[1]
