"""Raw samples as the JSON of google-benchmark, which its `compare.py` reads.

The fields are those of google-benchmark's JSON reporter, schema version 1. Each round is a
repetition of one iteration; mean, median, standard deviation and coefficient of variation are its
aggregates. Times are in microseconds, because `compare.py` prints whole numbers. See
https://github.com/google/benchmark/blob/main/docs/user_guide.md and
https://github.com/google/benchmark/blob/main/docs/tools.md.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gnv2_nas.errors import UnknownNameError
from gnv2_nas.files.outputs import Kind, check_outputs, holds_fields
from gnv2_nas.files.writing import write_atomically
from gnv2_nas.measurement.records.record import Measurement

AGGREGATES: Mapping[str, tuple[str, Callable[[Sequence[float]], float]]] = {
    "mean": ("time", statistics.fmean),
    "median": ("time", statistics.median),
    "stddev": ("time", statistics.stdev),
    "cv": ("percentage", lambda times: statistics.stdev(times) / statistics.fmean(times)),
}
"""Name → unit and formula; they need two repetitions."""
MICROSECONDS = 1e3
"""In a millisecond."""


FORMAT = "google-benchmark"
_KIND = Kind("the export", lambda path: holds_fields(path, "context", "benchmarks"))


def check_export(kind: str, path: str, inputs: Iterable[str]) -> None:
    """Check that samples can be exported.

    Args:
        kind: format of the file.
        path: the file.
        inputs: files that are read.

    Raises:
        UnknownNameError: there is no such format.
        OutputError: the file may not be written.
    """
    if kind != FORMAT:
        raise UnknownNameError("export format", kind, [FORMAT])
    check_outputs({Path(path): _KIND}, inputs, "--export")


def export_samples(measurements: Mapping[str, Measurement], path: str) -> None:
    """Write the raw samples of measurements, see `to_google_benchmark`.

    Raises:
        StorageError: the disk is full or read-only.
    """
    write_atomically(Path(path), msgspec.json.encode(to_google_benchmark(measurements)))


def to_google_benchmark(measurements: Mapping[str, Measurement]) -> dict[str, Any]:
    """Return the contents of the file.

    Args:
        measurements: by name, with raw samples; at least one. Names identify benchmarks in two
            files.
    """
    return {
        "context": _context(next(iter(measurements.values()))),
        "benchmarks": [
            row
            for family, (name, each) in enumerate(measurements.items())
            for row in _rows(name, family, each)
        ],
    }


def _context(first: Measurement) -> dict[str, Any]:
    machine = first.fingerprint
    clusters = first.conditions.before.clusters if first.conditions else ()
    return {
        "date": first.taken_at,
        "host_name": first.device,
        "executable": "gnv2-nas",
        "num_cpus": machine.cores,
        "mhz_per_cpu": max((each.limit_mhz or 0 for each in clusters), default=0),
        "cpu_scaling_enabled": machine.governor not in ("performance", "unknown"),
        "caches": [],
        "load_avg": [machine.load],
        "library_version": f"gnv2-nas {first.software}",
        "library_build_type": "release",
        "json_schema_version": 1,
        "cpu": machine.cpu,
        "runtime": machine.runtime,
        "precision": first.precision,
    }


def _rows(name: str, family: int, measurement: Measurement) -> Iterator[dict[str, Any]]:
    walls = [ms * MICROSECONDS for ms in measurement.wall_ms]
    busies = [ms * MICROSECONDS for ms in measurement.cpu_ms]
    common = {
        "family_index": family,
        "per_family_instance_index": 0,
        "run_name": name,
        "repetitions": len(walls),
        "threads": measurement.threads,
        "time_unit": "us",
    }
    for index, (wall, busy) in enumerate(zip(walls, busies, strict=True)):
        yield {
            "name": name,
            **common,
            "run_type": "iteration",
            "repetition_index": index,
            "iterations": 1,
            "real_time": wall,
            "cpu_time": busy,
        }
    for aggregate, (unit, formula) in AGGREGATES.items() if len(walls) > 1 else ():
        yield {
            "name": f"{name}_{aggregate}",
            **common,
            "run_type": "aggregate",
            "aggregate_name": aggregate,
            "aggregate_unit": unit,
            "iterations": len(walls),
            "real_time": formula(walls),
            "cpu_time": formula(busies),
        }
