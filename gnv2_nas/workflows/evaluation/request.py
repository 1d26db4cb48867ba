"""An evaluation as a request: every check that needs no torch and no runtime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast, get_args

import msgspec

from gnv2_nas.arch import list_presets
from gnv2_nas.data import check_source, find_classes
from gnv2_nas.devices.profile import read_profile
from gnv2_nas.errors import InputError
from gnv2_nas.evaluation.entrants import Contest, Entrant, list_broken, list_contests, name_at
from gnv2_nas.files.outputs import PAGE, Kind, check_replaceable, holds_fields
from gnv2_nas.files.writing import check_writable
from gnv2_nas.measurement.peak_memory import check_tells_memory
from gnv2_nas.report.files import file_stem
from gnv2_nas.runtimes.base import check_runtime
from gnv2_nas.search.engine.cluster import check_workers
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.records import StudyRecord
from gnv2_nas.training.recipe import RECIPES, check_branches
from gnv2_nas.workflows.devices import check_device
from gnv2_nas.workflows.references import find_network
from gnv2_nas.workflows.study import load_record

STOCK, RANDOM = "stock", "random"
"""Words for the usual rivals: published networks, and networks drawn from the space."""
USUAL = (STOCK, RANDOM)
SEEDS = 3
FilePrecision = Literal["", "fp32", "int8"]

_RESULT = Kind("the evaluation", lambda path: holds_fields(path, "study", "tables", "seeds"))


class EvaluateRequest(msgspec.Struct, frozen=True):
    """The options of `gnv2-nas evaluate`."""

    study: str
    """STUDY, or STUDY:TRIAL to evaluate another network than the recommended one."""
    data: str = ""
    """A folder with one folder for each class, or "digits"; "" for the images of the study."""
    seeds: int = SEEDS
    """Trainings of each network, with the seeds 0, 1, …"""
    networks: tuple[str, ...] = USUAL
    """The rivals: `STOCK`, `RANDOM`, presets, files or STUDY:TRIAL."""
    recipe: str = RECIPES[0]
    epochs: float | None = None
    """Length of a training; None chooses it by the number of images."""
    precision: FilePrecision = ""
    """Of the files; "" is that of the devices."""
    memory: bool = False
    """Whether to measure peak memory; it is in any case if the study does."""
    seed: int = 0
    """Seed of the random networks."""
    workers: int = defaults.WORKERS
    """Trainings at a time."""
    ray: str = ""
    """The Ray cluster that trains, "auto" or ray://HOST:PORT; "" trains on this machine."""
    storage: str = defaults.STORAGE
    reports: Path = Path(defaults.REPORTS)

    def check(self) -> CheckedEvaluation:
        """Check every option without importing torch or a runtime.

        Raises:
            InputError: an option is wrong, or the study has no network to evaluate.
            OutputError: the results cannot be written.
        """
        _check_numbers(self)
        check_writable(self.reports)
        study, number = _split_reference(self.study)
        record = load_record(study, self.storage)
        data = self.data or record.settings.data
        if not data:
            raise InputError(
                f"study {study!r} was searched without images; give the images to train on: "
                "--data DIR"
            )
        check_source(data)
        classes = len(find_classes(data))
        contests, left_out = self._find_contests(record, number, classes)
        memory = self.memory or any(
            metric.base == "peak-memory" for metric in record.settings.evaluated
        )
        _check_devices(self, record, memory=memory)
        folder = self.reports / f"{file_stem(study)}-evaluation"
        checked = CheckedEvaluation(
            self, record, data, tuple(contests), folder, memory, tuple(left_out)
        )
        if folder.exists():
            check_writable(folder)
            check_replaceable(checked.page, PAGE, "--reports")
            check_replaceable(checked.result, _RESULT, "--reports")
        return checked

    def _find_contests(
        self, record: StudyRecord, number: int | None, classes: int
    ) -> tuple[list[Contest], list[str]]:
        """Return the contests with the classes of the images, and what is left out of them."""
        left_out: dict[str, None] = {}
        contests = []
        for found in list_contests(record, number, stock=STOCK in self.networks):
            contest = found.with_classes(classes)
            if self.recipe == "v3":
                check_branches(contest.pick.architecture)
                contest, refused = _keep_known_blocks(contest)
                left_out |= dict.fromkeys(refused)
            named = [
                _find_rival(name, contest, self)
                for name in self.networks
                if name not in (STOCK, RANDOM)
            ]
            contests.append(contest.with_rivals(named))
        return contests, list(left_out)


class CheckedEvaluation(msgspec.Struct, frozen=True):
    """An evaluation that can start."""

    request: EvaluateRequest
    record: StudyRecord
    data: str
    contests: tuple[Contest, ...]
    """Without the random networks, which are chosen by measuring."""
    folder: Path
    """Holds the trained weights and the results."""
    memory: bool
    left_out: tuple[str, ...] = ()
    """Stock networks that the recipe does not know."""

    @property
    def page(self) -> Path:
        return self.folder / "evaluation.html"

    @property
    def result(self) -> Path:
        """The results as JSON."""
        return self.folder / "evaluation.json"


def _check_numbers(request: EvaluateRequest) -> None:
    if request.seeds < 1:
        raise InputError(f"--seeds: `seeds >= 1` must hold, but got {request.seeds}")
    check_workers(request.workers, request.ray)
    if request.seed < 0:
        raise InputError(f"--seed: `seed >= 0` must hold, but got {request.seed}")
    if request.epochs is not None and not 0 < request.epochs < math.inf:
        raise InputError(f"--epochs: `epochs > 0` must hold, but got {request.epochs:g}")
    if request.recipe not in RECIPES:
        raise InputError(f"--recipe must be {' or '.join(RECIPES)}, but got {request.recipe!r}")


def parse_precision(text: str) -> FilePrecision:
    """Return the precision of that name.

    Raises:
        InputError: files have no such precision.
    """
    for known in get_args(FilePrecision):
        if text == known:
            return cast(FilePrecision, known)
    raise InputError(f"--precision must be fp32 or int8, but got {text!r}")


def _split_reference(text: str) -> tuple[str, int | None]:
    """Return the study, and the trial of STUDY:TRIAL."""
    study, colon, number = text.rpartition(":")
    return (study, int(number)) if colon and number.isdecimal() else (text, None)


def _check_devices(request: EvaluateRequest, record: StudyRecord, *, memory: bool) -> None:
    for device in record.settings.devices:
        profile = read_profile(device.name)
        check_device(device.name)
        try:
            check_runtime(
                profile.runtime,
                request.precision or profile.precision,
                profile.processor if profile.transport == "local" else "cpu",
                form=profile.form,
            )
        except InputError as error:
            raise InputError(
                f"device {device.label}: its files are run on this machine, too, to see which "
                f"images they classify correctly, but {error}"
            ) from None
        if memory:
            check_tells_memory(device.label, profile)


def _find_rival(name: str, contest: Contest, request: EvaluateRequest) -> Entrant:
    stock = name in list_presets()
    pick = contest.pick.architecture
    arch = name_at(name, pick) if stock else find_network(name, request.storage)
    arch = arch.replace(num_classes=pick.num_classes)
    if request.recipe == "v3":
        check_branches(arch)
    return Entrant(
        f"{name} at {arch.resolution} px" if stock else name,
        arch,
        "stock" if stock else "named",
        list_broken(arch, contest.budgets),
    )


def _keep_known_blocks(contest: Contest) -> tuple[Contest, Sequence[str]]:
    """Return the contest without the rivals that recipe v3 cannot train, and why."""
    kept, refused = [], []
    for rival in contest.rivals:
        try:
            check_branches(rival.architecture)
            kept.append(rival)
        except InputError as error:
            refused.append(f"{rival.label}: {error}")
    return msgspec.structs.replace(contest, rivals=tuple(kept)), refused
