"""Times are read from the output of real programs; anything else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnv2_nas.devices.programs.kinds import KINDS
from gnv2_nas.devices.programs.readings import Reading
from gnv2_nas.errors import MeasurementError

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> str:
    return (RECORDED / f"{name}.txt").read_text()


@pytest.mark.parametrize(
    ("kind", "name", "first", "counted"),
    [
        ("benchmark_model", "benchmark_model", 13.7643e-3, 13.5202e-3),
        ("benchmark_model", "benchmark_model_2020", 34.8251e-3, 33.2094e-3),
        # The first call of all is the slow one, so it is not among those that count.
        ("executor_runner", "executor_runner", 9.812e-3, 6.0205e-3),
        # Neither the latency with copies nor the sum of all calls.
        ("trtexec", "trtexec", 7.14139e-3, 7.14139e-3),
    ],
)
def test_times_are_read_from_what_the_programs_print(kind, name, first, counted):
    reading = KINDS[kind].read(recorded(name))
    assert (reading.first, reading.counted) == pytest.approx((first, counted))


def test_a_newer_benchmark_model_prints_a_median():
    text = recorded("benchmark_model").replace("std=470", "std=470 p5=13120 median=13333 p95=14500")
    assert KINDS["benchmark_model"].read(text).counted == pytest.approx(13.333e-3)


def test_an_executor_runner_that_prints_the_sum_alone_gives_the_mean():
    lines = [line for line in recorded("executor_runner").splitlines() if "Iteration" not in line]
    expected = pytest.approx(34.003e-3 / 5)
    assert KINDS["executor_runner"].read("\n".join(lines)) == Reading(expected, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", "Segmentation fault\n", "Inference (avg): 3 ms", "in 0 ms"])
def test_output_without_times_has_no_reading(kind, text):
    assert KINDS[kind].read(text) is None


@pytest.mark.parametrize("time", ["nan", "inf", "-1.5", "0", "0.00", "1e-320", "1e999", "7.1.4"])
def test_a_time_must_be_a_positive_number(time):
    text = recorded("trtexec").replace("7.14139", time)
    with pytest.raises(MeasurementError, match="must be a positive number"):
        KINDS["trtexec"].read(text)
