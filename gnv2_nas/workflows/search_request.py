"""What a search is asked for, and every check that needs no heavy import.

Nothing here loads torch, optuna or a runtime: wrong input is refused in the time it takes to
read it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from gnv2_nas.checkpoints.metadata import read_supernet_record
from gnv2_nas.data import check_source, find_classes
from gnv2_nas.data.folders.source import DIGITS
from gnv2_nas.devices.device import read_profile
from gnv2_nas.errors import InputError
from gnv2_nas.files.writing import check_writable
from gnv2_nas.quality import EstimatorInfo, check_estimator
from gnv2_nas.quality.base import QualitySpec, check_space_matches
from gnv2_nas.quality.registry import check_has_images
from gnv2_nas.search.analysis.trust import choose_quality
from gnv2_nas.search.sampler.factory import check_sampler
from gnv2_nas.search.storage.sqlite import check_database
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.budgets import find_feasible, parse_budgets
from gnv2_nas.search.study.metrics import parse_objectives
from gnv2_nas.search.study.names import check_study_name, default_study_name
from gnv2_nas.search.study.records import Settings
from gnv2_nas.space import SearchSpace, load_space
from gnv2_nas.units import parse_duration
from gnv2_nas.workflows.device_files import check_device_files


class SearchRequest(msgspec.Struct, frozen=True):
    """The options of a search as the user gave them."""

    budgets: tuple[str, ...] = ()
    space: str = defaults.SPACE
    device: str = defaults.DEVICE
    quality: str = ""
    """NAME or NAME:FILE; "" for what the evidence on the space favours (`choose_quality`)."""
    data: str = ""
    """A folder of class folders, or "digits"; "" for none."""
    objectives: str = defaults.OBJECTIVES
    sampler: str = defaults.SAMPLER
    trials: int = defaults.TRIALS
    """Networks the study shall have in the end, stock networks not counted."""
    timeout: float = parse_duration(defaults.TIMEOUT)
    """Seconds."""
    seed: int = defaults.SEED
    workers: int = defaults.WORKERS
    """Processes that score; 1 scores in the search's own."""
    stop_when_flat: bool = False
    """End when the front has not grown for a while."""
    changes: int = defaults.CHANGES
    """Networks one change away from the recommended one, evaluated in the end."""
    study: str = ""
    """Name; "" makes one from space, budgets and device."""
    storage: str = defaults.STORAGE
    reports: Path = Path(defaults.REPORTS)
    command: str = ""
    """What to type to run the search again."""


class CheckedRequest(msgspec.Struct, frozen=True):
    """A request that has passed every cheap check; its quality is named."""

    request: SearchRequest
    space: SearchSpace
    settings: Settings
    study: str


def check_request(request: SearchRequest) -> CheckedRequest:
    """Read and check every option.

    Raises:
        InputError: one of them is wrong, or no network of the space can meet the budgets.
    """
    if request.trials < 1:
        raise InputError(f"--trials: `trials >= 1` must hold, but got {request.trials}")
    if not request.timeout > 0:
        raise InputError(f"--timeout: `timeout > 0` must hold, but got {request.timeout:g} s")
    if request.seed < 0:
        raise InputError(f"--seed: `seed >= 0` must hold, but got {request.seed}")
    if request.workers < 1:
        raise InputError(f"--workers: `workers >= 1` must hold, but got {request.workers}")
    if request.changes < 0:
        raise InputError(f"--changes: `changes >= 0` must hold, but got {request.changes}")
    check_study_name(request.study)
    budgets = parse_budgets(request.budgets)
    objectives = parse_objectives(request.objectives)
    space = load_space(request.space)
    if not request.quality:
        request = msgspec.structs.replace(request, quality=choose_quality(space))
    estimator = check_estimator(request.quality)
    check_sampler(request.sampler)
    data = _checked_data(request.data, estimator)
    if data:
        space = space.with_classes(len(find_classes(data)))
    spec = QualitySpec.parse(request.quality)
    if spec.name == "supernet" and (file := spec.path):
        check_space_matches(file, "supernet", read_supernet_record(file), space)
    profile = read_profile(request.device)
    find_feasible(space, budgets)
    check_database(request.storage, write=True)
    check_writable(request.reports)
    settings = Settings(
        space=space.name,
        space_hash=space.content_hash,
        device=request.device,
        quality=request.quality,
        objectives=objectives,
        budgets=budgets,
        device_hash=profile.content_hash,
        quality_hash=spec.hash_file(),
        data=data,
    )
    if settings.measures:
        check_device_files(request.device)
    study = request.study or default_study_name(settings)
    check_study_name(study)
    return CheckedRequest(request, space, settings, study)


def _checked_data(data: str, estimator: EstimatorInfo) -> str:
    """The data set, in one spelling."""
    if data:
        check_source(data)
        return data if data == DIGITS else str(Path(data))
    check_has_images(estimator, given=False)
    return ""
