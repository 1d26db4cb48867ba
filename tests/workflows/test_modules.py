"""`gnv2-nas modules` on this machine, on a few small modules."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gnv2_nas.errors import InputError, MeasurementError, OutputError
from gnv2_nas.space import load_space
from gnv2_nas.space.narrowing import searched_axes
from gnv2_nas.workflows import modules
from gnv2_nas.workflows.modules import ModulesRequest, run_modules
from tests.modules import shorten_modules


@pytest.fixture(autouse=True)
def _few(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    shorten_modules(monkeypatch.setattr)


def test_page_and_space_follow_from_the_times():
    target, messages = Path("paying.yaml"), []
    checked = ModulesRequest(space="mobile", write_space=target).check()
    findings = run_modules(checked, lambda event: messages.append(getattr(event, "text", "")))
    assert [each.name for each in findings.comparisons] == [
        "ghost", "attention", "dfc", "bottlenecks"
    ]  # fmt: skip
    assert all(row.ratio or row.refused for one in findings.comparisons for row in one.rows)
    paying = {axis.axis for axis in findings.axes if axis.pays}
    measured = {axis.axis for axis in findings.axes}
    # Nothing that attention or its absence costs can be within the noise.
    assert "placement" in paying
    opened = set(searched_axes(load_space("mobile")))
    assert set(searched_axes(load_space(target))) == opened - measured | opened & paying
    assert "Which axes of a search pay" in Path("reports/modules-cpu.html").read_text()
    assert messages[-2:] == ["page: reports/modules-cpu.html", "written: paying.yaml"]
    ModulesRequest(space="mobile", write_space=target).check()  # replaces its own


def test_unsteady_times_write_no_space(monkeypatch):
    target = Path("paying.yaml")
    measure = modules.measure_modules

    def measure_unsteadily(device, **options):
        found = measure(device, **options)
        first = replace(found.comparisons[0], doubts=("it got hot",))
        return replace(found, comparisons=(first, *found.comparisons[1:]))

    monkeypatch.setattr(modules, "measure_modules", measure_unsteadily)
    with pytest.raises(MeasurementError, match=r"\(it got hot\), so 'paying.yaml' was not"):
        run_modules(ModulesRequest(write_space=target).check())
    assert not target.exists()
    assert "Nothing follows from this: it got hot" in Path("reports/modules-cpu.html").read_text()


@pytest.mark.parametrize(
    ("options", "error", "problem"),
    [
        ({"device": "cpu-torch"}, InputError, "device cpu-torch: runtime 'torch' runs whole"),
        ({"device": "cpv"}, InputError, "unknown device 'cpv'; did you mean 'cpu'"),
        ({"space": "mobil"}, InputError, "did you mean 'mobile'"),
        ({"write_space": Path("space.txt")}, InputError, "ends in .yaml or .yml"),
        ({"write_space": Path("mine.yaml")}, OutputError, "would overwrite 'mine.yaml'"),
    ],
)
def test_what_cannot_start_is_refused(options, error, problem):
    Path("mine.yaml").write_text("base: ghostnetv2-1.0\naxes: {width: {choices: [1, 1.3]}}\n")
    with pytest.raises(error, match=problem):
        ModulesRequest(**options).check()


def test_a_time_limit_must_be_positive():
    with pytest.raises(InputError, match="`timeout > 0` must hold, but got 0 s"):
        ModulesRequest(timeout=0.0).check()
