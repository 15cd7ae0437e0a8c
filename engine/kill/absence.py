"""Whether nothing has one of some names, told at half of what a look at each costs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

LOOK_NS = 100_000_000


class Absence:
    """What is there is told at once, whatever it is. Where nothing is, only a look (`lstat`) tells
    that from a place that can't be looked at: the last is LOOK_NS old at most.

    `trust_ns` of the `monotonic_ns` clock may pass after a look that found nothing without the
    system being asked at all.
    """

    __slots__ = ("_looked_ns", "_monotonic_ns", "_paths", "_trust_ns")

    def __init__(
        self,
        *paths: Path,
        trust_ns: int = 0,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._paths = tuple(os.fsencode(path) for path in paths)
        self._trust_ns = trust_ns
        self._monotonic_ns = monotonic_ns
        self._looked_ns = -max(trust_ns, LOOK_NS)

    def is_sure(self) -> bool:
        """False: something is there, or nobody can tell."""
        now_ns = self._monotonic_ns()
        age_ns = now_ns - self._looked_ns
        if age_ns < self._trust_ns:
            return True
        for path in self._paths:
            if os.access(path, os.F_OK, follow_symlinks=False):
                return False
        if age_ns < LOOK_NS:
            return True
        for path in self._paths:
            try:
                os.lstat(path)
            except FileNotFoundError:
                continue
            except OSError:
                pass
            return False
        self._looked_ns = now_ns
        return True
