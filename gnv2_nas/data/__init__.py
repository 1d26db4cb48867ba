"""Images with labels: the built-in digits, or a folder of class folders.

The names below are imported when first used, because checking a folder needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnv2_nas.data.augmentation import Augmentation as Augmentation
    from gnv2_nas.data.augmentation import augment as augment
    from gnv2_nas.data.batches import TrainingBatches as TrainingBatches
    from gnv2_nas.data.batches import prepare_images as prepare_images
    from gnv2_nas.data.batches import preprocess as preprocess
    from gnv2_nas.data.dataset import Dataset as Dataset
    from gnv2_nas.data.dataset import Split as Split
    from gnv2_nas.data.folders.source import check_source as check_source
    from gnv2_nas.data.folders.source import find_classes as find_classes
    from gnv2_nas.data.loading import load_dataset as load_dataset

_HOMES = {
    "augmentation": ("Augmentation", "augment"),
    "batches": ("TrainingBatches", "prepare_images", "preprocess"),
    "dataset": ("Dataset", "Split"),
    "folders.source": ("check_source", "find_classes"),
    "loading": ("load_dataset",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"gnv2_nas.data.{home}"), name)
    raise AttributeError(f"module 'gnv2_nas.data' has no attribute {name!r}")
