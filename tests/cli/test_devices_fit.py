"""`devices fit` and `profile --predict`, with the real runtime."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.cli.command import gnv2_nas, run_installed
from tests.search.spaces import SMALL, write_space

FIT = ("devices", "fit", "cpu", "--space", "small.yaml", "--networks", 9, "--held-out", 1)
QUICK = ("--seconds-per-network", 0.02)


@pytest.fixture(scope="module")
def fitted(flow, tmp_path_factory):
    """A working directory with a model of `cpu`, and what fitting it answered."""
    folder = tmp_path_factory.mktemp("fitted")
    (folder / "profiles").mkdir()
    # Calibrated already: that takes longer than all the rest.
    name = "cpu.calibration.json"
    shutil.copy(flow.folder / "profiles" / name, folder / "profiles" / name)
    write_space(folder, SMALL)
    answer = gnv2_nas(*FIT, *QUICK, cwd=folder)
    assert answer.code == 0, answer.err
    return folder, answer


@pytest.fixture
def here(fitted, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(fitted[0], tmp_path / "here")
    return tmp_path / "here"


def change_model(folder, change):
    path = folder / "profiles" / "cpu.latency.json"
    model = json.loads(path.read_text())
    change(model)
    path.write_text(json.dumps(model))


def test_fitting_prints_the_errors_and_says_what_next(fitted):
    _, answer = fitted
    for name in ("model", "constant", "multiply-adds alone", "noise floor"):
        assert name in answer.out
    assert "9 networks of space small, 0 of them measured before" in answer.err
    assert "kept in profiles/cpu.latency.json" in answer.err
    assert "next: gnv2-nas profile --predict --device cpu" in answer.err


def test_fitting_again_measures_nothing(here):
    journal = here / "profiles" / "cpu.jsonl"
    before = journal.read_bytes()
    answer = gnv2_nas(*FIT, *QUICK, "--json", cwd=here)
    assert answer.code == 0, answer.err
    assert "9 of them measured before" in answer.err
    assert journal.read_bytes() == before
    found = json.loads(answer.out)
    assert (found["networks"], found["held_out"]) == (9, 1)
    assert [each["name"] for each in found["errors"]][:2] == ["model", "constant"]
    assert found["file"] == "profiles/cpu.latency.json"
    assert found["fitted_on"]["space"] == "small.yaml"


def test_a_prediction_is_called_one_and_stands_beside_its_error(here):
    answer = gnv2_nas("profile", "ghostnetv2-1.0", "--predict", cwd=here)
    assert answer.code == 0, answer.err
    assert "predicted ms" in answer.out
    assert (
        "predicted, not measured: on 1 networks it had not seen, the model of device cpu"
        in answer.err
    )
    assert "noise floor" in answer.err
    # A hundred times larger than all it was fitted to.
    assert "? ghostnetv2-1.0: unlike the networks that the model was fitted to" in answer.err
    assert "warning" not in answer.err


def test_predictions_for_scripts(here):
    (here / "profiles" / "cpu.jsonl").unlink()
    answer = gnv2_nas("profile", "--predict", "--json", cwd=here)
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    reference = found["model"]["reference_ms"]
    for row in found["predictions"]:
        predicted = row["predicted_latency"]
        assert predicted["ms"] == pytest.approx(predicted["ratio"] * reference)
        assert "latency" not in row
    assert found["differences"] == []
    # Nothing was measured.
    assert not (here / "profiles" / "cpu.jsonl").exists()


def test_a_model_of_another_machine_is_warned_of(here):
    change_model(here, lambda model: model["fitted_on"]["fingerprint"].update(cpu="Cortex-A76"))
    answer = gnv2_nas("profile", "ghostnet-1.0", "--predict", cwd=here)
    assert answer.code == 0
    assert (
        "warning: the model was fitted on another machine; processor: fitted on Cortex-A76"
        in answer.err
    )


def test_a_model_of_another_profile_is_refused(here):
    (here / "profiles" / "cpu.yaml").write_text("description: two threads\nthreads: 2\n")
    answer = gnv2_nas("profile", "ghostnet-1.0", "--predict", cwd=here)
    assert answer.code == 2
    assert answer.out == ""
    assert "was fitted with another device profile" in answer.err
    assert answer.err.endswith("fit it again: gnv2-nas devices fit cpu\n")


def test_a_damaged_model_is_refused(here):
    (here / "profiles" / "cpu.latency.json").write_text("{")
    answer = gnv2_nas("profile", "ghostnet-1.0", "--predict", cwd=here)
    assert answer.code == 2
    assert "not a latency model" in answer.err


def test_help_loads_nothing_heavy(tmp_path):
    answer = run_installed("devices", "fit", "--help", cwd=tmp_path)
    assert "Examples: gnv2-nas devices fit cpu" in " ".join(answer.out.split())
    assert not answer.imported & {"torch", "numpy", "onnxruntime", "optuna"}
