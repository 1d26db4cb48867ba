"""The estimators that need no data, by their contract, and how estimators are asked for."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from gnv2_nas.arch import Architecture, MobileBlock, preset
from gnv2_nas.errors import InputError, UnknownNameError
from gnv2_nas.quality import (
    ESTIMATORS,
    QualityContext,
    QualitySpec,
    check_estimator,
    get_estimator,
)
from gnv2_nas.search.study import defaults
from tests.quality.estimator_contract import SMALL, EstimatorContract
from tests.quality.small_space import small_space
from tests.strategies import architectures

DATA_FREE = [name for name, info in ESTIMATORS.items() if not info.needs_data and not info.file]
SHUT = Architecture(
    blocks=(MobileBlock(1, 1, kernel=1, stride=2),),
    stem_channels=1, conv_channels=1, head_channels=1, resolution=17, num_classes=1,
)  # fmt: skip
"""With the weights of seed 0 no rectifier lets anything through."""


class TestDataFree(EstimatorContract):
    together = tuple(DATA_FREE)

    @pytest.fixture(params=DATA_FREE)
    def spec(self, request: pytest.FixtureRequest) -> str:
        name: str = request.param
        return name

    @staticmethod
    def context() -> QualityContext:
        return QualityContext(small_space())

    def test_its_label_is_the_one_known_before(self, estimator, spec):
        assert estimator.info == check_estimator(spec)

    @settings(
        max_examples=30,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(arch=architectures(max_blocks=2))
    @example(arch=SHUT)
    def test_any_network_has_a_finite_score(self, estimator, arch):
        score = estimator.score(arch)
        assert isinstance(score, float)
        assert math.isfinite(score)

    def test_genes_without_effect_do_not_count(self, estimator):
        arch = SMALL["ghostnetv2-1.0"]
        text = arch.to_json()
        late = text.rindex('"kernel_h":')
        # On a map of one pixel a kernel of 31 is one of 1.
        other = text[:late] + '"kernel_h":31' + text[text.index(",", late) :]
        assert estimator.score(Architecture.from_json(other)) == estimator.score(arch)


@pytest.mark.parametrize("name", ["", "Zen", "accuracy", "Zen:file"])
def test_an_unknown_estimator_is_answered_with_the_known_ones(name):
    first = name.partition(":")[0]
    with pytest.raises(UnknownNameError, match=f"unknown quality estimator '{first}'.*macs.*zen"):
        get_estimator(name)


def test_the_nearest_name_is_offered():
    with pytest.raises(UnknownNameError, match="did you mean 'az-nas'"):
        check_estimator("aznas")


@pytest.mark.parametrize("spec", ["supernet", "supernet:", "predictor", "train:"])
def test_a_missing_file_name_is_asked_for(spec):
    name = spec.partition(":")[0]
    with pytest.raises(InputError, match=f"needs a file: give {name}:FILE, where FILE is a"):
        check_estimator(spec)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    file = tmp_path / "supernet.safetensors"
    with pytest.raises(InputError, match=r"there is no file '.*supernet\.safetensors'"):
        check_estimator(f"supernet:{file}")


@pytest.mark.parametrize("name", ["supernet", "train", "predictor"])
def test_a_file_of_something_else_is_refused_without_importing_torch(name, tmp_path: Path):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"no weights at all")
    code = (
        "import sys; from gnv2_nas.errors import CheckpointError\n"
        "from gnv2_nas.quality import check_estimator\n"
        "try: check_estimator(sys.argv[1])\n"
        "except CheckpointError as error: print(error)\n"
        "assert 'torch' not in sys.modules"
    )
    refused = subprocess.run(
        [sys.executable, "-c", code, f"{name}:{file}"], capture_output=True, text=True
    )
    assert refused.returncode == 0, refused.stderr
    assert str(file) in refused.stdout
    assert refused.stdout.count("\n") == 1


@pytest.mark.parametrize("name", DATA_FREE)
def test_a_file_is_refused_where_none_is_taken(name):
    escaped = re.escape(name)
    with pytest.raises(InputError, match=f"{escaped} takes no file, but got '{escaped}:weights'"):
        check_estimator(f"{name}:weights")


def test_training_without_images_is_refused():
    assert check_estimator("train").needs_data
    with pytest.raises(InputError, match="train needs images: give --data DIR"):
        get_estimator("train")


def test_the_default_is_one_of_them():
    assert defaults.QUALITY in ESTIMATORS


def test_the_baselines_count_millions():
    assert get_estimator("params").score(preset("ghostnetv2-1.0")) == 6.156908
    assert get_estimator("macs").score(preset("ghostnetv2-1.0")) == pytest.approx(167, abs=5)


@pytest.mark.parametrize(
    ("text", "label", "file"),
    [
        ("zen", "zen", ""),
        ("zen:", "zen", ""),
        ("supernet:supernet.safetensors", "supernet", "supernet.safetensors"),
        ("supernet:runs/emoji.safetensors", "supernet-emoji", "runs/emoji.safetensors"),
        ("predictor:a:b.json", "predictor-a:b", "a:b.json"),
    ],
)
def test_spec_is_parsed_and_written_as_it_was_typed(text: str, label: str, file: str) -> None:
    spec = QualitySpec.parse(text)
    assert str(spec) == text
    assert spec.label == label
    assert str(spec.path or "") == file


def test_specs_match_by_the_name_of_the_file() -> None:
    here, there, other, none = map(
        QualitySpec.parse,
        ("supernet:a.pt", "supernet:x/a.pt", "train:a", "train"),
    )
    assert here.matches(there)
    assert not here.matches(other)
    assert not other.matches(none)
