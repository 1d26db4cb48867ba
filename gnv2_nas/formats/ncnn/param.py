"""ncnn's `.param` format: one line per layer, written and read back for checks.

A line has type, name, number of inputs and outputs, their blobs, and `number=value` settings
(https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure). The `.bin` has the weights of
the layers in the same order, without separators.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

MAGIC = "7767517"
FLOAT32_TAG = bytes(4)
"""Precedes a weight of 32-bit floats."""

Setting = int | float | tuple[float, ...]

_ARRAY = -23300
"""Number of an array setting n: -23300 - n."""

# NcnnLayer type → the settings that hold its number of outputs and the size of its weight.
_WEIGHTED = {"Convolution": (0, 6), "ConvolutionDepthWise": (0, 6), "InnerProduct": (0, 2)}
_KINDS = frozenset(
    {"BinaryOp", "Concat", "Crop", "HardSigmoid", "HardSwish", "Input", "Interp", "Pooling",
     "ReLU", "Sigmoid", "Split", *_WEIGHTED}
)  # fmt: skip


class NcnnLayer(msgspec.Struct, frozen=True):
    """One line of the file."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: dict[int, Setting] = {}

    def line(self) -> str:
        counts = f"{len(self.inputs)} {len(self.outputs)}"
        settings = [_setting(number, value) for number, value in self.settings.items()]
        return " ".join([self.kind, self.name, counts, *self.inputs, *self.outputs, *settings])

    def weight_bytes(self) -> int:
        """Size of its part of the `.bin`: a tag, the weight, and a bias without a tag."""
        if self.kind not in _WEIGHTED:
            return 0
        outputs, weight = (self.settings.get(number, 0) for number in _WEIGHTED[self.kind])
        if not (isinstance(outputs, int) and isinstance(weight, int) and min(outputs, weight) > 0):
            raise ValueError(f"layer {self.name!r} does not say how many weights it has")
        return len(FLOAT32_TAG) + 4 * (weight + outputs)


def _setting(number: int, value: Setting) -> str:
    if isinstance(value, tuple):
        return f"{_ARRAY - number}={','.join(map(_text, (len(value), *value)))}"
    return f"{number}={_text(value)}"


def _text(value: float) -> str:
    """ncnn reads a number with a decimal point as a float and any other as an integer."""
    return str(value) if isinstance(value, int) else f"{value:.8e}"


def param_text(layers: Sequence[NcnnLayer]) -> str:
    """The file of these layers."""
    blobs = sum(len(layer.outputs) for layer in layers)
    lines = [MAGIC, f"{len(layers)} {blobs}", *(layer.line() for layer in layers)]
    return "\n".join(lines) + "\n"


def read_param(text: str) -> list[NcnnLayer]:
    """The layers of a file that `param_text` wrote.

    Raises:
        ValueError: another kind of file, a truncated one, or a layer that reads unknown blobs.
    """
    lines = text.split("\n")
    if lines[0] != MAGIC or len(lines) < 3 or lines[-1]:
        raise ValueError("it does not begin or not end as such a file does")
    layers = [_layer(number, line) for number, line in enumerate(lines[2:-1], start=3)]
    known: set[str] = set()
    for layer in layers:
        if not known.issuperset(layer.inputs) or known.intersection(layer.outputs):
            raise ValueError(f"layer {layer.name!r} reads or writes the wrong blobs")
        known.update(layer.outputs)
        known.difference_update(layer.inputs)
    counts = f"{len(layers)} {sum(len(layer.outputs) for layer in layers)}"
    if lines[1] != counts:
        raise ValueError(f"it announces {lines[1]!r} layers and blobs and holds {counts!r}")
    return layers


def check_weights(layers: Sequence[NcnnLayer], weights: bytes) -> None:
    """Check that the structure of a `.bin` fits these layers.

    Raises:
        ValueError: the size is wrong, or a tag is missing.
    """
    expected = sum(layer.weight_bytes() for layer in layers)
    if len(weights) != expected:
        raise ValueError(f"{expected} bytes of weights belong to it, but got {len(weights)}")
    start = 0
    for layer in layers:
        size = layer.weight_bytes()
        if size and weights[start : start + len(FLOAT32_TAG)] != FLOAT32_TAG:
            raise ValueError(f"the weights of layer {layer.name!r} are not 32-bit floats")
        start += size


def _layer(number: int, line: str) -> NcnnLayer:
    try:
        kind, name, inputs, outputs, *rest = line.split()
        last_input = int(inputs)
        last_output = last_input + int(outputs)
        blobs, settings = rest[:last_output], rest[last_output:]
        if kind not in _KINDS or len(blobs) < last_output or last_input < 0:
            raise ValueError
        return NcnnLayer(
            kind, name, tuple(blobs[:last_input]), tuple(blobs[last_input:]),
            dict(map(_parse_setting, settings)),
        )  # fmt: skip
    except ValueError:
        raise ValueError(f"line {number} is not a layer") from None


def _parse_setting(setting: str) -> tuple[int, Setting]:
    key, _, value = setting.partition("=")
    number = int(key)
    if number <= _ARRAY:
        _, *items = map(_value, value.split(","))
        return _ARRAY - number, tuple(items)
    return number, _value(value)


def _value(text: str) -> float:
    return float(text) if "." in text else int(text)
