"""ONNX files: one file with all weights and one fixed input, and its counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from onnx import ModelProto, TensorProto, TypeProto, ValueInfoProto, helper

from gnv2_nas.errors import InputError
from gnv2_nas.formats.foreign.bounded import check_size, read_file
from gnv2_nas.formats.foreign.network import FileCounts, Input, fix_input
from gnv2_nas.formats.foreign.onnx_counts import count_onnx

_MAX_NAMED = 4


def read_onnx(content: bytes, folder: Path, side: int) -> tuple[bytes, Input, FileCounts]:
    """Return the file as it is timed, its input and its counts.

    Args:
        content: of the file.
        folder: where its external data may lie.
        side: see `read_foreign`.

    Raises:
        InputError: see `read_foreign`.
    """
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except Exception:
        raise InputError("it is damaged, or no ONNX file") from None
    if not model.graph.node:
        raise InputError("it is damaged, or no ONNX file: it has no operators")
    changed = _merge_external_data(model, folder)
    source = _find_input(model)
    shape = [size.dim_value or None for size in source.type.tensor_type.shape.dim]
    found = fix_input(shape, _type_name(source.type), side)
    if list(found.shape) != shape:
        _fix_shape(model, source, found)
        changed = True
    if changed:
        try:
            content = model.SerializeToString(deterministic=True)
        except Exception:
            raise InputError("its weights are more than one ONNX file can hold, 2.1 GB") from None
    return content, found, count_onnx(model)


def _find_input(model: ModelProto) -> ValueInfoProto:
    # Files of before IR version 4 name their weights as inputs, too.
    weights = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(repr(each.name[:40]) for each in inputs[:_MAX_NAMED])
        more = ", …" * (len(inputs) > _MAX_NAMED)
        raise InputError(
            f"it has {len(inputs)} inputs{f' ({names}{more})' * bool(inputs)}; a network with one "
            "input, an image, can be timed"
        )
    if not inputs[0].type.tensor_type.HasField("shape"):
        raise InputError("its input has no shape: export it with one")
    found: ValueInfoProto = inputs[0]
    return found


def _type_name(kind: TypeProto) -> str:
    number = kind.tensor_type.elem_type
    try:
        return str(helper.tensor_dtype_to_np_dtype(number))
    except (KeyError, ValueError):
        return f"number {number}"


def _fix_shape(model: ModelProto, source: ValueInfoProto, found: Input) -> None:
    for size, value in zip(source.type.tensor_type.shape.dim, found.shape, strict=True):
        size.dim_value = value
    # Shapes that were inferred with free sizes say less than inferring them again.
    model.graph.ClearField("value_info")


def _merge_external_data(model: ModelProto, folder: Path) -> bool:
    """Read the weights that lie in other files; return whether there were any.

    Raises:
        InputError: a file lies outside of the folder, is missing, or is too short.
    """
    outside = [each for each in _tensors(model) if each.data_location == TensorProto.EXTERNAL]
    files: dict[str, bytes] = {}
    total = 0
    for tensor in outside:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if location not in files:
            files[location] = _read_beside(folder, location)
        file = files[location]
        try:
            start = int(entries.get("offset", "0"))
            length = int(entries.get("length", len(file) - start))
        except ValueError:
            start = length = -1
        if start < 0 or length < 0 or start + length > len(file):
            raise InputError(
                f"its external data in {location!r} is damaged: weights {tensor.name[:40]!r} lie "
                f"beyond its {len(file)} bytes"
            )
        total += length
        check_size(total, location)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = file[start : start + length]
    return bool(outside)


def _read_beside(folder: Path, location: str) -> bytes:
    within = PurePosixPath(location)
    try:
        path = (folder / within).resolve()
        inside = path.is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not location or within.is_absolute() or ".." in within.parts or not inside:
        raise InputError(
            f"its external data {location[:100]!r} is not in its own folder, and is not read: put "
            "the data beside the file"
        )
    return read_file(path, str(folder / within))


def _tensors(message: Any) -> Iterator[TensorProto]:
    """Yield every tensor in a message, wherever it is."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for each in [value] if hasattr(value, "ListFields") else value:
            if isinstance(each, TensorProto):
                yield each
            else:
                yield from _tensors(each)
