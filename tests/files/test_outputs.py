"""What may be overwritten: an earlier output of the same kind, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gnv2_nas.errors import OutputError
from gnv2_nas.files.outputs import CARD, CARD_MARK, PAGE, PAGE_MARK, check_outputs, holds_fields
from gnv2_nas.report.files import check_report_files


def test_an_earlier_output_of_the_kind_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    check_outputs({path: CARD})
    path.write_text(CARD_MARK)
    check_outputs({path: CARD})
    with pytest.raises(OutputError, match="which is something else; move it away or choose"):
        check_outputs({path: PAGE})


@pytest.mark.parametrize("name", ["same", "link", "hard", "folder/../same"])
def test_an_input_is_not_overwritten_by_whatever_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    source = tmp_path / "same"
    source.write_text(CARD_MARK)
    (tmp_path / "link").symlink_to(source)
    os.link(source, tmp_path / "hard")
    with pytest.raises(OutputError, match=r"would overwrite .*, which this command reads"):
        check_outputs({tmp_path / name: CARD}, [None, "", tmp_path / "no", source])


def test_what_is_no_ordinary_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("link", "is a link"), ("folder", "is a folder"), ("pipe", "no ordinary")):
        with pytest.raises(OutputError, match=words):
            check_outputs({tmp_path / name: PAGE})


@pytest.mark.parametrize("suffix", [".html", ".json", ".csv"])
def test_a_report_replaces_reports_alone(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "demo.html").write_text(PAGE_MARK)
    (tmp_path / "demo.json").write_text('{"study": "demo", "candidates": [], "front": []}')
    (tmp_path / "demo.csv").write_text("trial,id,baseline\n")
    check_report_files("demo", tmp_path)
    (tmp_path / f"demo{suffix}").write_text("name,sum\n")
    with pytest.raises(OutputError, match=r"choose another --reports"):
        check_report_files("demo", tmp_path)


def test_a_kind_is_known_by_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for text, known in (
        ('{"a": 1, "b": 2}', True), ('[{"a": 1, "b": 2}]', True), ('{"a":1,"b":2}\n{"a"', True),
        ('{"a": 1}', False), ("[]", False), ("", False), ("[" * 100_000, False), ("\udcff", False),
    ):  # fmt: skip
        path.write_bytes(text.encode(errors="surrogateescape"))
        assert holds_fields(path, "a", "b") is known
