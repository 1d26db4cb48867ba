"""A script that makes an image a network's input exactly as in training, printed in model cards.

It does what `gnv2_nas.data.decoding` and `prepare` do, with Pillow and numpy alone.
"""

from __future__ import annotations

from gnv2_nas.arch import Preprocessing

_SCRIPT = '''\
import numpy as np
from PIL import Image  # 10.1 or later

SIDE = {side}
MEAN = np.array({mean}, np.float32) * 255
STD = np.array({std}, np.float32) * 255
TURNS = {{  # EXIF orientation: what brings the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}}


def prepare(path):
    """The input for the image in a file: float32, shape {shape}."""
    with Image.open(path) as image:
        scale = 2 * SIDE / min(image.size)
        # JPEG alone can be decoded smaller, as it was for training.
        image.draft(None, tuple(max(1, int(length * scale)) for length in image.size))
        image.load()
        turn = TURNS.get(image.getexif().get(0x0112))
        if image.mode == "F":
            raise ValueError("floating-point pixels, whose range is not known")
        if image.mode.startswith("I"):  # 16 bits of grey become 8
            values = np.asarray(image).astype(np.int64).clip(0, 65535)
            image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
        shorter = min(image.size)
        left, top = (image.width - shorter) / 2, (image.height - shorter) / 2
        box = (left, top, left + shorter, top + shorter)
        bilinear = Image.Resampling.BILINEAR  # antialiased
        image = image.resize((SIDE, SIDE), bilinear, box=box, reducing_gap=3.0)
        if turn is not None:
            image = image.transpose(turn)
    values = (np.asarray(image).astype(np.float32) - MEAN) / STD
    return np.ascontiguousarray({order})
'''


def prepare_script(side: int, preprocessing: Preprocessing, *, channels_last: bool) -> str:
    """Python that defines `prepare(path)`.

    Args:
        side: height and width of the input.
        channels_last: whether the input is (1, H, W, 3).
    """
    return _SCRIPT.format(
        side=side,
        mean=list(preprocessing.mean),
        std=list(preprocessing.std),
        shape=f"(1, {side}, {side}, 3)" if channels_last else f"(1, 3, {side}, {side})",
        order="values[None]" if channels_last else "values.transpose(2, 0, 1)[None]",
    )
