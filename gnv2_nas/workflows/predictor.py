"""Fitting a predictor of accuracy to networks that an estimator evaluates."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.data import check_source, find_classes
from gnv2_nas.errors import InputError
from gnv2_nas.files.outputs import Kind, check_outputs, holds_fields
from gnv2_nas.quality.accuracy.trained import ACCURACIES, AccuracyJournal
from gnv2_nas.quality.base import QualityContext, QualitySpec
from gnv2_nas.quality.predictor.model import (
    MIN_FITTED_NETWORKS,
    Predictor,
    fit_predictor,
    save_predictor,
)
from gnv2_nas.quality.registry import check_estimator, get_estimator
from gnv2_nas.space import SearchSpace, load_space
from gnv2_nas.workflows.events import Events, ignore, report_task

_PREDICTOR = Kind(
    "the predictor", lambda path: holds_fields(path, "space_hash", "source", "columns", "ridge")
)


NETWORKS = 150
"""A ridge on this many networks ranks a whole space with a Kendall τ of about 0.9."""


def accuracies_path(output: Path) -> Path:
    """Return the file beside a predictor that keeps every evaluated accuracy."""
    return output.with_name(output.name + ".jsonl")


class PredictorFitRequest(msgspec.Struct, frozen=True):
    """The options of `gnv2-nas quality fit`."""

    data: str
    """A folder with one folder for each class, or "digits"."""
    space: str
    quality: str
    """The accuracy to predict: "supernet:FILE", "train" or "train:FILE"."""
    output: Path = Path("predictor.json")
    networks: int = NETWORKS
    seed: int = 0

    def check(self) -> CheckedPredictorFit:
        """Check every option without reading an image.

        Raises:
            InputError: an option is wrong; the message says which.
            OutputError: the predictor cannot be written.
        """
        if self.networks < MIN_FITTED_NETWORKS:
            raise InputError(
                f"--networks must be {MIN_FITTED_NETWORKS} or more, but got {self.networks}"
            )
        info = check_estimator(self.quality)
        if not info.is_accuracy or info.name == "predictor":
            raise InputError(
                f"--quality {self.quality} gives no accuracy to learn from; give supernet:FILE or "
                "train"
            )
        kinds = {self.output: _PREDICTOR, accuracies_path(self.output): ACCURACIES}
        check_outputs(kinds, [QualitySpec.parse(self.quality).file or "", self.space])
        check_source(self.data)
        space = load_space(self.space).with_classes(len(find_classes(self.data)))
        return CheckedPredictorFit(self, space)


class CheckedPredictorFit(msgspec.Struct, frozen=True):
    """A fit that can start."""

    request: PredictorFitRequest
    space: SearchSpace
    """With the classes of the data."""


def run_predictor_fit(checked: CheckedPredictorFit, events: Events = ignore) -> Predictor:
    """Evaluate random networks, fit a predictor of their accuracy, and keep it.

    Raises:
        DataError: the images cannot be used.
        InputError: the estimator does not fit the data or the space.
        KeyboardInterrupt: Ctrl-C; the same request continues with the missing networks.
    """
    from gnv2_nas.data import load_dataset

    request, space = checked.request, checked.space
    with report_task(events, f"reading the images of {request.data}") as report:
        dataset = load_dataset(request.data, max(space.resolutions), progress=report)
    context = QualityContext(space=space, dataset=dataset, seed=request.seed)
    journal = accuracies_path(request.output)
    with report_task(events, f"evaluating {request.networks} networks") as report:
        predictor = evaluate_and_fit(request.quality, context, request.networks, journal, report)
    save_predictor(predictor, request.output)
    return predictor


def evaluate_and_fit(
    spec: str,
    context: QualityContext,
    networks: int,
    journal: Path,
    progress: Callable[[float], None],
) -> Predictor:
    """Evaluate random networks and fit a predictor of their accuracy.

    Args:
        spec: the estimator of the accuracy, as `--quality` takes it.
        context: the space, and the images that the estimator needs.
        networks: how many to evaluate.
        journal: file that keeps every accuracy as soon as it is known; the same call continues it.
        progress: called with the share of the networks that are evaluated.

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
    """Draw distinct random networks; fewer if ten draws for each network do not find enough."""
    rng = random.Random(seed)
    found: dict[str, Architecture] = {}
    for _ in range(10 * networks):
        arch = space.sample(rng)
        found.setdefault(arch.id, arch)
        if len(found) == networks:
            break
    return list(found.values())
