"""What a person is told about a data set."""

from __future__ import annotations

from gnv2_nas.data.report import ClassCount, DataReport, SkippedFile


def test_balanced_set_has_no_warning() -> None:
    report = DataReport((ClassCount("cat", 1000, 30), ClassCount("dog", 900, 10)))
    (line,) = report.lines()
    assert "2 classes" in line
    assert "1,900 training images" in line
    assert "40 held out" in line
    assert "75.0%" in line  # always answering "cat"


def test_imbalance_is_warned_of_above_ten() -> None:
    assert len(DataReport((ClassCount("a", 100, 9), ClassCount("b", 10, 9))).lines()) == 1
    report = DataReport((ClassCount("a", 101, 9), ClassCount("b", 10, 9), ClassCount("c", 50, 9)))
    assert report.imbalance == 10.1
    (warning,) = report.lines()[1:]
    assert warning.startswith("warning: ")
    assert "'a'" in warning
    assert "'b'" in warning


def test_small_classes_are_named() -> None:
    report = DataReport((ClassCount("a", 10, 9), ClassCount("b", 9, 9)))
    (warning,) = report.lines()[1:]
    assert "'b' (9)" in warning
    assert "'a'" not in warning


def test_skipped_files_are_counted_and_the_first_named() -> None:
    skipped = tuple(SkippedFile(f"a/{number}.png", "empty file") for number in range(7))
    report = DataReport((ClassCount("a", 99, 9), ClassCount("b", 99, 9)), skipped, ignored=1)
    assert report.lines()[1] == "1 file ignored: no images by their names"
    assert "7 files skipped: 'a/0.png' (empty file)" in report.lines()[2]
    assert "and 2 more" in report.lines()[2]
    assert "a/5.png" not in report.lines()[2]


def test_notes_come_before_warnings() -> None:
    classes = (ClassCount("a", 99, 9), ClassCount("b", 99, 9))
    report = DataReport(classes, notes=("a note",), warnings=("beware",))
    assert report.lines()[1:] == ["a note", "warning: beware"]
