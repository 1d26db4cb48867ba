"""Whatever a training script wraps around weights, the one dict that fits is found and read."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import os
import pathlib
import subprocess
import types
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule
from gnv2_nas.checkpoints.checkpoint import check_checkpoint
from gnv2_nas.checkpoints.pickle_calls import is_harmless
from gnv2_nas.errors import CheckpointError
from gnv2_nas.nn import build_model, load_weights, read_weights
from tests.networks import random_model

ARCH = Architecture(
    (GhostBlock(8, 6, ghost1=GhostModule(dfc=DFC())),), 4, 8, 8, resolution=32, num_classes=3
)
STATE = random_model(ARCH, seed=1).state_dict()
OTHER = random_model(ARCH, seed=2).state_dict()
OPTIMIZER = torch.optim.AdamW(random_model(ARCH).parameters()).state_dict()


def under(prefix: str, state: dict[str, Tensor] = STATE) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in state.items()}


def wrapped_inside(part: str) -> dict[str, Tensor]:
    return {key.replace("blocks.", f"blocks.{part}."): value for key, value in STATE.items()}


WRAPPED: dict[str, Any] = {
    **{
        name: {name: STATE, "epoch": 3, "optimizer": OPTIMIZER}
        for name in ("state_dict", "model", "state_dict_ema", "ema", "net", "weights", "params")
    },
    **{
        prefix: under(prefix)
        for prefix in (
            "_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module.", "backbone.",
            "model.", "a.b.c.",
        )
    },
    "lightning": {"state_dict": {**under("net."), "loss.weight": torch.ones(3)}, "callbacks": {}},
    "three levels": {"checkpoint": {"model": {"state_dict": under("module.")}}},
    "compiled inside": wrapped_inside("_orig_mod"),
    "sharded inside": wrapped_inside("_fsdp_wrapped_module"),
    "averaged": {"n_averaged": torch.tensor(5), **under("module.")},
    "beside another network": {"teacher": {"fc.weight": torch.ones(9, 9)}, "student": STATE},
    "two names": {"state_dict": STATE, "model": dict(STATE)},
    "numbered": {"models": {0: STATE, "best": STATE}},
}  # fmt: skip


def assert_is(found: dict[str, Tensor], wanted: dict[str, Tensor] = STATE) -> None:
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], value) for key, value in wanted.items())


@pytest.mark.parametrize("case", WRAPPED)
def test_any_wrapping(tmp_path: Path, case: str) -> None:
    for legacy in (False, True):
        path = tmp_path / f"{legacy}.pth"
        torch.save(WRAPPED[case], path, _use_new_zipfile_serialization=not legacy)
        assert_is(read_weights(path, ARCH))
        note = check_checkpoint(path, ARCH).note
        assert ("is read" in note) == (not case.endswith(" inside"))
    assert_is(read_weights(WRAPPED[case], ARCH))


def test_prefixes_in_safetensors(tmp_path: Path) -> None:
    save_file(
        {k: v.clone() for k, v in under("module._orig_mod.").items()}, tmp_path / "a.safetensors"
    )
    assert_is(read_weights(tmp_path / "a.safetensors", ARCH))


@pytest.mark.parametrize(
    ("average", "raw", "content"),
    [
        ("state_dict_ema", "state_dict", {"state_dict": STATE, "state_dict_ema": OTHER}),
        ("model_ema.module", "model", {"model_ema": under("module.", OTHER), "model": STATE}),
        ("averaged_model", "net", {"net": STATE, "averaged_model": OTHER}),
        ("state_dict.ema.model", "state_dict.net",
         {"state_dict": {**under("net."), **under("ema.model.", OTHER)}}),
        ("modelEMA", "model", {"model": STATE, "modelEMA": OTHER}),
    ],
)  # fmt: skip
def test_the_average_where_both_are_there(
    tmp_path: Path, average: str, raw: str, content: Any
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    for source in (path, content):
        assert_is(read_weights(source, ARCH), OTHER)
        assert_is(read_weights(source, ARCH, "raw"))
        assert_is(read_weights(source, ARCH, raw))
        assert_is(read_weights(source, ARCH, average), OTHER)
    note = check_checkpoint(path, ARCH).note
    assert note == f"its {average!r} is read, the average; --weights-from raw reads {raw!r}"
    model = load_weights(build_model(ARCH), path, "raw")
    assert torch.equal(model.state_dict()["classifier.bias"], STATE["classifier.bias"])


def test_several_that_fit_are_named() -> None:
    content = {"first": STATE, "second": OTHER}
    with pytest.raises(CheckpointError, match=r"several weights that fit, 'first', 'second'"):
        read_weights(content, ARCH)
    assert_is(read_weights(content, ARCH, "second"), OTHER)
    with pytest.raises(CheckpointError, match=r"no weights 'third'; those that fit are 'first'"):
        read_weights(content, ARCH, "third")
    with pytest.raises(CheckpointError, match=r"no weights 'raw'; those that fit are 'ema'"):
        read_weights({"ema": STATE}, ARCH, "raw")


@pytest.mark.parametrize("counter", ["total_ops", "total_params", "__flops__", "n_averaged"])
@pytest.mark.parametrize("value", [torch.zeros(1, dtype=torch.float64), torch.tensor(3)])
def test_counters_are_read_past(tmp_path: Path, counter: str, value: Tensor) -> None:
    modules = {key.rpartition(".")[0] for key in STATE} | {"blocks.0", "blocks.0.0"}
    content = {**STATE, counter: value, **{f"{name}.{counter}": value for name in modules}}
    torch.save(content, tmp_path / "a.pth")
    save_file({key: each.clone() for key, each in content.items()}, tmp_path / "a.safetensors")
    for source in (content, tmp_path / "a.pth", tmp_path / "a.safetensors"):
        assert_is(read_weights(source, ARCH))


def test_a_larger_tensor_is_no_counter() -> None:
    with pytest.raises(CheckpointError, match=r"1 unexpected \(bn1.total_ops\)"):
        read_weights({**STATE, "bn1.total_ops": torch.ones(4)}, ARCH)


def test_classes_of_another_number_are_named() -> None:
    four = random_model(ARCH.replace(num_classes=4)).state_dict()
    with pytest.raises(CheckpointError, match=r"for 4 classes, the network for 3; .*num_classes=4"):
        read_weights(four, ARCH)
    assert read_weights(four, ARCH, any_classes=True)["classifier.bias"].shape == (4,)
    worse = {**four, "bn1.weight": torch.ones(99)}
    with pytest.raises(CheckpointError, match=r"3 wrong .*bn1.weight is 99"):
        read_weights(worse, ARCH)


class AttributeDict(dict):  # type: ignore[type-arg]
    """Stands for a class of the training script."""


HARMLESS: dict[str, Any] = {
    "numpy numbers": [np.float64(0.5), np.int64(3), np.bool_(True), np.float32(1)],
    "numpy arrays": {"scores": np.arange(3.0), "names": np.array(["a"]), "type": np.dtype("f4")},
    "random state": (np.random.RandomState(1).get_state(), torch.get_rng_state()),
    "generator": np.random.default_rng(1),
    "path": Path("weights.pth"),
    "windows path": pathlib.PureWindowsPath("C:/weights.pth"),
    "time": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    "duration": datetime.timedelta(1),
    "namespace": argparse.Namespace(lr=0.1, path=Path()),
    "simple namespace": types.SimpleNamespace(lr=0.1),
    "ordered": collections.OrderedDict(a=1),
    "defaults": collections.defaultdict(list, a=[1]),
    "counter": collections.Counter("aab"),
    "queue": collections.deque([1, 2], maxlen=3),
    "sets": [{1, 2}, frozenset({3})],
    "complex": 1j,
    "bytes": [b"abc", bytearray(b"abc")],
    "types": [torch.float32, torch.device("cpu"), torch.Size([1, 2]), torch.strided, int],
    "range": [range(3), slice(1, 2)],
    "decimal": decimal.Decimal("0.1"),
    "uuid": uuid.UUID(int=1),
    "optimizer": OPTIMIZER,
    "sparse": torch.eye(3).to_sparse(),
    "parameter": torch.nn.Parameter(torch.ones(2)),
    "float8": torch.ones(2).to(torch.float8_e4m3fn),
    "complex tensor": torch.ones(2, dtype=torch.complex64),
    "keys of all kinds": {(1, 2): 3, None: 4, 0.5: 5, b"x": 6},
}


@pytest.mark.parametrize("case", HARMLESS)
def test_harmless_values_are_read_past(tmp_path: Path, case: str) -> None:
    path = tmp_path / "weights.pth"
    for protocol in (2, 4, 5):
        content = {"state_dict": STATE, "beside": HARMLESS[case]}
        torch.save(content, path, pickle_protocol=protocol)
        assert_is(read_weights(path, ARCH))
    torch.save(content, path, _use_new_zipfile_serialization=False)
    assert_is(read_weights(path, ARCH))


def test_configurations_are_read_past(tmp_path: Path) -> None:
    omegaconf = pytest.importorskip("omegaconf")
    config = omegaconf.OmegaConf.create({"lr": 0.1, "list": [1, "a", None]})
    torch.save({"state_dict": STATE, "config": config}, tmp_path / "weights.pth")
    assert_is(read_weights(tmp_path / "weights.pth", ARCH))


class Payload:
    def __init__(self, *call: Any) -> None:
        self._call = call

    def __reduce__(self) -> Any:
        return self._call[0], self._call[1:]


@pytest.mark.parametrize(
    "value",
    [
        Payload(subprocess.call, "true"),
        Payload(os.remove, "x"),
        Payload(__import__, "os"),
        Payload(np.load, "x"),
        Payload(pathlib.Path.unlink, Path("x")),
        Payload(torch.load, "x"),
        AttributeDict(a=1),
        argparse.ArgumentParser,
    ],
)
def test_whatever_else_is_code(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "weights.pth"
    for protocol in (2, 4):
        torch.save({"state_dict": STATE, "beside": [Path(), value]}, path, pickle_protocol=protocol)
        with pytest.raises(CheckpointError, match="holds code"):
            read_weights(path, ARCH)


@pytest.mark.parametrize(
    "name",
    ["os.system", "builtins.eval", "builtins.getattr", "pathlib.os.system", "numpy.load",
     "numpy.dtypes.os.xDType", "torch.load", "omegaconf.dictconfig.os", "system", "", ".",
     "torch."],
)  # fmt: skip
def test_names_that_are_not_harmless(name: str) -> None:
    assert not is_harmless(name)
