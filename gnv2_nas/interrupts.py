"""Ctrl-C that takes effect when a piece of work is complete."""

from __future__ import annotations

import signal
import threading
from contextlib import ContextDecorator
from types import FrameType


class DelayedInterrupt(ContextDecorator):
    """Delays Ctrl-C to the end of a `with` block or of a decorated function.

    Nothing changes where the process ignores Ctrl-C, or in threads other than the main one, which
    never receive it.

    Args:
        second_stops: whether a second Ctrl-C raises KeyboardInterrupt at once.

    Attributes:
        received: whether Ctrl-C was pressed.
    """

    def __init__(self, *, second_stops: bool = False) -> None:
        self.received = False
        self._second_stops = second_stops

    def __enter__(self) -> DelayedInterrupt:
        self.received = False
        self._active = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
        )
        if self._active:
            self._previous = signal.signal(signal.SIGINT, self._remember)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._active:
            return
        # None stands for a handler that was not installed from Python.
        signal.signal(signal.SIGINT, signal.SIG_DFL if self._previous is None else self._previous)
        if self.received and kind is not KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.received = True
        if self._second_stops:
            signal.signal(number, signal.default_int_handler)
