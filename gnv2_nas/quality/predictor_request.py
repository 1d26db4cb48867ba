"""What a predictor is to be fitted to, checked before anything costly is imported or run."""

from __future__ import annotations

from pathlib import Path

from gnv2_nas.data import check_source, classes_of
from gnv2_nas.errors import InputError
from gnv2_nas.files.outputs import Kind, check_outputs, holds_fields
from gnv2_nas.quality.accuracy_journal import ACCURACIES
from gnv2_nas.quality.estimator import check_estimator
from gnv2_nas.quality.predictor import FEWEST_NETWORKS
from gnv2_nas.space import SearchSpace, load_space

_PREDICTOR = Kind(
    "the predictor", lambda path: holds_fields(path, "space_hash", "source", "columns", "ridge")
)


def accuracies_path(output: Path) -> Path:
    """The file beside a predictor that keeps every accuracy as it is found."""
    return output.with_name(output.name + ".jsonl")


def check_fit_request(
    data: str, space: str, quality: str, output: Path, networks: int
) -> SearchSpace:
    """The space with as many classes as the data.

    Raises:
        InputError: data, space, estimator or number of networks; the message says which.
        OutputError: the predictor could not be written.
    """
    if networks < FEWEST_NETWORKS:
        raise InputError(f"--networks must be {FEWEST_NETWORKS} or more, but got {networks}")
    info = check_estimator(quality)
    if not info.is_accuracy or info.name == "predictor":
        raise InputError(
            f"--quality {quality} gives no accuracy to learn from; give supernet:FILE or train"
        )
    kinds = {output: _PREDICTOR, accuracies_path(output): ACCURACIES}
    check_outputs(kinds, [quality.partition(":")[2], space])
    check_source(data)
    return load_space(space).with_classes(len(classes_of(data)))
