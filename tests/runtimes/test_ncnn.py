"""ncnn keeps the contract of runtimes."""

from __future__ import annotations

import pytest

from gnv2_nas.errors import MeasurementError
from gnv2_nas.runtimes.base import get_runtime
from tests.networks import difference
from tests.runtimes.runtime_contract import TINY, RuntimeContract


class TestNcnn(RuntimeContract):
    @pytest.fixture
    def runtime(self):
        return get_runtime("ncnn")


class TestNcnnFp16(RuntimeContract):
    networks = few = TINY
    random_count = 2

    @pytest.fixture
    def runtime(self):
        return get_runtime("ncnn", "fp16")


class TestNcnnBf16(RuntimeContract):
    networks = few = TINY
    random_count = 2

    @pytest.fixture
    def runtime(self):
        return get_runtime("ncnn", "bf16")


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_is_another_result(precision):
    full, half = get_runtime("ncnn"), get_runtime("ncnn", precision)
    files = full.write(TINY["ghost"])
    assert 0 < difference(half.load(files, 1).logits(), full.load(files, 1).logits()) < 0.1


DAMAGES = {
    "longer weights": lambda param, weights: (param, weights + bytes(4)),
    "no tag": lambda param, weights: (param, bytes([1, 2, 3, 4]) + weights[4:]),
    "channels": lambda param, weights: (param.replace(" 0=8 ", " 0=9 ", 1), weights),
    "no channels": lambda param, weights: (param.replace(" 0=8 ", " ", 1), weights),
    "negative": lambda param, weights: (param.replace(" 6=", " 6=-", 1), weights),
    "unknown layer": lambda param, weights: (param.replace("Split", "Spilt", 1), weights),
    "unknown blob": lambda param, weights: (param.replace(" 1 1 input ", " 1 1 in ", 1), weights),
    "read twice": lambda param, weights: (param.replace("add.1", "add.0"), weights),
    "line twice": lambda param, weights: (param + param.splitlines(keepends=True)[-1], weights),
    "line missing": lambda param, weights: (
        "".join(param.splitlines(keepends=True)[:-1]), weights,
    ),
    "not text": lambda param, weights: ("\udcff" + param, weights),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_files_are_refused(damage):
    runtime = get_runtime("ncnn")
    files = runtime.write(TINY["ghost"])
    param, weights = damage(files[".param"].decode(), files[".bin"])
    damaged = {".param": param.encode(errors="surrogateescape"), ".bin": weights}
    assert damaged != files
    with pytest.raises(MeasurementError, match=r"^ncnn cannot load the file: "):
        runtime.load(damaged, threads=1)
