"""Trust checks of spaces of large images: trained at a lower resolution, scored at their own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from gnv2_nas.data import load_dataset
from gnv2_nas.errors import InputError
from gnv2_nas.graph import count
from gnv2_nas.quality.trust.check import TrustPlan, run_trust_check
from gnv2_nas.quality.trust.networks import sample_networks
from gnv2_nas.report.trust_table import trust_caption
from gnv2_nas.space import load_space
from gnv2_nas.training import Recipe
from gnv2_nas.workflows.trust import TrustRequest, train_all


@pytest.fixture(scope="module")
def mobile():
    return load_space("mobile").with_classes(10)


def test_every_resolution_is_reduced_by_the_same_factor(mobile):
    drawn = sample_networks(mobile, 20, resolution=64)
    own = {each.architecture.resolution for each in drawn.networks}
    assert len(own) > 1
    assert own <= set(mobile.resolutions)
    for each in drawn.networks:
        assert each.trained == each.architecture.replace(
            resolution=each.architecture.resolution // 4
        )
        # Band and counts are those of the networks that a search finds.
        assert each.counts == count(each.architecture)
    assert [each.architecture for each in drawn.networks] == [
        each.architecture for each in sample_networks(mobile, 20).networks
    ]


def test_without_a_resolution_networks_are_trained_as_they_are(mobile):
    assert all(each.trained == each.architecture for each in sample_networks(mobile, 4).networks)


@pytest.mark.parametrize("resolution", [0, -64, 31, 257])
def test_a_resolution_that_the_space_cannot_be_reduced_to(mobile, resolution):
    with pytest.raises(InputError, match=f"--resolution must be 32 to 256.*got {resolution}"):
        sample_networks(mobile, 4, resolution=resolution)


def test_all_or_none_of_the_networks_come_from_the_band(mobile):
    inside = sample_networks(mobile, 6, in_band=6)
    assert all(each.in_band for each in inside.networks)
    anywhere = sample_networks(mobile, 6, in_band=0)
    assert not all(each.in_band for each in anywhere.networks)
    for wrong in (-1, 7):
        with pytest.raises(InputError, match=f"--in-band must be 0 to 6.*got {wrong}"):
            sample_networks(mobile, 6, in_band=wrong)


@pytest.mark.parametrize("spec", ["supernet:a.safetensors", "train:a.safetensors"])
def test_a_supernet_has_no_accuracies_at_lower_resolutions(spec):
    request = TrustRequest("digits", "mobile", estimators=(spec,), resolution=64)
    with pytest.raises(InputError, match=f"--resolution: {spec} has no accuracies"):
        request.check()


def test_a_panel_says_at_which_resolution_it_was_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = load_space("ghostnetv2").with_classes(10)
    drawn = sample_networks(space, 2, 60e6, in_band=2, resolution=32)
    recipe = Recipe(steps=1, batch_size=4, learning_rate=0.1, evaluations=1)
    dataset = load_dataset("digits", 32)
    val = dataset.val
    few = replace(
        dataset, val=replace(val, rows=val.rows[:8], labels=val.labels[:8], names=val.names[:8])
    )
    train = partial(train_all, data="digits", observer=lambda _: None)
    panel = run_trust_check(TrustPlan(space, few, drawn, recipe, 1), ["macs"], train)
    assert [each.architecture.resolution for each in panel.networks] == [224, 224]
    assert panel.of("macs").scores == tuple(each.counts.macs / 1e6 for each in drawn.networks)
    assert "32 pixels instead of 224" in trust_caption(panel)
