"""Which runtimes load the files of other tools, and the files that they load."""

from __future__ import annotations

from collections.abc import Mapping

from gnv2_nas.errors import InputError
from gnv2_nas.formats.foreign.network import ForeignNetwork
from gnv2_nas.runner.timing import RuntimeFiles
from gnv2_nas.runtimes.base import Runtime, RuntimeName

READERS: Mapping[str, tuple[RuntimeName, ...]] = {
    ".onnx": ("onnxruntime", "openvino"), ".tflite": ("litert",)
}  # fmt: skip
"""Suffix → the runtimes that read the format."""


def foreign_files(network: ForeignNetwork, runtime: Runtime) -> RuntimeFiles:
    """Return the files that a runtime loads: the user's own, or OpenVINO's IR of it.

    Raises:
        InputError: the runtime does not read the format, or OpenVINO cannot convert the file.
    """
    if runtime.name not in READERS[network.suffix]:
        raise InputError(f"{network.name}: {runtime.name} does not read {network.suffix} files")
    if runtime.name != "openvino":
        return network.content
    from gnv2_nas.runner.openvino_session import explain_refusal
    from gnv2_nas.runtimes.openvino_runtime import save_ir

    try:
        return save_ir(network.content[network.suffix])
    except Exception as error:
        said = explain_refusal(error)
        raise InputError(f"{network.name}: OpenVINO refused the file: {said}") from None
