"""The blocks of a network as plain frozen data, with range checks and a canonical form.

The canonical form replaces values that cannot change the output:

- On a map with a side of m pixels, taps beyond ±(m-1) read only zero padding, so a depthwise
  kernel K > 2m-1 becomes 2m-1.
- A DFC factor larger than the map becomes the map's side. With factor 1, the pooling operator has
  no effect and becomes the default; so does the resize mode with factor 1 or a 1x1 attention map.
- A Ghost module that adds has no ratio, so its `ratio` becomes 2.
- A Ghost ratio above the number of output channels becomes that number (at least 2), because the
  module would cut the additional cheap maps off.
- A stride-1 block with an identity shortcut has no depthwise convolution outside of its Ghost
  modules, so its `kernel` becomes 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from gnv2_nas.errors import ArchitectureError

Activation = Literal["relu", "hard_swish"]


class DFC(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Decoupled fully connected attention (GhostNetV2, eq. 4-5 and fig. 4)."""

    kernel_h: int = 5
    """Taps of the vertical K_H x 1 depthwise convolution; odd."""
    kernel_w: int = 5
    """Taps of the horizontal 1 x K_W depthwise convolution; odd."""
    factor: int = 2
    """Down-sampling factor of the attention map."""
    pool: Literal["avg", "max"] = "avg"
    """Operator that down-samples the input."""
    resize: Literal["nearest", "bilinear"] = "nearest"
    """Interpolation that up-samples the attention map. The public code uses nearest, the paper
    bilinear."""


class GhostModule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ghost module (GhostNet, sec. 3.1). A 1x1 convolution computes 1/`ratio` of the channels and
    a cheap depthwise convolution the rest. With `dfc`, this is the GhostV2 module.

    With `merge="add"`, it is the RepGhost module (Chen et al., "RepGhost", arXiv 2211.06088, fig.
    2d): a 1x1 convolution computes all channels, and the cheap convolution of them is added to
    their batch norm. Deployed, the sum is one depthwise convolution.
    """

    ratio: int = 2
    cheap_kernel: int = 3
    dfc: DFC | None = None
    merge: Literal["add"] | UnsetType = UNSET
    """Left out of JSON where both parts are concatenated, so older networks keep their ids."""

    @property
    def adds(self) -> bool:
        """Whether it is a RepGhost module."""
        return self.merge == "add"

    def primary_channels(self, out_channels: int) -> int:
        """Number of channels that the 1x1 convolution computes."""
        return out_channels if self.adds else -(-out_channels // self.ratio)


class GhostBlock(
    msgspec.Struct, frozen=True, tag_field="type", tag="ghost", forbid_unknown_fields=True
):
    """Ghost bottleneck: Ghost module, depthwise convolution (stride 2 only), SE, Ghost module."""

    hidden_channels: int
    out_channels: int
    kernel: int = 3
    """Kernel of the stride-2 depthwise convolution and of a shortcut that changes shape."""
    stride: int = 1
    se_channels: int = 0
    """Bottleneck channels of squeeze-and-excitation; 0 means none."""
    ghost1: GhostModule = GhostModule()
    ghost2: GhostModule = GhostModule()


class MobileBlock(
    msgspec.Struct, frozen=True, tag_field="type", tag="mobile", forbid_unknown_fields=True
):
    """Inverted residual (MobileNetV3, fig. 4). It has no expansion if `hidden_channels` equals the
    number of input channels."""

    hidden_channels: int
    out_channels: int
    kernel: int = 3
    stride: int = 1
    se_channels: int = 0
    activation: Activation = "relu"


Block = GhostBlock | MobileBlock


def has_dfc(block: Block) -> bool:
    """Whether a Ghost module of the block has DFC attention."""
    if isinstance(block, MobileBlock):
        return False
    return block.ghost1.dfc is not None or block.ghost2.dfc is not None


_Struct = TypeVar("_Struct", bound=Struct)

MAX_CHANNELS = 1 << 16
MAX_SIDE = 4096


def output_side(side: int, stride: int) -> int:
    """Output side of a convolution with an odd kernel K and padding K//2."""
    return (side - 1) // stride + 1


def is_identity_shortcut(block: Block, in_channels: int) -> bool:
    """Whether stride and channels let the shortcut pass its input through."""
    return block.stride == 1 and block.out_channels == in_channels


def check_block(block: Block) -> None:
    """Check that every number is in range.

    Raises:
        ArchitectureError: a number is not; the message names the field.
    """
    check_in_range("hidden_channels", block.hidden_channels, 1, MAX_CHANNELS)
    check_in_range("out_channels", block.out_channels, 1, MAX_CHANNELS)
    check_in_range("se_channels", block.se_channels, 0, MAX_CHANNELS)
    check_in_range("stride", block.stride, 1, 2)
    _check_odd("kernel", block.kernel)
    if isinstance(block, MobileBlock):
        return
    for name, module in (("ghost1", block.ghost1), ("ghost2", block.ghost2)):
        check_in_range(f"{name}.ratio", module.ratio, 2, MAX_CHANNELS)
        _check_odd(f"{name}.cheap_kernel", module.cheap_kernel)
        if module.dfc is not None:
            _check_odd(f"{name}.dfc.kernel_h", module.dfc.kernel_h)
            _check_odd(f"{name}.dfc.kernel_w", module.dfc.kernel_w)
            check_in_range(f"{name}.dfc.factor", module.dfc.factor, 1, MAX_SIDE)


def has_repghost(block: Block) -> bool:
    """Whether a Ghost module of the block is a RepGhost module."""
    return isinstance(block, GhostBlock) and (block.ghost1.adds or block.ghost2.adds)


def check_in_range(field: str, value: int, low: int, high: int) -> None:
    """Raise ArchitectureError unless `low <= value <= high`."""
    if not low <= value <= high:
        raise ArchitectureError(f"{field}: `{low} <= {field} <= {high}` must hold, but got {value}")


def _check_odd(field: str, value: int) -> None:
    if value < 1 or value % 2 == 0:
        raise ArchitectureError(f"{field}: a kernel must be odd and positive, but got {value}")


def canonical_blocks(
    blocks: Iterable[Block], stem_channels: int, resolution: int
) -> tuple[Block, ...]:
    """`blocks` in canonical form, after a stride-2 stem on images of `resolution` pixels."""
    side, channels = output_side(resolution, 2), stem_channels
    canonical: list[Block] = []
    for block in blocks:
        canonical.append(_canonicalize_block(block, channels, side))
        side, channels = output_side(side, block.stride), block.out_channels
    return tuple(canonical)


def _canonicalize_block(block: Block, in_channels: int, side: int) -> Block:
    kernel = min(block.kernel, 2 * side - 1)
    if isinstance(block, MobileBlock):
        return _update(block, kernel=kernel)
    if is_identity_shortcut(block, in_channels):
        kernel = 3
    return _update(
        block,
        kernel=kernel,
        ghost1=_module(block.ghost1, block.hidden_channels, side),
        ghost2=_module(block.ghost2, block.out_channels, output_side(side, block.stride)),
    )


def _module(module: GhostModule, out_channels: int, side: int) -> GhostModule:
    return _update(
        module,
        ratio=2 if module.adds else max(2, min(module.ratio, out_channels)),
        cheap_kernel=min(module.cheap_kernel, 2 * side - 1),
        dfc=None if module.dfc is None else _dfc(module.dfc, side),
    )


def _dfc(dfc: DFC, side: int) -> DFC:
    factor = min(dfc.factor, side)
    small = side // factor
    return _update(
        dfc,
        kernel_h=min(dfc.kernel_h, 2 * small - 1),
        kernel_w=min(dfc.kernel_w, 2 * small - 1),
        factor=factor,
        pool="avg" if factor == 1 else dfc.pool,
        resize="nearest" if factor == 1 or small == 1 else dfc.resize,
    )


def _update(struct: _Struct, **values: Any) -> _Struct:
    """`struct` with these values. Most structs are canonical already, and no copy is made."""
    for field, value in values.items():
        if getattr(struct, field) != value:
            return replace(struct, **values)
    return struct
