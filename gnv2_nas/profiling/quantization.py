"""Static quantisation: an ONNX file at 8 bits, its ranges seen on images."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from gnv2_nas.errors import InputError
from gnv2_nas.graph.onnx_qdq import Range, observed, quantized_file

RANDOM_IMAGES = 2
"""Images of noise, of the kind that is timed, where none are given."""


def quantized(onnx: bytes, images: NDArray[np.float32] | None = None) -> bytes:
    """The file at 8 bits (QDQ form: uint8 maps, int8 weights by channel), always the same.

    A feature map's range is from its smallest to its largest value on the images.

    Args:
        onnx: float32, as `onnx_bytes` writes it.
        images: (N, 3, resolution, resolution) to calibrate on, prepared as for inference; without
            them normal deviates, which is enough to time a network and not to ship it.

    Raises:
        InputError: the images are not of the file's input shape.
    """
    return quantized_file(onnx, feature_ranges(onnx, images))


def feature_ranges(onnx: bytes, images: NDArray[np.float32] | None = None) -> dict[str, Range]:
    """Smallest and largest value of the input and of every feature map, over all images."""
    session = ort.InferenceSession(observed(onnx), _options(), providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    if images is None:
        images = random_images(RANDOM_IMAGES, image.shape[-1])
    _check(images, tuple(image.shape[1:]))
    names = [image.name, *(output.name for output in session.get_outputs())]
    ranges: dict[str, Range] = {}
    for single in images:
        batch = np.ascontiguousarray(single[None], np.float32)
        maps = [batch, *session.run(None, {image.name: batch})]
        for name, values in zip(names, maps, strict=True):
            low, high = ranges.get(name, (np.inf, -np.inf))
            ranges[name] = min(low, float(values.min())), max(high, float(values.max()))
    return ranges


def random_images(count: int, resolution: int) -> NDArray[np.float32]:
    """(count, 3, resolution, resolution): normal deviates, always the same."""
    shape = (count, 3, resolution, resolution)
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def read_images(path: str, resolution: int) -> NDArray[np.float32] | None:
    """The images in an .npy file, for networks of that resolution; None for the path "".

    Args:
        path: of an array (N, 3, H, W), float32, prepared as for inference.
        resolution: what they are brought to, each pixel the nearest one.

    Raises:
        InputError: no such file, or no such array in it.
    """
    if not path:
        return None
    try:
        images = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"calibration images {path!r} cannot be read: {' '.join(str(error).split())}"
        ) from None
    if not isinstance(images, np.ndarray):
        raise InputError(f"calibration images {path!r} must be one array (.npy), not several")
    if images.dtype != np.float32 or images.ndim != 4:
        raise InputError(
            f"calibration images {path!r} must be float32 of shape (N, 3, H, W), "
            f"not {images.dtype} of {images.shape}"
        )
    if not np.isfinite(images).all():
        raise InputError(f"calibration images {path!r} hold values that are not finite")
    rows, columns = (np.arange(resolution) * side // resolution for side in images.shape[2:])
    fitted: NDArray[np.float32] = images[:, :, rows][:, :, :, columns]
    return fitted


def _check(images: NDArray[np.float32], expected: tuple[int, ...]) -> None:
    if images.ndim != 4 or len(images) == 0 or images.shape[1:] != expected:
        raise InputError(
            f"calibration images must be of shape (N, {', '.join(map(str, expected))}) with N ≥ 1, "
            f"not {images.shape}"
        )


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return options
