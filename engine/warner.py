"""Warnings that a stream or a poll may repeat: one a kind and minute, the others counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

EVERY_SECS = 60.0
KINDS_MAX = 256  # known at once; beyond them all are told and forgotten


def loop_secs() -> float:
    return asyncio.get_running_loop().time()


class _Kind(msgspec.Struct):
    told_at: float
    last: str = ""
    untold: int = 0


class Warner:
    """`warner(kind, text)` logs the text unless the kind was logged less than a minute ago.

    What was held back is counted, and the count is told with the next warning of its kind, or by
    `tell_rest` at the end: no warning is lost, and none is a flood.
    """

    def __init__(
        self,
        logger: logging.Logger,
        now_secs: Callable[[], float] = loop_secs,
        every_secs: float = EVERY_SECS,
    ) -> None:
        self._logger = logger
        self._now_secs = now_secs
        self._every_secs = every_secs
        self._kinds: dict[str, _Kind] = {}

    def __call__(self, kind: str, text: str) -> None:
        now = self._now_secs()
        known = self._kinds.get(kind)
        if known is None:
            if len(self._kinds) >= KINDS_MAX:
                self.tell_rest()
            self._kinds[kind] = _Kind(now)
            self._logger.warning("%s", text)
            return
        if now - known.told_at < self._every_secs:
            known.untold += 1
            known.last = text
            return
        count, secs = known.untold, now - known.told_at
        self._kinds[kind] = _Kind(now)
        self._logger.warning("%s%s", text, f" ({count} more in {secs:.0f} s)" if count else "")

    def tell_rest(self) -> None:
        """Log what was held back, and forget every kind."""
        kinds, self._kinds = self._kinds, {}
        for known in kinds.values():
            if known.untold:
                self._logger.warning("%d more, the last: %s", known.untold, known.last)
