"""One set of weights for all networks of a search space. Imports torch."""

from gnv2_nas.nn.supernet.supernet import Supernet, load_supernet, recalibrate, save_supernet

__all__ = ["Supernet", "load_supernet", "recalibrate", "save_supernet"]
