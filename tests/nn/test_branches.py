"""Branches that exist during training only: what they fold into computes the same."""

from __future__ import annotations

import copy

import pytest
import torch
from msgspec.structs import replace

from gnv2_nas.arch import GhostModule
from gnv2_nas.nn import build_model
from gnv2_nas.nn.branches import BranchedNetwork
from gnv2_nas.nn.interpreter import cached_lower, run_graph
from tests.training.small import RESOLUTION, small_network

IMAGES = torch.rand(4, 3, RESOLUTION, RESOLUTION, dtype=torch.float64)


def adding_network():
    arch = small_network()
    adds = {"ghost1": GhostModule(merge="add"), "ghost2": GhostModule(merge="add")}
    return arch.replace(blocks=tuple(replace(block, **adds) for block in arch.blocks))


def branched(arch, *, silent=False):
    """A branched network; unless silent, all weights and statistics differ from initial ones."""
    torch.manual_seed(0)
    module = BranchedNetwork(build_model(arch), 3, silent=silent).eval()
    for name, value in module.state_dict().items():
        if name.endswith(("running_var", "variance")):
            value.copy_(0.5 + torch.rand_like(value))
        elif value.is_floating_point() and not silent:
            value.add_(0.1 * torch.randn_like(value))
    return module.double()


def add_explicitly(branches, x, own):
    """`own` and the batch norm of each branch, one by one, as the modules define them."""
    for number, norm in enumerate(branches.norms):
        own = own + norm(branches.convs[number](x) if number < len(branches.convs) else x)
    return own


def logits_with_branches(module, images):
    """The branches' sums in place of the outputs of the batch norms."""
    network, hooks = module.network, []
    for name, branches in module.by_weight().items():
        seen = []

        def look(_conv, inputs, _output, seen=seen):
            seen.append(inputs[0].clone())

        def add(_norm, _inputs, output, seen=seen, branches=branches):
            return add_explicitly(branches, seen.pop(), output)

        hooks.append(network.get_submodule(name).register_forward_hook(look))
        hooks.append(network.get_submodule(branches.op.norm).register_forward_hook(add))
    found = network(images)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("arch", [small_network(), adding_network()], ids=["concat", "add"])
def test_the_folded_network_computes_the_same(arch):
    module = branched(arch)
    folded = module.fold()
    assert folded.state_dict().keys() == build_model(arch).state_dict().keys()
    expected = logits_with_branches(module, IMAGES)
    assert torch.allclose(folded(IMAGES), expected, rtol=0, atol=1e-10)
    assert not torch.allclose(module.network(IMAGES), expected, rtol=0, atol=1e-2)


@pytest.mark.parametrize("arch", [small_network(), adding_network()], ids=["concat", "add"])
def test_training_adds_the_branches_up_and_follows_their_statistics(arch):
    """Products whose statistics follow from those of the input equal products that are made."""
    module = branched(arch).train()
    module.network.dropout.p = 0.0
    explicit = copy.deepcopy(module)
    expected = logits_with_branches(explicit, IMAGES)
    found = run_graph(
        cached_lower(arch), dict(module.network.named_parameters()), IMAGES,
        momentum=0.1, statistics=dict(module.network.named_buffers()), branches=module.by_weight(),
    )  # fmt: skip
    assert torch.allclose(found, expected, rtol=0, atol=1e-9)
    statistics = dict(explicit.named_buffers())
    for name, value in module.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            assert torch.allclose(value, statistics[name], rtol=0, atol=1e-9), name


def test_silent_branches_fold_into_the_network_itself():
    module = branched(small_network(), silent=True)
    expected = module.network(IMAGES)
    assert torch.allclose(module.fold()(IMAGES), expected, rtol=0, atol=1e-10)


def test_every_primary_cheap_and_attention_convolution_has_branches():
    by_weight = branched(small_network()).by_weight()
    parts = ("primary_conv.0", "cheap_operation.0", "short_conv.0", "short_conv.2", "short_conv.4")
    expected = {
        name for name, _ in build_model(small_network()).named_modules() if name.endswith(parts)
    }
    assert by_weight.keys() == expected
    # Two more of the same, a scale and the input; a 1x1 convolution to more channels has two.
    cheap, primary = (by_weight[f"blocks.0.0.ghost1.{part}"] for part in parts[1::-1])
    assert (len(cheap.convs), len(cheap.norms)) == (3, 4)
    assert (len(primary.convs), len(primary.norms)) == (2, 3)


def test_folded_statistics_are_those_of_the_folded_convolution(monkeypatch):
    """Otherwise training or calibration with the batch's statistics would change the network."""
    monkeypatch.setattr("gnv2_nas.nn.branches.BATCH_NORM_MOMENTUM", 1.0)
    module = branched(small_network()).float().train()
    images = torch.rand(32, 3, RESOLUTION, RESOLUTION)
    graph, network = cached_lower(small_network()), module.network
    run_graph(
        graph, dict(network.named_parameters()), images, momentum=1.0,
        statistics=dict(network.named_buffers()), branches=module.by_weight(),
    )  # fmt: skip
    folded = module.fold()
    by_statistics = folded.eval()(images)
    by_batch = run_graph(graph, dict(folded.named_parameters()), images)
    assert torch.allclose(by_batch, by_statistics, rtol=0, atol=0.05 * by_batch.std().item())
