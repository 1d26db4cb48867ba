"""fvcore's own count of the built module: the reference beside our arithmetic."""

from __future__ import annotations

import logging

import torch
from fvcore.nn import FlopCountAnalysis

from gnv2_nas.arch import Architecture
from gnv2_nas.nn.network import Network, build_model


def fvcore_total(arch: Architecture) -> int:
    """fvcore's default total for batch 1 at the architecture's resolution.

    Besides convolutions and linear layers it counts batch norm, resize and adaptive pooling.
    """
    return fvcore_total_of(build_model(arch).eval())


def fvcore_total_of(model: Network) -> int:
    """The same of a module that is built, in eval mode."""
    side = model.architecture.resolution
    image = torch.zeros(1, 3, side, side)
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    analysis = FlopCountAnalysis(model, image)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    total: int = analysis.total()
    return total
