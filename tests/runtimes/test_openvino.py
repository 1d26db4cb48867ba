"""OpenVINO keeps the contract of runtimes."""

from __future__ import annotations

import numpy as np
import pytest

from gnv2_nas.arch import preset
from gnv2_nas.errors import InputError
from gnv2_nas.graph import lower, op_macs
from gnv2_nas.graph.passes.form import MAX_FUSED, FileForm
from gnv2_nas.graph.passes.pipeline import fuse_ghost_modules, sink_concats
from gnv2_nas.graph.weights import TimingWeights
from gnv2_nas.runtimes.base import RUNTIMES, get_runtime
from gnv2_nas.runtimes.openvino_runtime import OpenVino
from tests.networks import difference, random_model
from tests.runtimes.runtime_contract import TINY, RuntimeContract


class TestOpenVino(RuntimeContract):
    @pytest.fixture
    def runtime(self):
        return get_runtime("openvino")


class TestOpenVinoInt8(RuntimeContract):
    networks = few = TINY
    random_count = 0

    @pytest.fixture
    def runtime(self):
        return get_runtime("openvino", "int8")


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_is_another_result_or_refused(precision):
    try:
        runtime = get_runtime("openvino", precision)
    except InputError as error:
        assert f"runs at {precision} where the CPU does" in str(error)  # noqa: PT017
        return
    arch = TINY["ghost"]
    full = get_runtime("openvino")
    at_half, at_full = (it.load(it.write(arch), 1).logits() for it in (runtime, full))
    assert 0 < difference(at_half, at_full) < 0.1


def test_a_precision_the_cpu_does_not_have_is_refused(monkeypatch):
    monkeypatch.setattr(
        "openvino.Core.get_property", lambda *_: ["FP32", "INT8", "WINOGRAD"], raising=True
    )
    with pytest.raises(InputError, match=r"runs at bf16 where the CPU does; .* FP32, INT8$"):
        OpenVino("bf16").check_here()
    OpenVino("fp32").check_here()


@pytest.mark.parametrize("arch", [*TINY.values(), preset("ghostnetv2-1.0").replace(resolution=64)])
def test_joined_modules_compute_the_same(arch):
    """To the last bit in one runtime: it is the same sums in the same order, or passed on."""
    runtime, model = get_runtime("onnxruntime"), random_model(arch)
    plain, other = (
        runtime.load(runtime.with_form(form).write(arch, model), 1)
        for form in (FileForm(1, fuse_up_to=0), FileForm(1, fuse_up_to=MAX_FUSED))
    )
    assert difference(other.logits(), plain.logits()) < 1e-5


def test_joined_leaves_no_concatenation_up_to_the_limit():
    graph = lower(preset("ghostnetv2-1.0"))
    smaller, _ = fuse_ghost_modules(graph, TimingWeights(), 16)
    kept = [op.shape[0] for op in smaller.ops if op.kind == "concat"]
    assert min(kept) > 16
    assert len(kept) == sum(op.kind == "concat" and op.shape[0] > 16 for op in graph.ops)
    everything, weights = fuse_ghost_modules(graph, TimingWeights(), 1 << 20)
    assert not any(op.kind == "concat" for op in everything.ops)
    for op in everything.ops:
        if op.weight:
            kernel, bias = weights.fold(op)
            assert len(kernel) == len(bias) == op.shape[0]
            assert np.isfinite(kernel).all()


# Without attention a module of a block with stride ends in a concatenation.
@pytest.mark.parametrize("name", ["ghostnet-1.0", "ghostnetv2-1.0"])
def test_late_concatenations_compute_the_same(name):
    arch = preset(name).replace(resolution=64)
    runtime, model = get_runtime("onnxruntime"), random_model(arch)
    plain, other = (
        runtime.load(runtime.with_form(FileForm(1, sink_concats=late)).write(arch, model), 1)
        for late in (False, True)
    )
    assert difference(other.logits(), plain.logits()) < 1e-5


def test_late_concatenations_are_smaller():
    graph = lower(preset("ghostnet-1.0"))
    late, _ = sink_concats(graph, TimingWeights())

    def joined_pixels(ops):
        return sum(op.shape[1] * op.shape[2] for op in ops if op.kind == "concat")

    assert joined_pixels(late.ops) < joined_pixels(graph.ops)
    assert sum(op_macs(op) for op in late.ops) == sum(op_macs(op) for op in graph.ops)


def test_its_precisions_are_in_the_table():
    assert RUNTIMES["openvino"].precisions == {"cpu": ("fp32", "bf16", "fp16", "int8")}
