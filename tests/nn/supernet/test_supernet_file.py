"""A supernet's file: everything comes back, and whatever is wrong with one is said in a line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace
from safetensors.torch import load_file, save_file

from gnv2_nas.arch import Preprocessing
from gnv2_nas.checkpoints.checkpoint import check_checkpoint
from gnv2_nas.checkpoints.metadata import SupernetRecord, read_supernet_record
from gnv2_nas.errors import CheckpointError
from gnv2_nas.nn import build_model, save_weights
from gnv2_nas.nn.supernet.supernet import load_supernet, save_supernet
from tests.supernets import fresh_supernet, narrow_space, random_images

SPACE = narrow_space()
RECORD = SupernetRecord(
    space=SPACE.name,
    space_hash=SPACE.content_hash,
    supernet_spec=SPACE.supernet_spec,
    preprocessing=Preprocessing((0.5, 0.5, 0.5), (0.2, 0.2, 0.2), tuple("abcde")),
    data="letters",
    data_hash="0123456789ab",
    steps=100,
    seconds=12.5,
    largest_accuracy=0.97,
    smallest_accuracy=0.91,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_supernet(fresh_supernet(), RECORD, tmp_path / "supernet.safetensors")
    return tmp_path / "supernet.safetensors"


def test_everything_comes_back(file: Path) -> None:
    supernet, record = load_supernet(file)
    assert record == RECORD == read_supernet_record(file)
    expected = fresh_supernet().state_dict()
    assert supernet.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in supernet.state_dict().items())
    assert all(parameter.requires_grad for parameter in supernet.parameters())
    arch = SPACE.decode(SPACE.smallest())
    supernet(random_images(arch), arch).sum().backward()


def test_reading_the_record_imports_no_torch(file: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from gnv2_nas.checkpoints.metadata import read_supernet_record\n"
        f"print(read_supernet_record(Path({str(file)!r})).space, 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["narrow", "False"]


def test_a_network_is_no_supernet(tmp_path: Path) -> None:
    model = build_model(SPACE.decode(SPACE.smallest()))
    save_weights(model, tmp_path / "network.safetensors")
    with pytest.raises(CheckpointError, match="is the weights of one network; a supernet is"):
        load_supernet(tmp_path / "network.safetensors")


def test_a_supernet_is_no_network(file: Path) -> None:
    with pytest.raises(CheckpointError, match="is a supernet, not the weights of one network"):
        check_checkpoint(file, SPACE.decode(SPACE.smallest()))


def test_a_file_that_says_nothing_is_no_supernet(file: Path) -> None:
    save_file(load_file(file), file)
    with pytest.raises(CheckpointError, match="is no supernet's file; a supernet is needed"):
        load_supernet(file)


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def missing(file: Path) -> None:
    file.unlink()


def empty(file: Path) -> None:
    file.write_bytes(b"")


def damaged_record(file: Path) -> None:
    save_file(load_file(file), file, {"supernet": '{"space": "narrow"}'})


def wider_record(file: Path) -> None:
    supernet_spec = replace(
        SPACE.supernet_spec, head_channels=SPACE.supernet_spec.head_channels + 1
    )
    save_supernet(fresh_supernet(), replace(RECORD, supernet_spec=supernet_spec), file)


def impossible_record(file: Path) -> None:
    supernet_spec = replace(SPACE.supernet_spec, positions_by_depth=({1: (99,)},))
    save_supernet(fresh_supernet(), replace(RECORD, supernet_spec=supernet_spec), file)


def another_key(file: Path) -> None:
    tensors = load_file(file)
    tensors["more"] = tensors.pop("classifier.bias")
    save_file(tensors, file, {"supernet": RECORD.to_json()})


def half_precision(file: Path) -> None:
    tensors = {key: value.half() for key, value in load_file(file).items()}
    save_file(tensors, file, {"supernet": RECORD.to_json()})


def not_a_number(file: Path) -> None:
    supernet = fresh_supernet()
    torch.nn.init.constant_(supernet.classifier.bias, float("nan"))
    save_supernet(supernet, RECORD, file)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, "is truncated"),
        (missing, "does not exist"),
        (empty, "is empty"),
        (damaged_record, "its metadata holds supernet: Object missing required field"),
        (wider_record, r"3 of another shape or type \("),
        (impossible_record, "a stage of unknown blocks"),
        (another_key, r"1 missing \(classifier.bias\); 1 unexpected \(more\)"),
        (half_precision, r"\d+ of another shape or type"),
        (not_a_number, r"1 not finite \(classifier.bias\)"),
    ],
)
def test_damage_is_said_in_a_line(file: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(file)
    with pytest.raises(CheckpointError, match=message) as raised:
        load_supernet(file)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)
