"""`python -m benchmarks.emoji DIR`: a real data set of 64 x 64 pixels, from npm packages.

Emoji by four vendors, from the packages `emoji-datasource-…`. The label is the category of the
Unicode standard, or with `--label subcategory` one of about a hundred finer classes. Whole emoji
are held out, with all vendors, skin tones, genders and directions. With `--hold-out VENDOR` all
pictures of that vendor are held out instead, so every emoji is seen in training, in other styles.
For benchmarks only: the pictures belong to their vendors.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.npm import Package, default_folder, fetch

VERSION = "16.0.0"
SHA256 = {
    "apple": "b34d1665e136f163b0d4433318df151895b785186e8c729b2211b43017945075",
    "facebook": "017038cf5a4e7fcf03dd9133cbed43d4c281c4b3ce7b927c7160261b92b8821e",
    "google": "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
    "twitter": "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
}
"""Vendor → hash of its package as the registry serves it."""
HELD_OUT = 0.2
NOT_PICTURES = "Component"
"""Category of skin tones and other parts, which are not emoji by themselves."""

# Code points that only vary an emoji: joiner, presentation, genders, direction.
_VARIATIONS = {"200D", "FE0F", "2640", "2642", "27A1"}
_PERSON = {"1F468": "1F9D1", "1F469": "1F9D1"}  # man and woman → person


class Picture(NamedTuple):
    """One file of one vendor's package."""

    member: str
    """Name of the file in the package."""
    file: str
    """Path of the file in the data set."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if any(options.folder.glob("*")):
        print(f"error: {str(options.folder)!r} is not empty; name a new folder", file=sys.stderr)
        return 2
    counts: Counter[str] = Counter()
    written: set[bytes] = set()
    packages = [
        Package(f"emoji-datasource-{vendor}", VERSION, SHA256[vendor]) for vendor in options.vendors
    ]
    paths = fetch(packages, options.tarballs)
    for vendor, path in zip(options.vendors, paths, strict=True):
        for picture, content in _pictures(path, vendor, options):
            # Some flags are one picture under two names, on both sides of the split.
            if content in written:
                continue
            written.add(content)
            target = options.folder / picture.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            counts[str(Path(picture.file).parent)] += 1
    for name in sorted({Path(key).name for key in counts}):
        print(f"{name:20}{counts[f'train/{name}']:6} train{counts[f'val/{name}']:6} val")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.emoji")
    parser.add_argument("folder", type=Path, metavar="DIR", help="where train/ and val/ go")
    parser.add_argument("--vendors", nargs="+", choices=SHA256, default=list(SHA256))
    parser.add_argument(
        "--per-emoji", type=int, default=1, metavar="N",
        help="pictures of an emoji and vendor, by skin tone; 1 is the yellow one (default)",
    )  # fmt: skip
    parser.add_argument("--label", choices=["category", "subcategory"], default="category")
    parser.add_argument(
        "--hold-out", choices=["emoji", *SHA256], default="emoji",
        help="whole emoji, or all pictures of one vendor",
    )  # fmt: skip
    parser.add_argument(
        "--tarballs", type=Path, default=default_folder(), metavar="DIR",
        help="folder of the packages (340 MB)",
    )  # fmt: skip
    return parser.parse_args(arguments)


def _pictures(
    package: Path, vendor: str, options: argparse.Namespace
) -> Iterator[tuple[Picture, bytes]]:
    """Yield the pictures of a package that belong to the data set, with their content."""
    with tarfile.open(package) as archive:
        index = archive.extractfile("package/emoji.json")
        assert index is not None
        emoji = json.load(index)
    pictures = select_pictures(
        emoji, vendor, options.per_emoji, label=options.label, hold_out=options.hold_out
    )
    wanted = {picture.member: picture for picture in pictures}
    with tarfile.open(package) as archive:  # opened again: reading in order is fast
        for member in archive:
            if member.name in wanted:
                content = archive.extractfile(member)
                assert content is not None
                yield wanted[member.name], content.read()


def select_pictures(
    emoji: Sequence[dict[str, Any]],
    vendor: str,
    per_emoji: int,
    *,
    label: str = "category",
    hold_out: str = "emoji",
) -> Iterator[Picture]:
    """Yield a vendor's pictures of each emoji, with `per_emoji` skin tones at most.

    Args:
        label: key of an emoji's entry that holds its class.
        hold_out: "emoji", or the vendor whose pictures are all held out.
    """
    held_out = _choose_held_out(emoji)
    for entry in emoji:
        if entry["category"] == NOT_PICTURES:
            continue
        if hold_out == "emoji":
            side = "val" if _base(entry) in held_out[entry["category"]] else "train"
        else:
            side = "val" if vendor == hold_out else "train"
        category = re.sub("[^a-z]+", "-", entry[label].lower())
        tones = [entry, *entry.get("skin_variations", {}).values()]
        images = [tone["image"] for tone in tones if tone[f"has_img_{vendor}"]]
        for image in images[:per_emoji]:
            yield Picture(f"package/img/{vendor}/64/{image}", f"{side}/{category}/{vendor}-{image}")


def _choose_held_out(emoji: Sequence[dict[str, Any]]) -> dict[str, set[str]]:
    """Choose the held-out emoji of each category by a hash, the same for all vendors."""
    bases: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in emoji:
        bases[entry["category"]][_base(entry)] += 1
    chosen: dict[str, set[str]] = defaultdict(set)
    for category, counts in bases.items():
        wanted = HELD_OUT * counts.total()
        for base in sorted(counts, key=lambda base: hashlib.sha256(base.encode()).digest()):
            if sum(counts[one] for one in chosen[category]) + counts[base] <= wanted:
                chosen[category].add(base)
    return chosen


def _base(entry: dict[str, Any]) -> str:
    """Code points of an emoji without gender and direction."""
    codes = entry["unified"].split("-")
    return "-".join(_PERSON.get(code, code) for code in codes if code not in _VARIATIONS)


if __name__ == "__main__":
    sys.exit(main())
