"""Evaluating networks for a predictor: kept one by one, and nothing is evaluated twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from gnv2_nas.errors import InputError, OutputError
from gnv2_nas.nn.supernet import Supernet
from gnv2_nas.nn.supernet.supernet import SupernetRecord, save_supernet
from gnv2_nas.quality.predictor.model import Predictor
from gnv2_nas.workflows.predictor import PredictorFitRequest, evaluate_and_fit, sample_distinct
from tests.quality.small_data import digits, small_context, small_space

NETWORKS = 20


@pytest.fixture(scope="module")
def spec(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("supernet") / "supernet.safetensors"
    save_untrained(path, seed=0)
    return f"supernet:{path}"


def save_untrained(path: Path, seed: int) -> None:
    """A supernet that has learnt nothing: its accuracies differ by luck."""
    space, data = small_space(), digits()
    torch.manual_seed(seed)
    record = SupernetRecord(
        space=space.name, space_hash=space.content_hash, supernet_spec=space.supernet_spec,
        preprocessing=data.preprocessing, data=data.name, data_hash=data.content_hash,
        steps=1, seconds=0.0, largest_accuracy=0.1, smallest_accuracy=0.1,
    )  # fmt: skip
    save_supernet(Supernet(space.supernet_spec), record, path)


def fitted(spec: str, folder: Path, told: list[float] | None = None) -> Predictor:
    progress = (lambda _: None) if told is None else told.append
    return evaluate_and_fit(
        spec, small_context(), NETWORKS, folder / "predictor.json.jsonl", progress
    )


def test_networks_are_distinct_and_of_the_space():
    networks = sample_distinct(small_space(), 100, seed=1)
    assert len({arch.id for arch in networks}) == 100
    assert all(small_space().encode(arch) for arch in networks)
    assert networks == sample_distinct(small_space(), 100, seed=1)


def test_a_small_space_gives_what_it_has():
    assert len(sample_distinct(small_space(), 300, seed=0)) <= small_space().size


def test_interrupted_it_goes_on_with_the_networks_that_are_left(spec, tmp_path):
    def stop(share: float) -> None:
        if share >= 0.5:
            raise KeyboardInterrupt

    path = tmp_path / "predictor.json.jsonl"
    with pytest.raises(KeyboardInterrupt):
        evaluate_and_fit(spec, small_context(), NETWORKS, path, stop)
    half = path.read_text().splitlines()
    assert len(half) == NETWORKS / 2
    resumed = fitted(spec, tmp_path)
    lines = path.read_text().splitlines()
    assert lines[: len(half)] == half
    assert len({json.loads(line)["network"] for line in lines}) == len(lines) == NETWORKS
    (tmp_path / "straight").mkdir()
    straight = fitted(spec, tmp_path / "straight")
    arch = sample_distinct(small_space(), 1, seed=5)
    assert resumed.predict(arch)[0] == pytest.approx(straight.predict(arch)[0], abs=1.0)


def test_it_tells_how_far_it_is_and_remembers_what_it_learnt_from(spec, tmp_path):
    told: list[float] = []
    predictor = fitted(spec, tmp_path, told)
    assert told == [pytest.approx((number + 1) / NETWORKS) for number in range(NETWORKS)]
    assert (predictor.networks, predictor.source) == (NETWORKS, spec)
    assert predictor.space_hash == small_space().content_hash


def test_accuracies_of_other_weights_are_not_taken_over(tmp_path):
    path = tmp_path / "supernet.safetensors"
    for seed in (1, 2):
        save_untrained(path, seed)
        fitted(f"supernet:{path}", tmp_path)
    journal = tmp_path / "predictor.json.jsonl"
    assert len(journal.read_text().splitlines()) == 2 * NETWORKS


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"quality": "params"}, InputError, "gives no accuracy"),
        ({"quality": "az-nas"}, InputError, "gives no accuracy"),
        ({"networks": 19}, InputError, "20 or more, but got 19"),
        ({"data": "nowhere"}, InputError, "nowhere"),
        ({"space": "nowhere"}, InputError, "unknown search space"),
        ({"output": Path("no/such/folder.json")}, OutputError, "not there"),
    ],
)
def test_what_cannot_be_fitted_is_known_at_once(change, error, message, tmp_path):
    asked = {
        "data": "digits", "space": "tiny", "quality": "train", "output": tmp_path / "p.json",
        "networks": 20,
    }  # fmt: skip
    assert PredictorFitRequest(**asked).check().space.num_classes == 10
    with pytest.raises(error, match=message):
        PredictorFitRequest(**asked | change).check()
