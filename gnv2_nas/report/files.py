"""Paths of a study's report: safe file names for any name of a study."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from gnv2_nas.files.outputs import PAGE, Kind, check_replaceable, holds_fields, starts_with

_MAX_LENGTH = 80
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_HASHED = re.compile(r".*-[0-9a-f]{8}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Device names that Windows opens in place of a file."""

_DATA = Kind("the report", lambda path: holds_fields(path, "study", "candidates", "front"))
_TABLE = Kind("the report", lambda path: starts_with(path, b"trial,id,"))


class ReportFiles(msgspec.Struct, frozen=True):
    """The three files of one report."""

    html: Path
    csv: Path
    json: Path


def report_files(study: str, folder: Path) -> ReportFiles:
    """The files of the report of `study`; no two studies share a file."""
    stem = file_stem(study)
    return ReportFiles(*(folder / f"{stem}{suffix}" for suffix in (".html", ".csv", ".json")))


def check_report_files(study: str, folder: Path) -> ReportFiles:
    """The files of the report of `study`, after checking that they replace only a report.

    Raises:
        OutputError: one of the files exists and is not a report.
    """
    files = report_files(study, folder)
    for path, kind in ((files.html, PAGE), (files.json, _DATA), (files.csv, _TABLE)):
        check_replaceable(path, kind, "--reports")
    return files


def file_stem(study: str) -> str:
    """`study` itself if it is a plain file name, else its plain characters and its hash.

    A plain name that ends like a hash also gets a hash, so that no name can be chosen to match
    the file of another study.
    """
    if _is_plain(study):
        return study
    digest = hashlib.sha256(study.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", study).strip("-")[:_MAX_LENGTH].strip("-")
    return f"{readable or 'study'}-{digest}"


def _is_plain(study: str) -> bool:
    return (
        len(study) <= _MAX_LENGTH
        and _SAFE.fullmatch(study) is not None
        and not study.endswith(".")
        and _HASHED.fullmatch(study) is None
        and _RESERVED.fullmatch(study) is None
    )
