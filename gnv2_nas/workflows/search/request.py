"""A search as a request: every check that needs no heavy import."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from gnv2_nas.checkpoints.metadata import read_supernet_record
from gnv2_nas.commands import format_command
from gnv2_nas.data import check_source, find_classes
from gnv2_nas.data.folders.source import DIGITS
from gnv2_nas.errors import InputError
from gnv2_nas.files.writing import check_writable
from gnv2_nas.quality import EstimatorInfo, check_estimator
from gnv2_nas.quality.base import QualitySpec, check_space_matches
from gnv2_nas.quality.registry import check_has_images
from gnv2_nas.report.files import check_report_files
from gnv2_nas.search.analysis.recommendation import choose_quality
from gnv2_nas.search.engine.cluster import check_workers, needs_ray
from gnv2_nas.search.farm.directory import ServedDevice
from gnv2_nas.search.sampler.factory import check_sampler
from gnv2_nas.search.storage.sqlite import check_database
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.budgets import find_feasible, parse_budgets, parse_limits
from gnv2_nas.search.study.metric_names import parse_objectives
from gnv2_nas.search.study.settings import (
    Settings,
    StudyDevice,
    check_study_name,
    default_study_name,
    device_label,
)
from gnv2_nas.space import SearchSpace, load_space
from gnv2_nas.units import parse_duration
from gnv2_nas.workflows.devices import check_device, read_profiles
from gnv2_nas.workflows.farm import find_served
from gnv2_nas.workflows.foreign import StatedFile, read_baselines


class SearchRequest(msgspec.Struct, frozen=True):
    """The options of `gnv2-nas search`."""

    budgets: tuple[str, ...] = ()
    space: str = defaults.SPACE
    devices: tuple[str, ...] = (defaults.DEVICE,)
    """Names or files of device profiles."""
    quality: str = ""
    """NAME or NAME:FILE; "" is the score that the evidence on the space favours."""
    data: str = ""
    """A folder with one folder for each class, or "digits"; "" for no images."""
    objectives: str = defaults.OBJECTIVES
    sampler: str = defaults.SAMPLER
    trials: int = defaults.TRIALS
    """Number of networks to evaluate, earlier runs included; stock networks are extra."""
    timeout: float = parse_duration(defaults.TIMEOUT)
    """Seconds."""
    seed: int = defaults.SEED
    workers: int = defaults.WORKERS
    """Processes that score networks; with 1 the search itself scores."""
    ray: str = ""
    """The Ray cluster they run on, "auto" or ray://HOST:PORT; "" starts Ray on this machine."""
    stop_when_flat: bool = False
    """End the search when the front has stopped growing."""
    reuse: bool = True
    """Whether records of earlier measurements on the device may stand for new ones."""
    ablations: int = defaults.ABLATIONS
    """Networks one change away from the recommended one that are evaluated at the end."""
    baselines: tuple[str, ...] = ()
    """Files of other tools to compare with: FILE or FILE=ACCURACY."""
    study: str = ""
    """Name; "" builds one from space, budgets and device."""
    storage: str = defaults.STORAGE
    reports: Path | None = Path(defaults.REPORTS)
    """Folder for the report; None writes none."""
    command: str = ""
    """The command that repeats the search; "" builds one from the options."""

    @property
    def uses_ray(self) -> bool:
        """Whether networks are scored by processes of Ray."""
        return needs_ray(self.workers, self.ray)

    def check(self) -> CheckedSearch:
        """Check every option without importing torch, Optuna or a runtime.

        Raises:
            InputError: an option is wrong, or no network of the space can meet the budgets.
        """
        _check_numbers(self)
        check_study_name(self.study)
        served = find_served(self.devices, self.ray)
        profiles = read_profiles(self.devices, served)
        devices = tuple(
            StudyDevice(name, profile.content_hash) for name, profile in profiles.items()
        )
        labels = [device.label for device in devices]
        budgets = parse_budgets(self.budgets, labels)
        objectives = parse_objectives(self.objectives, labels)
        space = load_space(self.space)
        quality = self.quality or choose_quality(space)
        estimator = check_estimator(quality)
        check_sampler(self.sampler)
        data = _check_data(self.data, estimator)
        if data:
            space = space.with_classes(len(find_classes(data)))
        spec = QualitySpec.parse(quality)
        if spec.name == "supernet" and (file := spec.path):
            check_space_matches(file, "supernet", read_supernet_record(file), space)
        settings = Settings(
            space=space.name,
            space_hash=space.content_hash,
            devices=devices,
            quality=quality,
            objectives=objectives,
            budgets=budgets,
            quality_hash=spec.hash_file(),
            data=data,
            limits=parse_limits(self.budgets, labels),
        )
        for view in settings.views:
            find_feasible(space, view.budgets)
        check_database(self.storage, write=True)
        if self.reports is not None:
            check_writable(self.reports)
        for name, profile in profiles.items():
            if settings.measures and name not in served:
                check_device(name)
            for metric in settings.evaluated:
                if metric.check is not None and metric.device in ("", device_label(name)):
                    metric.check(name, profile)
        study = self.study or default_study_name(settings)
        check_study_name(study)
        if self.reports is not None:
            check_report_files(study, self.reports)
        runtimes = {name: each.runtime for name, each in profiles.items() if settings.measures}
        foreign = read_baselines(self.baselines, space.resolutions, runtimes)
        return CheckedSearch(self, space, settings, study, foreign, served)

    def to_command(self) -> str:
        """Return the command that asks for the same search."""
        given, usual = (msgspec.structs.asdict(each) for each in (self, SearchRequest()))
        flags = ["--stop-when-flat"] * given.pop("stop_when_flat")
        flags += ["--no-reuse"] * (not given.pop("reuse"))
        several = [("--budget", text) for text in given.pop("budgets")]
        several += [("--baseline", text) for text in given.pop("baselines")]
        devices = given.pop("devices")
        if devices != usual["devices"]:
            several += [("--device", name) for name in devices]
        given["timeout"] = f"{self.timeout:g}s"
        usual["timeout"] = f"{usual['timeout']:g}s"
        options = [
            (f"--{name}", str(value))
            for name, value in given.items()
            if name != "command" and value not in (None, usual[name])
        ]
        return " ".join([format_command("search", options=[*several, *options]), *flags])


class CheckedSearch(msgspec.Struct, frozen=True):
    """A search that can start."""

    request: SearchRequest
    space: SearchSpace
    """With the classes of the data."""
    settings: Settings
    study: str
    foreign: tuple[StatedFile, ...] = ()
    served: Mapping[str, ServedDevice] = {}
    """Those of the devices that farms serve, by name."""


def _check_numbers(request: SearchRequest) -> None:
    if request.trials < 1:
        raise InputError(f"--trials: `trials >= 1` must hold, but got {request.trials}")
    if not request.timeout > 0:
        raise InputError(f"--timeout: `timeout > 0` must hold, but got {request.timeout:g} s")
    if request.seed < 0:
        raise InputError(f"--seed: `seed >= 0` must hold, but got {request.seed}")
    check_workers(request.workers, request.ray)
    if request.ablations < 0:
        raise InputError(f"--ablations: `ablations >= 0` must hold, but got {request.ablations}")


def _check_data(data: str, estimator: EstimatorInfo) -> str:
    """Return the data set in its canonical spelling."""
    if data:
        check_source(data)
        return data if data == DIGITS else str(Path(data))
    check_has_images(estimator, given=False)
    return ""
