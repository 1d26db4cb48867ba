"""A YAML file is read as plain data; whatever else it holds is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from gnv2_nas.documents import format_key_path, read_document
from gnv2_nas.errors import ProfileError


class Where(msgspec.Struct, forbid_unknown_fields=True):
    kind: Literal["local", "ssh"]
    threads: Annotated[int, msgspec.Meta(ge=1)] = 1
    extra: dict[str, list[float]] = {}


class Usb(msgspec.Struct, forbid_unknown_fields=True, tag="usb"):
    serial: str = ""


class Network(msgspec.Struct, forbid_unknown_fields=True, tag="network"):
    host: str


class Profile(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    where: Where | msgspec.UnsetType = msgspec.UNSET
    link: Usb | Network | msgspec.UnsetType = msgspec.UNSET


def read(path: Path, text: str | bytes):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_document(path, Profile, error=ProfileError, what="device profile")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "phone.yaml"


def test_data_is_checked_and_typed(path):
    document = read(path, "title: mine # yes\nwhere:\n  kind: ssh\n  extra: {a: [1, 2.5]}\n")
    assert document.data == Profile("mine", Where("ssh", 1, {"a": [1.0, 2.5]}))


def test_lines_are_known_for_later_checks(path):
    document = read(path, "title: mine\nwhere:\n  kind: ssh\n  extra:\n    a:\n    - 1\n    - 2\n")
    key = ("where", "extra", "a", 1)
    assert document.line_of(key) == 7
    assert document.line_of(("where", "threads")) == 2
    problem = document.error(key, "must be odd")
    assert isinstance(problem, ProfileError)
    assert str(problem) == f"{path}:7: key 'where.extra.a[1]': must be odd"


def test_byte_order_mark_and_quoted_words_are_text(path):
    assert read(path, b"\xef\xbb\xbftitle: 'off'\n").data.title == "off"


WRONG = {
    "empty": ("", 1, "the file is empty"),
    "only comments": ("# nothing\n", 1, "the file is empty"),
    "list": ("- title: x\n", 1, "expected a mapping, but got a list"),
    "scalar": ("hello\n", 1, "expected a mapping, but got 'hello'"),
    "unknown key": ("title: x\nwere: {}\n", 2, "'were': unknown key; did you mean 'where'?"),
    "unknown inner key": (
        "title: x\nwhere:\n  kind: ssh\n  thread: 2\n",
        4,
        "'where.thread': unknown key; did you mean 'threads'?",
    ),
    "missing key": ("title: x\nwhere:\n  threads: 2\n", 2, "the key 'kind' is missing"),
    "wrong word": (
        "title: x\nwhere: {kind: shh}\n",
        2,
        "'where.kind': expected one of local, ssh, but got 'shh'; did you mean 'ssh'?",
    ),
    "wrong type": (
        "title: x\nwhere:\n  kind: ssh\n  threads: many\n",
        4,
        "'where.threads': expected a whole number, but got 'many'",
    ),
    "truth for a number": ("title: x\nwhere: {kind: ssh, threads: on}\n", 2, "got true"),
    "truth for text": ("title: off\n", 1, "expected text, but got false (in YAML yes, no, on"),
    "null": ("title:\n", 1, "expected text, but got null"),
    "out of range": ("title: x\nwhere: {kind: ssh, threads: 0}\n", 2, ">= 1, but got 0"),
    "key of a free mapping": (
        "title: x\nwhere:\n  kind: ssh\n  extra:\n    a: [1]\n    b: [1, no]\n",
        6,
        "'where.extra.b[1]': expected a number, but got false",
    ),
    "unknown variant": (
        "title: x\nlink: {type: wifi}\n",
        2,
        "'link.type': expected one of usb, network, but got 'wifi'",
    ),
    "unknown key of a variant": (
        "title: x\nlink: {type: network, hots: x}\n",
        2,
        "'link.hots': unknown key; did you mean 'host'?",
    ),
    "no variant": ("title: x\nlink: {host: x}\n", 2, "the key 'type' is missing"),
    "not a list": (
        "title: x\nwhere:\n  kind: ssh\n  extra:\n    a: 3\n",
        5,
        "expected a list, but got 3; write [3]",
    ),
    "duplicate key": ("title: x\n\ntitle: y\n", 3, "'title': given twice, first on line 1"),
    "number as key": ("1: x\n", 1, "the key '1' must be text; quote it"),
    "list as key": ("? [a]\n: x\n", 1, "a key must be one word"),
    "constructor tag": (
        "title: !!python/object/apply:os.system [echo]\n",
        1,
        "'title': the tag '!!python/object/apply:os.system' is not read",
    ),
    "own tag": ("title: !secret x\n", 1, "the tag '!secret' is not read"),
    "anchor": ("title: &t x\n", 1, "anchors (&) and aliases (*) are not read"),
    "merge": ("<<: {title: x}\n", 1, "quote it"),
    "alias bomb": (
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
        1,
        "anchors (&) and aliases (*) are not read; write the value out",
    ),
    "two documents": ("title: x\n---\ntitle: y\n", 2, "a second document begins here"),
    "broken": ("title: [x\n", 2, "not YAML"),
    "tab": ("where:\n\tkind: ssh\n", 2, "not YAML"),
    "control character": ("title: \x01\n", 1, "not YAML"),
    "not text": (b"title: x\nwhere: \xff\xfe\n", 2, "not UTF-8 text"),
    "deep": ("title: " + "[" * 60_000, 1, "levels deep"),
    "date": ("title: 2024-01-01\n", 1, "'2024-01-01' has a meaning of its own in YAML; quote it"),
    "base 60": ("title: 1:30\n", 1, "quote it"),
    "endless number": (f"title: 0x{'f' * 9000}\n", 1, "is too long"),
    "no number": ("title: !!int x\n", 1, "cannot be read as int"),
    "line break in a key": ('"a\\nb": x\n', 1, "the key 'a\\nb' must be a plain word"),
    "text that looks like a place": (
        'title: x\nwhere: {kind: "q - at `$.q`"}\n',
        2,
        "'where.kind': expected one of local, ssh, but got 'q - at `$.q`'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_refused_in_one_line(path, name):
    text, line, message = WRONG[name]
    with pytest.raises(ProfileError) as caught:
        read(path, text)
    answer = str(caught.value)
    assert answer.startswith(f"{path}:{line}: ")
    assert message in answer
    assert "\n" not in answer
    assert len(answer) < len(str(path)) + 300


def test_large_files_are_not_parsed(path):
    with pytest.raises(ProfileError, match="10,000,000 bytes are too many; a device profile is"):
        read(path, b"#" * 10_000_000)


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nothing.yaml", Path("/dev/zero")):
        with pytest.raises(ProfileError, match="not a file"):
            read_document(path, Profile, error=ProfileError, what="device profile")


def test_key_paths_are_readable():
    assert format_key_path(("axes", "width", "choices", 2)) == "axes.width.choices[2]"
    assert format_key_path(("a\nb",)) == "'a\\nb'"
