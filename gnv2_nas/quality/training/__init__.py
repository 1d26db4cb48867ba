"""Training of one network, or of a supernet, on labelled images.

Importing this is light; what trains imports torch when it is called.
"""

from gnv2_nas.quality.training.history import Observer, TrainingPoint, read_history
from gnv2_nas.quality.training.network_training import train_network
from gnv2_nas.quality.training.recipe import Recipe, default_recipe
from gnv2_nas.quality.training.result import TrainingResult
from gnv2_nas.quality.training.supernet_training import train_supernet

__all__ = [
    "Observer",
    "Recipe",
    "TrainingPoint",
    "TrainingResult",
    "default_recipe",
    "read_history",
    "train_network",
    "train_supernet",
]
