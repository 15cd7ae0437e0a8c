"""A run's folders, looked at while it runs: what takes no file is told before an order needs it.

What is held to be a stop writes to the journal before it is sent: on a full disk it can't be.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from fairlead.engine.observe.page.told import Level, Wrong
from fairlead.engine.orders.files import rooms, unwritable

logger = logging.getLogger(__name__)

LOOK_SECS = 1.0


class DiskWatch:
    """By a thread: a disk may let who asks it wait. The first of `folders` is the state's; without
    it nothing goes on, without another nothing is recorded."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.wrong: list[Wrong] = []  # of the last look
        self._folders = folders
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="disks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """It is not waited for."""
        self._over.set()

    def _watch(self) -> None:
        while True:
            try:
                self.look()
            except Exception:  # the thread's edge: the next look is another one
                logger.exception("the look at the disks")
            if self._over.wait(LOOK_SECS):
                return

    def look(self) -> None:
        """Raises OSError."""
        found = []
        for folder in self._folders:
            if (why := unwritable(folder)) is not None:
                text = f"{folder} takes no file: {why}"
                level: Level = "bad" if folder == self._folders[0] else "look"
                found.append(_wrong(level, "STATE-UNWRITABLE", text, folder))
        found += [
            _wrong("look", "DISK", problem, room.folder)
            for room in rooms(self._folders)
            if (problem := room.problem) is not None
        ]
        self.wrong = found


def _wrong(level: Level, code: str, text: str, folder: Path) -> Wrong:
    return Wrong(level=level, code=code, text=text, about=str(folder))
