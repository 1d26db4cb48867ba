"""What a latency model reads off graphs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.graph import lower, op_macs
from gnv2_nas.graph.passes.channels import pad_channels
from gnv2_nas.graph.weights import TimingWeights
from gnv2_nas.latency_model.features import KINDS, feature_names, latency_features, op_table
from tests.measurement.networks import tiny_ghost
from tests.networks import PRESETS
from tests.strategies import architectures


def test_there_is_a_name_for_each_column():
    names = feature_names()
    assert len(set(names)) == len(names) == latency_features([lower(preset("ghostnet-1.0"))]).size


@settings(max_examples=25)
@given(architectures(max_blocks=2))
def test_any_network_has_shares_that_make_up_the_whole(arch: Architecture):
    (row,) = latency_features([lower(arch)])
    assert np.isfinite(row).all()
    assert (row[1:] >= 0).all()
    assert row[1:].sum() == pytest.approx(1)


@settings(max_examples=25)
@given(architectures(max_blocks=2))
def test_a_network_has_the_same_features_in_any_company(arch: Architecture):
    graph, other = lower(arch), lower(tiny_ghost())
    (alone,) = latency_features([graph])
    before, between, after = latency_features([graph, other, graph])
    assert before == pytest.approx(alone)
    assert after == pytest.approx(alone)
    assert between == pytest.approx(latency_features([other])[0])


def test_no_operator_is_left_out():
    graph = lower(preset("ghostnetv2-1.0"))
    names = feature_names()
    row = latency_features([graph])[0]
    ops = row[[name.startswith("ops.") for name in names]].sum() * np.exp(row[0])
    assert ops / 1500 == pytest.approx(len(graph.ops))


def test_more_of_everything_costs_more_in_theory():
    costs = latency_features(
        [lower(preset(f"ghostnetv2-{width}")) for width in ("1.0", "1.3", "1.6")]
    )[:, 0]
    assert (np.diff(costs) > 0.1).all()
    small, large = latency_features(
        [lower(preset("ghostnetv2-1.0").replace(resolution=side)) for side in (160, 224)]
    )[:, 0]
    assert small < large


def test_attention_shows_in_the_columns_named_after_it():
    attention = ["attention" in name for name in feature_names()]
    without, attended = latency_features(
        [lower(preset(name)) for name in ("ghostnet-1.0", "ghostnetv2-1.0")]
    )[:, attention]
    assert not without.any()
    assert attended.sum() > 0.02


@pytest.mark.parametrize("name", PRESETS)
def test_channels_are_padded_as_in_the_file_that_is_deployed(name):
    graph = lower(preset(name))
    deployed = pad_channels(graph, TimingWeights(), 16)[0]
    table = op_table([graph])
    # But for gates, which are padded like the two parts of the map that they gate.
    assert table.padded_macs.sum() == pytest.approx(sum(map(op_macs, deployed.ops)), rel=0.03)


def test_channels_that_fill_no_block_are_told():
    aligned = preset("mobilenetv3-large-1.0")
    table = op_table([lower(aligned), lower(preset("ghostnetv2-1.0"))])
    bytes_of = [table.unaligned_bytes[table.graph == number].sum() for number in (0, 1)]
    assert bytes_of[0] < bytes_of[1]
    kinds = {KINDS[number] for number in table.kind[table.graph == 1]}
    assert {"pointwise", "depthwise", "attention_depthwise", "vector", "narrow_concat"} <= kinds
