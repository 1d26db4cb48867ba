"""`python -m benchmarks.glyphs DIR`: a real data set of 64 x 64 pixels, from fonts on npm.

Letters and digits in 170 typefaces, from the packages `@fontsource/…`: print, handwriting,
blackletter, pixels. Each is rotated, slanted, blurred and scaled on a coloured background. The
label is the letter, whatever its case. Whole typefaces are held out, so no shape of the training
images is tested. For benchmarks only: the typefaces are under OFL-1.1, Apache-2.0 or MIT, as each
package says.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tarfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

from PIL import ImageFont

from benchmarks.glyph_pictures import FONT_SIZE, draw_picture
from benchmarks.npm import Package, default_folder, fetch

FONTS = Path(__file__).with_name("glyph_fonts.txt")
"""File with name, version and hash of the package of each typeface."""
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
"""Without 0, 1 and l, which look like O and I in many typefaces."""
HELD_OUT = 4
"""One typeface in four is held out."""
QUALITY = 90
"""Quality of the JPEG files."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if any(options.folder.glob("*")):
        print(f"error: {str(options.folder)!r} is not empty; name a new folder", file=sys.stderr)
        return 2
    packages = [Package(f"@fontsource/{name}", *rest) for name, *rest in _read_fonts()]
    counts = {"train": 0, "val": 0}
    for package, path in zip(packages, fetch(packages, options.tarballs), strict=True):
        side, font = choose_side(package.name), _font(path)
        for character, number in _wanted(options.per_glyph):
            target = _file(options.folder / side, package.name, character, number)
            target.parent.mkdir(parents=True, exist_ok=True)
            rng = random.Random(f"{package.name} {character} {number}")
            drawn = draw_picture(font, character, rng)
            drawn.save(target, quality=QUALITY)
            counts[side] += 1
    print(f"{counts['train']} train, {counts['val']} val")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.glyphs")
    parser.add_argument("folder", type=Path, metavar="DIR", help="where train/ and val/ go")
    parser.add_argument(
        "--per-glyph", type=int, default=2, metavar="N", help="pictures of a glyph (default: 2)"
    )
    parser.add_argument(
        "--tarballs", type=Path, default=default_folder(), metavar="DIR",
        help="folder of the packages (19 MB)",
    )  # fmt: skip
    return parser.parse_args(arguments)


def _read_fonts() -> list[list[str]]:
    return [line.split() for line in FONTS.read_text(encoding="utf-8").splitlines()]


def choose_side(name: str) -> str:
    """Choose the side of a typeface, "train" or "val", by a hash."""
    return "train" if hashlib.sha256(name.encode()).digest()[0] % HELD_OUT else "val"


def _wanted(per_glyph: int) -> Iterator[tuple[str, int]]:
    return ((character, number) for character in CHARACTERS for number in range(per_glyph))


def _file(folder: Path, package: str, character: str, number: int) -> Path:
    case = "upper" if character.isupper() else "lower"
    name = f"{package.rpartition('/')[2]}-{case}-{number}.jpg"
    return folder / character.lower() / name


def _font(package: Path) -> ImageFont.FreeTypeFont:
    """Open the regular Latin font of a package."""
    with tarfile.open(package) as archive:
        member = next(n for n in archive.getnames() if n.endswith("-latin-400-normal.woff"))
        file = archive.extractfile(member)
        assert file is not None
        return ImageFont.truetype(
            BytesIO(file.read()), FONT_SIZE, layout_engine=ImageFont.Layout.BASIC
        )


if __name__ == "__main__":
    sys.exit(main())
