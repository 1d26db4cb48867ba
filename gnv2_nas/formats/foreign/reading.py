"""Reading a file that another tool wrote. Nothing in it is executed."""

from __future__ import annotations

from pathlib import Path

from gnv2_nas.errors import InputError
from gnv2_nas.formats.foreign.bounded import read_file
from gnv2_nas.formats.foreign.network import DEFAULT_SIDE, SUFFIXES, ForeignNetwork

MAX_COUNT = 1 << 50
"""Of multiply-adds and bytes; numbers of a damaged file may be too large for JSON."""


def read_foreign(name: str, side: int = DEFAULT_SIDE) -> ForeignNetwork:
    """Read a file and count its graph.

    Args:
        name: path of an ONNX or TFLite file.
        side: height and width that the file gets where it leaves them free.

    Raises:
        InputError: it is no such file, damaged, larger than memory, or has no single image as its
            input.
    """
    path = Path(name)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"{name!r} has the format {suffix or '(none)'!r}; files of other tools that can be "
            f"timed are {' and '.join(SUFFIXES)}"
        )
    content = read_file(path, name)
    try:
        if suffix == ".onnx":
            from gnv2_nas.formats.foreign.onnx_file import read_onnx

            content, read, counts = read_onnx(content, path.parent, side)
        else:
            from gnv2_nas.formats.foreign.tflite_file import read_tflite

            read, counts = read_tflite(content)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except ModuleNotFoundError as error:
        raise InputError(
            f"{name}: reading {suffix} files needs the package {error.name!r}, which is not "
            "installed: pip install 'gnv2-nas[litert]'"
        ) from None
    except MemoryError:
        raise InputError(f"{name}: it is larger than memory") from None
    if max(counts.macs or 0, counts.weight_bytes) > MAX_COUNT:
        raise InputError(f"{name}: it is damaged: it claims {counts.params:.1e} parameters")
    return ForeignNetwork(name, {suffix: content}, read, counts)
