"""One line per event of a session, in causal order; nothing is kept unless it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

CHARS_MAX = 220


class Trace:
    """Counts what happened, and tells it line by line to `emit`, where there is one."""

    def __init__(self, emit: Callable[[str], None] | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.is_on = emit is not None
        self._emit = emit
        self.now: Callable[[], float] = lambda: 0.0

    def count(self, name: str, by: int = 1) -> None:
        self.counts[name] += by

    def line(self, who: str, what: str) -> None:
        if self._emit is not None:
            self._emit(f"{self.now():10.4f}  {who:<9} {what[:CHARS_MAX]}")
