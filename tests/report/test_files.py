"""Whatever a study is called, its report lands in the folder, on a file of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnv2_nas.report.files import file_stem, report_files

NASTY = [
    "", ".", "..", "../../etc/passwd", "/absolute", "a/b", "a\\b", "a:b", "with space", "ümlaut",
    "日本語", "<script>alert(1)</script>", "'; drop table", "-rf", ".hidden", "nul", "COM1.txt",
    "x" * 300, "new\nline", "tab\t", "\0", "trailing.", "a-b-0123abcd", "\udcff", "😀",
]  # fmt: skip


@pytest.mark.parametrize("study", ["demo", "ghostnetv2-300MFLOPs-cpu", "run_2.1", "A"])
def test_a_plain_name_is_the_file_name(study: str) -> None:
    assert report_files(study, Path("reports")).html == Path("reports") / f"{study}.html"


@pytest.mark.parametrize("study", NASTY)
def test_a_nasty_name_stays_in_the_folder(study: str, tmp_path: Path) -> None:
    for path in (files := report_files(study, tmp_path)).__struct_fields__:
        assert getattr(files, path).resolve().parent == tmp_path.resolve()
    files.html.write_text("can be made")
    assert files.html.name.isascii()
    assert len(files.html.name) < 120


def test_two_studies_never_share_a_file() -> None:
    stems = {file_stem(study) for study in NASTY}
    assert len(stems) == len(NASTY)


def test_no_name_lands_on_the_file_of_another() -> None:
    taken = file_stem("a/b")
    assert taken.startswith("a-b-")
    assert file_stem(taken) != taken
