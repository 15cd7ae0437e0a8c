"""A catalog that is read while runs may write it: whole, and the same until the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead.engine.errors import FairleadError
from fairlead.engine.recording.commit import JOURNAL
from fairlead.engine.recording.compact import Joins
from fairlead.engine.recording.journal import has_leftovers, is_recording
from fairlead.engine.recording.promote import CatalogLock
from fairlead.engine.recording.promotion import Promotion

WAIT_SECS = 60.0  # for a promotion that is at work
_LOCKED = 12  # exit code: locked by another process


@contextmanager
def reading(catalog: Path) -> Iterator[list[str]]:
    """Bring in what killed runs left, and keep the files as they are; gives notes for the report.

    Raises FairleadError CATALOG-BUSY when files are being moved for longer than WAIT_SECS.
    """
    notes: list[str] = []
    if not catalog.is_dir():
        yield notes  # whoever opens it says so
        return
    notes += bring_in(catalog)
    if not (catalog / JOURNAL).is_dir():  # nobody has ever recorded into it
        yield notes
        return
    if is_recording(catalog):
        notes.append(
            f"a run records into {catalog}: what is still in its journal ([record] promote_secs) "
            "is left out"
        )
    lock = CatalogLock(catalog)
    try:
        is_taken = lock.take(shared=True, wait_secs=WAIT_SECS)
    except OSError:  # a catalog that can't be written changes under nobody
        yield notes
        return
    if not is_taken:
        raise FairleadError(
            "CATALOG-BUSY",
            f"files of {catalog} are being moved for more than {WAIT_SECS:.0f} s by another "
            "process; try again when it has ended",
            _LOCKED,
        )
    with lock:
        yield notes


def bring_in(catalog: Path) -> list[str]:
    """Promote what killed runs left in the journal; gives what a person must know."""
    if not has_leftovers(catalog):
        return []
    try:
        done = Promotion(catalog, Joins.NONE, WAIT_SECS).result(2 * WAIT_SECS)
    except OSError as error:
        return [f"rows of a killed run are still in the journal of {catalog}: {error}"]
    if done.is_busy:
        return [f"rows of a killed run are still in the journal of {catalog}: it is being read"]
    return done.problems
