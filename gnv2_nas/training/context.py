"""What all parts of one training share: seeds, threads, memory, processes, precision.

Random numbers are a function of (seed, purpose, step), so that any step can be repeated.
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from gnv2_nas.cores import usable_cores
from gnv2_nas.errors import InputError, first_line
from gnv2_nas.nn.interpreter import torch_threads
from gnv2_nas.training.optimization import MixedPrecision
from gnv2_nas.training.recipe import Recipe


def derive_seed(seed: int, purpose: str, step: int = 0) -> int:
    """Hash the arguments to 63 bits, the same in every process."""
    text = f"{seed}/{purpose}/{step}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


@contextmanager
def seed_torch(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed torch's random numbers within the block; those outside it stay as they are."""
    place = torch.device(device)
    others = [place] if place.type == "cuda" else []
    with torch.random.fork_rng(devices=others):
        # torch.manual_seed would also seed devices that are not restored.
        torch.default_generator.manual_seed(seed)
        if others:
            with torch.cuda.device(place):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def use_half_the_cores() -> Iterator[None]:
    """Use half of the cores, unless OMP_NUM_THREADS sets the number of threads.

    The networks consist of thousands of short operators: on two cores, a step of a supernet takes
    two threads 1.0 to 1.8 times as long as one. The number is fixed, not measured, because it
    decides how sums are rounded, and a resumed training must end with the same weights.
    """
    half = max(1, usable_cores() // 2)
    with nullcontext() if "OMP_NUM_THREADS" in os.environ else torch_threads(half):
        yield


@contextmanager
def limit_threads() -> Iterator[None]:
    """Use no more threads than usable cores: torch ignores the CPU quota of a container."""
    fits = "OMP_NUM_THREADS" in os.environ or torch.get_num_threads() <= usable_cores()
    with nullcontext() if fits else torch_threads(usable_cores()):
        yield


MIN_MICRO_BATCH = 2
"""A single image of one pixel has no variance, which batch norm needs."""

_CPU_SIGNS = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception reports a lack of memory, on a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # Torch's CPU allocators raise plain RuntimeErrors.
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _CPU_SIGNS)


def release_memory(device: torch.device) -> None:
    """Free the memory of a failed pass."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


BUCKET_SIZE = 1 << 22
"""Numbers in one message: one message for each weight would be slow."""


@dataclass(frozen=True)
class World:
    """The group of processes that train together."""

    rank: int = 0
    size: int = 1

    @property
    def is_leader(self) -> bool:
        """Whether this process evaluates, writes files and reports progress."""
        return self.rank == 0

    @torch.no_grad()
    def average_gradients(self, module: nn.Module) -> None:
        """Replace the gradients of `module` by their mean over all processes.

        The same weights have gradients in all processes, because the networks of a step are a
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

    def broadcast(self, answer: bool) -> bool:
        """Return the leader's answer in all processes."""
        answers = [answer]
        if self.size > 1:
            distributed.broadcast_object_list(answers, src=0)
        return answers[0]

    def wait(self) -> None:
        """Wait until every process has got here."""
        if self.size > 1:
            distributed.barrier()


def choose_device(device: torch.device | str | None) -> torch.device:
    """Return the requested device; by default a GPU if there is one, else the CPU.

    With several GPUs, "cuda" is the one of this process (LOCAL_RANK).

    Raises:
        InputError: this machine has no such device.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if str(device) == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = first_line(error)
        raise InputError(f"device {str(device)!r} cannot be used: {reason}; try cpu") from None
    return chosen


@contextmanager
def process_group(device: torch.device) -> Iterator[World]:
    """Join the processes that `torchrun` started, or train alone."""
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
    """Yield the gradients in order, in groups of at most about `BUCKET_SIZE` numbers."""
    bucket: list[Tensor] = []
    filled = 0
    for gradient in gradients:
        if bucket and filled + gradient.numel() > BUCKET_SIZE:
            yield bucket
            bucket, filled = [], 0
        bucket.append(gradient)
        filled += gradient.numel()
    if bucket:
        yield bucket


Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class TrainingContext:
    """Recipe, seed, device, processes and precision of a training."""

    recipe: Recipe
    seed: int
    device: torch.device
    world: World
    precision: MixedPrecision

    @classmethod
    def make(cls, recipe: Recipe, seed: int, device: torch.device, world: World) -> TrainingContext:
        """Make a context with the precision of the recipe.

        Raises:
            InputError: the device does not support the precision.
        """
        return cls(recipe, seed, device, world, MixedPrecision(recipe, device))

    def place(self, module: Module) -> Module:
        """Move `module` to the device, in the memory format of the recipe; in place."""
        module.to(self.device)
        if self.recipe.channels_last:
            for weight in module.parameters():
                if weight.dim() == 4:
                    weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        return module

    def derive_seed(self, purpose: str, step: int) -> int:
        """Seed of random numbers that differ between processes."""
        return derive_seed(self.seed, f"{purpose} of process {self.world.rank}", step)

    def seed_torch(self, purpose: str, step: int, part: int) -> AbstractContextManager[None]:
        """Seed torch's random numbers within the block."""
        return seed_torch(self.derive_seed(f"{purpose} {part}", step), self.device)
