"""gnv2-nas: architecture search and profiling for GhostNetV2 networks.

The public names below are loaded when first used: `import gnv2_nas` itself is light.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnv2_nas.arch import Architecture, list_presets, preset
    from gnv2_nas.formats.onnx.writer import onnx_bytes
    from gnv2_nas.graph import Counts, Graph, count, lower
    from gnv2_nas.measurement import Measurement, measure
    from gnv2_nas.nn import build_model, load_weights
    from gnv2_nas.search.sampler.predictor_sampler import PredictorSampler
    from gnv2_nas.space import SearchSpace, list_spaces, load_space

__version__ = "0.1.0"

# ONNX Runtime reports to its makers, from a thread beside the networks that are timed, and wants a
# home folder for what it has not sent; it asks this once, when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOMES = {
    "Architecture": "arch",
    "Counts": "graph",
    "Graph": "graph",
    "Measurement": "measurement",
    "PredictorSampler": "search.sampler.predictor_sampler",
    "SearchSpace": "space",
    "build_model": "nn",
    "count": "graph",
    "list_presets": "arch",
    "list_spaces": "space",
    "load_space": "space",
    "load_weights": "nn",
    "lower": "graph",
    "measure": "measurement",
    "onnx_bytes": "formats.onnx.writer",
    "preset": "arch",
}

__all__ = [
    "Architecture",
    "Counts",
    "Graph",
    "Measurement",
    "PredictorSampler",
    "SearchSpace",
    "build_model",
    "count",
    "list_presets",
    "list_spaces",
    "load_space",
    "load_weights",
    "lower",
    "measure",
    "onnx_bytes",
    "preset",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gnv2_nas' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gnv2_nas.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
