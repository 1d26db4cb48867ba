"""Ctrl-C between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interrupts:
    """Within the block the first Ctrl-C is only remembered, for the step to be finished and the
    state saved; a second one stops at once.

    Only the main thread has interrupts; in others nothing changes.
    """

    def __init__(self) -> None:
        self.came = False

    def __enter__(self) -> Interrupts:
        self._active = threading.current_thread() is threading.main_thread()
        if self._active:
            self._before = signal.signal(signal.SIGINT, self._remember)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._active:
            signal.signal(signal.SIGINT, self._restored)

    @property
    def _restored(self) -> signal._HANDLER:
        return signal.SIG_DFL if self._before is None else self._before

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.came = True
        signal.signal(number, signal.default_int_handler)
