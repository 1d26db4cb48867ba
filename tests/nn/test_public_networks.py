"""Stock GhostNet, GhostNetV2 and RepGhostNet are the public ones: same keys, same outputs."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from gnv2_nas.arch import preset
from gnv2_nas.nn import build_model, load_weights
from tests.networks import difference, random_image, random_model
from tests.nn.public_ghostnet import public_forward, public_keys


@pytest.mark.parametrize(
    ("name", "attention", "tensors"), [("ghostnet-1.0", False, 512), ("ghostnetv2-1.0", True, 764)]
)
def test_key_layout(name: str, attention: bool, tensors: int) -> None:
    found, expected = list(build_model(preset(name)).state_dict()), public_keys(attention=attention)
    assert sorted(found) == sorted(expected)
    assert len(expected) == tensors


@cache
def public_weights(name: str) -> dict[str, Tensor]:
    """As the public checkpoint has them: made at 224 pixels, attention kernels of five taps."""
    return random_model(preset(name), seed=3).state_dict()


@pytest.mark.parametrize("resolution", [224, 192, 160, 225])
@pytest.mark.parametrize("name", ["ghostnet-1.0", "ghostnetv2-1.0", "repghostnet-1.0"])
def test_equal_outputs(name: str, resolution: int) -> None:
    weights, image = public_weights(name), random_image(resolution)
    model = load_weights(build_model(preset(name).replace(resolution=resolution)), weights).eval()
    with torch.no_grad():
        assert difference(model(image), public_forward(weights, image)) < 1e-5


def test_outputs_depend_on_the_image() -> None:
    """The comparison above would hold trivially if the random network ignored its input."""
    weights = public_weights("ghostnetv2-1.0")
    first, second = (public_forward(weights, random_image(96, seed)) for seed in (1, 2))
    assert difference(first, second) > 1e-2
