"""Spaces of tiny networks: evaluating one costs about a millisecond."""

from __future__ import annotations

import itertools
from pathlib import Path

from gnv2_nas.arch.presets import STOCK
from gnv2_nas.space import SearchSpace, load_space

_HEAD = "base: ghostnetv2-1.0\nnum_classes: 10\naxes:\n  resolution: {choices: [32]}\n"
SMALL = (
    _HEAD
    + """\
  width: {choices: [0.1, 0.2, 0.35]}
  expansion: {choices: [1, 2, 3]}
  placement: {per: stage, choices: [none, first]}
"""
)
"""288 genotypes, and none of the stock networks."""
SIX = (
    _HEAD
    + """\
  width: {choices: [0.1, 0.2, 0.35]}
  placement: {choices: [none, first]}
"""
)
"""Six genotypes, six networks."""
WITH_STOCK = (
    _HEAD
    + """\
  width: {choices: [0.25, 1.0]}
  placement: {per: block, choices: [none], overrides: {block2-15: [none, first]}}
"""
)
"""Holds GhostNet 1.0 and GhostNetV2 1.0, at the space's resolution and classes."""
_CROOKED_AXES = {
    "rounding": """\
  width: {choices: [0.1, 0.13, 0.16, 0.2]}
  divisor: {choices: [1, 4, 8, 12]}
  ghost_ratio: {choices: [2, 3, 8]}
  se_ratio: {choices: [0, 0.25, 0.5]}
""",
    "attention": """\
  width: {choices: [0.25]}
  placement: {per: stage, choices: [none, second], overrides: {stage5: [none, first, both]}}
  dfc_kernel_h: {choices: [1, 9]}
  dfc_factor: {choices: [1, 2]}
""",
    "depth": """\
  width: {choices: [0.2, 0.5]}
  depth: {per: stage, choices: [0], overrides: {stage4: [-2, 0, 1], stage5: [-2, 0]}}
  expansion: {per: stage, choices: [1, 3]}
""",
    "cheap": """\
  width: {choices: [0.25]}
  divisor: {choices: [4, 16]}
  ghost_ratio: {per: stage, choices: [2], overrides: {stage4: [2, 4, 8], stage5: [2, 4, 8]}}
  cheap_kernel: {choices: [1, 3, 7]}
""",
}
CROOKED = {name: _HEAD + axes for name, axes in _CROOKED_AXES.items()}
"""Spaces where a larger gene does not always make a larger network."""


AT_32 = [f"{name} at 32 px" for name in STOCK]
"""What stock networks are called in a space that has them at its one resolution only."""


def write_space(folder: Path, text: str, name: str = "small") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def space_of(folder: Path, text: str, name: str = "small") -> SearchSpace:
    return load_space(write_space(folder, text, name))


def genotypes(space: SearchSpace) -> list[dict[str, str | int | float]]:
    """Every genotype of a small space."""
    names = [gene.name for gene in space.genes]
    choices = itertools.product(*(gene.choices for gene in space.genes))
    return [dict(zip(names, values, strict=True)) for values in choices]
