"""The networks that files of several formats are compared on."""

from __future__ import annotations

import random

from benchmarks.public_form import STOCK
from gnv2_nas.arch import Architecture
from gnv2_nas.space import load_space


def random_networks(space: str, count: int, seed: int) -> list[Architecture]:
    rng = random.Random(seed)
    return [load_space(space).sample(rng) for _ in range(count)]


def compared_networks() -> dict[str, Architecture]:
    one, other = random_networks("ghostnetv2", 2, 5)
    (mobile,) = random_networks("mobile", 1, 5)
    return {
        "GhostNetV2 1.0": STOCK,
        "a network of ghostnetv2": one,
        "another": other,
        "a network of mobile": mobile,
    }
