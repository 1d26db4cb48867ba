"""`gnv2-nas` and Python blocks as the documentation tests run them: the same work, less of it.

A measurement ends after three rounds, two stock networks stand for all of them, a search ends
after five trials and a training after a few steps. The options are appended: of an option given
twice the last one counts.
"""

from __future__ import annotations

import functools
import importlib
import runpy
import sys

ROUNDS = 3
STOCK = ["ghostnet-1.0", "ghostnetv2-1.0"]
SHORTER = {
    ("search",): ["--trials", "5", "--timeout", "1m"],
    ("train",): ["--epochs", "0.05"],
    ("quality", "check"): ["--networks", "2", "--seeds", "1", "--epochs", "0.05"],
    ("quality", "fit"): ["--networks", "20"],
}
"""Beginning of a command → options that end it soon."""


def shorten() -> None:
    for name in ("protocol", "calibration"):
        measuring = importlib.import_module(f"gnv2_nas.profiling.{name}")
        measuring.Plan = functools.partial(measuring.Plan, rounds=ROUNDS, max_sessions=1)
    measuring.PLAN = measuring.Plan()
    importlib.import_module("gnv2_nas.search.networks")  # goes on knowing every preset
    for name in ("gnv2_nas.search.baselines", "gnv2_nas.arch"):
        importlib.import_module(name).list_presets = lambda: STOCK


def command_line(arguments: list[str]) -> None:
    from gnv2_nas.cli import main

    sys.argv = ["gnv2-nas", *arguments]
    if not {"--help", "-h"} & set(arguments):
        for begun, options in SHORTER.items():
            if tuple(arguments[: len(begun)]) == begun:
                sys.argv += options
    main()


if __name__ == "__main__":
    shorten()
    if sys.argv[1] == "gnv2-nas":
        command_line(sys.argv[2:])
    else:
        sys.path[0] = ""
        runpy.run_path(sys.argv[1], run_name="__main__")
