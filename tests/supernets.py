"""A search space that opens every axis, narrow enough to test its supernet by the hundred."""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import Tensor

from gnv2_nas.arch import Architecture
from gnv2_nas.nn.supernet import Supernet
from gnv2_nas.space import SearchSpace, load_space

_TEXT = """
base: ghostnetv2-1.0
num_classes: 5
axes:
  width: {per: stage, choices: [0.05, 0.1, 0.15, 0.2]}
  divisor: {choices: [1, 4, 8]}
  resolution: {choices: [32, 48]}
  depth:
    per: stage
    choices: [-1, 0]
    overrides: {stage1: [0, 1, 2], stage4: [-3, -2, 0, 1], stage5: [-4, -3]}
  expansion: {per: block, choices: [1, 2, 3]}
  placement: {per: block, choices: [none, second, first, both]}
  dfc_kernel_h: {per: stage, choices: [3, 5, 7]}
  dfc_kernel_w: {per: stage, choices: [1, 3, 5]}
  dfc_factor: {per: stage, choices: [2, 1]}
  dfc_pool: {choices: [avg, max]}
  dfc_resize: {choices: [nearest, bilinear]}
  kernel: {per: block, choices: [3, 5]}
  se_ratio: {per: block, choices: [0, 0.25]}
  ghost: {per: block, choices: [concat, add]}
  ghost_ratio: {per: block, choices: [4, 3, 2]}
  cheap_kernel: {per: stage, choices: [1, 3, 5]}
"""


@cache
def narrow_space() -> SearchSpace:
    """Every axis opened; some 12 blocks, a few hundred thousand weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "narrow.yaml"
        path.write_text(_TEXT)
        return load_space(path)


def narrow_networks() -> SearchStrategy[Architecture]:
    """Networks of `narrow_space`."""
    return st.integers(0, 10**6).map(lambda seed: narrow_space().sample(random.Random(seed)))


def fresh_supernet(seed: int = 0) -> Supernet:
    """Of `narrow_space`, with weights that let no mistake hide: no norm or transform is neutral."""
    torch.manual_seed(seed)
    supernet = Supernet(narrow_space().supernet_spec)
    with torch.no_grad():
        for name, parameter in supernet.named_parameters():
            if name.endswith("norm_weight"):
                parameter.uniform_(0.5, 1.5)
            elif parameter.dim() == 1 or ".transform." in name:
                parameter.normal_(std=0.2)
            elif parameter.dim() == 4:
                torch.nn.init.kaiming_normal_(parameter, nonlinearity="linear")
    return supernet


def random_images(arch: Architecture, count: int = 4, seed: int = 1) -> Tensor:
    """(count, 3, resolution, resolution), normal deviates."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, arch.resolution, arch.resolution, generator=generator)
