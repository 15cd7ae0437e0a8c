"""Whether a run's journal is still the folder that it writes to, and since when it is not.

A folder that is removed, moved or replaced under a run takes every row with it: the writer goes on
with files that have no name any more, and its next files are in a folder that nobody holds. It
closes such a file without a word when its time is over, so each file that is begun is held open
here, too: the system tells under which name it was removed.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from fairlead.engine.recording.gaps import SECOND_NS
from fairlead.engine.recording.journal import FEATHER, PARTIAL, RunJournal, started_ns

FILES_MAX = 64  # written at once, beside one of each instrument and kind of data
KINDS = 4
UNSURE_NS = SECOND_NS  # an event is received before the file that it goes to is begun
AGAIN_SECS = 0.05
_OPEN_FILES = Path("/proc/self/fd")  # where a system has none, the folder alone is watched
_WRITTEN = f"{FEATHER}{PARTIAL}"
_DELETED = f"{_WRITTEN} (deleted)"  # one that was closed has another name, and may be promoted


class Lost(msgspec.Struct, frozen=True):
    """All before `from_ns`, UNIX ns, is in the catalog; what came after it is lost."""

    from_ns: int
    why: str


class JournalWatch:
    """Looks at a run's journal now and then, until `close`. Used by one thread. Raises OSError."""

    def __init__(self, journal: RunJournal, start_ns: int) -> None:
        self._journal = journal
        self._real = os.path.realpath(journal.folder)
        self._kept_ns = start_ns
        self._held: dict[str, int] = {}  # what is written, by path: our own descriptor of it

    def look(self, now_ns: int) -> Lost | None:
        """None while all is well."""
        folder = self._journal.folder
        if not self._journal.is_ours:
            return Lost(self._kept_ns, f"the folder {folder} was removed or replaced under the run")
        if unnamed := self._deleted():
            time.sleep(AGAIN_SECS)  # a look may fall into the moment at which a file is closed
            if still := unnamed & self._deleted():
                name = min(still).removesuffix(" (deleted)")
                return Lost(self._kept_ns, f"the file {name} was removed under the run")
        self._hold()
        if len(self._held) > FILES_MAX + KINDS * self._journal.instruments:
            self.close()
            return Lost(
                self._kept_ns,
                f"the disk does not take the files in {folder}, and each try left one open",
            )
        begun = [started_ns(path) or now_ns for path in folder.rglob("*.feather*")]
        self._kept_ns = max(self._kept_ns, min([*begun, now_ns]) - UNSURE_NS)
        return None

    def close(self) -> None:
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def _hold(self) -> None:
        """Hold what has begun, let go what is closed."""
        if not _OPEN_FILES.is_dir():
            return
        written = {str(path) for path in Path(self._real).rglob(f"*{_WRITTEN}")}
        for name in self._held.keys() - written:
            if not os.readlink(_OPEN_FILES / str(self._held[name])).endswith(_DELETED):
                os.close(self._held.pop(name))
        for name in written - self._held.keys():
            with suppress(FileNotFoundError):  # closed meanwhile
                self._held[name] = os.open(name, os.O_RDONLY)

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
