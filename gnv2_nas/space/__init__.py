"""Search spaces: a YAML file → `SearchSpace` → genotype → `Architecture`.

Imports neither torch nor optuna. The names of genes are known here alone.
"""

from gnv2_nas.space.axes import AXES, Axis, Value
from gnv2_nas.space.genes import Gene, describe_change, is_removal
from gnv2_nas.space.loading import list_spaces, load_space
from gnv2_nas.space.schema import json_schema
from gnv2_nas.space.search_space import SearchSpace, SupportsSuggest

__all__ = [
    "AXES",
    "Axis",
    "Gene",
    "SearchSpace",
    "SupportsSuggest",
    "Value",
    "describe_change",
    "is_removal",
    "json_schema",
    "list_spaces",
    "load_space",
]
