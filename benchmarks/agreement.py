"""Do arithmetic, fvcore, the torch module and the ONNX file agree on random networks?

`python -m benchmarks.agreement 500` is the long form of what the tests do on a few.
"""

from __future__ import annotations

import logging
import random
import sys

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import addmm_flop_jit, conv_flop_jit, linear_flop_jit
from onnxruntime import InferenceSession
from rich.table import Table
from torch import nn

from benchmarks.table import table
from gnv2_nas.arch import Architecture
from gnv2_nas.formats.onnx.writer import onnx_bytes
from gnv2_nas.graph import count
from gnv2_nas.nn import Network, build_model
from gnv2_nas.space import list_spaces, load_space

NETWORKS = 8


def run(networks: int = NETWORKS) -> Table:
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    rng = random.Random(0)
    rows = []
    for name in list_spaces():
        space = load_space(name)
        sampled = [space.sample(rng) for _ in range(networks // len(list_spaces()))]
        macs = params = 0
        worst = 0.0
        for arch in sampled:
            model = _with_statistics(build_model(arch).eval())
            counts = count(arch)
            macs += counts.macs == _fvcore_macs(model)
            params += counts.params == sum(p.numel() for p in model.parameters())
            worst = max(worst, _difference(arch, model))
        rows.append((name, str(len(sampled)), str(macs), str(params), f"{worst:.1e}"))
    columns = ("space", "networks", "MACs equal fvcore's", "parameters equal", "ONNX - torch")
    return table("Agreement on random networks (largest relative difference)", columns, rows)


def _with_statistics(model: Network) -> Network:
    """Batch norm that is not the identity, as after training."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return model


def _fvcore_macs(model: Network) -> int:
    """fvcore with the handlers of convolution and linear layers alone."""
    side = model.architecture.resolution
    analysis = FlopCountAnalysis(model, torch.zeros(1, 3, side, side)).clear_op_handles()
    analysis.set_op_handle(
        "aten::_convolution", conv_flop_jit, "aten::convolution", conv_flop_jit,
        "aten::addmm", addmm_flop_jit, "aten::linear", linear_flop_jit,
    )  # fmt: skip
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return int(analysis.total())


@torch.inference_mode()
def _difference(arch: Architecture, model: Network) -> float:
    """Largest difference of the logits, relative to the largest logit."""
    image = torch.randn(1, 3, arch.resolution, arch.resolution)
    expected = model(image)
    session = InferenceSession(onnx_bytes(arch, model), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"input": image.numpy()})
    got = torch.from_numpy(logits)
    return float((got - expected).abs().max() / expected.abs().max())


if __name__ == "__main__":
    from rich.console import Console

    Console(width=120).print(run(int(sys.argv[1]) if len(sys.argv) > 1 else NETWORKS))
