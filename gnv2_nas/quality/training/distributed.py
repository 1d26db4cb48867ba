"""Several processes that train one network: each takes its part of every batch.

Started by `torchrun`, which tells each process its number in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from gnv2_nas.errors import InputError

BUCKET = 1 << 22
"""Numbers that are sent together: one message for each weight would cost more than its content."""


@dataclass(frozen=True)
class World:
    """The processes that train together."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process evaluates, writes and tells how far it is."""
        return self.rank == 0

    @torch.no_grad()
    def average_gradients(self, module: nn.Module) -> None:
        """Replace the gradients of `module` by their mean over all processes.

        The same weights have gradients everywhere: which networks of a supernet are trained is a
        function of seed and step.
        """
        if self.size == 1:
            return
        gradients = [weight.grad for weight in module.parameters() if weight.grad is not None]
        for bucket in _buckets(gradients):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            distributed.all_reduce(flat)
            flat /= self.size
            parts = torch.split(flat, [gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def leader_says(self, answer: bool) -> bool:
        """The leading process's answer, in all of them."""
        answers = [answer]
        if self.size > 1:
            distributed.broadcast_object_list(answers, src=0)
        return answers[0]

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            distributed.barrier()


def choose_device(device: torch.device | str | None) -> torch.device:
    """The device asked for, else a GPU, else the CPU; of several GPUs this process's own.

    Raises:
        InputError: there is no such device here.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if str(device) == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"device {str(device)!r} cannot be used: {reason}; try cpu") from None
    return chosen


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """The processes that `torchrun` started, or this one alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    already = distributed.is_initialized()
    if not already:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(distributed.get_rank(), distributed.get_world_size())
    finally:
        if not already:
            distributed.destroy_process_group()


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """The gradients in order, in groups of about `BUCKET` numbers."""
    bucket: list[Tensor] = []
    filled = 0
    for gradient in gradients:
        if bucket and filled + gradient.numel() > BUCKET:
            yield bucket
            bucket, filled = [], 0
        bucket.append(gradient)
        filled += gradient.numel()
    if bucket:
        yield bucket
