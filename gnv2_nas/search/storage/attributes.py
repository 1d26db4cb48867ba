"""Keys under which a study and its trials keep what Optuna has no field for."""

from __future__ import annotations

# Of a trial.
ARCHITECTURE = "architecture"
"""JSON of the network."""
BASELINE = "baseline"
"""Name of the stock network the trial is; absent otherwise."""
RESULT = "result"
"""Counts, quality, latency and violations."""

# Of a study.
FORMAT = "gnv2_nas:format"
SETTINGS = "gnv2_nas:settings"
PROVENANCE = "gnv2_nas:provenance"
PROGRESS = "gnv2_nas:progress"
LATENCY = "gnv2_nas:latency:"
"""With a trial's number behind it: a later, better latency of that trial."""
CONFIRMED = "gnv2_nas:confirmed"
"""Numbers of the trials that were measured side by side in the end."""

FORMAT_VERSION = 1


def latency_key(number: int) -> str:
    return f"{LATENCY}{number}"
