"""A training that is stopped in any way goes on as if nothing had happened."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from gnv2_nas.errors import CheckpointError
from gnv2_nas.nn import read_checkpoint
from gnv2_nas.training.history import state_path
from tests.training.small import same, short_recipe, train, weights

PATIENCE = 90.0
"""Seconds; only a broken training takes so long."""

RECIPE = short_recipe(12, optimizer="adamw", learning_rate=0.01, evaluations=3)

TRAIN = """
import sys
from pathlib import Path
from tests.training.small import train
from tests.training.test_resume import RECIPE


def look(point):
    print(point.step, flush=True)
    if point.step == int(sys.argv[2]):
        sys.stdin.read()

train(Path(sys.argv[1]), recipe=RECIPE, save_every=0.0, observer=look)
"""


def stop_at(output: Path, step: int, signum: int) -> tuple[int, str]:
    """Train in another process, which waits after `step` until the signal has come."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", TRAIN, str(output), str(step)], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    late = threading.Timer(PATIENCE, process.kill)
    late.start()
    for line in process.stdout:
        if int(line) == step:
            process.send_signal(signum)
            break
    _, errors = process.communicate(timeout=PATIENCE)
    late.cancel()
    return process.returncode, errors


def test_killed_and_resumed_it_ends_with_the_same_weights(tmp_path):
    through = train(recipe=RECIPE)
    output = tmp_path / "small.safetensors"
    for step in (4, 9):
        code, errors = stop_at(output, step, signal.SIGKILL)
        assert code == -signal.SIGKILL, errors
        assert state_path(output).exists()
        assert not output.exists()
    points = []
    resumed = train(output, recipe=RECIPE, observer=points.append)
    assert "resuming after step 8 of 12" in points[0].note
    assert same(weights(resumed.model), weights(through.model))
    assert same(read_checkpoint(output), weights(through.model))
    assert not state_path(output).exists()
    assert [point.step for point in resumed.history if point.accuracy is not None] == [4, 8, 12]
    accuracies = [point.accuracy for point in resumed.history if point.accuracy is not None]
    assert accuracies == [point.accuracy for point in through.history]


def test_with_branches_it_goes_on_as_well(tmp_path):
    """The state holds the branches, their statistics and their averages."""
    recipe, output = RECIPE.replace(branches=2), tmp_path / "small.safetensors"

    def stop(point):
        if point.step == 7:
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        train(output, recipe=recipe, save_every=0.0, observer=stop)
    resumed, through = train(output, recipe=recipe), train(recipe=recipe)
    assert any("resuming after step 6" in point.note for point in resumed.history)
    assert same(weights(resumed.model), weights(through.model))
    assert same(read_checkpoint(output), weights(through.model))


def test_interrupted_it_finishes_the_step_and_saves(tmp_path):
    output = tmp_path / "small.safetensors"
    code, errors = stop_at(output, 5, signal.SIGINT)
    assert code != 0
    assert errors.rstrip().endswith("KeyboardInterrupt")
    points = []
    resumed = train(output, recipe=RECIPE, observer=points.append)
    assert points[0].step == 6
    assert same(weights(resumed.model), weights(train(recipe=RECIPE).model))


class StopError(Exception):
    """From an observer."""


def stopped(output: Path, **options) -> None:
    """Leaves the state of a training behind."""

    def look(point):
        if point.step == 3:
            raise StopError

    with pytest.raises(StopError):
        train(output, save_every=0.0, observer=look, **options)


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"seed": 7}, "seed was 0 and is 7"),
        ({"recipe": short_recipe(dropout=0.5)}, "dropout was 0.2 and is 0.5"),
        ({"initial": "weights"}, "initial weights was random and is "),
    ],
)
def test_the_state_of_another_training_is_refused(tmp_path, options, difference):
    output = tmp_path / "small.safetensors"
    stopped(output)
    before = state_path(output).read_bytes()
    if "initial" in options:
        options = {"initial": weights(train(recipe=short_recipe(1)).model)}
    with pytest.raises(CheckpointError, match=f"{difference}.*delete the file") as refusal:
        train(output, **options)
    assert "\n" not in str(refusal.value)
    assert state_path(output).read_bytes() == before


@pytest.mark.parametrize("damage", [b"", b"no state", None])
def test_a_damaged_state_is_refused(tmp_path, damage):
    output = tmp_path / "small.safetensors"
    stopped(output)
    path = state_path(output)
    path.write_bytes(path.read_bytes()[:-1000] if damage is None else damage)
    with pytest.raises(CheckpointError, match=r"cannot be read .*delete it to start again"):
        train(output)


def test_a_state_of_another_version_is_refused(tmp_path):
    output = tmp_path / "small.safetensors"
    stopped(output)
    content = torch.load(state_path(output), weights_only=True)
    del content["state"]["module"]["conv_stem.weight"]
    torch.save(content, state_path(output))
    with pytest.raises(CheckpointError, match=r"does not fit .*delete it to start again"):
        train(output)


def test_a_state_that_holds_code_is_not_run(tmp_path):
    output = tmp_path / "small.safetensors"
    torch.save({"fingerprint": {}, "state": Path.unlink}, state_path(output))
    with pytest.raises(CheckpointError, match="cannot be read"):
        train(output)
