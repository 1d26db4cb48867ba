"""Options that several commands share, and the start of a measuring command."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from gnv2_nas.checkpoints.state_dicts import AVERAGE, RAW
from gnv2_nas.errors import InputError
from gnv2_nas.runner import huge_pages
from gnv2_nas.search.study import defaults

_BEGAN = "GNV2_NAS_BEGAN"
"""Environment variable that hands the start time to the restarted process."""


def read_start_time() -> float:
    """Return when this command began, of `time.monotonic`, including a restart."""
    return float(os.environ.pop(_BEGAN, "") or time.monotonic())


def restart_with_huge_pages(began: float) -> None:
    """Restart this process with huge pages, unless it has them or the system has none.

    Every command that measures begins with this: the C library reads the setting when a process
    starts. Without huge pages, the memory addresses of the weights change a latency by up to 2 %.
    """
    os.environ[_BEGAN] = str(began)
    huge_pages.restart()
    del os.environ[_BEGAN]


def fold_case(
    choices: Callable[[], Iterable[str]], *, before_colon: bool = False
) -> Callable[[str], str]:
    """Return an option callback that replaces a choice typed in another case by the choice itself.

    Args:
        choices: called when the option was given. Other texts stay as they are.
        before_colon: whether the choice is the NAME in NAME:FILE.
    """

    def normalize(text: str) -> str:
        name, colon, rest = text.partition(":") if before_colon else (text, "", "")
        known = list(choices())
        found = [each for each in known if each.casefold() == name.strip().casefold()]
        return text if name in known or len(found) != 1 else f"{found[0]}{colon}{rest}"

    return normalize


def map_each(normalize: Callable[[str], str]) -> Callable[[list[str] | None], list[str] | None]:
    """Return the callback for an option that may be given several times."""

    def normalize_all(texts: list[str] | None) -> list[str] | None:
        return None if texts is None else [normalize(text) for text in texts]

    return normalize_all


def get_only_device(names: list[str] | None) -> str:
    """Return the device of a command that measures on one.

    Raises:
        InputError: there are several.
    """
    if names and len(names) > 1:
        raise InputError(
            f"--device: this command measures on one device, but got {' and '.join(names)}; run "
            "it for each"
        )
    return names[0] if names else defaults.DEVICE


def lower(text: str) -> str:
    """Option callback for choices that are all lower-case, alone or in a list."""
    return text.lower()


def load_choices(module: str, name: str) -> Callable[[], Iterable[str]]:
    """Return a function that imports `gnv2_nas.module` and returns the table of that name."""
    return lambda: getattr(importlib.import_module(f"gnv2_nas.{module}"), name)


def _list_networks() -> Iterable[str]:
    from gnv2_nas.arch import list_presets

    return (*list_presets(), "supernet")


def _list_files(kind: str) -> Callable[[], Iterable[str]]:
    def list_names() -> Iterable[str]:
        from gnv2_nas.files.writing import list_named

        return list_named(kind)

    return list_names


def normalize_data(text: str) -> str:
    """Option callback for `--data`: a folder, or "digits" in any case."""
    return text if Path(text).exists() else fold_case(lambda: ("digits",))(text)


normalize_network = fold_case(_list_networks)
normalize_space = fold_case(_list_files("search_spaces"))
normalize_device = fold_case(_list_files("profiles"))
normalize_quality = fold_case(load_choices("quality.base", "ESTIMATORS"), before_colon=True)
normalize_sampler = fold_case(load_choices("search.sampler.factory", "SAMPLERS"))

Storage = Annotated[
    str, typer.Option(help="Database of the studies: sqlite:///FILE or any URL that Optuna takes.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
DeviceName = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        help="Device profile: a name from [cyan]gnv2-nas devices[/] or a YAML file (default: "
        f"{defaults.DEVICE}).",
        callback=map_each(normalize_device),
    ),
]
"""A list, so that a second device is not ignored: see `get_only_device`."""
DeviceNames = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        help="Device profile: a name from [cyan]gnv2-nas devices[/], with --ray also one that "
        "[cyan]gnv2-nas farm[/] serves, or a YAML file. May be given "
        f"several times: each network is measured on every device (default: {defaults.DEVICE}).",
        callback=map_each(normalize_device),
    ),
]
SpaceName = Annotated[
    str, typer.Option(help="Search space: a name or a YAML file.", callback=normalize_space)
]
DATA_HELP = "Your images: a folder with one folder for each class, or digits (built in)."
Data = Annotated[str, typer.Option(help=DATA_HELP, callback=normalize_data)]
NetworkSeed = Annotated[int, typer.Option(help="Seed of the drawn networks.")]
ReportFolder = Annotated[Path, typer.Option("--reports", help="Folder for reports.")]
TrainingWorkers = Annotated[
    int,
    typer.Option(
        "--workers",
        help="Networks that are trained at a time, each in a process; more than 1 need the extra "
        "'ray'.",
    ),
]
Ray = Annotated[
    str,
    typer.Option(
        help="The Ray cluster whose machines compute: auto for the one that this machine is part "
        "of, or ray://HOST:PORT (default: Ray is started on this machine)."
    ),
]
WeightsFrom = Annotated[
    str,
    typer.Option(
        help="Which weights of a checkpoint to use if it holds several: average (EMA), raw, or the "
        "name of a state dict.",
        callback=fold_case(lambda: (AVERAGE, RAW)),
    ),
]

REPORTS = Path(defaults.REPORTS)
