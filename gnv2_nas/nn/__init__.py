"""Torch modules: the readable definition of every network. Importing this imports torch."""

from gnv2_nas.nn.attention import DFCAttention, FullyConnectedAttention
from gnv2_nas.nn.checkpoint import (
    load_weights,
    network_bytes,
    network_from_bytes,
    read_checkpoint,
    read_weights,
    save_weights,
)
from gnv2_nas.nn.folding import folded
from gnv2_nas.nn.ghost import GhostBottleneck, GhostModule
from gnv2_nas.nn.interpreter import run_graph
from gnv2_nas.nn.layers import SqueezeExcite
from gnv2_nas.nn.mobile import DepthwiseSeparable, InvertedResidual
from gnv2_nas.nn.network import Network, build_model
from gnv2_nas.nn.recalibration import recalibrate
from gnv2_nas.nn.supernet import Supernet
from gnv2_nas.nn.supernet_file import load_supernet, save_supernet
from gnv2_nas.nn.timing import timing_model

__all__ = [
    "DFCAttention",
    "DepthwiseSeparable",
    "FullyConnectedAttention",
    "GhostBottleneck",
    "GhostModule",
    "InvertedResidual",
    "Network",
    "SqueezeExcite",
    "Supernet",
    "build_model",
    "folded",
    "load_supernet",
    "load_weights",
    "network_bytes",
    "network_from_bytes",
    "read_checkpoint",
    "read_weights",
    "recalibrate",
    "run_graph",
    "save_supernet",
    "save_weights",
    "timing_model",
]
