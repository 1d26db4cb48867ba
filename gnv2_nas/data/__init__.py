"""Images with labels: the built-in digits, or a folder of class folders.

The names below are imported when first used, because checking a folder needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnv2_nas.data.augmentation import Augmentation, augment
    from gnv2_nas.data.batches import TrainingBatches, preprocess
    from gnv2_nas.data.dataset import Dataset, Split
    from gnv2_nas.data.folders.source import check_source, find_classes
    from gnv2_nas.data.loading import load_dataset
    from gnv2_nas.data.report import DataReport

_HOMES = {
    "Augmentation": "augmentation",
    "DataReport": "report",
    "Dataset": "dataset",
    "Split": "dataset",
    "TrainingBatches": "batches",
    "augment": "augmentation",
    "check_source": "folders.source",
    "find_classes": "folders.source",
    "load_dataset": "loading",
    "preprocess": "batches",
}

__all__ = [
    "Augmentation",
    "DataReport",
    "Dataset",
    "Split",
    "TrainingBatches",
    "augment",
    "check_source",
    "find_classes",
    "load_dataset",
    "preprocess",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gnv2_nas.data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gnv2_nas.data.{_HOMES[name]}"), name)
