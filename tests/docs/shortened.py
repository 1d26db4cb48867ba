"""`gnv2-nas` and Python blocks as the documentation tests run them: the same work, less of it.

A measurement ends after three rounds, a network runs on for less than a second, two stock networks
stand for all of them, a search ends after five trials, a training after a few steps, AZ-NAS ranks
among eight networks, and there are fewer digits. The options are appended: of an option given twice
the last one counts.
"""

from __future__ import annotations

import importlib
import runpy
import sys

from tests.forks import shorten_measurements
from tests.modules import shorten_modules

REFERENCES = 8
DIGITS = 400
STOCK = ["ghostnet-1.0", "ghostnetv2-1.0"]
SHORTER = {
    ("search",): ["--trials", "5", "--timeout", "1m", "--changes", "0"],
    ("train",): ["--epochs", "0.05"],
    ("evaluate",): ["--epochs", "0.05", "--seeds", "1"],
    ("devices", "fit"): ["--networks", "10", "--space", "tiny", "--seconds-per-network", "0.05"],
    ("devices", "tune"): ["--timeout", "1s"],
    ("quality", "check"): ["--networks", "2", "--seeds", "1", "--epochs", "0.05"],
    ("quality", "fit"): ["--networks", "20"],
}
"""Beginning of a command → options that end it soon."""


def shorten() -> None:
    shorten_measurements(rounds=3, sessions=1)
    sustained = importlib.import_module("gnv2_nas.workflows.profile.sustained")
    sustained.parse_duration, sustained.MIN_SECONDS = lambda *_: 0.8, 0.0
    importlib.import_module("gnv2_nas.measurement.sustained").SESSION_SECONDS = 0.1
    importlib.import_module("gnv2_nas.workflows.references")  # goes on knowing every preset
    for name in ("gnv2_nas.search.analysis.baselines", "gnv2_nas.arch"):
        importlib.import_module(name).list_presets = lambda: STOCK
    importlib.import_module("gnv2_nas.quality.proxies.az_nas").REFERENCE_NETWORKS = REFERENCES
    shorten_modules()
    _fewer_digits()


def _fewer_digits() -> None:
    digits = importlib.import_module("gnv2_nas.data.loading")
    images, labels = digits.read_digits()
    digits.read_digits = lambda: (images[:DIGITS], labels[:DIGITS])


def command_line(arguments: list[str]) -> None:
    from gnv2_nas.cli import main

    sys.argv = ["gnv2-nas", *arguments]
    if not {"--help", "-h"} & set(arguments):
        for begun, options in SHORTER.items():
            if tuple(arguments[: len(begun)]) == begun:
                sys.argv += options
    main()


def run(arguments: list[str]) -> None:
    """`gnv2-nas …`, or a Python file."""
    if arguments[0] == "gnv2-nas":
        command_line(arguments[1:])
    else:
        sys.argv, sys.path[0] = arguments, ""
        runpy.run_path(arguments[0], run_name="__main__")
