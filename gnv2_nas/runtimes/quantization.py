"""Static quantization: an ONNX file at 8 bits, with ranges taken from images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from gnv2_nas.arch import Preprocessing
from gnv2_nas.errors import InputError
from gnv2_nas.formats.onnx.precision import Range, add_map_outputs, quantize_file

_MAX_PREPARED = 64.0
"""A standard deviation of 4 grey levels maps white to this value."""
_MIN_MEAN, _LIGHT = 0.1, 0.5
RANDOM_IMAGES = 2
"""Number of noise images that are used if none are given."""


def quantize(onnx: bytes, images: NDArray[np.float32] | None = None) -> bytes:
    """Quantize a file to 8 bits (QDQ form: uint8 maps, int8 weights by channel), reproducibly.

    The range of a feature map is that of its values on the images.

    Args:
        onnx: float32, as `onnx_bytes` writes it.
        images: (N, 3, resolution, resolution) calibration images, preprocessed as for inference
            (default: normal deviates, enough to time a network but not to deploy it).

    Raises:
        InputError: the images do not have the file's input shape.
    """
    return quantize_file(onnx, feature_ranges(onnx, images))


def feature_ranges(onnx: bytes, images: NDArray[np.float32] | None = None) -> dict[str, Range]:
    """Return the smallest and largest value of the input and of every map over all images."""
    session = ort.InferenceSession(
        add_map_outputs(onnx), _options(), providers=["CPUExecutionProvider"]
    )
    (image,) = session.get_inputs()
    if images is None:
        images = random_images(RANDOM_IMAGES, image.shape[-1])
    _check_shape(images, tuple(image.shape[1:]))
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
    """Return (count, 3, resolution, resolution) normal deviates, always the same."""
    shape = (count, 3, resolution, resolution)
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def read_images(
    source: str | NDArray[Any], resolution: int, preprocessing: Preprocessing | None = None
) -> NDArray[np.float32] | None:
    """Read calibration images for networks of that resolution; None for the path "".

    Args:
        source: array (N, 3, H, W) or (N, H, W, 3), or the path of its .npy file. It is float32,
            preprocessed as for inference, or pixels from 0 to 255 if `preprocessing` is given.
        resolution: images are resized to it by nearest neighbour.
        preprocessing: converts pixels to the input of the network.

    Raises:
        InputError: there is no such file, or its array is invalid.
    """
    if isinstance(source, str):
        if not source:
            return None
        what, images = f"calibration images {source!r}", _load_array(source)
    else:
        what, images = "calibration images", source
    images = _channels_first(images, what)
    white = _find_white(images, what, preprocessing)
    rows, columns = (np.arange(resolution) * side // resolution for side in images.shape[2:])
    resized: NDArray[np.float32] = images[:, :, rows][:, :, :, columns].astype(np.float32)
    if not white:
        return resized
    if preprocessing is None:
        raise InputError(
            f"{what} are pixels, 0 to 255, and nothing says how they become an input; store "
            "float32 (N, 3, H, W), prepared as for inference: divided by 255, minus mean, over std"
        )
    mean, std = (
        np.array(values, np.float32)[:, None, None]
        for values in (preprocessing.mean, preprocessing.std)
    )
    return (resized / white - mean) / std


def _load_array(path: str) -> NDArray[Any]:
    try:
        if Path(path).is_dir():
            raise InputError(
                f"calibration images {path!r} are a folder, which only gnv2-nas export reads, "
                "because the weights say how an image becomes their input; give an .npy file"
            )
        images = np.load(path, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, EOFError, OverflowError, MemoryError, SyntaxError) as error:
        raise InputError(
            f"calibration images {path!r} cannot be read: {' '.join(str(error).split())[:300]}"
        ) from None
    if not isinstance(images, np.ndarray):
        raise InputError(f"calibration images {path!r} must be one array (.npy), not several")
    return images


def _channels_first(images: NDArray[Any], what: str) -> NDArray[Any]:
    """Return images as (N, 3, H, W) from either of the two usual orders."""
    if images.ndim != 4 or 0 in images.shape or 3 not in (images.shape[1], images.shape[3]):
        raise InputError(
            f"{what} must be of shape (N, 3, H, W) or (N, H, W, 3) with N, H and W ≥ 1, "
            f"not {images.dtype} of {images.shape}"
        )
    return images if images.shape[1] == 3 else images.transpose(0, 3, 1, 2)


def _find_white(images: NDArray[Any], what: str, preprocessing: Preprocessing | None) -> float:
    """Return the value of white in pixels, 255 or 1; 0 if the images are preprocessed."""
    if images.dtype.kind not in "fiu":
        raise InputError(f"{what} must be float32, or uint8 from 0 to 255, not {images.dtype}")
    low, high = float(images.min()), float(images.max())
    if not np.isfinite((low, high)).all():
        raise InputError(f"{what} hold values that are not finite")
    if images.dtype == np.uint8 or (low >= 0 and _MAX_PREPARED < high <= 255):
        return 255.0
    if max(-low, high) > _MAX_PREPARED:
        raise InputError(
            f"{what} reach from {low:.4g} to {high:.4g}; right are 0 to 255, or what pixels "
            "become when they are prepared for inference, some -3 to 3"
        )
    if images.dtype.kind != "f":
        raise InputError(f"{what} must be float32, or uint8 from 0 to 255, not {images.dtype}")
    # Preprocessing that subtracts a mean makes dark pixels negative.
    subtracted = preprocessing is not None and min(preprocessing.mean) > _MIN_MEAN
    return 1.0 if subtracted and low >= 0 and _LIGHT < high <= 1 else 0.0


def _check_shape(images: NDArray[np.float32], expected: tuple[int, ...]) -> None:
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
