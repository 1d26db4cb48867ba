"""The module whose weights every file made for timing carries."""

from __future__ import annotations

import pytest
import torch

from gnv2_nas.arch import preset
from gnv2_nas.formats.onnx.writer import onnx_bytes
from gnv2_nas.nn import build_model, timing_model
from tests.measurement.networks import tiny_ghost, tiny_mobile

NETWORKS = {
    "ghost": tiny_ghost(), "mobile": tiny_mobile(), "v2": preset("ghostnetv2-1.0"),
    "v3": preset("mobilenetv3-large-1.0"), "rep": preset("repghostnet-1.0"),
}  # fmt: skip


@pytest.mark.parametrize("arch", NETWORKS.values(), ids=NETWORKS)
def test_files_written_without_a_model_carry_its_weights(arch):
    assert onnx_bytes(arch) == onnx_bytes(arch, timing_model(arch))


@pytest.mark.parametrize("arch", NETWORKS.values(), ids=NETWORKS)
def test_every_weight_is_set_and_ordinary(arch):
    one, same = (timing_model(arch).state_dict() for _ in range(2))
    assert one.keys() == build_model(arch).state_dict().keys()
    for key, tensor in one.items():
        assert torch.equal(tensor, same[key])
        assert torch.isfinite(tensor).all()
        assert float(tensor.abs().max()) < 10
    # Files of weights refuse tensors that share memory, and training would change both.
    assert len({tensor.data_ptr() for tensor in one.values()}) == len(one)


def test_random_numbers_go_on_as_if_nothing_had_been_made():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    timing_model(tiny_ghost())
    assert torch.equal(torch.rand(3), expected)


def test_a_module_built_afterwards_is_initialised():
    timing_model(tiny_ghost())
    torch.manual_seed(0)
    one = build_model(tiny_ghost()).conv_stem.weight
    torch.manual_seed(0)
    same = build_model(tiny_ghost()).conv_stem.weight
    assert torch.equal(one, same)
    assert 0.01 < float(one.detach().std()) < 1
