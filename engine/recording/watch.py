"""Whether a run's journal is still the folder that it writes to, and since when it is not.

A folder that is removed, moved or replaced under a run takes every row with it: the writer goes on
with files that have no name any more, and its next files are in a folder that nobody holds.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from fairlead.engine.recording.gaps import SECOND_NS
from fairlead.engine.recording.journal import RunJournal, started_ns

UNSURE_NS = SECOND_NS  # an event is received before the file that it goes to is begun
AGAIN_SECS = 0.05
_OPEN_FILES = Path("/proc/self/fd")  # where a system has none, the folder alone is watched
_DELETED = " (deleted)"


class Lost(msgspec.Struct, frozen=True):
    """All before `from_ns`, UNIX ns, is in the catalog; what came after it is lost."""

    from_ns: int
    why: str


class JournalWatch:
    """Looks at a run's journal now and then. Used by one thread. Raises OSError."""

    def __init__(self, journal: RunJournal, start_ns: int) -> None:
        self._journal = journal
        self._real = os.path.realpath(journal.folder)
        self._kept_ns = start_ns

    def look(self, now_ns: int) -> Lost | None:
        """None while all is well."""
        folder = self._journal.folder
        if not self._journal.is_ours:
            return Lost(self._kept_ns, f"the folder {folder} was removed or replaced under the run")
        if unnamed := self._deleted():
            time.sleep(AGAIN_SECS)  # a look may fall into the moment at which a file is closed
            if still := unnamed & self._deleted():
                name = min(still).removesuffix(_DELETED)
                return Lost(self._kept_ns, f"the file {name} was removed under the run")
        begun = [started_ns(path) or now_ns for path in folder.rglob("*.feather*")]
        self._kept_ns = max(self._kept_ns, min([*begun, now_ns]) - UNSURE_NS)
        return None

    def _deleted(self) -> frozenset[str]:
        """Files of the journal that this process writes and that have no name any more."""
        found = set()
        if _OPEN_FILES.is_dir():
            for link in _OPEN_FILES.iterdir():
                try:
                    name = os.readlink(link)
                except FileNotFoundError:  # closed meanwhile
                    continue
                if name.startswith(self._real) and name.endswith(_DELETED):
                    found.add(name)
        return frozenset(found)
