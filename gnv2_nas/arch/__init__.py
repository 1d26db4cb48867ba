"""Architectures as plain data. Imports neither torch nor optuna."""

from gnv2_nas.arch.architecture import Architecture, block_keys
from gnv2_nas.arch.blocks import (
    DFC,
    Activation,
    Block,
    GhostBlock,
    GhostModule,
    MobileBlock,
    is_identity_shortcut,
    output_side,
)
from gnv2_nas.arch.preprocessing import Preprocessing
from gnv2_nas.arch.presets import list_presets, make_divisible, preset
from gnv2_nas.arch.supernet_spec import (
    BlockSpec,
    ChannelGroups,
    GhostSpec,
    SupernetSpec,
    find_stages,
    group_channels,
)

__all__ = [
    "DFC",
    "Activation",
    "Architecture",
    "Block",
    "BlockSpec",
    "ChannelGroups",
    "GhostBlock",
    "GhostModule",
    "GhostSpec",
    "MobileBlock",
    "Preprocessing",
    "SupernetSpec",
    "block_keys",
    "find_stages",
    "group_channels",
    "is_identity_shortcut",
    "list_presets",
    "make_divisible",
    "output_side",
    "preset",
]
