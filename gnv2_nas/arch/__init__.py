"""Architectures: what a network is, before any tensor exists. Imports neither torch nor optuna."""

from gnv2_nas.arch.architecture import Architecture, block_keys
from gnv2_nas.arch.blocks import DFC, Activation, Block, GhostBlock, GhostModule, MobileBlock
from gnv2_nas.arch.canonical import is_identity_shortcut, strided
from gnv2_nas.arch.preprocessing import Preprocessing
from gnv2_nas.arch.presets import list_presets, make_divisible, preset
from gnv2_nas.arch.supernet_spec import (
    Envelope,
    GhostEnvelope,
    Parts,
    SlotEnvelope,
    ghost_parts,
    stages_of,
)

__all__ = [
    "DFC",
    "Activation",
    "Architecture",
    "Block",
    "Envelope",
    "GhostBlock",
    "GhostEnvelope",
    "GhostModule",
    "MobileBlock",
    "Parts",
    "Preprocessing",
    "SlotEnvelope",
    "block_keys",
    "ghost_parts",
    "is_identity_shortcut",
    "list_presets",
    "make_divisible",
    "preset",
    "stages_of",
    "strided",
]
