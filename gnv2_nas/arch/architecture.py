"""`Architecture`: one network of the family, fully specified.

Architectures are frozen and canonical (see `canonical`): two descriptions of the same network
compare equal and have the same `id`.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, Literal

import msgspec

from gnv2_nas.arch.blocks import (
    MAX_CHANNELS,
    MAX_SIDE,
    Activation,
    Block,
    GhostBlock,
    MobileBlock,
    canonical_blocks,
    check_block,
    check_in_range,
    has_dfc,
    has_repghost,
)
from gnv2_nas.errors import ArchitectureError


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A network: 3x3 stride-2 stem, blocks, 1x1 convolution, pool, 1x1 convolution, classifier.

    The constructor checks the values and brings the blocks into canonical form.

    Raises:
        ArchitectureError: a value is out of range; the message names the field.
    """

    blocks: tuple[Block, ...]
    stem_channels: int = 16
    conv_channels: int = 960
    """Channels of the last 1x1 convolution before the global pool."""
    head_channels: int = 1280
    """Number of features that the classifier reads."""
    activation: Activation = "relu"
    """Activation of stem, last convolution and head."""
    resolution: int = 224
    """Height and width of the input image in pixels."""
    num_classes: int = 1000

    def __post_init__(self) -> None:
        self._check()
        blocks = canonical_blocks(self.blocks, self.stem_channels, self.resolution)
        msgspec.structs.force_setattr(self, "blocks", blocks)

    def _check(self) -> None:
        if not self.blocks:
            raise ArchitectureError("blocks: at least one block must be given, but got none")
        check_in_range("resolution", self.resolution, 1, MAX_SIDE)
        for field in ("stem_channels", "conv_channels", "head_channels", "num_classes"):
            check_in_range(field, getattr(self, field), 1, MAX_CHANNELS)
        for index, block in enumerate(self.blocks):
            try:
                check_block(block)
            except ArchitectureError as error:
                raise ArchitectureError(f"blocks[{index}].{error}") from None

    @cached_property
    def id(self) -> str:
        """Content hash: 12 hexadecimal digits, equal in every process and version."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    @property
    def family(self) -> Literal["ghostnet", "ghostnetv2", "mobilenetv3", "repghostnet"]:
        """The published family of this network, according to its blocks."""
        if any(isinstance(block, MobileBlock) for block in self.blocks):
            return "mobilenetv3"
        if any(map(has_repghost, self.blocks)):
            return "repghostnet"
        return "ghostnetv2" if any(has_dfc(block) for block in self.blocks) else "ghostnet"

    def replace(self, **changes: Any) -> Architecture:
        """A copy with other values of some fields, for instance `resolution=160`."""
        return msgspec.structs.replace(self, **changes)

    def to_json(self) -> str:
        """Canonical JSON: fields in declaration order, no white space."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Architecture:
        """The inverse of `to_json`. Fields may be in any order.

        Raises:
            ArchitectureError: invalid JSON, a missing or unknown field, or a value of the wrong
                type.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ArchitectureError(f"not an architecture in JSON: {error}") from None


def block_keys(arch: Architecture) -> list[str]:
    """The state dict prefix of each block and of the last 1x1 convolution.

    The public checkpoints number blocks as `blocks.{group}.{index}`. GhostNet's code starts a
    group at every stride-2 block and at the block after it. MobileNetV3's code starts one where
    stride or channels change. The last convolution is a group of its own.
    """
    keys: list[str] = []
    group, index, previous = -1, 0, None
    for block in arch.blocks:
        if previous is None or block.stride == 2:
            starts = True
        elif isinstance(block, GhostBlock):
            starts = previous.stride == 2
        else:
            starts = previous.out_channels != block.out_channels
        group, index = (group + 1, 0) if starts else (group, index + 1)
        keys.append(f"blocks.{group}.{index}")
        previous = block
    return [*keys, f"blocks.{group + 1}.0"]
