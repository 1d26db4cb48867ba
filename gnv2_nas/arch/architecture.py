"""`Architecture`: one network of the family, fully decided.

Plain data, frozen, canonical by construction (see `canonical`): two descriptions that
compute the same network compare equal and share one `id`.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, Literal

import msgspec

from gnv2_nas.arch import canonical
from gnv2_nas.errors import ArchitectureError

Activation = Literal["relu", "hard_swish"]


class DFC(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Decoupled fully connected attention (GhostNetV2, eq. 4-5 and fig. 4)."""

    kernel_h: int = 5
    """Taps of the vertical K_H x 1 depthwise convolution; odd."""
    kernel_w: int = 5
    """Taps of the horizontal 1 x K_W depthwise convolution; odd."""
    factor: int = 2
    """Down-sampling factor of the map the attention is computed on."""
    pool: Literal["avg", "max"] = "avg"
    resize: Literal["nearest", "bilinear"] = "nearest"
    """How the small attention map returns to full size: the public code says nearest, the
    paper bilinear."""


class GhostModule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ghost module (GhostNet, sec. 3.1): 1/`ratio` of the channels by a 1x1 convolution, the
    rest by a cheap depthwise one; with `dfc`, the GhostV2 module."""

    ratio: int = 2
    cheap_kernel: int = 3
    dfc: DFC | None = None


class GhostBlock(
    msgspec.Struct, frozen=True, tag_field="type", tag="ghost", forbid_unknown_fields=True
):
    """Ghost bottleneck: Ghost module, depthwise convolution (stride 2 only), SE, Ghost module."""

    hidden_channels: int
    out_channels: int
    kernel: int = 3
    """Of the depthwise convolutions of a stride-2 block and of a shortcut that changes shape."""
    stride: int = 1
    se_channels: int = 0
    """Channels in the middle of squeeze-and-excitation; 0 leaves it out."""
    ghost1: GhostModule = GhostModule()
    ghost2: GhostModule = GhostModule()


class MobileBlock(
    msgspec.Struct, frozen=True, tag_field="type", tag="mobile", forbid_unknown_fields=True
):
    """Inverted residual of MobileNetV3, fig. 4; without expansion when `hidden_channels` equals
    the input's."""

    hidden_channels: int
    out_channels: int
    kernel: int = 3
    stride: int = 1
    se_channels: int = 0
    activation: Activation = "relu"


Block = GhostBlock | MobileBlock


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A network: 3x3 stride-2 stem, blocks, 1x1 convolution, pool, 1x1 convolution, classifier.

    Construction checks the rules of the family and brings the blocks into canonical form.

    Raises:
        ArchitectureError: a value breaks a rule; the message names the field.
    """

    blocks: tuple[Block, ...]
    stem_channels: int = 16
    conv_channels: int = 960
    """Channels of the last 1x1 convolution before the global pool."""
    head_channels: int = 1280
    """Features the classifier reads."""
    activation: Activation = "relu"
    """Of stem, last convolution and head."""
    resolution: int = 224
    """Height and width of the input image, pixels."""
    num_classes: int = 1000

    def __post_init__(self) -> None:
        canonical.check(self)
        msgspec.structs.force_setattr(self, "blocks", canonical.blocks_of(self))

    @cached_property
    def id(self) -> str:
        """Content hash: 12 hexadecimal digits, the same in every process and version."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    @property
    def family(self) -> Literal["ghostnet", "ghostnetv2", "mobilenetv3"]:
        """The published family this network belongs to, by the blocks it is made of."""
        if any(isinstance(block, MobileBlock) for block in self.blocks):
            return "mobilenetv3"
        return "ghostnetv2" if any(_has_dfc(block) for block in self.blocks) else "ghostnet"

    def replace(self, **changes: Any) -> Architecture:
        """A copy with other values of some fields, for instance `resolution=160`."""
        return msgspec.structs.replace(self, **changes)

    def to_json(self) -> str:
        """Canonical JSON: fields in declaration order, no white space."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Architecture:
        """The inverse of `to_json`; also reads any other JSON text of the same fields.

        Raises:
            ArchitectureError: not JSON, an unknown or missing field, a value of a wrong type.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ArchitectureError(f"not an architecture in JSON: {error}") from None


def _has_dfc(block: Block) -> bool:
    if isinstance(block, MobileBlock):
        return False
    return block.ghost1.dfc is not None or block.ghost2.dfc is not None
