"""Which forms to measure on a device, on which networks, and which form to keep."""

from __future__ import annotations

import random

import msgspec

from gnv2_nas.arch import Architecture, Block, GhostBlock
from gnv2_nas.arch.presets import ghostnet
from gnv2_nas.devices.panel import REFERENCE, reference_networks
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.measurement.forms import FormComparison
from gnv2_nas.search.study import defaults
from gnv2_nas.space import load_space

MULTIPLES = (1, 4, 8, 16)
MIN_GAIN = 0.01
"""Least gain that is worth another form: with it, the device is calibrated again, and studies from
before cannot go on. Smaller gains are also within what an A/A measurement may show."""
NETWORKS = (
    "stock GhostNetV2 1.0, a small network (width 0.5, 128 pixels, Ghost modules of ratio 3), and "
    f"a random one of space {defaults.SPACE}"
)


def neighbours(built_in: FileForm) -> list[FileForm]:
    """Return the forms that differ from the built-in one in one option, at most nine.

    An option that the built-in form leaves open is one that the writer has a rule for; only fusing
    can be asked for instead of the rule.
    """
    fused = built_in.fuse_up_to
    limits = (0, 16, 32) if not fused else (0, fused // 2, fused * 2)
    found = [FileForm(channel_multiple=multiple) for multiple in MULTIPLES]
    found += [FileForm(fuse_up_to=limit) for limit in limits]
    if built_in.split_depthwise is not None:
        found.append(FileForm(split_depthwise=not built_in.split_depthwise))
    if built_in.sink_concats is not None:
        found.append(FileForm(sink_concats=not built_in.sink_concats))
    return [form for form in found if form.without(built_in) == form]


def draw_networks(seed: int) -> dict[str, Architecture]:
    """Return the networks to tune on, see `NETWORKS`, by name.

    The small one has Ghost modules of ratio 3, because `split_depthwise` changes no others.
    """
    half = ghostnet(0.5, dfc=True)
    blocks = tuple(_with_ratio(block, 3) for block in half.blocks)
    drawn = load_space(defaults.SPACE).sample(random.Random(seed))
    return {
        "stock": reference_networks()[REFERENCE],
        "small": half.replace(blocks=blocks, resolution=128),
        "random": drawn,
    }


def _with_ratio(block: Block, ratio: int) -> Block:
    if not isinstance(block, GhostBlock):
        return block
    modules = (msgspec.structs.replace(each, ratio=ratio) for each in (block.ghost1, block.ghost2))
    return msgspec.structs.replace(block, **dict(zip(("ghost1", "ghost2"), modules, strict=True)))


def choose_finalists(screened: FormComparison) -> list[FileForm]:
    """Return the fastest form, and the combination of the best value of each option that was faster
    beyond its interval; nothing if no form may be faster by `MIN_GAIN`."""
    promising = [row for row in screened.ran if row.ratio < 1 and row.ci95()[0] < 1 - MIN_GAIN]
    ranked = sorted(promising, key=lambda row: row.ratio)
    if not ranked:
        return []
    combined = FileForm()
    for row in ranked:
        if row.ci95()[1] < 1:
            combined = combined.over(row.form)
    finalists = (ranked[0].form, combined)
    return [form for form in dict.fromkeys(finalists) if form != FileForm()]


def decide(confirmed: FormComparison) -> FileForm:
    """Return the fastest form that is faster than the built-in one by `MIN_GAIN`, beyond its
    interval, and slower for no network beyond the network's; else the built-in form."""
    for row in sorted(confirmed.ran, key=lambda row: row.ratio):
        slower = any(row.of(name)[1][0] > 1 for name in row.logs)
        faster = row.ratio <= 1 - MIN_GAIN and row.ci95(len(confirmed.ran))[1] < 1
        if faster and not slower:
            return row.form
    return FileForm()
