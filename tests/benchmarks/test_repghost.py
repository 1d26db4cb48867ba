"""RepGhostNet beside stock networks: at equal multiply-adds."""

from __future__ import annotations

import pytest

from benchmarks.repghost import STOCK, scale_to_macs
from gnv2_nas.arch import preset
from gnv2_nas.graph import count


@pytest.mark.parametrize("name", STOCK)
def test_what_is_compared_has_the_multiply_adds_of_stock(name):
    pair = scale_to_macs(name)
    assert pair.stock == preset(name)
    assert pair.scaled.family == "repghostnet"
    assert count(pair.scaled).macs == pytest.approx(count(pair.stock).macs, rel=0.01)
