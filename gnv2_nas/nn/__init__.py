"""Torch modules: the readable definition of every network. Imports torch."""

from gnv2_nas.nn.blocks import (
    DepthwiseSeparable,
    DFCAttention,
    FullyConnectedAttention,
    GhostBottleneck,
    GhostModule,
    InvertedResidual,
)
from gnv2_nas.nn.checkpoint import (
    load_weights,
    network_bytes,
    network_from_bytes,
    read_checkpoint,
    read_weights,
    save_weights,
)
from gnv2_nas.nn.interpreter import fold_batch_norm, run_graph
from gnv2_nas.nn.layers import SqueezeExcite
from gnv2_nas.nn.network import Network, build_model, timing_model

__all__ = [
    "DFCAttention",
    "DepthwiseSeparable",
    "FullyConnectedAttention",
    "GhostBottleneck",
    "GhostModule",
    "InvertedResidual",
    "Network",
    "SqueezeExcite",
    "build_model",
    "fold_batch_norm",
    "load_weights",
    "network_bytes",
    "network_from_bytes",
    "read_checkpoint",
    "read_weights",
    "run_graph",
    "save_weights",
    "timing_model",
]
