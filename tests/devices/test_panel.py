"""Which reference networks a network is measured beside."""

from __future__ import annotations

import pytest

from gnv2_nas.arch import list_presets, preset
from gnv2_nas.arch.presets import ghostnet
from gnv2_nas.devices.panel import (
    REFERENCE,
    REFERENCES_PER_NETWORK,
    position,
    reference_networks,
    select_references,
)
from tests.measurement.networks import tiny_ghost

LARGE = {REFERENCE, "ghostnet-1.0", "mobilenetv3-large-1.0"}


@pytest.mark.parametrize("name", list_presets())
def test_published_networks_have_published_references(name):
    if "1." in name:
        assert set(select_references([preset(name)], reference_networks())) == LARGE


def test_a_small_network_has_small_references():
    small = preset(REFERENCE).replace(resolution=64)
    found = select_references([small], reference_networks())
    assert len(found) == REFERENCES_PER_NETWORK
    assert not LARGE & set(found)
    macs_apart = [abs(position(reference_networks()[name]) - position(small)) for name in found]
    assert max(macs_apart) < 0.5


def test_a_mixed_batch_has_the_references_of_each():
    large, tiny = preset(REFERENCE), tiny_ghost()
    panel = reference_networks()
    together = select_references([tiny, large], panel)
    assert set(together) == set(select_references([tiny], panel)) | set(
        select_references([large], panel)
    )
    assert together == [name for name in panel if name in together]


def test_every_network_is_its_own_best_reference():
    panel = reference_networks()
    for name, arch in panel.items():
        assert name in select_references([arch], panel)


def test_positions_fall_with_size_and_end_where_all_are_alike():
    stock = preset(REFERENCE)
    by_side = [position(stock.replace(resolution=side)) for side in (32, 64, 96, 128, 192)]
    assert by_side == sorted(by_side, reverse=True)
    assert 0 < position(stock) <= by_side[-1] < by_side[0] < 1
    larger = [ghostnet(3.0, dfc=True), stock.replace(resolution=512)]
    assert len({position(arch) for arch in larger}) == 1
