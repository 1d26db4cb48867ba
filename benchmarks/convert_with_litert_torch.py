"""Architectures → TFLite files by Google's converter, for `litert_files` to hold ours against.

Run by the Python of `make litert-torch`'s environment, with this checkout on PYTHONPATH:

    .venv-litert-torch/bin/python benchmarks/convert_with_litert_torch.py FOLDER

For every NAME.json in FOLDER it writes NAME.tflite, with the weights made for timing, and prints
the seconds that took. The files take NHWC images, the form litert-torch recommends for TFLite.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import litert_torch
import torch

from gnv2_nas.arch import Architecture
from gnv2_nas.nn import timing_model


def main(folder: Path) -> None:
    for source in sorted(folder.glob("*.json")):
        arch = Architecture.from_json(source.read_text())
        image = torch.zeros(1, arch.resolution, arch.resolution, 3)
        start = time.perf_counter()
        model = litert_torch.to_channel_last_io(timing_model(arch), args=[0]).eval()
        litert_torch.convert(model, (image,)).export(str(source.with_suffix(".tflite")))
        print(source.stem, f"{time.perf_counter() - start:.1f}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
