"""What a weights file says of itself is checked field by field, in one line."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnv2_nas.arch import Architecture, GhostBlock, Preprocessing, SupernetSpec
from gnv2_nas.checkpoints.contents import Contents
from gnv2_nas.checkpoints.metadata import SupernetRecord, TrainingRecord, parse_metadata
from gnv2_nas.errors import CheckpointError
from gnv2_nas.space import load_space

ARCH = Architecture((GhostBlock(8, 6),), 4, 8, 8, resolution=32, num_classes=3)
PREPROCESSING = Preprocessing((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), ("cat", "dög", 'a "b"\n'))
TRAINING = TrainingRecord("pets", "0123456789ab", 800, 200, 150, 30.0, 1)
SPEC: SupernetSpec = load_space("tiny").with_classes(3).supernet_spec
SUPERNET = SupernetRecord(
    "tiny", "0123456789ab", SPEC, PREPROCESSING, "pets", "0123456789ab", 1000, 12.5, 0.75, 0.5
)
GOOD = {
    "architecture": ARCH.to_json(),
    "preprocessing": PREPROCESSING.to_json(),
    "training": TRAINING.to_json(),
    "supernet": SUPERNET.to_json(),
}
ODD = (-5, -1, 0, 1e300, 2**63, 10**30, 1.5, "", "x" * 99_999, None, True, [], {}, [[]], {"a": 1})
WRONG: tuple[tuple[str, str, Any], ...] = (
    *(("training", name, value) for name in ("train_images", "held_out_images")
      for value in (0, -5, 1.5, None, "3", 2**62)),
    ("training", "correct", -1), ("training", "correct", 201), ("training", "correct", 1.5),
    ("training", "epochs", -1), ("training", "epochs", None), ("training", "epochs", 1e300),
    ("training", "seed", -1), ("training", "data", ""), ("training", "data", 3),
    ("training", "data", "x" * 5000), ("training", "data_hash", ""),
    ("training", "data_hash", "<b>"), ("training", "data_hash", "012345678\n"),
    ("preprocessing", "classes", ["a", "b"]), ("preprocessing", "classes", []),
    ("preprocessing", "classes", ["a", "b", "b"]), ("preprocessing", "classes", ["a", "b", " "]),
    ("preprocessing", "classes", list("abcdefghij")), ("preprocessing", "classes", "abc"),
    ("preprocessing", "mean", [0.5, 0.5]), ("preprocessing", "mean", [0.5, 0.5, 128]),
    ("preprocessing", "mean", [0.5, 0.5, -1]), ("preprocessing", "std", [0.5, 0.5, 0]),
    ("preprocessing", "std", [0.5, 0.5, -0.1]), ("preprocessing", "std", [1, 1, 58]),
    ("supernet", "steps", 0), ("supernet", "seconds", -1), ("supernet", "space", ""),
    *(("supernet", name, value) for name in ("largest_accuracy", "smallest_accuracy")
      for value in (-0.1, 1.1, 75, None)),
    ("supernet", "envelope", {}), ("supernet", "preprocessing", {}),
)  # fmt: skip


def contents(**texts: str) -> Contents:
    return Contents("safetensors", {}, **{**GOOD, **texts})


def changed(record: str, path: tuple[Any, ...], value: Any) -> str:
    data = json.loads(GOOD[record])
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(data)


def paths_in(value: Any) -> list[tuple[Any, ...]]:
    """Of every field in a record, at any depth."""
    steps = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [
        path for step, inner in steps for path in ((step,), *((step, *p) for p in paths_in(inner)))
    ]


def test_what_was_written_is_read() -> None:
    found = parse_metadata(contents(), "'a'")
    assert found.architecture == ARCH
    assert (found.preprocessing, found.training) == (PREPROCESSING, TRAINING)
    assert found.supernet == SUPERNET


@pytest.mark.parametrize(("record", "field", "value"), WRONG)
def test_wrong_fields_are_named(record: str, field: str, value: Any) -> None:
    with pytest.raises(CheckpointError, match=r"^'a': its metadata ") as refusal:
        parse_metadata(contents(**{record: changed(record, (field,), value)}), "'a'")
    assert "\n" not in str(refusal.value)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_field_may_be_anything(data: st.DataObject) -> None:
    """It is read as a value that makes sense, or refused in one short line; never a trace."""
    record = data.draw(st.sampled_from(sorted(GOOD)))
    path = data.draw(st.sampled_from(paths_in(json.loads(GOOD[record]))))
    text = changed(record, path, data.draw(st.sampled_from(ODD)))
    message = ""
    try:
        found = parse_metadata(contents(**{record: text}), "'a'")
    except CheckpointError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 400
    if message:
        return
    assert found.training is not None
    assert 0 <= found.training.accuracy <= 1
    assert found.supernet is not None
    found.supernet.supernet_spec.input_groups()


@pytest.mark.parametrize("record", sorted(GOOD))
@pytest.mark.parametrize("text", ["{", "[]", "null", "NaN", "3", "[" * 50_000, '{"a":1}', "\ud800"])
def test_what_is_no_record(record: str, text: str) -> None:
    with pytest.raises(CheckpointError, match=r"^'a': its metadata holds ") as refusal:
        parse_metadata(contents(**{record: text}), "'a'")
    assert len(str(refusal.value)) < 400


def test_more_right_answers_than_images_cannot_be_written() -> None:
    with pytest.raises(CheckpointError, match="no more than images"):
        msgspec.structs.replace(TRAINING, correct=201)
    with pytest.raises(CheckpointError, match="a number is needed"):
        msgspec.structs.replace(TRAINING, epochs=float("nan"))


def test_names_for_another_number_of_classes() -> None:
    fewer = msgspec.structs.replace(PREPROCESSING, classes=("a", "b"))
    with pytest.raises(CheckpointError, match="names 2 classes, but its network has 3"):
        parse_metadata(contents(preprocessing=fewer.to_json()), "'a'")
