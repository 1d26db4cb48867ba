"""Quality estimators by name. Nothing heavy is imported before an estimator is made.

The two sizes, parameter count and multiply-adds, are estimators too: the baselines that every other
score must beat.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InputError, UnknownNameError
from gnv2_nas.graph import count
from gnv2_nas.quality.base import (
    ESTIMATORS,
    NO_CONTEXT,
    EstimatorInfo,
    QualityContext,
    QualityEstimator,
    QualitySpec,
)


class ParameterCount:
    """Number of parameters; more is better."""

    info = ESTIMATORS["params"]

    def score(self, arch: Architecture) -> float:
        """Count trainable parameters, in millions."""
        return count(arch).params / 1e6


class MacCount:
    """Number of multiply-adds; more is better."""

    info = ESTIMATORS["macs"]

    def score(self, arch: Architecture) -> float:
        """Count multiply-adds of convolutions and linear layers, in millions."""
        return count(arch).macs / 1e6


_CLASSES = {
    "params": ("registry", "ParameterCount"),
    "macs": ("registry", "MacCount"),
    "zen": ("proxies.zen", "ZenScore"),
    "naswot": ("proxies.naswot_synflow", "NaswotScore"),
    "synflow": ("proxies.naswot_synflow", "SynFlowScore"),
    "az-nas": ("proxies.az_nas", "AzNasScore"),
    "zico": ("proxies.zico", "ZicoScore"),
    "swap": ("proxies.swap", "SwapScore"),
    "naswot+params": ("proxies.combination", "Combination"),
    "supernet": ("accuracy.supernet", "SupernetAccuracy"),
    "train": ("accuracy.trained", "TrainedAccuracy"),
    "predictor": ("predictor.model", "PredictedAccuracy"),
}
"""Name → module of this room and class in it."""


def check_estimator(text: str) -> EstimatorInfo:
    """Check NAME or NAME:FILE and return the label of the estimator.

    Raises:
        UnknownNameError: there is no such estimator.
        InputError: it takes no file, needs one, or the file does not exist.
        CheckpointError: the file is of another kind.
    """
    spec = QualitySpec.parse(text)
    name, file = spec.name, spec.file
    if name not in ESTIMATORS:
        raise UnknownNameError("quality estimator", name, ESTIMATORS)
    info = ESTIMATORS[name]
    if file is not None and not info.file:
        raise InputError(f"--quality {name} takes no file, but got {text!r}; give {name!r} alone")
    if not file and (info.needs_file or file is not None):
        raise InputError(
            f"--quality {name} needs a file: give {name}:FILE, where FILE is {info.file}"
        )
    if spec.path:
        if not spec.path.is_file():
            raise InputError(f"--quality {text}: there is no file {file!r}; it must be {info.file}")
        _check_file(info, spec.path)
    return info


def _check_file(info: EstimatorInfo, path: Path) -> None:
    """Check the kind of a file by its metadata, without torch."""
    if info.name == "predictor":
        from gnv2_nas.quality.predictor.model import load_predictor

        load_predictor(path)
    else:
        from gnv2_nas.checkpoints.metadata import read_supernet_record

        read_supernet_record(path)


def check_has_images(info: EstimatorInfo, *, given: bool) -> None:
    """Refuse an estimator that needs images if none are given.

    Raises:
        InputError: it needs them.
    """
    if info.needs_data and not given:
        raise InputError(
            f"--quality {info.name} needs images: give --data DIR, a folder of class folders, "
            "or --data digits"
        )


def get_estimator(text: str, context: QualityContext = NO_CONTEXT) -> QualityEstimator:
    """Make the estimator that NAME or NAME:FILE names.

    Raises:
        InputError: as `check_estimator`, or the estimator needs data and the context has none.
    """
    info = check_estimator(text)
    check_has_images(info, given=context.dataset is not None)
    module, name = _CLASSES[info.name]
    implementation = getattr(import_module(f"gnv2_nas.quality.{module}"), name)
    estimator: QualityEstimator
    if info.file:
        estimator = implementation(QualitySpec.parse(text).path, context)
    elif info.parts:
        parts = [get_estimator(part, context) for part in info.parts]
        estimator = implementation(info, parts, context.space)
    elif info.relative:
        estimator = implementation(context.space)
    else:
        estimator = implementation()
    return estimator
