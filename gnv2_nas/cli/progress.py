"""The events of a workflow on a terminal: one live bar, or in a log a plain line now and then."""

from __future__ import annotations

import time
from typing import Self

from rich.progress import BarColumn, Progress, TextColumn

from gnv2_nas.cli.console import say, stderr, to_text
from gnv2_nas.workflows import events
from gnv2_nas.workflows.events import Event, LogPace, Message, TaskProgress

LIVE_SECONDS = 0.1
"""Seconds between two updates of the bar."""


class ProgressDisplay:
    """Shows events; the end of its block removes the bar.

    The bar moves only when an event arrives: a thread that refreshes it would slow a training down
    and disturb a measurement.
    """

    def __init__(self) -> None:
        self._log = None if stderr().is_terminal else LogPace()
        self._bar: Progress | None = None
        self._drawn = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._remove_bar()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Message):
            say(event.text)
        elif self._log is None:
            self._draw(event)
        elif self._log.is_due(event):
            say(event.line())

    def _draw(self, event: events.Progress) -> None:
        if isinstance(event, TaskProgress) and event.share >= 1:
            return self._remove_bar()
        now = time.monotonic()
        if self._bar is None:
            text = TextColumn("{task.description}", markup=False)
            self._bar = Progress(
                BarColumn(), text, console=stderr(), transient=True, auto_refresh=False
            )
            self._bar.add_task("")
            self._bar.start()
        elif now - self._drawn < LIVE_SECONDS:
            return None
        self._drawn = now
        (task,) = self._bar.task_ids
        line = to_text(event.line()).plain
        self._bar.update(task, completed=event.share, total=1.0, description=line, refresh=True)
        return None

    def _remove_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
