"""The journal of a running recording: what NautilusTrader writes before it is in the catalog.

Each run has a folder `journal/<start_ns>-<pid>/` in the catalog, in which NautilusTrader writes
Feather files as events come, flushed twice a second. The run holds a lock on its folder; a folder
without a holder is what a stopped or killed run left. `fairlead.engine.recording.promote` moves
the rows into the catalog.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from nautilus_trader.model import NautilusDataType, NautilusRecordType
from nautilus_trader.persistence import RotationConfig, StreamingConfig

from fairlead.engine.files import decoded, write_whole
from fairlead.engine.recording.commit import JOURNAL, is_unfinished
from fairlead.engine.recording.locks import FileLock, is_held

FLUSH_INTERVAL_MS = 500  # what a killed run can lose
ROTATE_SECS = 60  # a Feather file is closed at this age, and can be promoted then
FEATHER = ".feather"
PARTIAL = ".partial"
DAMAGED = ".damaged"
SECOND_NS = 1_000_000_000
_LOCK = "lock"
_ABOUT = "run.json"
_NEW = ".new-"
_LEGACY = ("live", "sandbox")  # where NautilusTrader put its files without a journal
STREAMED_TYPES = (
    NautilusDataType.OrderBookDelta,
    NautilusDataType.TradeTick,
    NautilusDataType.Bar,
    NautilusDataType.InstrumentStatus,
)  # quotes are made from the book again; instruments are what `definitions` writes
NEVER_WRITTEN = "PositionSnapshot"  # a record type; the stubs do not declare its members


class AboutRun(msgspec.Struct, frozen=True):
    """What a run's folder says of it."""

    start_ns: int
    instruments: list[str]


class RunJournal:
    """The folder of one running recording, held until `close`. Raises OSError."""

    def __init__(self, catalog: Path, instruments: Iterable[str], start_ns: int) -> None:
        name = f"{start_ns}-{os.getpid()}"
        new = catalog / JOURNAL / (_NEW + name)
        self.folder = catalog / JOURNAL / name
        self._about = AboutRun(start_ns, sorted(instruments))
        new.mkdir(parents=True)
        self._lock = FileLock(new / _LOCK)
        self._lock.take()
        write_whole(new / _ABOUT, msgspec.json.encode(self._about))
        new.rename(self.folder)  # seen by others from now on, and never without its lock
        self._lock.moved(self.folder / _LOCK)

    def streaming(self, rotate_secs: float = ROTATE_SECS) -> StreamingConfig:
        """What `LiveNodeConfig.streaming` takes. The files are whole when the run has ended."""
        return StreamingConfig(
            str(self.folder),
            flush_interval_ms=FLUSH_INTERVAL_MS,
            rotation_config=RotationConfig.interval(int(rotate_secs * SECOND_NS)),
            data_types=list(STREAMED_TYPES),
            # Orders and accounts are the journal's of orders. An empty list means all, hence one
            # type that is never written.
            record_types=[kind for kind in _record_types() if str(kind) == NEVER_WRITTEN],
        )

    @property
    def instruments(self) -> int:
        """How many are recorded."""
        return len(self._about.instruments)

    @property
    def is_ours(self) -> bool:
        """Whether the folder is the one that the run made and holds. Raises OSError."""
        return self._lock.is_ours

    def abandon(self, now_ns: int) -> None:
        """The folder was taken away: nothing that is still written comes into the catalog.

        A book of after the hole would continue one of before it. So a file stands where the folder
        was, which the writer can't get past; what it has written since is put aside. And a folder
        of an ended run is left, for which the promotion clears the books. Raises OSError.
        """
        self._lock.release()
        aside = self.folder.parent / "damaged"
        aside.mkdir(parents=True, exist_ok=True)
        if self.folder.is_dir():
            self.folder.rename(aside / f"{now_ns}-{self.folder.name}")
        self._lock = FileLock(self.folder)
        self._lock.take()
        left = self.folder.parent / f"{now_ns}-{os.getpid()}"
        left.mkdir()
        write_whole(left / _ABOUT, msgspec.json.encode(self._about))

    def close(self) -> None:
        """The run has ended: others may take everything."""
        self._lock.release()


def _record_types() -> list[NautilusRecordType]:
    names = (name for name in dir(NautilusRecordType) if name[0].isupper() and name != "Defi")
    return [getattr(NautilusRecordType, name) for name in names]


class JournaledRun(msgspec.Struct, frozen=True):
    """A run's folder as the promotion finds it.

    `is_legacy`: NautilusTrader promoted a part of its files itself, so that a row may be in the
    catalog already.
    """

    folder: Path
    is_alive: bool
    is_legacy: bool = False

    @property
    def about(self) -> AboutRun | None:
        try:
            return decoded((self.folder / _ABOUT).read_bytes(), AboutRun)
        except OSError:
            return None

    def files(self) -> list[Path]:
        """Feather files that nobody writes any more, oldest first within a type of data."""
        found = [
            path
            for path in self.folder.rglob(f"*{FEATHER}*")
            if path.name.endswith(FEATHER)
            or (path.name.endswith(FEATHER + PARTIAL) and not self.is_alive)
        ]
        return sorted(found, key=lambda path: (str(path.parent), started_ns(path), path.name))

    def remove(self) -> None:
        """Drop the folder of an ended run; nothing is in it any more. Raises OSError."""
        shutil.rmtree(self.folder)


def started_ns(feather: Path) -> int:
    """When a Feather file was begun, by its name; 0 where the name does not tell."""
    text = feather.name.partition(FEATHER)[0].rpartition("_")[2]
    return int(text) if text.isdigit() else 0


def journaled_runs(catalog: Path) -> Iterator[JournaledRun]:
    """Runs that may have something to promote, oldest first."""
    for name in _LEGACY:
        for folder in sorted((catalog / name).glob("*/")):
            yield JournaledRun(folder, is_alive=False, is_legacy=True)
    for folder in sorted((catalog / JOURNAL).glob("[0-9]*-*/")):
        yield JournaledRun(folder, is_alive=is_held(folder / _LOCK))


def has_leftovers(catalog: Path) -> bool:
    """Whether an ended run left something that is not in the catalog yet."""
    left = (not run.is_alive and run.files() for run in journaled_runs(catalog))
    return is_unfinished(catalog) or any(left)


def is_recording(catalog: Path) -> bool:
    """Whether a run writes into the catalog now."""
    return any(run.is_alive for run in journaled_runs(catalog))


def remove_unborn(catalog: Path) -> None:
    """Drop folders of runs that were killed before they began. Raises OSError."""
    for path in (catalog / JOURNAL).glob("[0-9]*-[0-9]*"):
        if path.is_file() and not is_held(path):  # of a run whose folder was taken away
            path.unlink(missing_ok=True)
    for folder in (catalog / JOURNAL).glob(f"{_NEW}*"):
        with contextlib.suppress(FileNotFoundError):  # it was born a moment ago
            if not is_held(folder / _LOCK) and (folder / _LOCK).exists():
                shutil.rmtree(folder)
