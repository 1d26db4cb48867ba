"""The average of the weights, and the strength of augmentation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gnv2_nas.data import Augmentation
from gnv2_nas.training.optimization import WeightAverage


def test_the_average_is_that_of_the_formula_and_leaves_the_module_alone():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = WeightAverage(module)
    expected = module[0].weight.detach().clone()
    for step in range(1, 4):
        with torch.no_grad():
            module[0].weight.fill_(step)
        module(torch.randn(4, 2))
        average.update(0.75)
        expected = 0.75 * expected + 0.25 * step
    assert torch.allclose(average.module[0].weight, expected)
    assert torch.equal(module[0].weight, torch.full((3, 2), 3.0))
    assert not torch.equal(average.module[1].running_mean, module[1].running_mean)
    assert average.module[1].num_batches_tracked == 3
    assert not any(weight.requires_grad for weight in average.module.parameters())


def test_strength_0_changes_nothing_and_1_is_the_data_set_s_own():
    own = Augmentation(rotation=5, shift=0.1, erasing=0.3)
    assert own.scale(1.0) == own
    none = own.scale(0.0)
    assert none == Augmentation(
        area=(1, 1), aspect=(1, 1), flip=0, rotation=0, shift=0, brightness=0, contrast=0,
        saturation=0, erasing=0,
    )  # fmt: skip


@given(st.floats(0, 20))
def test_any_strength_is_a_valid_augmentation(strength):
    changed = Augmentation(area=(0.35, 1.5), erasing=0.5, rotation=10).scale(strength)
    assert changed.rotation == pytest.approx(10 * strength)
    assert changed.area[0] <= 1 <= changed.area[1]
