"""What is kept of a device in `profiles/`, and whether it may be written."""

from __future__ import annotations

from pathlib import Path

from gnv2_nas.devices.device import KIND
from gnv2_nas.files.outputs import Kind, check_outputs, holds_fields
from gnv2_nas.files.writing import check_writable, find_named
from gnv2_nas.latency_model.file import latency_path
from gnv2_nas.measurement import journal

_MEASURED = Kind(
    "what was measured",
    lambda path: path.stat().st_size == 0 or holds_fields(path, "device", "ratio"),
)
_CALIBRATION = Kind(
    "the calibration", lambda path: holds_fields(path, "key", "reference_ms", "log_ratios")
)
_MODEL = Kind("the latency model", lambda path: holds_fields(path, "fitted_on", "ridge"))


def check_device_files(device: str, base: Path | None = None, *, fits: bool = False) -> None:
    """Prove that what is measured on a device can be kept, and destroys nothing.

    Args:
        device: name or path of a profile.
        base: a latency model that is read.
        fits: whether a latency model is written, too.

    Raises:
        OutputError: `profiles/` cannot be written to, or something else is in the place of a file.
    """
    folder, profile = journal.FOLDER, find_named(KIND, "device", device)
    check_writable(folder)
    kinds = {
        folder / f"{profile.stem}.jsonl": _MEASURED,
        folder / f"{profile.stem}.calibration.json": _CALIBRATION,
    }
    if fits:
        kinds[latency_path(profile.stem)] = _MODEL
    check_outputs(kinds, [profile, base], "--device")
