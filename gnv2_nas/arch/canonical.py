"""Rules every architecture keeps, and the one form among all that build the same network.

What cannot change the output is written one way only:

- a depthwise kernel never reads past the map: on a side of m pixels, taps beyond ±(m-1) only
  see zero padding, so K > 2m-1 becomes 2m-1;
- a DFC factor larger than the map becomes the map's side; with factor 1, or a 1x1 attention
  map, pooling operator and resize mode that make no difference become the defaults;
- a Ghost ratio above the output channels would compute cheap maps only to cut them away: it
  becomes the number of channels (at least 2);
- a block whose shortcut is the identity at stride 1 has no depthwise convolution of its own:
  its `kernel` becomes 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gnv2_nas.arch.blocks import DFC, Block, GhostModule, MobileBlock
from gnv2_nas.errors import ArchitectureError

_Struct = TypeVar("_Struct", bound=Struct)

MAX_CHANNELS = 1 << 16
MAX_SIDE = 4096


def output_side(side: int, stride: int) -> int:
    """Output side of a convolution of odd kernel K, padding K//2."""
    return (side - 1) // stride + 1


def is_identity_shortcut(block: Block, in_channels: int) -> bool:
    return block.stride == 1 and block.out_channels == in_channels


def check_block(block: Block) -> None:
    """Raise ArchitectureError unless every number is in range; the message names the field."""
    check_in_range("hidden_channels", block.hidden_channels, 1, MAX_CHANNELS)
    check_in_range("out_channels", block.out_channels, 1, MAX_CHANNELS)
    check_in_range("se_channels", block.se_channels, 0, MAX_CHANNELS)
    check_in_range("stride", block.stride, 1, 2)
    _odd("kernel", block.kernel)
    if isinstance(block, MobileBlock):
        return
    for name, module in (("ghost1", block.ghost1), ("ghost2", block.ghost2)):
        check_in_range(f"{name}.ratio", module.ratio, 2, MAX_CHANNELS)
        _odd(f"{name}.cheap_kernel", module.cheap_kernel)
        if module.dfc is not None:
            _odd(f"{name}.dfc.kernel_h", module.dfc.kernel_h)
            _odd(f"{name}.dfc.kernel_w", module.dfc.kernel_w)
            check_in_range(f"{name}.dfc.factor", module.dfc.factor, 1, MAX_SIDE)


def check_in_range(field: str, value: int, low: int, high: int) -> None:
    """Raise ArchitectureError unless `low <= value <= high`."""
    if not low <= value <= high:
        raise ArchitectureError(f"{field}: `{low} <= {field} <= {high}` must hold, but got {value}")


def _odd(field: str, value: int) -> None:
    if value < 1 or value % 2 == 0:
        raise ArchitectureError(f"{field}: a kernel must be odd and positive, but got {value}")


def canonical_blocks(
    blocks: Iterable[Block], stem_channels: int, resolution: int
) -> tuple[Block, ...]:
    """`blocks` in canonical form, behind a stem of stride 2 on images of `resolution` pixels."""
    side, channels = output_side(resolution, 2), stem_channels
    canonical: list[Block] = []
    for block in blocks:
        canonical.append(_block(block, channels, side))
        side, channels = output_side(side, block.stride), block.out_channels
    return tuple(canonical)


def _block(block: Block, in_channels: int, side: int) -> Block:
    kernel = min(block.kernel, 2 * side - 1)
    if isinstance(block, MobileBlock):
        return _changed(block, kernel=kernel)
    if is_identity_shortcut(block, in_channels):
        kernel = 3
    return _changed(
        block,
        kernel=kernel,
        ghost1=_module(block.ghost1, block.hidden_channels, side),
        ghost2=_module(block.ghost2, block.out_channels, output_side(side, block.stride)),
    )


def _module(module: GhostModule, out_channels: int, side: int) -> GhostModule:
    return _changed(
        module,
        ratio=max(2, min(module.ratio, out_channels)),
        cheap_kernel=min(module.cheap_kernel, 2 * side - 1),
        dfc=None if module.dfc is None else _dfc(module.dfc, side),
    )


def _dfc(dfc: DFC, side: int) -> DFC:
    factor = min(dfc.factor, side)
    small = side // factor
    return _changed(
        dfc,
        kernel_h=min(dfc.kernel_h, 2 * small - 1),
        kernel_w=min(dfc.kernel_w, 2 * small - 1),
        factor=factor,
        pool="avg" if factor == 1 else dfc.pool,
        resize="nearest" if factor == 1 or small == 1 else dfc.resize,
    )


def _changed(struct: _Struct, **values: Any) -> _Struct:
    """`struct` itself when nothing differs: most networks are canonical already."""
    for field, value in values.items():
        if getattr(struct, field) != value:
            return replace(struct, **values)
    return struct
