"""Small image files for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def noise(seed: int, width: int = 20, height: int = 16) -> Image.Image:
    """A picture that is like no other."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


def write_class(folder: Path, count: int, first: int = 0) -> Path:
    """A class folder with `count` different pictures."""
    folder.mkdir(parents=True)
    for number in range(count):
        noise(first + number).save(folder / f"{number}.png")
    return folder


def write_classes(root: Path, **counts: int) -> Path:
    """A folder of class folders; all pictures differ."""
    for place, (name, count) in enumerate(counts.items()):
        write_class(root / name, count, first=1000 * place)
    return root
