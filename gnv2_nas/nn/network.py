"""`build_model`: Architecture → torch module.

`timing_model` builds one with weights made for timing. `fvcore_total` counts a module with fvcore,
as a reference for the counts of the graph.
"""

from __future__ import annotations

import logging
from itertools import chain

import torch
from torch import Tensor, nn

from gnv2_nas.arch import Architecture, Block, MobileBlock, block_keys
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.weights import BATCH_NORM_EPSILON, TimingWeights
from gnv2_nas.nn.blocks import DepthwiseSeparable, GhostBottleneck, InvertedResidual
from gnv2_nas.nn.layers import Classifier, ConvBnAct, activation, convolution, skip_initialization


class Network(nn.Module):
    """GhostNet, GhostNetV2 or MobileNetV3: the readable definition of an `Architecture`.

    It accepts images of any size; `architecture.resolution` is the intended one.
    """

    def __init__(self, arch: Architecture, dropout: float = 0.2) -> None:
        super().__init__()
        self.architecture = arch
        self.conv_stem = convolution(3, arch.stem_channels, 3, 2)
        self.bn1 = nn.BatchNorm2d(arch.stem_channels)
        self.act1 = activation(arch.activation)
        self.blocks = _build_blocks(arch)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.conv_head = convolution(arch.conv_channels, arch.head_channels, bias=True)
        self.act2 = activation(arch.activation)
        self.dropout = nn.Dropout(dropout)
        self.classifier = Classifier(arch.head_channels, arch.num_classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) → the last feature map, (N, conv_channels, H/32, W/32), rounded up."""
        out: Tensor = self.blocks(self.act1(self.bn1(self.conv_stem(x))))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) → logits, (N, num_classes)."""
        x = self.act2(self.conv_head(self.global_pool(self.features(x))))
        logits: Tensor = self.classifier(self.dropout(x.flatten(1)))
        return logits


def build_model(arch: Architecture) -> Network:
    """The torch module of an architecture with initial weights, in training mode."""
    return Network(arch)


def _build_blocks(arch: Architecture) -> nn.Sequential:
    """Blocks in the groups of the public checkpoints, see `block_keys`."""
    *keys, last = block_keys(arch)
    channels = arch.stem_channels
    groups: list[list[nn.Module]] = [[] for _ in range(_group(last) + 1)]
    for key, block in zip(keys, arch.blocks, strict=True):
        groups[_group(key)].append(_build_block(channels, block))
        channels = block.out_channels
    groups[-1].append(ConvBnAct(channels, arch.conv_channels, arch.activation))
    return nn.Sequential(*(nn.Sequential(*group) for group in groups))


def _group(key: str) -> int:
    return int(key.split(".")[1])


def _build_block(in_channels: int, block: Block) -> nn.Module:
    if not isinstance(block, MobileBlock):
        return GhostBottleneck(in_channels, block)
    if block.hidden_channels == in_channels:
        return DepthwiseSeparable(in_channels, block)
    return InvertedResidual(in_channels, block)


def timing_model(arch: Architecture) -> Network:
    """The module of `arch` in evaluation mode, with the weights that `onnx_bytes(arch)` and the
    other writers use. It takes a fraction of the time of `build_model` and does not change the
    state of torch's random numbers."""
    with skip_initialization():
        model = build_model(arch)
    tensors = _tensors(arch)
    # `load_state_dict` would copy the tensors and check keys that are known to agree.
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if name in tensors:
            tensor.data = tensors[name]
    return model.eval()


def _tensors(arch: Architecture) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    weights = TimingWeights()
    for op in lower(arch).ops:
        if not op.weight:
            continue
        kernel, bias = (torch.from_numpy(array) for array in weights.fold(op))
        tensors[f"{op.weight}.weight"] = kernel
        if op.bias:
            tensors[f"{op.weight}.bias"] = bias
        for norm in op.norms:
            # With these values, folding gives `kernel` and `bias` exactly.
            ones, own = torch.ones_like(bias), float(norm == op.norm)
            tensors[f"{norm}.weight"] = ones * own
            tensors[f"{norm}.bias"] = bias * own
            tensors[f"{norm}.running_mean"] = torch.zeros_like(bias)
            tensors[f"{norm}.running_var"] = ones - BATCH_NORM_EPSILON
    return tensors


def fvcore_total(arch: Architecture) -> int:
    """fvcore's total for batch 1 at the architecture's resolution. Unlike `Counts.macs`, it
    includes batch norm, resize and adaptive pooling."""
    return fvcore_total_of(build_model(arch).eval())


def fvcore_total_of(model: Network) -> int:
    """The same for an existing module in evaluation mode."""
    # fvcore takes long to import and compiles scripts while it does.
    from fvcore.nn import FlopCountAnalysis

    side = model.architecture.resolution
    image = torch.zeros(1, 3, side, side)
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    analysis = FlopCountAnalysis(model, image)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    total: int = analysis.total()
    return total
