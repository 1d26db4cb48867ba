"""gnv2-nas: architecture search and profiling for GhostNetV2 networks.

Public names are loaded when they are first used, so `import gnv2_nas` itself is light. See
`docs/python.md`.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnv2_nas.arch import Architecture, list_presets, preset
    from gnv2_nas.formats.onnx.writer import onnx_bytes
    from gnv2_nas.graph import Counts, Graph, count, lower
    from gnv2_nas.measurement import Measurement, measure
    from gnv2_nas.nn import build_model, load_weights
    from gnv2_nas.search.sampler.predictor_sampler import PredictorSampler
    from gnv2_nas.space import SearchSpace, list_spaces, load_space
    from gnv2_nas.workflows.api.evaluation import evaluate
    from gnv2_nas.workflows.api.networks import export, train
    from gnv2_nas.workflows.api.studies import check_trust, fit_latency_model, load_study, search
    from gnv2_nas.workflows.study import Study

__version__ = "0.1.0"

# ONNX Runtime sends usage data from a thread that would disturb measurements. It reads this
# variable when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOMES = {
    "Architecture": "arch",
    "Counts": "graph",
    "Graph": "graph",
    "Measurement": "measurement",
    "PredictorSampler": "search.sampler.predictor_sampler",
    "SearchSpace": "space",
    "Study": "workflows.study",
    "build_model": "nn",
    "check_trust": "workflows.api.studies",
    "count": "graph",
    "evaluate": "workflows.api.evaluation",
    "export": "workflows.api.networks",
    "fit_latency_model": "workflows.api.studies",
    "list_presets": "arch",
    "list_spaces": "space",
    "load_space": "space",
    "load_study": "workflows.api.studies",
    "load_weights": "nn",
    "lower": "graph",
    "measure": "measurement",
    "onnx_bytes": "formats.onnx.writer",
    "preset": "arch",
    "search": "workflows.api.studies",
    "train": "workflows.api.networks",
}

__all__ = [
    "Architecture",
    "Counts",
    "Graph",
    "Measurement",
    "PredictorSampler",
    "SearchSpace",
    "Study",
    "build_model",
    "check_trust",
    "count",
    "evaluate",
    "export",
    "fit_latency_model",
    "list_presets",
    "list_spaces",
    "load_space",
    "load_study",
    "load_weights",
    "lower",
    "measure",
    "onnx_bytes",
    "preset",
    "search",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gnv2_nas' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gnv2_nas.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


class _Package(ModuleType):
    """The package as a module whose `search` is always the function.

    The room `gnv2_nas.search` has the same name. When it is imported, the import system would set
    it as the attribute; here it does not. `from gnv2_nas.search.… import …` works as usual.
    """

    @property
    def search(self) -> Any:
        return __getattr__("search")

    @search.setter
    def search(self, room: ModuleType) -> None:
        """Ignore the room."""


sys.modules[__name__].__class__ = _Package
