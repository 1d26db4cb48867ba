"""What is compared: modules at several map sizes and channels, with their theoretical cost.

The theory is the papers' multiply-adds. GhostNet (Han et al. 2020, eq. 4): an ordinary convolution
over a Ghost module of the same output is about s. GhostNetV2 (Tang et al. 2022, sec. 3): full
attention costs H²W² for each channel, decoupled attention H²W + HW², and with K_H and K_W taps
K_H·HW + K_W·HW.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import msgspec

from gnv2_nas.arch import DFC, GhostBlock, GhostModule
from gnv2_nas.graph.lower import add_ghost_block, add_ghost_module
from gnv2_nas.graph.op import Graph
from gnv2_nas.graph.stacks import AddModule, add_depthwise, add_pointwise, module_macs, stack

TIMES = 4
"""Modules in a stack, so that most of its time is theirs and not the frame's."""
GHOST_MAPS: Mapping[int, tuple[int, ...]] = {
    56: (16, 32, 64), 28: (32, 64, 128), 14: (64, 128, 256), 7: (128, 256, 512)
}  # fmt: skip
"""Side of the map → channels, as in networks: the smaller the map, the more channels."""
DFC_MAPS: Mapping[int, int] = {56: 32, 28: 64, 14: 128}
"""Side → channels; smaller maps have no room for the larger kernels."""
ATTENTION_SIDES = (7, 14, 20, 28, 40)
ATTENTION_CHANNELS = 64
MAX_DEPTHWISE_SIDE = 28
"""Full attention as a depthwise convolution takes too long beyond."""
TAPS = (3, 7, 9, 11)
BLOCKS: tuple[tuple[int, int, int, int, int], ...] = (
    (28, 40, 120, 40, 1), (14, 80, 200, 80, 1), (7, 160, 960, 160, 1),
    (56, 24, 72, 40, 2), (28, 40, 240, 80, 2), (14, 112, 672, 160, 2),
)  # fmt: skip
"""Side, input, hidden and output channels, stride: blocks 4, 6, 12, 3, 5, 11 of stock V2 1.0."""
SE_RATIO = 0.25


class Case(msgspec.Struct, frozen=True):
    """One module at one place."""

    variant: str
    """Name of the module within its comparison."""
    place: tuple[str, str]
    """Map and channels, such as ("28×28", "64 channels")."""
    graph: Graph
    """The module `times` times, in its frame."""
    frame: Graph
    times: int
    work: float
    """Theoretical multiply-adds of one module."""


class Comparison(msgspec.Struct, frozen=True):
    """Modules that share rounds, and the one that all others are compared with."""

    name: str
    title: str
    about: str
    """What is compared, in sentences."""
    reference: str
    """Variant that all others are compared with."""
    speed_up: bool
    """Whether a ratio is the reference's time over the variant's, as the papers state it, or the
    variant's over the reference's."""
    cases: tuple[Case, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """All but the reference, in order."""
        names = dict.fromkeys(case.variant for case in self.cases)
        return tuple(name for name in names if name != self.reference)

    def graphs(self) -> list[Graph]:
        """All distinct graphs, frames included."""
        return list(dict.fromkeys(each for case in self.cases for each in (case.graph, case.frame)))


def list_comparisons() -> tuple[Comparison, ...]:
    """Return everything that is measured, in the order of the report."""
    return (_ghost(), _attention(), _dfc(), _bottlenecks())


def _case(
    variant: str,
    side: int,
    channels: int,
    module: AddModule,
    times: int = TIMES,
    place: tuple[str, str] | None = None,
    work: float | None = None,
) -> Case:
    """A case whose work is counted from its operators, unless it is given."""
    graph = stack(side, channels, [module] * times)
    place = place or _place(side, channels)
    counted = module_macs(graph) / times
    frame = stack(side, channels)
    return Case(variant, place, graph, frame, times, counted if work is None else work)


def _place(side: int, channels: int) -> tuple[str, str]:
    return f"{side}×{side}", f"{channels} channels"


def _ghost() -> Comparison:
    def cases() -> Iterator[Case]:
        modules = {f"s={ratio}, d=3": GhostModule(ratio) for ratio in (2, 3, 4)}
        modules |= {f"s=2, d={kernel}": GhostModule(2, kernel) for kernel in (1, 5)}
        for side, widths in GHOST_MAPS.items():
            for channels in widths:
                ordinary = partial(add_pointwise, channels=channels)
                yield _case(CONVOLUTION, side, channels, ordinary)
                for name, module in modules.items():
                    yield _case(name, side, channels, _ghost_module(channels, module))

    return Comparison(
        "ghost",
        "Ghost module against the convolution it replaces",
        "A Ghost module computes 1/s of its channels by a pointwise convolution and the rest by "
        "cheap d×d depthwise ones. The pointwise convolution that gives all channels does about s "
        "times the multiply-adds.",
        CONVOLUTION,
        speed_up=True,
        cases=tuple(cases()),
    )


CONVOLUTION = "1×1 convolution"


def _ghost_module(channels: int, module: GhostModule) -> AddModule:
    return partial(add_ghost_module, out_channels=channels, module=module, relu=True)


def _attention() -> Comparison:
    return Comparison(
        "attention",
        "Decoupled attention against full attention",
        "In full attention each position reads all H×W others. As a product with a matrix that all "
        "channels share, it is at its fastest; with weights for each channel and offset, it is a "
        "depthwise convolution of (2H-1)×(2W-1) taps. Decoupled attention (DFC) reads a column, "
        "then a row: all of it, or 5 taps as GhostNetV2 does. Positions are given as channels to "
        "the product, so that nothing is transposed.",
        MATRIX,
        speed_up=True,
        cases=tuple(case for side in ATTENTION_SIDES for case in _attention_cases(side)),
    )


MATRIX, DEPTHWISE = "full attention as a product", "full attention, depthwise"


def _attention_cases(side: int) -> Iterator[Case]:
    channels, positions, taps = ATTENTION_CHANNELS, side * side, 2 * side - 1
    place = _place(side, channels)

    def depthwise(name: str, times: int, cost: int, *kernels: tuple[int, int]) -> Case:
        module = _depthwise(kernels)
        return _case(name, side, channels, module, times, place, channels * positions * cost)

    # Pixels of this stack are channels of the attention map; its channels are the positions.
    module = partial(add_pointwise, channels=positions, relu=False)
    yield _case(MATRIX, math.isqrt(channels), positions, module, 1, place)
    yield depthwise("DFC, 5 taps", TIMES, 5 + 5, (1, 5), (5, 1))
    yield depthwise("DFC, all taps", TIMES, side + side, (1, taps), (taps, 1))
    if side <= MAX_DEPTHWISE_SIDE:
        yield depthwise(DEPTHWISE, 1, positions, (taps, taps))


def _depthwise(kernels: tuple[tuple[int, int], ...]) -> AddModule:
    return lambda build, source, key: add_depthwise(build, source, key, *kernels)


STOCK = "published attention"


def _dfc() -> Comparison:
    variants: dict[str, DFC | None] = {"no attention": None, STOCK: DFC()}
    variants |= {f"{taps}×5 taps": DFC(kernel_h=taps) for taps in TAPS}
    variants |= {f"5×{taps} taps": DFC(kernel_w=taps) for taps in TAPS}
    variants |= {f"factor {factor}": DFC(factor=factor) for factor in (1, 4)}
    variants |= {"bilinear": DFC(resize="bilinear"), "max pooling": DFC(pool="max")}
    return Comparison(
        "dfc",
        "Attention of a GhostNetV2 module: taps, down-sampling, resizing",
        "A Ghost module (s=2, d=3) with DFC attention as published (5×5 taps, the map down-sampled "
        "by 2 with average pooling and resized by nearest neighbour), and with one thing changed. "
        "Taps are those of the vertical × those of the horizontal convolution.",
        STOCK,
        speed_up=False,
        cases=tuple(
            _case(name, side, channels, _ghost_module(channels, GhostModule(dfc=dfc)))
            for side, channels in DFC_MAPS.items()
            for name, dfc in variants.items()
        ),
    )


V1, V2_FIRST, V2_SECOND, V2_BOTH = "V1", "V2, first module", "V2, second module", "V2, both modules"
WITH_SE, KERNEL_5 = "V1 with SE", "V1, kernel 5"


def _bottlenecks() -> Comparison:
    dfc = GhostModule(dfc=DFC())

    def cases() -> Iterator[Case]:
        for side, channels, hidden, out, stride in BLOCKS:
            block = GhostBlock(hidden, out, stride=stride)
            change: Callable[..., GhostBlock] = partial(msgspec.structs.replace, block)
            variants = {
                V1: block,
                V2_FIRST: change(ghost1=dfc),
                V2_SECOND: change(ghost2=dfc),
                V2_BOTH: change(ghost1=dfc, ghost2=dfc),
                WITH_SE: change(se_channels=round(hidden * SE_RATIO / 4) * 4),
            }
            if stride > 1:
                variants[KERNEL_5] = change(kernel=5)
            place = (f"stride {stride}", f"{side}×{side}, {channels}→{out}")
            times = TIMES if stride == 1 else 1
            for name, each in variants.items():
                module = partial(add_ghost_block, block=each)
                yield _case(name, side, channels, module, times, place)

    return Comparison(
        "bottlenecks",
        "Ghost bottlenecks, V1 and V2, at stride 1 and 2",
        "Blocks of stock GhostNetV2 1.0 without attention (V1), with it on the first Ghost module "
        "as published, on the second, and on both; with squeeze-and-excitation; and with a 5×5 "
        "depthwise convolution where the stride is 2.",
        V1,
        speed_up=False,
        cases=tuple(cases()),
    )
