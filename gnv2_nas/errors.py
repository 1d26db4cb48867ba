"""The errors that this package raises.

::

    Gnv2NasError
    ├── InputError               the input is wrong                     → exit code 2
    │   ├── UnknownNameError     no preset, space, device … with this name
    │   ├── ArchitectureError    a value of an architecture is out of range
    │   ├── SpaceError           a search space file is wrong (file, line, key)
    │   ├── ProfileError         a device profile file is wrong (file, line, key)
    │   ├── CheckpointError      weights do not fit the network, or are not safe to load
    │   ├── DataError            images cannot be used: missing folder, one class, too many damaged
    │   ├── BudgetError          a budget cannot be read
    │   ├── InfeasibleBudgetError no network of the space can meet the budgets
    │   ├── StudyError           a study cannot be opened, or was made with other settings
    │   └── OutputError          a folder or file cannot be written to
    └── RunError                 something failed while running         → exit code 1
        ├── TrainingError        the loss is not finite, memory ran out; the last state is kept
        ├── MeasurementError     a runtime refused a network, or a clock gave impossible times
        │   └── DeviceError      a device cannot be reached, refused a command, or failed
        │       ├── CommandNotFoundError  the device has no such program
        │       ├── ConnectionLostError   the connection was cut, or the device restarted
        │       └── DeviceFullError       the disk of the device is full
        ├── OutOfTimeError       the time limit was reached before there was any result
        └── StorageError         the disk or the database failed; what was stored is kept

A message is one line that says what is wrong, where, and what would be right.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Gnv2NasError(Exception):
    """Base of all errors of this package."""

    exit_code = 1


class InputError(Gnv2NasError):
    """The input is wrong; the same call will fail again."""

    exit_code = 2


class UnknownNameError(InputError):
    """An unknown name; the message suggests the nearest and lists all."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}? " if close else ""
        super().__init__(f"unknown {what} {name!r}; {hint}known: {', '.join(names)}")


class ArchitectureError(InputError):
    """A value of an architecture is out of range."""


class SpaceError(InputError):
    """A search space file is wrong."""


class ProfileError(InputError):
    """A device profile file is wrong."""


class CheckpointError(InputError):
    """Weights do not fit the network, or the file is not safe to load."""


class DataError(InputError):
    """Images cannot be used as they are."""


class BudgetError(InputError):
    """A budget cannot be read."""


class InfeasibleBudgetError(InputError):
    """No network of the space can meet the budgets."""


class StudyError(InputError):
    """A study cannot be opened, or was made with other settings."""


class OutputError(InputError):
    """A folder or file cannot be written to."""


class RunError(Gnv2NasError):
    """Something failed while running; finished results are kept."""


class TrainingError(RunError):
    """Training cannot continue; the last good state is kept."""


class MeasurementError(RunError):
    """A runtime refused a network, or a clock gave impossible times."""


class DeviceError(MeasurementError):
    """A device cannot be reached, refused a command, or failed."""


class CommandNotFoundError(DeviceError):
    """The device has no such program."""


class ConnectionLostError(DeviceError):
    """The connection was cut, or the device restarted."""


class DeviceFullError(DeviceError):
    """The disk of the device is full."""


class OutOfTimeError(RunError):
    """The time limit was reached before there was any result."""


class StorageError(RunError):
    """The disk or the database failed; what was stored is kept."""


def first_line(error: BaseException, limit: int = 300) -> str:
    """Return the first line of an error's message, or its type if it has none.

    A line that ends in a colon only introduces the next one, which is then included.
    """
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    count = 2 if lines and lines[0].endswith(":") else 1
    return " ".join(lines[:count])[:limit] or type(error).__name__
