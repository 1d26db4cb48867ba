"""`OnnxClassifier`: an ONNX file of any tool as a torch module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gnv2_nas.arch import Preprocessing
from gnv2_nas.checkpoints.contents import PREPROCESSING_KEY
from gnv2_nas.cores import usable_cores
from gnv2_nas.errors import InputError, RunError
from gnv2_nas.formats.foreign.reading import read_foreign
from gnv2_nas.runner.onnx_session import OnnxSession, session_options

_TOLERANCE = 1e-3
"""By how much probabilities may miss a sum of 1: some files compute in half precision."""


class OnnxClassifier(nn.Module):
    """Computes logits with ONNX Runtime on the CPU, image by image, as any file allows.

    A file that ends with probabilities gives their logarithms, which are logits.

    Args:
        path: ONNX file whose input is one float32 image, (1, 3, resolution, resolution).
        resolution: height and width; a file that leaves them free gets these.
        classes: number of its outputs.

    Raises:
        InputError: the file is damaged, ONNX Runtime refuses it, or it has another input or output.

    Attributes:
        fingerprint: hash of the file.
        preprocessing: how its images were normalised, and its classes; None if it does not say,
            as files of other tools.
    """

    def __init__(self, path: Path, resolution: int, classes: int) -> None:
        super().__init__()
        network = read_foreign(str(path), resolution)
        wanted = (1, 3, resolution, resolution)
        if network.input.shape != wanted or network.input.dtype != "float32":
            raise InputError(
                f"teacher {str(path)!r} reads {network.input.describe()}; the network needs one of "
                f"{'x'.join(map(str, wanted))} float32"
            )
        self.fingerprint = network.id
        try:
            self._session = OnnxSession(network.content, session_options(usable_cores()))
            samples = [self._run(np.full(wanted, value, np.float32)) for value in (0.0, 1.0)]
        except (RunError, RuntimeError) as error:
            raise InputError(f"teacher {str(path)!r} cannot be run: {error}") from None
        if samples[0].shape != (1, classes):
            raise InputError(
                f"teacher {str(path)!r} answers with {'x'.join(map(str, samples[0].shape))} "
                f"numbers for an image; {classes} are needed, one for each class of the images"
            )
        described = self._session.metadata().get(PREPROCESSING_KEY, "")
        self.preprocessing = Preprocessing.from_json(described) if described else None
        self._probabilities = all(
            each.min() >= 0 and abs(each.sum() - 1) < _TOLERANCE for each in samples
        )

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, resolution, resolution) → logits (N, classes)."""
        rows = [self._run(image[None]) for image in images.detach().float().cpu().numpy()]
        found = torch.from_numpy(np.concatenate(rows)).to(images.device)
        return (
            found.clamp_min(torch.finfo(found.dtype).tiny).log() if self._probabilities else found
        )

    def _run(self, image: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> np.ndarray:
        self._session.set_image(image)
        return self._session.logits()
