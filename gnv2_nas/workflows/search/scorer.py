"""What scores networks, in the process of a search or in a worker that reads the files itself."""

from __future__ import annotations

from collections.abc import Callable

from gnv2_nas.data import Dataset, find_classes, load_dataset
from gnv2_nas.quality import QualityContext, get_estimator
from gnv2_nas.quality.base import QualityEstimator, QualitySpec
from gnv2_nas.quality.registry import check_estimator
from gnv2_nas.search.engine import Scorer
from gnv2_nas.search.engine.scorer_actor import check_content
from gnv2_nas.search.study.settings import Settings
from gnv2_nas.space import SearchSpace, load_space


def load_images(
    settings: Settings, space: SearchSpace, progress: Callable[[float], None] | None = None
) -> Dataset | None:
    """Return the images that the estimator needs; None if it needs none."""
    if not (settings.data and check_estimator(settings.quality).needs_data):
        return None
    return load_dataset(settings.data, max(space.resolutions), progress=progress)


def make_estimator(
    settings: Settings, space: SearchSpace, dataset: Dataset | None, seed: int
) -> QualityEstimator:
    """Return the estimator that `--quality` names."""
    return get_estimator(settings.quality, QualityContext(space, dataset, seed))


def make_scorer(settings: Settings, source: str, seed: int) -> Scorer:
    """Return what a worker process scores with. The worker reads space and images itself.

    Args:
        settings: of the study.
        source: name or file of the space.
        seed: of the estimator.

    Raises:
        InputError: a file is missing, or is not that of the study.
    """
    space = load_space(source)
    if settings.data:
        space = space.with_classes(len(find_classes(settings.data)))
    dataset = load_images(settings, space)
    estimator = make_estimator(settings, space, dataset, seed)
    weights = QualitySpec.parse(settings.quality).hash_file()
    for name, wanted, found in (
        (source, settings.space_hash, space.content_hash),
        (settings.quality, settings.quality_hash, weights),
        (settings.data, settings.data_hash, dataset.content_hash if dataset else ""),
    ):
        check_content(name, wanted, found, "search")
    return estimator.score
