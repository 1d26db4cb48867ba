"""What ExecuTorch's event tracer has recorded (ETDump, schema `etdump_schema_flatcc.fbs`)."""

from __future__ import annotations

from gnv2_nas.formats.flatbuffers import FlatReader, root_table

Event = tuple[str, float]
"""Name of what a delegate did, and how many seconds it took."""

_SIZE_PREFIX = 4
_RUN_DATA, _RUN_EVENTS, _PROFILE_EVENT = 1, 3, 0
_DELEGATE_NAME, _START, _END = 4, 6, 7
_RUN_NAME, _RUN = 0, "Execute"


def delegate_events(content: bytes) -> list[list[Event]]:
    """For every run what the delegate did, in order."""
    runs = root_table(content, _SIZE_PREFIX).tables(_RUN_DATA)
    return [
        [event for entry in run.tables(_RUN_EVENTS) for event in _delegate_event(entry)]
        for run in runs
        if run.string(_RUN_NAME) == _RUN
    ]


def _delegate_event(entry: FlatReader) -> list[Event]:
    profile = entry.table(_PROFILE_EVENT)
    if profile is None or not profile.string(_DELEGATE_NAME):
        return []
    nanoseconds = profile.integer(_END, 64) - profile.integer(_START, 64)
    return [(profile.string(_DELEGATE_NAME), nanoseconds * 1e-9)]
