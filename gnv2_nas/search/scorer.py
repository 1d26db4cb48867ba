"""The quality estimator of a search, made where it is needed: here, or in a worker."""

from __future__ import annotations

from collections.abc import Callable

from gnv2_nas.data import Dataset, classes_of, load_dataset
from gnv2_nas.quality import QualityContext, get_estimator
from gnv2_nas.quality.base import QualityEstimator
from gnv2_nas.quality.registry import check_estimator
from gnv2_nas.search.records import Settings
from gnv2_nas.search.working.worker_process import Scorer
from gnv2_nas.space import SearchSpace, load_space


def load_images(
    settings: Settings, space: SearchSpace, progress: Callable[[float], None] | None = None
) -> Dataset | None:
    """The images that the estimator needs; None where it needs none."""
    if not (settings.data and check_estimator(settings.quality).needs_data):
        return None
    return load_dataset(settings.data, max(space.resolutions), progress=progress)


def make_estimator(
    settings: Settings, space: SearchSpace, dataset: Dataset | None, seed: int
) -> QualityEstimator:
    """The estimator that `--quality` names."""
    return get_estimator(settings.quality, QualityContext(space, dataset, seed))


def make_scorer(settings: Settings, source: str, seed: int) -> Scorer:
    """What a worker scores with: everything is read anew, from the names of things.

    Args:
        source: the space as it was asked for, a name or a file.
    """
    space = load_space(source)
    if settings.data:
        space = space.with_classes(len(classes_of(settings.data)))
    return make_estimator(settings, space, load_images(settings, space), seed).score
