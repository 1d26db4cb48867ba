"""Where each block stands in the public checkpoints: `blocks.{stage}.{index}`."""

from __future__ import annotations

from gnv2_nas.arch.architecture import Architecture
from gnv2_nas.arch.blocks import GhostBlock


def block_keys(arch: Architecture) -> list[str]:
    """One key prefix a block, plus one for the last 1x1 convolution.

    GhostNet's code starts a stage with every stride-2 block, alone in it, and one with the
    stride-1 block after it. MobileNetV3's starts one where stride or channels change. The last
    convolution has a stage of its own.
    """
    keys: list[str] = []
    stage, index, previous = -1, 0, None
    for block in arch.blocks:
        if previous is None or block.stride == 2:
            starts = True
        elif isinstance(block, GhostBlock):
            starts = previous.stride == 2
        else:
            starts = previous.out_channels != block.out_channels
        stage, index = (stage + 1, 0) if starts else (stage, index + 1)
        keys.append(f"blocks.{stage}.{index}")
        previous = block
    return [*keys, f"blocks.{stage + 1}.0"]
