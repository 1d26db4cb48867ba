"""Files and state dicts that are refused: by one line, before torch is needed, with no trace."""

from __future__ import annotations

import builtins
import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import Tensor

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule
from gnv2_nas.checkpoints.checkpoint import check_checkpoint
from gnv2_nas.errors import CheckpointError
from gnv2_nas.nn import build_model, load_weights, read_checkpoint
from tests.networks import random_model

BLOCK = GhostBlock(8, 6, ghost1=GhostModule(dfc=DFC()))
ARCH = Architecture((BLOCK,), 4, 8, 8, resolution=32, num_classes=3)
STATE = random_model(ARCH).state_dict()


def torch_bytes(value: Any, *, legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def changed(**changes: Tensor | None) -> dict[str, Tensor]:
    """The right weights with some keys replaced, added or (None) left out."""
    state = {**STATE, **{key.replace("__", "."): value for key, value in changes.items()}}
    return {key: value for key, value in state.items() if value is not None}


def zip_bytes(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in entries.items():
            archive.writestr(f"archive/{name.replace('__', '.')}", data)
    return buffer.getvalue()


def header_bytes(header: Any, values: int = 0) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(values)


ENTRY = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
SAFETENSORS = save(STATE)
GOOD = {
    "zip": torch_bytes(STATE),
    "legacy": torch_bytes(STATE, legacy=True),
    "safetensors": SAFETENSORS,
}

FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "text": (b"weights, I promise\n", "neither a safetensors file nor a torch checkpoint"),
    "one byte": (b"{", "neither a safetensors file"),
    "zeros": (bytes(4096), "neither a safetensors file"),
    "ones": (b"\xff" * 4096, "neither a safetensors file"),
    "stop": (b".", "neither a safetensors file"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "neither a safetensors file"),
    "plain pickle": (pickle.dumps({"a": [1.0]}), "neither a safetensors file"),
    "huge memo number": (b"\x80\x02]r\xff\xff\xff\x7f.", "neither a safetensors file"),
    "nested keys": (b"\x80\x02}" + b"(" * 3 + b"t" * 3 + b"Ns.", "neither a safetensors file"),
    "zip of something": (zip_bytes(readme=b"hello"), "a zip file, but no torch checkpoint"),
    "zip with a damaged index": (zip_bytes(data__pkl=b"\x80\x02}q"), "truncated or damaged"),
    "truncated zip": (torch_bytes(STATE)[:-100], "truncated or damaged"),
    "half a zip": (torch_bytes(STATE)[:3000], "truncated or damaged"),
    "truncated legacy": (torch_bytes(STATE, legacy=True)[:-1], "is truncated: "),
    "legacy without values": (torch_bytes(STATE, legacy=True)[:2000], "truncated or damaged"),
    "truncated safetensors": (SAFETENSORS[:-1], "is truncated: "),
    "half a safetensors header": (SAFETENSORS[:200], "truncated, or not a checkpoint"),
    "header that is no JSON": (header_bytes(b"{nonsense}"), "damaged safetensors header"),
    "header of a list": (header_bytes({"a": [1]}), "damaged safetensors header"),
    "shape of another length": (
        header_bytes({"a": {**ENTRY, "shape": [3]}}, 16),
        "damaged safetensors header",
    ),
    "values after the end": (header_bytes({"a": ENTRY}, 17), "is truncated"),
    "deep JSON": (header_bytes(b'{"a":' + b"[" * 100_000), "damaged safetensors header"),
    "a list": (torch_bytes([torch.ones(2)]), "holds no state dict"),
    "a tensor": (torch_bytes(torch.ones(2)), "holds no state dict"),
    "numbered tensors": (torch_bytes({0: torch.ones(2)}), "holds no state dict"),
    "nothing": (torch_bytes({}), r"missing \(conv_stem.weight"),
    "settings": (torch_bytes({"epoch": 3, "lr": 0.1}), r"2 unexpected \(epoch, lr\)"),
    "a number for a tensor": (
        torch_bytes({**STATE, "conv_stem.weight": 3}),
        r"1 wrong \(conv_stem.weight is no tensor\)",
    ),
}
STATES: dict[str, tuple[dict[str, Tensor], str]] = {
    "missing": (changed(conv_stem__weight=None), r"1 missing \(conv_stem.weight\)"),
    "unexpected": (changed(extra=torch.ones(1)), r"1 unexpected \(extra\)"),
    "wrong shape": (
        changed(classifier__weight=torch.ones(10, 8)),
        r"1 wrong \(classifier.weight is 10x8, must be 3x8\)",
    ),
    "wrong rank": (changed(bn1__bias=torch.ones(())), r"bn1.bias is a scalar, must be 4"),
    "counter": (changed(bn1__num_batches_tracked=torch.ones(2)), r"is 2, must be a scalar"),
    "all at once": (
        changed(
            conv_stem__weight=None,
            bn1__weight=None,
            extra=torch.ones(1),
            classifier__bias=torch.ones(4),
        ),
        r"2 missing \(conv_stem.weight, bn1.weight\); 1 unexpected \(extra\); "
        r"1 wrong \(classifier.bias is 4, must be 3\)",
    ),
    "integers": (
        changed(classifier__bias=torch.ones(3, dtype=torch.int64)),
        r"classifier.bias is int64, must be floating point",
    ),
    "truth values": (
        changed(classifier__bias=torch.ones(3, dtype=torch.bool)),
        "classifier.bias is bool",
    ),
    "a key with a line break": (changed(**{"a\nb": torch.ones(1)}), r"'a\\nb'"),
}
VALUES: dict[str, tuple[dict[str, Tensor], str]] = {
    "not a number": (
        changed(classifier__bias=torch.tensor([0, torch.nan, 0])),
        "classifier.bias holds values that are not finite",
    ),
    "infinite": (
        changed(bn1__running_var=torch.full((4,), torch.inf)),
        "bn1.running_var holds values that are not finite",
    ),
    "too large for float32": (
        changed(classifier__bias=torch.full((3,), 1e300, dtype=torch.float64)),
        "classifier.bias holds values that are not finite",
    ),
}


def assert_refused(source: Any, message: str) -> None:
    """One line with this message, and the model as it was."""
    model = build_model(ARCH)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message) as caught:
        load_weights(model, source)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 1500
    assert repr(str(source)) in text if isinstance(source, Path) else "the state dict" in text
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("case", FILES)
def test_bad_files(tmp_path: Path, case: str) -> None:
    data, message = FILES[case]
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    assert_refused(path, message)
    with pytest.raises(CheckpointError, match=message):
        check_checkpoint(path, ARCH)


@pytest.mark.parametrize("case", STATES | VALUES)
def test_bad_weights(tmp_path: Path, case: str) -> None:
    state, message = (STATES | VALUES)[case]
    save_file(state, tmp_path / "a.safetensors")
    torch.save(OrderedDict(state_dict=state), tmp_path / "b.pth")
    torch.save(state, tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    for source in (state, *(tmp_path / name for name in ("a.safetensors", "b.pth", "c.pth"))):
        assert_refused(source, message)
        if case in STATES and isinstance(source, Path):
            with pytest.raises(CheckpointError, match=message):
                check_checkpoint(source, ARCH)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["zip", "legacy", "safetensors"]),
    place=st.integers(0, 8000),
    junk=st.binary(min_size=1, max_size=4),
)
def test_damage_is_seen_or_harmless(
    kind: str, place: int, junk: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = GOOD[kind]
    path = tmp_path_factory.getbasetemp() / "damaged.pth"
    path.write_bytes(data[:place] + junk + data[place + len(junk) :])
    with contextlib.suppress(CheckpointError):
        load_weights(build_model(ARCH), path)


def test_hundreds_of_differences_are_counted() -> None:
    other = build_model(Architecture((BLOCK,) * 20, 5, 8, 8, resolution=32)).state_dict()
    assert_refused(other, r"unexpected \(.* and \d{3} more\); \d+ wrong \(.* and \d+ more\)")


def test_what_is_no_file(tmp_path: Path) -> None:
    assert_refused(tmp_path, "is a folder")
    assert_refused(tmp_path / "missing.pth", "does not exist")
    os.mkfifo(tmp_path / "pipe")
    assert_refused(tmp_path / "pipe", "is not a regular file")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert_refused(tmp_path / "loop", r"does not exist|cannot be read")


def test_metadata_that_is_no_architecture(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(STATE, path, {"architecture": '{"blocks": 3}'})
    assert_refused(path, "its metadata holds not an architecture in JSON")


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._call


def payloads(mark: Path) -> dict[str, Payload]:
    return {
        "system": Payload(os.system, f"touch {mark}"),
        "exec": Payload(builtins.exec, f"open({str(mark)!r}, 'w')"),
        "eval": Payload(builtins.eval, f"open({str(mark)!r}, 'w')"),
        "open": Payload(io.open, str(mark), "w"),
        "getattr": Payload(builtins.getattr, mark, "touch"),
        "torch.load": Payload(torch.load, str(mark)),
    }


@pytest.mark.parametrize("payload", payloads(Path()))
def test_code_in_disguise_never_runs(tmp_path: Path, payload: str) -> None:
    mark, path = tmp_path / "mark", tmp_path / "weights.pth"
    bomb = payloads(mark)[payload]
    disguises = [pickle.dumps(bomb, protocol) for protocol in range(6)]
    disguises += [pickle.dumps({**STATE, "extra": bomb}), zip_bytes(data__pkl=pickle.dumps(bomb))]
    for value in (bomb, {**STATE, "extra": bomb}, {"state_dict": STATE, "args": bomb}):
        disguises += [torch_bytes(value), torch_bytes(value, legacy=True)]
    for data in disguises:
        path.write_bytes(data)
        assert_refused(path, r"holds code \(global '[\w.]+'\)")
        with pytest.raises(CheckpointError, match="holds code"):
            check_checkpoint(path, ARCH)
        with pytest.raises(CheckpointError, match="holds code"):
            read_checkpoint(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("instructions", "name"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"(S'true'\nios\nsystem\n.", "os.system"),
        (b"(cos\nsystem\nS'true'\no.", "os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.", "os.system"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93)\x81.", "builtins.exec"),
    ],
)
def test_every_way_a_pickle_names_code(tmp_path: Path, instructions: bytes, name: str) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(instructions)
    assert_refused(path, rf"holds code \(global '{name}'\)")


def test_torchscript_is_code(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(zip_bytes(data__pkl=pickle.dumps({}), **{"code/__torch__.py": b"pass"}))
    assert_refused(path, r"holds code \(TorchScript\)")


def test_refused_without_torch(tmp_path: Path) -> None:
    """Importing torch alone takes longer than an answer may."""
    path = tmp_path / "weights.pth"
    torch.save(changed(conv_stem__weight=None), path)
    code = (
        "import sys; from pathlib import Path\n"
        "from gnv2_nas.arch import Architecture\n"
        "from gnv2_nas.errors import CheckpointError\n"
        "from gnv2_nas.checkpoints.checkpoint import check_checkpoint\n"
        "arch = Architecture.from_json(sys.argv[2])\n"
        "try: check_checkpoint(Path(sys.argv[1]), arch)\n"
        "except CheckpointError as error: print('torch' in sys.modules, error)\n"
    )
    command = [sys.executable, "-c", code, str(path), ARCH.to_json()]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.startswith("False")
    assert "1 missing (conv_stem.weight)" in printed
