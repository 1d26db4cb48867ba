"""`Architecture`: identity, JSON, and the rules it keeps."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings

from gnv2_nas.arch import (
    DFC,
    Architecture,
    GhostBlock,
    GhostModule,
    MobileBlock,
    list_presets,
    preset,
)
from gnv2_nas.errors import ArchitectureError
from tests.strategies import architectures

BLOCK = GhostBlock(8, 4)


@settings(max_examples=50, deadline=None)
@given(architectures())
def test_json_round_trip(arch: Architecture) -> None:
    again = Architecture.from_json(arch.to_json())
    assert again == arch
    assert (again.id, hash(again)) == (arch.id, hash(arch))
    assert again.to_json() == arch.to_json()


@pytest.mark.parametrize("name", list_presets())
def test_presets_round_trip(name: str) -> None:
    assert Architecture.from_json(preset(name).to_json()) == preset(name)


def test_reads_json_of_another_form() -> None:
    """White space, other orders of fields and left-out defaults mean the same network."""
    arch = preset("ghostnetv2-1.0")
    shuffled = dict(reversed(json.loads(arch.to_json()).items()))
    assert Architecture.from_json(json.dumps(shuffled, indent=2).encode()) == arch


def test_id_is_the_same_in_another_process() -> None:
    code = "from gnv2_nas.arch import preset; print(preset('ghostnetv2-1.3').id)"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == preset("ghostnetv2-1.3").id


def test_other_networks_are_other_keys() -> None:
    arch = preset("ghostnetv2-1.0")
    others = [arch.replace(resolution=225), arch.replace(num_classes=10), preset("ghostnet-1.0")]
    assert len({arch, *others}) == len({arch.id, *(other.id for other in others)}) == 4
    assert {arch: 1}[Architecture.from_json(arch.to_json())] == 1


def test_is_frozen() -> None:
    with pytest.raises(AttributeError):
        preset("ghostnet-1.0").resolution = 32  # type: ignore[misc]


def test_replace_leaves_the_original() -> None:
    arch = preset("ghostnet-1.0")
    assert arch.replace(resolution=32).resolution == 32
    assert arch.resolution == 224


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"blocks": ()}, "blocks"),
        ({"resolution": 0}, "resolution"),
        ({"resolution": 5000}, "resolution"),
        ({"num_classes": 0}, "num_classes"),
        ({"stem_channels": -1}, "stem_channels"),
        ({"conv_channels": 1 << 20}, "conv_channels"),
        ({"head_channels": 0}, "head_channels"),
        ({"blocks": (GhostBlock(0, 4),)}, r"blocks\[0\].hidden_channels"),
        ({"blocks": (BLOCK, GhostBlock(4, 0))}, r"blocks\[1\].out_channels"),
        ({"blocks": (GhostBlock(4, 4, se_channels=-1),)}, r"blocks\[0\].se_channels"),
        ({"blocks": (GhostBlock(4, 4, stride=3),)}, r"blocks\[0\].stride"),
        ({"blocks": (MobileBlock(4, 4, kernel=4),)}, r"blocks\[0\].kernel"),
        ({"blocks": (GhostBlock(4, 4, ghost1=GhostModule(ratio=1)),)}, r"\.ghost1\.ratio"),
        (
            {"blocks": (GhostBlock(4, 4, ghost2=GhostModule(cheap_kernel=2)),)},
            r"\.ghost2\.cheap_kernel",
        ),
        (
            {"blocks": (GhostBlock(4, 4, ghost1=GhostModule(dfc=DFC(kernel_h=-5))),)},
            r"\.ghost1\.dfc\.kernel_h",
        ),
        (
            {"blocks": (GhostBlock(4, 4, ghost1=GhostModule(dfc=DFC(kernel_w=6))),)},
            r"\.ghost1\.dfc\.kernel_w",
        ),
        (
            {"blocks": (GhostBlock(4, 4, ghost1=GhostModule(dfc=DFC(factor=0))),)},
            r"\.ghost1\.dfc\.factor",
        ),
    ],
)
def test_a_broken_rule_names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ArchitectureError, match=field) as caught:
        Architecture(**{"blocks": (BLOCK,), **changes})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an architecture in JSON"),
        ("{", "not an architecture in JSON"),
        (b"\xff\xfe", "not an architecture in JSON"),
        ("[]", "Expected `object`"),
        ("{}", "missing required field `blocks`"),
        ('{"blocks": [], "size": 3}', "unknown field `size`"),
        ('{"blocks": [{"type": "swin"}]}', r"\$.blocks\[0\]"),
        ('{"blocks": [], "resolution": "big"}', r"\$.resolution"),
        ('{"blocks": []}', "at least one block"),
        (
            '{"blocks": [{"type": "ghost", "hidden_channels": 4, "out_channels": 4, "kernel": 2}]}',
            r"blocks\[0\].kernel",
        ),
    ],
)
def test_json_that_is_no_architecture(text: str | bytes, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        Architecture.from_json(text)
