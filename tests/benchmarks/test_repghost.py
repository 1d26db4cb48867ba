"""RepGhostNet beside stock networks, and RepGhost blocks in networks."""

from __future__ import annotations

import pytest

from benchmarks.repghost import STOCK, scale_to_macs
from benchmarks.repghost_fronts import repghost_share
from gnv2_nas.arch import preset
from gnv2_nas.graph import count
from gnv2_nas.space import load_space


@pytest.mark.parametrize("name", STOCK)
def test_what_is_compared_has_the_multiply_adds_of_stock(name):
    pair = scale_to_macs(name)
    assert pair.stock == preset(name)
    assert pair.scaled.family == "repghostnet"
    assert count(pair.scaled).macs == pytest.approx(count(pair.stock).macs, rel=0.01)


def test_the_share_of_repghost_blocks():
    shares = {name: repghost_share(preset(name)) for name in ("repghostnet-1.0", "ghostnetv2-1.0")}
    assert shares == {"repghostnet-1.0": 1.0, "ghostnetv2-1.0": 0.0}
    assert repghost_share(preset("mobilenetv3-large-1.0")) == 0.0
    space = load_space("ghostnetv2")
    half = dict.fromkeys((f"ghost.block{index}" for index in range(8)), "concat")
    assert repghost_share(space.decode(space.largest() | half)) == 0.5
