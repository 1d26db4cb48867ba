"""The accuracy predictor: what it learns, what it says about its error, and its files."""

from __future__ import annotations

import random
import time
from typing import ClassVar

import msgspec
import numpy as np
import pytest

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.errors import CheckpointError, InputError
from gnv2_nas.graph import count
from gnv2_nas.quality import QualityContext, get_estimator
from gnv2_nas.quality.predictor.model import (
    Predictor,
    fit_predictor,
    load_predictor,
    save_predictor,
)
from gnv2_nas.space import load_space
from gnv2_nas.stats.rank_agreement import kendall_tau
from tests.quality.estimator_contract import EstimatorContract

SPACE = load_space("tiny")
NOISE = 0.5
"""Standard deviation of the planted accuracies, per cent."""


def sampled(networks: int, seed: int) -> list[Architecture]:
    rng = random.Random(seed)
    return [SPACE.sample(rng) for _ in range(networks)]


def planted(arch: Architecture) -> float:
    """An accuracy that size explains in part: attention in the last blocks helps, too."""
    attention = sum(block.ghost1.dfc is not None for block in arch.blocks[8:])
    size = np.log2(count(arch).params / 1e6)
    return float(75 + 1.5 * size + 1.2 * attention + 3 * np.log2(arch.resolution / 48))


def evaluated(networks: int = 120, seed: int = 0) -> tuple[list[Architecture], list[float]]:
    architectures = sampled(networks, seed)
    noise = np.random.default_rng(seed).normal(scale=NOISE, size=networks)
    return architectures, ([planted(arch) for arch in architectures] + noise).tolist()


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return fit_predictor(*evaluated(), SPACE, "supernet:some.safetensors")


@pytest.fixture(scope="module")
def file(predictor, tmp_path_factory):
    path = tmp_path_factory.mktemp("predictor") / "predictor.json"
    save_predictor(predictor, path)
    return path


class TestContract(EstimatorContract):
    networks: ClassVar = dict(zip("ab", sampled(2, 9), strict=True))

    @pytest.fixture
    def spec(self, file):
        return f"predictor:{file}"


def test_it_finds_what_was_planted(predictor):
    others = sampled(300, 1)
    predicted, _ = predictor.predict(others)
    truth = [planted(arch) for arch in others]
    assert np.abs(predicted - truth).mean() < 0.35 * np.std(truth)
    assert kendall_tau(predicted.tolist(), truth) > 0.75


def test_its_held_out_error_is_its_error_on_others_beside_that_of_baselines(predictor):
    own, *baselines = predictor.errors
    assert [each.name for each in baselines] == ["mean", "multiply-adds alone", "parameters alone"]
    assert all(own.mae < each.mae for each in baselines)
    assert baselines[0].agreement is None
    others, truth = evaluated(300, seed=1)
    predicted, _ = predictor.predict(others)
    assert np.abs(predicted - truth).mean() == pytest.approx(own.mae, rel=0.25)
    assert own.agreement.low <= kendall_tau(predicted.tolist(), truth) <= own.agreement.high + 0.05


def test_error_bars_hold_19_of_20_accuracies(predictor):
    others, truth = evaluated(300, seed=2)
    predicted, spread = predictor.predict(others)
    assert 0.9 <= (np.abs(predicted - truth) < 1.96 * spread).mean() <= 0.99


def test_accuracies_that_nothing_explains_are_predicted_by_their_mean():
    architectures = sampled(80, 3)
    luck = np.random.default_rng(3).normal(70, 2, size=80).tolist()
    own, mean, *_ = fit_predictor(architectures, luck, SPACE).errors
    assert own.mae == pytest.approx(mean.mae, rel=0.15)


def test_predictions_stay_accuracies_even_far_from_what_was_seen():
    architectures = sampled(60, 4)
    accuracies = [100 / (1 + 1e6 / count(arch).params) + 4 for arch in architectures]
    predicted, _ = fit_predictor(architectures, [min(a, 100.0) for a in accuracies], SPACE).predict(
        [SPACE.decode(SPACE.largest()), SPACE.decode(SPACE.smallest())]
    )
    assert all(0 < each < 100 for each in predicted)


def test_two_thousand_a_second_reading_them_off_included(predictor):
    architectures = sampled(500, 5)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        predictor.predict(architectures)
        seconds.append(time.perf_counter() - start)
    assert len(architectures) / min(seconds) >= 2000


def test_a_file_is_the_same_predictor(predictor, file):
    others = sampled(20, 6)
    again = load_predictor(file)
    assert np.array_equal(again.predict(others), predictor.predict(others))
    for field in ("space", "space_hash", "supernet_spec", "source", "networks", "errors"):
        assert getattr(again, field) == getattr(predictor, field)


def test_the_label_says_that_it_is_predicted_and_how_far_off(file, predictor):
    info = get_estimator(f"predictor:{file}").info
    assert info.note == f"predicted accuracy, held-out error ±{predictor.error.mae:.2g} %"
    assert info.noise > predictor.error.rmse


def test_networks_outside_the_space_are_not_compared(file):
    info = get_estimator(f"predictor:{file}").info
    assert info.compares(SPACE.decode(SPACE.largest()))
    for name in ("ghostnetv2-1.6", "mobilenetv3-large-1.0"):
        other = preset(name).replace(resolution=64, num_classes=10)
        assert not info.compares(other)
    with pytest.raises(InputError, match="must be relu, but got hard_swish"):
        get_estimator(f"predictor:{file}").score(other)


@pytest.mark.parametrize("name", ["mobile", "placement"])
def test_a_predictor_of_another_space_is_refused(name, file):
    with pytest.raises(InputError, match=r"('tiny'|10 classes).*fit one"):
        get_estimator(f"predictor:{file}", QualityContext(space=load_space(name)))


def test_too_few_networks_to_learn_from():
    with pytest.raises(InputError, match="at least 20 evaluated networks, but got 5"):
        fit_predictor(*evaluated(5), SPACE)


def damaged(content: bytes) -> dict[str, bytes]:
    record = msgspec.json.decode(content)
    ridge = record["ridge"]
    numbers = np.full(len(record["columns"]), np.nan).tobytes()
    return {
        "empty": b"",
        "text": b"not a predictor",
        "pickle": b"\x80\x04\x95K\x00\x00",
        "deep": b"[" * 100_000,
        "cut short": content[: len(content) // 2],
        "another file": preset("ghostnet-1.0").to_json().encode(),
        "another version": msgspec.json.encode(record | {"version": 2}),
        "other features": msgspec.json.encode(record | {"columns": record["columns"][:-1]}),
        "short array": msgspec.json.encode(record | {"ridge": ridge | {"weights": "AAAA"}}),
        "no numbers": msgspec.json.encode(record | {"ridge": ridge | {"centre": numbers}}),
    }


@pytest.mark.parametrize("case", damaged(b'{"ridge": {"centre": ""}, "columns": [""]}'))
def test_a_file_that_is_none_is_refused_in_one_line(case, file, tmp_path):
    path = tmp_path / "predictor.json"
    path.write_bytes(damaged(file.read_bytes())[case])
    with pytest.raises(CheckpointError, match=r"predictor\.json") as refusal:
        load_predictor(path)
    assert "\n" not in str(refusal.value)
