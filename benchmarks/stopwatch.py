"""Time spent in single methods of a real run."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any


class Stopwatch:
    """Adds up the time spent in methods while it runs; a profiler would slow what it measures."""

    def __init__(self, parts: Mapping[str, tuple[Any, str]]) -> None:
        self.parts = parts
        self.spent = dict.fromkeys(parts, 0.0)
        self.before = {name: getattr(owner, method) for name, (owner, method) in parts.items()}

    def __enter__(self) -> dict[str, float]:
        for name, (owner, method) in self.parts.items():
            setattr(owner, method, self._timed(name, self.before[name]))
        return self.spent

    def __exit__(self, *_: object) -> None:
        for name, (owner, method) in self.parts.items():
            setattr(owner, method, self.before[name])

    def _timed(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def timed(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return method(*args, **options)
            finally:
                self.spent[name] += time.perf_counter() - start

        return timed
