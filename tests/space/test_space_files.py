"""Finding space files, refusing wrong ones, and the schema that editors check them with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from gnv2_nas.errors import SpaceError, UnknownNameError
from gnv2_nas.files.writing import built_in_folder
from gnv2_nas.space import json_schema, list_spaces, load_space

HEAD = "base: ghostnetv2-1.0\naxes:\n"

# Text of the file, line of the complaint, part of the message.
WRONG = {
    "empty file": ("", 1, "the file is empty"),
    "binary": (b"\x7fELF\x02\x01\x00\xff\xfe", 1, "not UTF-8 text; a search space is a YAML file"),
    "list at the top": ("- base\n", 1, "expected a mapping, but got a list"),
    "no axes": ("base: ghostnetv2-1.0\n", 1, "the key 'axes' is missing"),
    "unknown base": (
        "base: ghostnetv2-1.1\naxes: {}\n",
        1,
        "'base': expected one of ghostnet-1.0, ghostnetv2-1.0, ghostnetv2-1.3, ghostnetv2-1.6, rep",
    ),
    "base of another family": ("base: mobilenetv3-large-1.0\naxes: {}\n", 1, "expected one of"),
    "typo in a key": ("bsae: ghostnetv2-1.0\naxes: {}\n", 1, "'bsae': unknown key; did you mean"),
    "unknown axis": (
        f"{HEAD}  dfc_kernal_h: {{choices: [3]}}\n",
        3,
        "'axes.dfc_kernal_h': unknown key; did you mean 'dfc_kernel_h'?",
    ),
    "duplicate axis": (
        f"{HEAD}  width: {{choices: [1]}}\n  width: {{choices: [2]}}\n",
        4,
        "'axes.width': given twice, first on line 3",
    ),
    "constructor tag": (f"{HEAD}  width: !!python/name:os.system\n", 3, "the tag"),
    "alias bomb": (f"{HEAD}  a: &a [1]\n  b: [*a, *a]\n", 3, "anchors (&) and aliases (*)"),
    "empty choices": (
        f"{HEAD}  width:\n    choices: []\n",
        4,
        "'axes.width.choices': at least one choice must be given",
    ),
    "no choices": (f"{HEAD}  width:\n    per: stage\n", 3, "the key 'choices' is missing"),
    "twice the same": (f"{HEAD}  width: {{choices: [1, 1.0]}}\n", 3, "1.0 is given twice"),
    "even kernel": (
        f"{HEAD}  dfc_kernel_h:\n    choices:\n    - 3\n    - 4\n",
        6,
        "'axes.dfc_kernel_h.choices[1]': a kernel must be odd, but got 4; try 3 or 5",
    ),
    "kernel of zero": (f"{HEAD}  kernel: {{choices: [0]}}\n", 3, "got 0; try 1"),
    "negative kernel": (f"{HEAD}  kernel: {{choices: [-3]}}\n", 3, "`1 <= kernel <= 31` must hold"),
    "width of zero": (f"{HEAD}  width: {{choices: [0]}}\n", 3, "`0.05 <= width <= 8` must hold"),
    "not a number": (f"{HEAD}  width: {{choices: [.nan]}}\n", 3, "must hold, but got nan"),
    "infinite": (f"{HEAD}  expansion: {{choices: [.inf]}}\n", 3, "must hold, but got inf"),
    "huge": (f"{HEAD}  width: {{choices: [1.0e+400]}}\n", 3, "must hold, but got inf"),
    "truth value": (f"{HEAD}  dfc_factor: {{choices: [yes]}}\n", 3, "a whole number, but got true"),
    "fraction": (f"{HEAD}  kernel: {{choices: [3.5]}}\n", 3, "a whole number, but got 3.5"),
    "ghost ratio of 1": (
        f"{HEAD}  ghost_ratio: {{choices: [1, 2]}}\n",
        3,
        "`2 <= ghost_ratio <= 16` must hold, but got 1",
    ),
    "resolution": (f"{HEAD}  resolution: {{choices: [8]}}\n", 3, "`16 <= resolution <= 4096`"),
    "off for none": (
        f"{HEAD}  placement: {{choices: [off, first]}}\n",
        3,
        "expected one of both, first, none, second, but got false (in YAML yes, no, on and off",
    ),
    "null for none": (f"{HEAD}  placement: {{choices: [null]}}\n", 3, "none, second, but got null"),
    "wrong word": (f"{HEAD}  placement: {{choices: [frist]}}\n", 3, "did you mean 'first'?"),
    "classes": ("base: ghostnet-1.0\naxes: {}\nnum_classes: 0\n", 3, ">= 1, but got 0"),
    "scope": (
        f"{HEAD}  width: {{per: block, choices: [1]}}\n",
        3,
        "'axes.width.per': expected one of network, stage, but got 'block'",
    ),
    "override of the network": (
        f"{HEAD}  width: {{choices: [1], overrides: {{stage2: [2]}}}}\n",
        3,
        "write `per: stage` to override a stage",
    ),
    "override on a network-wide axis": (
        f"{HEAD}  divisor: {{choices: [4], overrides: {{stage2: [8]}}}}\n",
        3,
        "'axes.divisor.overrides': unknown key",
    ),
    "override of a block in a stage axis": (
        f"{HEAD}  width: {{per: stage, choices: [1], overrides: {{block2: [2]}}}}\n",
        3,
        "`per: stage` takes overrides of stages",
    ),
    "unknown stage": (
        f"{HEAD}  kernel:\n    per: stage\n    choices: [3]\n    overrides:\n      stage6: [5]\n",
        7,
        "'axes.kernel.overrides.stage6': no such stage; there are stage1 to stage5",
    ),
    "unknown block": (
        f"{HEAD}  kernel: {{per: block, choices: [3], overrides: {{block12-16: [5]}}}}\n",
        3,
        "no such block; there are block0 to block15",
    ),
    "no place": (
        f"{HEAD}  kernel: {{per: block, choices: [3], overrides: {{last: [5]}}}}\n",
        3,
        "not a place; write for instance stage4, stage2-3 or block6-8",
    ),
    "overlapping overrides": (
        f"{HEAD}  se_ratio:\n    per: block\n    choices: [0]\n"
        "    overrides: {block2-4: [1], block3: [0]}\n",
        6,
        "block3 is already given by 'block2-4'",
    ),
    "even kernel in an override": (
        f"{HEAD}  kernel: {{per: stage, choices: [3], overrides: {{stage2: [3, 6]}}}}\n",
        3,
        "'axes.kernel.overrides.stage2[1]': a kernel must be odd, but got 6; try 5 or 7",
    ),
    "empty stage": (
        f"{HEAD}  depth:\n    choices: [-1, 0]\n",
        4,
        "stage1 has 1 blocks, 0 of which can go: depth must be 0 or more, but got -1",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_refused_in_one_line(tmp_path, name):
    text, line, message = WRONG[name]
    path = tmp_path / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    answer = str(caught.value)
    assert answer.startswith(f"{path}:{line}: ")
    assert message in answer
    assert "\n" not in answer
    assert caught.value.exit_code == 2


def test_a_ten_megabyte_file_is_refused_unread(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"a: [" + b"1, " * 3_500_000 + b"]")
    with pytest.raises(SpaceError, match="bytes are too many; a search space is a YAML file of at"):
        load_space(path)


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown search space 'moblie'; did you mean 'mob"):
        load_space("moblie")


def test_a_file_in_the_working_directory_wins(tmp_path, monkeypatch):
    folder = tmp_path / "search_spaces"
    folder.mkdir()
    text = "description: mine\nbase: ghostnet-1.0\naxes: {}\n"
    (folder / "tiny.yaml").write_text(text)
    (folder / "own.yaml").write_text(text)
    assert load_space("tiny").description != "mine"
    monkeypatch.chdir(tmp_path)
    assert load_space("tiny").description == "mine"
    assert load_space("own").name == "own"
    assert load_space(Path("search_spaces/own.yaml")).size == 1
    assert {"own", "tiny", "mobile"} <= set(list_spaces())


@pytest.mark.parametrize("name", ["ghostnetv2", "mobile", "placement", "tiny"])
def test_built_in_files_meet_the_schema(name):
    path = built_in_folder("search_spaces") / f"{name}.yaml"
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)


@pytest.mark.parametrize(
    "name", ["unknown axis", "empty choices", "even kernel", "wrong word", "scope", "no place"]
)
def test_the_schema_refuses_what_the_reader_refuses(name):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(WRONG[name][0]), json_schema())


def test_the_room_is_light_to_enter():
    code = (
        "import sys, gnv2_nas.space as space; space.load_space('mobile');"
        "print([name for name in ('torch', 'optuna', 'numpy', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
