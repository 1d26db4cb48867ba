"""Random numbers that are a function of (seed, purpose, step), so that any step can be repeated."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_of(seed: int, purpose: str, step: int = 0) -> int:
    """63 bits that depend on every argument, the same in every process."""
    text = f"{seed}/{purpose}/{step}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Torch's random numbers within the block follow from `seed`; those outside are untouched."""
    place = torch.device(device)
    others = [place] if place.type == "cuda" else []
    with torch.random.fork_rng(devices=others):
        # Not torch.manual_seed: that seeds every device, also those that are not restored.
        torch.default_generator.manual_seed(seed)
        if others:
            with torch.cuda.device(place):
                torch.cuda.manual_seed(seed)
        yield
