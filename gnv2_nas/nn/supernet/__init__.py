"""One set of weights for every network of a search space. Importing this imports torch."""

from gnv2_nas.nn.supernet.recalibration import recalibrate
from gnv2_nas.nn.supernet.supernet import Supernet
from gnv2_nas.nn.supernet.supernet_file import load_supernet, save_supernet

__all__ = ["Supernet", "load_supernet", "recalibrate", "save_supernet"]
