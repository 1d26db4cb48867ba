"""Counting by arithmetic against published numbers, fvcore and the torch module."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings

from gnv2_nas.arch import Architecture, GhostBlock, GhostModule, MobileBlock, preset
from gnv2_nas.graph import (
    Graph,
    count,
    count_graph,
    lower,
    op_activation_bytes,
    op_macs,
)
from gnv2_nas.graph.weights import TimingWeights
from gnv2_nas.nn import Network, build_model
from tests.strategies import architectures

with warnings.catch_warnings():
    # It scripts functions at import, which newer torch calls deprecated.
    warnings.simplefilter("ignore")
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import addmm_flop_jit, conv_flop_jit, linear_flop_jit

# At 224x224 and 1000 classes: parameters, multiply-adds of conv + linear, fvcore default total.
GOLDEN = {
    "ghostnet-1.0": (5_182_508, 141_150_512, 148_777_264),
    "ghostnetv2-1.0": (6_156_908, 167_048_288, 178_077_200),
    "ghostnetv2-1.3": (8_960_404, 269_322_976, 283_608_896),
    "ghostnetv2-1.6": (12_392_698, 398_607_224, 416_160_540),
}
IN_PLACE = ("relu", "hard_swish", "sigmoid", "hard_sigmoid")


def analysis(model: Network) -> FlopCountAnalysis:
    side = model.architecture.resolution
    found = FlopCountAnalysis(model.eval(), torch.zeros(1, 3, side, side))
    return found.unsupported_ops_warnings(False).uncalled_modules_warnings(False)


def conv_and_linear(found: FlopCountAnalysis) -> FlopCountAnalysis:
    """The convention of the papers: nothing but convolutions and linear layers."""
    handles = {"aten::_convolution": conv_flop_jit, "aten::linear": linear_flop_jit}
    return found.clear_op_handles().set_op_handle(**handles, **{"aten::addmm": addmm_flop_jit})


@pytest.fixture(autouse=True)
def _quiet_tracing() -> Iterator[None]:
    """fvcore traces modules, which newer torch calls deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    params, macs, _ = GOLDEN[name]
    counts = count(preset(name))
    assert (counts.params, counts.macs) == (params, macs)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_by_fvcore(name: str) -> None:
    params, macs, default_total = GOLDEN[name]
    model = build_model(preset(name))
    assert sum(parameter.numel() for parameter in model.parameters()) == params
    found = analysis(model)
    assert found.total() == default_total
    by_operator = found.by_operator()
    assert sum(by_operator[kind] for kind in ("conv", "linear", "addmm")) == macs


@pytest.mark.parametrize(
    ("name", "params"),
    [("mobilenetv3-large-0.75", 3_993_528), ("mobilenetv3-large-1.0", 5_483_032)],
)
def test_published_sizes_of_mobilenet(name: str, params: int) -> None:
    """3.99 M and 5.48 M in timm's results table."""
    assert count(preset(name)).params == params


@pytest.mark.parametrize(
    ("width", "params", "macs"),
    [
        ("0.5", 2_313_968, 43_314_720), ("0.58", 2_546_388, 59_804_016),
        ("0.8", 3_278_968, 95_518_948), ("1.0", 4_073_604, 142_394_128),
        ("1.11", 4_539_984, 170_124_224), ("1.3", 5_478_612, 231_123_652),
        ("1.5", 6_575_336, 301_315_856), ("2.0", 9_796_124, 515_869_856),
    ],
)  # fmt: skip
def test_sizes_of_repghostnet_are_those_of_timm(width: str, params: int, macs: int) -> None:
    """Parameters as trained; multiply-adds after timm's own conversion for deployment."""
    counts = count(preset(f"repghostnet-{width}"))
    assert (counts.params, counts.macs) == (params, macs)


@settings(max_examples=12, deadline=None)
@given(architectures(max_blocks=3))
def test_arithmetic_is_fvcore_is_the_module(arch: Architecture) -> None:
    counts, model = count(arch), build_model(arch)
    assert conv_and_linear(analysis(model)).total() == counts.macs
    assert sum(parameter.numel() for parameter in model.parameters()) == counts.params


@settings(max_examples=30, deadline=None)
@given(architectures())
def test_totals_are_sums_over_operators(arch: Architecture) -> None:
    graph = lower(arch)
    counts = count_graph(graph)
    assert counts == count(arch)
    assert counts.macs == sum(map(op_macs, graph.ops))
    folded = [TimingWeights().fold(op) for op in graph.ops if op.weight]
    assert counts.weight_bytes == sum(kernel.nbytes + bias.nbytes for kernel, bias in folded)
    assert counts.memory_bytes == counts.weight_bytes + counts.peak_activation_bytes
    assert counts.peak_activation_bytes >= max(map(op_activation_bytes, graph.ops))


def naive_peak(graph: Graph) -> int:
    """Bytes alive, asked afresh at every operator: what is written and still to be read."""
    peak = 0
    for now, op in enumerate(graph.ops):
        alive = {now}
        for number in range(now):
            readers = [later for later, o in enumerate(graph.ops) if number in o.inputs]
            overwritten = op.kind in IN_PLACE and readers == [now]
            if max(readers) >= now and not overwritten:
                alive.add(number)
        peak = max(peak, sum(op_activation_bytes(graph.ops[number]) for number in alive))
    return peak


@settings(max_examples=30, deadline=None)
@given(architectures(max_blocks=3))
def test_peak_activation_is_liveness(arch: Architecture) -> None:
    assert count(arch).peak_activation_bytes == naive_peak(lower(arch))


def test_peak_activation_by_hand() -> None:
    """A 4-pixel image: 2x2 maps after the stem, so floats are 4 a channel.

    The concat of the first Ghost module holds the peak: the block's input for the shortcut
    (4 channels), the primary and cheap halves (32 + 32) and their concatenation (64).
    """
    arch = Architecture((GhostBlock(64, 4),), 4, 8, 4, resolution=4, num_classes=3)
    floats = 4 * (4 + 32 + 32 + 64)
    assert count(arch).peak_activation_bytes == 4 * floats


def test_peak_of_a_network_that_only_shrinks() -> None:
    """The image (3x64x64) and the stem's map (2x32x32) are the most there is."""
    block = MobileBlock(2, 2)
    arch = Architecture((block,), stem_channels=2, conv_channels=2, head_channels=2, resolution=64)
    assert count(arch).peak_activation_bytes == 4 * (3 * 64 * 64 + 2 * 32 * 32)


def test_counts_by_hand() -> None:
    """One Ghost block of 6 → 7 channels, ratio 3, at 4x4 pixels; every term written out."""
    module = GhostModule(ratio=3, cheap_kernel=3)
    block = GhostBlock(hidden_channels=7, out_channels=6, ghost1=module, ghost2=module)
    arch = Architecture(
        (block,), stem_channels=6, conv_channels=5, head_channels=4, resolution=8, num_classes=2
    )
    stem = 6 * 3 * 9
    ghost1 = 3 * 6 + 6 * 9  # three primary maps, two cheap ones of each, seven kept
    ghost2 = 2 * 7 + 4 * 9
    last = 5 * 6
    head, classifier = 4 * 5, 2 * 4
    counts = count(arch)
    assert counts.macs == 16 * (stem + ghost1 + ghost2 + last) + head + classifier
    batch_norms = 2 * (6 + 3 + 6 + 2 + 4 + 5)
    assert counts.params == (
        stem + ghost1 + ghost2 + last + batch_norms + head + 4 + classifier + 2
    )
