"""The written TFLite: runs in LiteRT, in one piece, agrees with the torch module."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
import tflite
import torch
from hypothesis import given, settings

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule, preset
from gnv2_nas.errors import CheckpointError
from gnv2_nas.formats.tflite.writer import tflite_bytes
from gnv2_nas.nn import Network, build_model
from gnv2_nas.space import list_spaces, load_space
from tests.networks import difference, presets_at, random_image, random_model
from tests.strategies import architectures

Interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter

TOLERANCE = 1e-4


def loaded(data: bytes) -> Any:
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def run(interpreter: Any, image: torch.Tensor) -> Any:
    (source,) = interpreter.get_input_details()
    (output,) = interpreter.get_output_details()
    assert (source["name"], output["name"]) == ("input", "logits")
    interpreter.set_tensor(source["index"], image.permute(0, 2, 3, 1).contiguous().numpy())
    interpreter.invoke()
    return interpreter.get_tensor(output["index"])


def assert_agrees(arch: Architecture, model: Network) -> None:
    interpreter, image = loaded(tflite_bytes(arch, model)), random_image(arch.resolution)
    with torch.no_grad():
        assert difference(run(interpreter, image), model(image)) < TOLERANCE
    delegates = [op for op in interpreter._get_ops_details() if op["op_name"] == "DELEGATE"]
    assert len(delegates) == 1


@settings(max_examples=25, deadline=None)
@given(architectures())
def test_random_networks(arch: Architecture) -> None:
    assert_agrees(arch, random_model(arch))


@pytest.mark.parametrize(("name", "resolution"), presets_at(64, 225))
def test_presets(name: str, resolution: int) -> None:
    arch = preset(name).replace(resolution=resolution)
    assert_agrees(arch, random_model(arch))


@pytest.mark.parametrize("name", list_spaces())
def test_networks_of_the_built_in_spaces(name: str) -> None:
    arch = load_space(name).sample(random.Random(7))
    assert_agrees(arch, random_model(arch))


# Side of the map → factor: whole factors, incomplete windows, and the two kinds of rounding
# that make runtimes and torch disagree on nearest (74/3 and 114/4).
MAPS = [(14, 2), (7, 2), (9, 4), (13, 3), (74, 3), (114, 4)]


@pytest.mark.parametrize("resize", ["nearest", "bilinear"])
@pytest.mark.parametrize(("side", "factor"), MAPS)
def test_resize_inside_a_network(side: int, factor: int, resize: Any) -> None:
    module = GhostModule(dfc=DFC(factor=factor, resize=resize))
    block = GhostBlock(4, 4, ghost1=module)
    arch = Architecture((block,), 4, 4, 4, resolution=2 * side, num_classes=3)
    assert_agrees(arch, random_model(arch))


def read(data: bytes) -> tflite.Model:
    return tflite.Model.GetRootAs(data)


def kinds(data: bytes) -> Counter[str]:
    model = read(data)
    graph = model.Subgraphs(0)
    codes = [model.OperatorCodes(i).BuiltinCode() for i in range(model.OperatorCodesLength())]
    operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    return Counter(tflite.opcode2name(codes[operator.OpcodeIndex()]) for operator in operators)


def test_deployable_form() -> None:
    """Activation functions fused, and Ghost modules not joined before they are added."""
    arch = preset("ghostnetv2-1.0")
    found = kinds(tflite_bytes(arch))
    assert not {"RELU", "RELU6", "RESIZE_NEAREST_NEIGHBOR"} & set(found)
    assert found["CONCATENATION"] <= len(arch.blocks) + 8


def test_the_architecture_is_in_the_metadata() -> None:
    arch = preset("ghostnet-1.0").replace(resolution=32)
    data = tflite_bytes(arch)
    (metadata,) = (read(data).Metadata(i) for i in range(read(data).MetadataLength()))
    content = read(data).Buffers(metadata.Buffer()).DataAsNumpy().tobytes()
    assert metadata.Name() == b"architecture"
    assert Architecture.from_json(content.decode()) == arch


def test_arrays_are_aligned() -> None:
    """The schema asks for 16 bytes, without which a runtime copies or crashes."""
    data = tflite_bytes(preset("ghostnet-1.0").replace(resolution=32))
    model, start = read(data), np.frombuffer(data, np.uint8).ctypes.data
    buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
    assert buffers[0].DataLength() == 0
    for buffer in buffers[1:]:
        assert (buffer.DataAsNumpy().ctypes.data - start) % 16 == 0


def test_the_form_for_half_precision_computes_the_same() -> None:
    for space in ("ghostnetv2", "mobile"):
        arch = load_space(space).sample(random.Random(1)).replace(resolution=96)
        model, image = random_model(arch), random_image(arch.resolution)
        found = run(loaded(tflite_bytes(arch, model, half=True)), image)
        with torch.no_grad():
            assert difference(found, model(image)) < TOLERANCE


def test_a_model_of_another_network_is_refused() -> None:
    with pytest.raises(CheckpointError, match="the model holds weights of architecture"):
        tflite_bytes(preset("ghostnetv2-1.0"), build_model(preset("ghostnet-1.0")))
