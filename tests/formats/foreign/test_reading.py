"""What is read of files that other tools wrote, and what is refused, in one line."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, load, save

from gnv2_nas.arch import preset
from gnv2_nas.errors import InputError
from gnv2_nas.formats.foreign.network import Input, fix_input
from gnv2_nas.formats.foreign.reading import read_foreign
from gnv2_nas.graph import count
from gnv2_nas.nn import timing_model
from gnv2_nas.runner.timing import timing_input
from tests.formats.foreign.files import (
    FLOAT,
    KERNEL,
    UINT8,
    save_conv,
    save_onnx,
    save_tflite,
)

STOCK_MACS = 167_048_288
"""Multiply-adds of stock GhostNetV2 1.0, as in the paper."""
node = helper.make_node


@pytest.mark.filterwarnings("ignore")  # of torch's exporters
def test_a_traced_export_of_stock_v2_has_the_counts_of_the_paper(tmp_path):
    arch = preset("ghostnetv2-1.0")
    image = torch.zeros(1, 3, arch.resolution, arch.resolution)
    torch.onnx.export(
        timing_model(arch), (image,), tmp_path / "v2.onnx", dynamo=False, input_names=["image"],
        dynamic_axes={"image": {0: "n", 2: "h", 3: "w"}},
    )  # fmt: skip
    found = read_foreign(str(tmp_path / "v2.onnx"))
    assert found.input == Input((1, 3, 224, 224), "float32", free=True)
    assert found.counts.macs == STOCK_MACS
    assert found.counts.weight_bytes == count(arch).weight_bytes


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_so_has_one_of_the_other_exporter_with_its_weights_in_another_file(tmp_path):
    path = tmp_path / "v2.onnx"
    image = torch.zeros(1, 3, 224, 224)
    model = timing_model(preset("ghostnetv2-1.0"))
    torch.onnx.export(model, (image,), path, dynamo=True, external_data=True)
    found = read_foreign(str(path))
    assert found.counts.macs == STOCK_MACS
    assert len(found.content[".onnx"]) > 20e6 > path.stat().st_size
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".data"]


@pytest.mark.parametrize(
    ("nodes", "shape", "weights", "macs", "params"),
    [
        (  # 8 groups of 1 channel, stride 2: 8·8 pixels
            [node("Conv", ["x", "w", "b"], ["y"], group=8, strides=[2, 2], pads=[1, 1, 1, 1])],
            (1, 8, 16, 16), {"w": np.ones((8, 1, 3, 3), "f"), "b": np.ones(8, "f")},
            8 * 8 * 8 * 9, 80,
        ),
        (  # every pixel of the small map meets 2·2·4 weights of each of 3 channels
            [node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])],
            (1, 3, 8, 8), {"w": np.ones((3, 4, 2, 2), "f")}, 3 * 64 * 4 * 4, 48,
        ),
        (
            [node("Gemm", ["x", "w"], ["y"], transB=1)],
            (1, 20), {"w": np.ones((7, 20), "f")}, 140, 140,
        ),
        (
            [node("MatMul", ["x", "w"], ["y"])],
            (1, 5, 20), {"w": np.ones((20, 7), "f")}, 700, 140,
        ),
        (  # through a shape that is computed, batch norm, and a weight with two names
            [
                node("Identity", ["w"], ["same"]),
                node("Conv", ["x", "same"], ["a"]),
                node("BatchNormalization", ["a", "s", "s2", "m", "v"], ["b"]),
                node("Shape", ["b"], ["shape"]),
                node("Mul", ["shape", "twice"], ["larger"]),
                node("Resize", ["b", "", "", "larger"], ["c"], mode="nearest"),
                node("Conv", ["c", "w1"], ["y"]),
            ],
            (1, 3, 8, 8),
            {
                "w": np.ones((4, 3, 1, 1), "f"), "w1": np.ones((2, 4, 1, 1), "f"),
                "s": np.ones(4, "f"), "s2": np.ones(4, "f"), "m": np.zeros(4, "f"),
                "v": np.ones(4, "f"), "twice": np.array([1, 1, 2, 2]),
            },
            64 * 12 + 256 * 8, 12 + 8 + 8,
        ),
    ],
    ids=["grouped", "transposed", "gemm", "matmul", "computed shape"],
)  # fmt: skip
def test_multiply_adds_and_parameters_of_a_graph(tmp_path, nodes, shape, weights, macs, params):
    found = read_foreign(str(save_onnx(tmp_path / "some.onnx", nodes, shape, weights)))
    assert (found.counts.macs, found.counts.params) == (macs, params)


def test_a_quantized_file_counts_weights_of_one_byte_and_no_scales(tmp_path):
    one, zero = np.array(1, "f"), np.array(0, "u1")
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QLinearConv", ["q", "s", "z", "w", "s", "z", "s", "z", "b"], ["p"]),
        node("DequantizeLinear", ["p", "s", "z"], ["y"]),
    ]
    weights = {"w": np.ones((8, 3, 3, 3), "u1"), "b": np.ones(8, "i4"), "s": one, "z": zero}
    counts = read_foreign(str(save_onnx(tmp_path / "q.onnx", nodes, (1, 3, 8, 8), weights))).counts
    assert (counts.macs, counts.params, counts.weight_bytes) == (36 * 8 * 27, 224, 216 + 32)


def test_multiply_adds_that_cannot_be_counted_are_not_guessed(tmp_path):
    nodes = [node("Odd", ["x"], ["c"], domain="acme"), node("Conv", ["c", "w"], ["y"])]
    path = save_onnx(tmp_path / "odd.onnx", nodes, (1, 3, 8, 8), {"w": KERNEL}, domains=["acme"])
    counts = read_foreign(str(path)).counts
    assert counts.macs is None
    assert counts.uncounted == "it has the operator 'Odd' of 'acme'"


def test_a_tflite_file_of_googles_schema(tmp_path):
    found = read_foreign(str(save_tflite(tmp_path / "u8.tflite", (-1, 16, 16, 3))))
    assert found.input == Input((1, 16, 16, 3), "uint8")
    assert found.counts.macs == 16 * 16 * 8 * 27
    assert (found.counts.params, found.counts.weight_bytes) == (216 + 8, 216 + 32)
    custom = read_foreign(str(save_tflite(tmp_path / "custom.tflite", custom="Acme\n"))).counts
    assert (custom.macs, custom.uncounted) == (None, "it has the operator CUSTOM 'Acme\\n'")


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ([1, 3, 160, 160], (1, 3, 160, 160)),
        ([None, 3, None, None], (1, 3, 224, 224)),
        ([None, None, None, 3], (1, 224, 224, 3)),
        ([None, 3, None, 96], (1, 3, 96, 96)),
        ([None, 784], (1, 784)),
        ([8, 3, 32, 32], "its batch is fixed at 8"),
        ([1, None, 80], "[1x?x80]"),
        ([1, None, 32, 32], "[1x?x32x32]"),
        ([None, None, None, None], "[?x?x?x?]"),
        ([], "which no image has"),
        ([1, 3, 0, 32], "which no image has"),
    ],
)
def test_free_sizes_become_a_batch_of_one_and_the_side_of_the_reference(shape, wanted):
    if isinstance(wanted, str):
        with pytest.raises(InputError) as raised:
            fix_input(shape, "float32")
        assert wanted in str(raised.value)
    else:
        assert fix_input(shape, "float32").shape == wanted


def test_a_fixed_file_is_timed_as_it_is_and_a_free_one_computes_the_same(tmp_path):
    fixed, free = (
        save_conv(tmp_path / "fixed.onnx"),
        save_conv(tmp_path / "b.onnx", ["n", 3, "h", "w"]),
    )
    assert read_foreign(str(fixed)).content == {".onnx": fixed.read_bytes()}
    content = read_foreign(str(free), side=16).content[".onnx"]
    image = timing_input((1, 3, 16, 16))
    maps = [ort.InferenceSession(each).run(None, {"x": image})[0]
            for each in (content, fixed.read_bytes())]  # fmt: skip
    assert (maps[0] == maps[1]).all()


def test_external_data_beside_the_file_is_merged_and_nothing_else_is_read(tmp_path):
    options = {"save_as_external_data": True, "size_threshold": 0}
    inline, outside = save_conv(tmp_path / "inline.onnx"), tmp_path / "model" / "out.onnx"
    outside.parent.mkdir()
    save_conv(outside, location="out.data", **options)
    merged = read_foreign(str(outside))
    maps = [ort.InferenceSession(each).run(None, {"x": timing_input((1, 3, 16, 16))})[0]
            for each in (merged.content[".onnx"], inline.read_bytes())]  # fmt: skip
    assert (maps[0] == maps[1]).all()
    (tmp_path / "secret").write_bytes(bytes(1000))
    (outside.parent / "link").symlink_to(tmp_path / "secret")
    for location, said in {
        "../secret": "not in its own folder", str(tmp_path / "secret"): "not in its own folder",
        "link": "not in its own folder", "": "not in its own folder",
        "gone.data": "No such file", ".": "a folder", "a\0b": "not in its own folder",
    }.items():  # fmt: skip
        _refer(outside, location=location)
        with pytest.raises(InputError, match=said):
            read_foreign(str(outside))
    for offset, length in (("0", "1001"), ("-4", "8"), ("x", "8"), ("900", None)):
        _refer(outside, location="out.data", offset=offset, length=length)
        with pytest.raises(InputError, match="is damaged: weights 'w' lie beyond its 864 bytes"):
            read_foreign(str(outside))


def _refer(path: Path, **entries: str | None) -> None:
    """Let the weights of a file be in another one."""
    model = load(path, load_external_data=False)
    (tensor,) = model.graph.initializer
    del tensor.external_data[:]
    for key, value in entries.items():
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())


def test_external_data_within_an_attribute_is_found(tmp_path):
    constant = node("Constant", [], ["w"], value=TensorProto(dims=[8, 3, 3, 3], data_type=FLOAT))
    path = tmp_path / "deep.onnx"
    save_onnx(path, [constant, node("Conv", ["x", "w"], ["y"])], (1, 3, 8, 8), {})
    model = load(path)
    tensor = model.graph.node[0].attribute[0].t
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    save(model, path)
    with pytest.raises(InputError, match="'/etc/hostname' is not in its own folder"):
        read_foreign(str(path))


def test_what_is_no_network_with_one_image_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder.onnx").mkdir()
    os.mkfifo("pipe.onnx")
    Path("empty.onnx").touch()
    with Path("huge.onnx").open("wb") as file:
        file.truncate(3 << 30)
    add = [node("Add", ["a", "b"], ["y"])]
    save_onnx(Path("two.onnx"), add, (1, 3), {}, inputs=["a", "b"])
    save_onnx(Path("none.onnx"), [node("Identity", ["w"], ["y"])], (1,), {"w": KERNEL}, inputs=[])
    save_conv(Path("shapeless.onnx"), None)
    save_conv(Path("int64.onnx"), dtype=TensorProto.INT64)
    save_tflite(Path("sides.tflite"), (-1, -1, -1, 3))
    for name, said in {
        "folder.onnx": "is a folder", "pipe.onnx": "is no ordinary file", "empty.onnx": "is empty",
        "huge.onnx": "has 3.2 GB; a file can have up to 2.1 GB", "gone.onnx": "No such file",
        "network.pb": "has the format '.pb'", "a\0.onnx": "null byte",
        "two.onnx": "it has 2 inputs ('a', 'b'); a network with one",
        "none.onnx": "it has 0 inputs;", "shapeless.onnx": "its input has no shape",
        "int64.onnx": "its input is of type int64; float16, float32, int8, uint8 can",
        "sides.tflite": "its input has free sizes, [?x?x?x3]",
    }.items():  # fmt: skip
        with pytest.raises(InputError) as raised:
            read_foreign(name)
        assert said in str(raised.value)
        assert "\n" not in str(raised.value)


def test_sizes_that_no_network_has_are_refused(tmp_path):
    path = save_conv(tmp_path / "vast.onnx")
    model = load(path)
    (weight,) = model.graph.initializer
    weight.dims[0] = 1 << 62
    save(model, path)
    with pytest.raises(InputError, match=r"vast.onnx: it is damaged: it claims 1.2e\+20 param"):
        read_foreign(str(path))


def test_a_missing_package_is_named_with_its_installation(tmp_path, monkeypatch):
    path = save_tflite(tmp_path / "any.tflite")
    monkeypatch.delitem(sys.modules, "gnv2_nas.formats.foreign.tflite_file", raising=False)
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(InputError, match=r"needs the package 'tflite', .*'gnv2-nas\[litert\]'"):
        read_foreign(str(path))


def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path):
    rng = random.Random(0)
    whole = {
        ".onnx": save_conv(tmp_path / "w.onnx", (1, 16, 16, 3), dtype=UINT8).read_bytes(),
        ".tflite": save_tflite(tmp_path / "w.tflite").read_bytes(),
    }
    refused = 0
    for suffix, content in whole.items():
        cut = [content[:size] for size in range(1, len(content), 7)]
        flipped = []
        for _ in range(150):
            damaged = bytearray(content)
            for _ in range(rng.choice((1, 3, 20))):
                damaged[rng.randrange(len(damaged))] = rng.choice((0, 1, 0x7F, 0xFF))
            flipped.append(bytes(damaged))
        for damaged in (*cut, *flipped):
            path = tmp_path / f"damaged{suffix}"
            path.write_bytes(damaged)
            try:
                read_foreign(str(path))
            except InputError as error:
                refused += "\n" not in str(error)
    assert refused > 200
