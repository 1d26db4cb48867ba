"""Fitting an accuracy predictor: the request checked, networks evaluated, the model fitted."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from gnv2_nas.arch import Architecture
from gnv2_nas.data import check_source, find_classes
from gnv2_nas.errors import InputError
from gnv2_nas.files.outputs import Kind, check_outputs, holds_fields
from gnv2_nas.quality.accuracy.journal import ACCURACIES, AccuracyJournal
from gnv2_nas.quality.base import QualityContext, QualitySpec
from gnv2_nas.quality.predictor.model import MIN_FITTED_NETWORKS, Predictor, fit_predictor
from gnv2_nas.quality.registry import check_estimator, get_estimator
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
    if networks < MIN_FITTED_NETWORKS:
        raise InputError(f"--networks must be {MIN_FITTED_NETWORKS} or more, but got {networks}")
    info = check_estimator(quality)
    if not info.is_accuracy or info.name == "predictor":
        raise InputError(
            f"--quality {quality} gives no accuracy to learn from; give supernet:FILE or train"
        )
    kinds = {output: _PREDICTOR, accuracies_path(output): ACCURACIES}
    check_outputs(kinds, [QualitySpec.parse(quality).file or "", space])
    check_source(data)
    return load_space(space).with_classes(len(find_classes(data)))


NETWORKS = 150
"""A ridge on that many ranks networks with τ about 0.9 over a whole space."""

Progress = Callable[[float], None]


def evaluate_and_fit(
    spec: str,
    context: QualityContext,
    networks: int,
    journal: Path,
    progress: Progress,
) -> Predictor:
    """The predictor of an accuracy, fitted to random networks.

    Args:
        spec: the estimator that gives the accuracies, as `--quality` takes it.
        context: the space, and the images that the estimator needs.
        journal: file that keeps every accuracy at once; the same call goes on with it.
        progress: is told the share of the networks that are evaluated.

    Raises:
        InputError: the estimator gives no accuracy, or does not fit the data or the space.
    """
    if context.space is None or context.dataset is None:
        raise ValueError("a space and images are needed")
    estimator = get_estimator(spec, context)
    weights = QualitySpec.parse(spec).hash_file()
    conditions = (estimator.info.name, weights, context.dataset.content_hash, estimator.info.note)
    known = AccuracyJournal(journal, *conditions)
    architectures = sample_distinct(context.space, networks, context.seed)
    accuracies = []
    for number, arch in enumerate(architectures):
        evaluated = known.find(arch, context.seed)
        if evaluated is None:
            start = time.perf_counter()
            accuracy = estimator.score(arch)
            seconds = time.perf_counter() - start
            evaluated = known.add(arch, context.seed, accuracy, seconds)
        accuracies.append(evaluated.accuracy)
        progress((number + 1) / networks)
    return fit_predictor(architectures, accuracies, context.space, spec)


def sample_distinct(space: SearchSpace, networks: int, seed: int) -> list[Architecture]:
    """Random networks of a space, as many as asked for or as ten times as many draws give."""
    rng = random.Random(seed)
    found: dict[str, Architecture] = {}
    for _ in range(10 * networks):
        arch = space.sample(rng)
        found.setdefault(arch.id, arch)
        if len(found) == networks:
            break
    return list(found.values())
