"""Runs that are not kept yet: a mark while one goes on, which stays where it was killed.

A mark is a file beside the kept runs, locked by its process; the kernel lets go of the lock when
that dies. So a mark that nobody holds is of a run that ended without a word: `kill -9`, no memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from fairlead.engine.files import decoded, make_folder, open_private
from fairlead.engine.research.runs import RUNS, STATE_PLACES, id_of

SUFFIX = ".begun"


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run from its begin: where its log and journal are, `state_dir`."""

    id: str
    name: str
    mode: str
    begun_ns: int
    pid: int
    config_path: str
    state_dir: str


class Found(msgspec.Struct, frozen=True):
    """A mark that was found; `killed`: its process is gone."""

    path: Path
    begun: Begun
    state: Literal["running", "killed"]


@contextlib.contextmanager
def marked(
    state_dir: Path, *, name: str, mode: str, begun_ns: int, config_path: Path
) -> Iterator[None]:
    """The mark of a run within. A state folder that takes no file ends no run: it has none then."""
    state_dir = state_dir.absolute()
    root = state_dir / RUNS
    made = [one for one in (root, *root.parents) if not one.exists()]
    run_id = id_of(name, mode, begun_ns)
    told = Begun(
        id=run_id,
        name=name,
        mode=mode,
        begun_ns=begun_ns,
        pid=os.getpid(),
        config_path=str(config_path.absolute()),
        state_dir=str(state_dir),
    )
    path = root / f".{run_id}-{os.getpid()}{SUFFIX}"
    lock: int | None = None
    with contextlib.suppress(OSError):
        lock = _locked(path, told)
    try:
        yield
    finally:
        if lock is not None:
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(lock)
        for folder in made:  # what was made for the mark alone
            with contextlib.suppress(OSError):
                folder.rmdir()


def _locked(path: Path, told: Begun) -> int:
    """It has its name once it is whole and locked. Raises OSError."""
    for folder in (path.parent.parent, path.parent):  # each for its owner alone
        make_folder(folder)
    temporary = path.with_name(f"{path.name}.new")
    file = open_private(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(file, msgspec.json.encode(told))
        temporary.replace(path)
    except OSError:
        os.close(file)
        raise
    return file


def begun_below(where: Path) -> list[Found]:
    """Marks in a folder and the folders in it, oldest first; of a damaged one nothing is told."""
    return _marks(where, STATE_PLACES)


def begun_in(state_dir: Path) -> list[Found]:
    """Those of one state folder."""
    return _marks(state_dir, ("",))


def _marks(where: Path, places: Iterable[str]) -> list[Found]:
    found: dict[Path, Found] = {}
    for place in places:
        for path in where.glob(f"{place}{RUNS}/.*{SUFFIX}"):
            one = _looked_at(path)
            if one is not None:
                found[path.resolve()] = one
    return sorted(found.values(), key=lambda one: (one.begun.begun_ns, one.begun.id))


def _looked_at(path: Path) -> Found | None:
    """None: it is over by now."""
    try:
        with path.open("rb") as file:
            told = decoded(file.read(), Begun)
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return None if told is None else Found(path, told, "running")
            # It may have ended in order since it was opened
            return None if told is None or not path.exists() else Found(path, told, "killed")
    except OSError:
        return None
