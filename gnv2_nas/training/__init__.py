"""Training of one network, or of a supernet, on labelled images.

Importing this is light; what trains imports torch when it is called.
"""

from gnv2_nas.training.history import Observer, TrainingPoint, TrainingResult, decode_history
from gnv2_nas.training.recipe import Recipe, default_recipe
from gnv2_nas.training.train import train_network, train_supernet

__all__ = [
    "Observer",
    "Recipe",
    "TrainingPoint",
    "TrainingResult",
    "decode_history",
    "default_recipe",
    "train_network",
    "train_supernet",
]
