"""An architecture in a few words: what a reader sees when pointing at it."""

from __future__ import annotations

from gnv2_nas.arch import DFC, Architecture, Block, GhostBlock

_KINDS_SHOWN = 4


def stages(arch: Architecture) -> list[list[tuple[int, Block]]]:
    """Blocks with the channels they read, cut where the map or the width changes."""
    found: list[list[tuple[int, Block]]] = []
    channels = arch.stem_channels
    for block in arch.blocks:
        previous = found[-1][-1][1] if found else None
        if previous is None or block.stride == 2 or block.out_channels != previous.out_channels:
            found.append([])
        found[-1].append((channels, block))
        channels = block.out_channels
    return found


def stage_widths(arch: Architecture) -> str:
    """Output channels of each stage and how often: "16 24×2 40×2"."""
    texts = []
    for stage in stages(arch):
        width = stage[0][1].out_channels
        texts.append(f"{width}×{len(stage)}" if len(stage) > 1 else str(width))
    return " ".join(texts)


def stage_expansions(arch: Architecture) -> str:
    """Hidden channels over input channels of each stage, mean over its blocks: "1.0 2.5"."""
    texts = []
    for stage in stages(arch):
        ratios = [block.hidden_channels / channels for channels, block in stage]
        texts.append(f"{sum(ratios) / len(ratios):.1f}")
    return " ".join(texts)


def attention_modules(arch: Architecture) -> list[tuple[int, str, DFC]]:
    """(block, "first" or "second" Ghost module, DFC) wherever there is one."""
    found = []
    for index, block in enumerate(arch.blocks):
        if isinstance(block, GhostBlock):
            for place, module in (("first", block.ghost1), ("second", block.ghost2)):
                if module.dfc is not None:
                    found.append((index, place, module.dfc))
    return found


def describe(arch: Architecture) -> list[str]:
    """Lines: size of the image and id, widths, expansion, where which DFC stands."""
    return [
        f"id {arch.id} · {arch.family} · {arch.resolution} px",
        f"stage widths  {stage_widths(arch)}",
        f"expansion  {stage_expansions(arch)}",
        *_describe_attention(arch),
    ]


def _describe_attention(arch: Architecture) -> list[str]:
    places: dict[tuple[str, DFC], list[int]] = {}
    for index, place, dfc in attention_modules(arch):
        places.setdefault((place, dfc), []).append(index)
    if not places:
        return ["no DFC attention"]
    lines = [
        f"DFC {dfc.kernel_h}×{dfc.kernel_w} ÷{dfc.factor} {dfc.pool}, {dfc.resize}: "
        f"{place} module of {_ranges(blocks)}"
        for (place, dfc), blocks in places.items()
    ]
    hidden = len(lines) - _KINDS_SHOWN
    if hidden <= 0:
        return lines
    return [*lines[:_KINDS_SHOWN], f"and {hidden} more kind{'s' if hidden > 1 else ''} of DFC"]


def _ranges(numbers: list[int]) -> str:
    """[2, 3, 4, 7] → "blocks 2–4, 7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return f"block{'s' if len(numbers) > 1 else ''} {', '.join(texts)}"
