"""Architectures → TFLite files by Google's converter, for `litert_files` to hold ours against.

Run by the Python of the environment that `make litert-torch` makes, with this checkout on
PYTHONPATH:

    .venv-litert-torch/bin/python benchmarks/convert_with_litert_torch.py FOLDER

For every NAME.json in FOLDER without a NAME.tflite it writes one, with the weights made for
timing, and the seconds that took into NAME.seconds. The files read NHWC images, the form that
litert-torch recommends for TFLite.
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
        target = source.with_suffix(".tflite")
        if target.exists():
            continue
        arch = Architecture.from_json(source.read_text(encoding="utf-8"))
        image = torch.zeros(1, arch.resolution, arch.resolution, 3)
        start = time.perf_counter()
        model = litert_torch.to_channel_last_io(timing_model(arch), args=[0]).eval()
        litert_torch.convert(model, (image,)).export(str(target))
        source.with_suffix(".seconds").write_text(f"{time.perf_counter() - start:.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
