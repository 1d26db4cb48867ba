"""Lines and bars on a terminal that change while something is done; nothing of it in a log."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from gnv2_nas.cli.console import plain, stderr


def is_live() -> bool:
    """Whether there is a terminal to show progress on."""
    return stderr().is_terminal


class _Live:
    """Shown between entering and leaving; rich's own classes differ in all but start and stop."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def __enter__(self) -> Self:
        if is_live():
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if is_live():
            self.stop()


class LiveLine(_Live):
    """A line that says what is being done."""

    def __init__(self, text: str = "") -> None:
        self._status = stderr().status(plain(text))

    def start(self) -> None:
        self._status.start()

    def stop(self) -> None:
        self._status.stop()

    def show(self, text: str) -> None:
        self._status.update(plain(text))


class LiveBar(_Live):
    """A bar and a text. It moves when it is told to: a refreshing thread would take time from
    what is trained, and be measured with the networks."""

    def __init__(self, text: str, total: float | None = 1.0, *, bar_first: bool = False) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        words = TextColumn("{task.description}", markup=False)
        columns = (BarColumn(), words) if bar_first else (words, BarColumn(), TaskProgressColumn())
        self._progress = Progress(*columns, console=stderr(), transient=True, auto_refresh=False)
        self._task = self._progress.add_task(plain(text).plain, total=total)

    def start(self) -> None:
        self._progress.start()

    def stop(self) -> None:
        self._progress.stop()

    def show(self, done: float, text: str | None = None, total: float | None = None) -> None:
        self._progress.update(
            self._task,
            completed=done,
            total=total,
            description=None if text is None else plain(text).plain,
            refresh=True,
        )
