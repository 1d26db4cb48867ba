"""The module as the public code computes it, for exporting it the usual way.

Differs from our own module in what an exporter leaves in the file: every Ghost module ends in a
slice that keeps everything, hard sigmoid is ReLU6(x + 3) / 6, and the attention is resized even
when it has the right size. Same weights, same outputs.
"""

from __future__ import annotations

import contextlib
import io
import logging

import torch
from torch import Tensor
from torch.nn import functional as F

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.nn import GhostModule, Network, SqueezeExcite, build_model

STOCK = preset("ghostnetv2-1.0")


class PublicGhostModule(GhostModule):
    def forward(self, x: Tensor) -> Tensor:
        primary = self.primary_conv(x)
        out = torch.cat([primary, self.cheap_operation(primary)], dim=1)
        out = out[:, : self.out_channels, :, :]
        if self.short_conv is None:
            return out
        attention = torch.nn.Sequential.forward(self.short_conv, F.avg_pool2d(x, 2, 2))
        size = (out.shape[-2], out.shape[-1])
        return out * F.interpolate(torch.sigmoid(attention), size=size, mode="nearest")


class PublicSqueezeExcite(SqueezeExcite):
    def forward(self, x: Tensor) -> Tensor:
        gate = self.conv_expand(self.act1(self.conv_reduce(self.avg_pool(x))))
        return x * (F.relu6(gate + 3.0) / 6.0)


_PUBLIC = {GhostModule: PublicGhostModule, SqueezeExcite: PublicSqueezeExcite}


def public_model(arch: Architecture) -> Network:
    """`build_model(arch)` in eval mode, computing as the public code does."""
    model = build_model(arch).eval()
    for module in model.modules():
        if type(module) in _PUBLIC:
            module.__class__ = _PUBLIC[type(module)]
    return model


def exported(model: Network, *, dynamo: bool) -> bytes:
    """`model` through one of torch's exporters: by tracing, or dynamo."""
    side = model.architecture.resolution
    buffer = io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # its own progress
        torch.onnx.export(
            model,
            (torch.zeros(1, 3, side, side),),
            buffer,
            dynamo=dynamo,
            input_names=["input"],
            output_names=["logits"],
            opset_version=18 if dynamo else 17,
        )
    return buffer.getvalue()
