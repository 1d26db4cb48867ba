"""Two real processes that train one network on the CPU."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import torch

from gnv2_nas.nn import read_checkpoint
from tests.training.small import same, train, weights

TRAIN = """
import os, sys, torch
from pathlib import Path
from gnv2_nas.training.context import process_group
from tests.training.small import short_recipe, train, weights

folder = Path(sys.argv[1])
with process_group(torch.device("cpu")) as world:
    layer = torch.nn.Linear(3000, 2000)
    layer.weight.grad = torch.full((2000, 3000), world.rank + 1.0)
    layer.bias.grad = torch.arange(2000) * (world.rank + 1.0)
    world.average_gradients(layer)
    assert torch.equal(layer.weight.grad, torch.full((2000, 3000), 1.5))
    assert torch.equal(layer.bias.grad, torch.arange(2000) * 1.5)
    result = train(folder / "shared.safetensors", recipe=short_recipe(4))
    torch.save(weights(result.model), folder / f"rank{world.rank}.pt")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_two_processes_end_with_the_same_weights(tmp_path):
    common = {
        "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()),
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(tmp_path)], stderr=subprocess.PIPE, text=True,
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]  # fmt: skip
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    first, second = (
        torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2)
    )
    learnt = {key for key in first if "running" not in key}
    assert same({key: first[key] for key in learnt}, {key: second[key] for key in learnt})
    # Each saw its own half of the images.
    assert not torch.equal(first["bn1.running_mean"], second["bn1.running_mean"])
    assert same(read_checkpoint(tmp_path / "shared.safetensors"), first)
    alone = weights(train().model)
    assert not same(first, alone)
