"""`python -m benchmarks.landscapes measure N`: make the data of `ghostnetv2`, or go on with it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.landscapes.measuring import FILE, measure_networks
from gnv2_nas.profiling import huge_pages


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.landscapes")
    parser.add_argument("what", choices=["measure"])
    parser.add_argument("count", type=int, nargs="?", default=400, help="networks in the end")
    parser.add_argument("--file", type=Path, default=FILE)
    given = parser.parse_args(arguments)
    measure_networks(given.count, given.file)


if __name__ == "__main__":
    huge_pages.restart()  # as the command line does
    main()
