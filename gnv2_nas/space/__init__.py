"""Search spaces: a YAML file → `SearchSpace` → genotype → `Architecture`.

Imports neither torch nor optuna. No other room knows the names of genes.
"""

from gnv2_nas.space.genes import AXES, Axis, Gene, Value, describe_change, is_removal
from gnv2_nas.space.search_space import SearchSpace, SupportsSuggest, list_spaces, load_space
from gnv2_nas.space.space_file import json_schema

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
