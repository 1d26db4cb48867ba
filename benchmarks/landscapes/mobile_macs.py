"""Multiply-adds of a MobileNetV3 of the once-for-all space, from the layers' shapes.

Channels, strides and squeeze-and-excitation are those of MobileNetV3-Large at width 1.0 (Howard et
al., "Searching for MobileNetV3", ICCV 2019, table 1), with expansions that the parameters decide.
"""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.landscapes.landscape import Params
from gnv2_nas.arch import make_divisible, output_side

BLOCKS = 4
"""Of a stage at its deepest."""


class Stage(NamedTuple):
    channels: int
    stride: int
    squeezed: bool
    """Whether its blocks have squeeze-and-excitation."""


STAGES = (
    Stage(24, 2, False), Stage(40, 2, True), Stage(80, 2, False),
    Stage(112, 1, True), Stage(160, 2, True),
)  # fmt: skip
STEM, LAST, HEAD, CLASSES = 16, 960, 1280, 1000


def multiply_adds(params: Params) -> int:
    """Of convolutions and linear layers, batch 1."""
    side = output_side(params["resolution"], 2)
    total = side**2 * STEM * 3 * 9 + side**2 * STEM * (9 + STEM)
    channels = STEM
    for stage, (out, stride, squeezed) in enumerate(STAGES):
        for block in range(params[f"depth.{stage}"]):
            hidden = make_divisible(channels * params[f"expansion.{stage}.{block}"], 8)
            total += side**2 * channels * hidden
            if block == 0:
                side = output_side(side, stride)
            total += side**2 * hidden * (params[f"kernel.{stage}.{block}"] ** 2 + out)
            total += 2 * hidden * make_divisible(hidden / 4, 8) * squeezed
            channels = out
    return int(total + side**2 * channels * LAST + LAST * HEAD + HEAD * CLASSES)


def map_side(resolution: int, stage: int) -> int:
    """Pixels along one side of a stage's maps."""
    side = output_side(resolution, 2)
    for each in STAGES[: stage + 1]:
        side = output_side(side, each.stride)
    return side
