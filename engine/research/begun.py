"""Runs that are not kept: a mark while one goes on, which stays where it had no time to be summed
up.

A mark is a file beside the kept runs, locked by its process; the kernel lets go of the lock when
that dies. So a mark that nobody holds is of a run that ended without a word (`kill -9`, no memory),
or, where it says with which exit code, of one that a second signal, or a limit of time, cut short.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from fairlead.engine.files import decoded, make_folder, open_private
from fairlead.engine.processes import answer_also, answer_no_more
from fairlead.engine.research.places import RUNS, Places
from fairlead.engine.research.runs import id_of

SUFFIX = ".begun"


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run from its begin: where its log and journal are, `state_dir`.

    `exit_code` and `outcome` are of one that ended at once.
    """

    id: str
    name: str
    mode: str
    begun_ns: int
    pid: int
    config_path: str
    state_dir: str
    exit_code: int | None = None
    outcome: str = ""


class Found(msgspec.Struct, frozen=True):
    """A mark that was found; `killed`: its process is gone, and said nothing."""

    path: Path
    begun: Begun
    state: Literal["running", "killed", "cut short"]

    @property
    def end(self) -> str:
        """What became of one that is over, as a predicate."""
        if self.begun.exit_code is None:
            return "was killed"
        return f"was cut short (exit {self.begun.exit_code}, {self.begun.outcome})"


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

    def over(code: str, message: str, exit_code: int, known: Mapping[str, Any]) -> None:
        """In a signal's handler: no lock is taken. With 0 it ended before it began."""
        del known
        if lock is not None and exit_code == 0:
            path.unlink()
        elif lock is not None:
            end = msgspec.structs.replace(told, exit_code=exit_code, outcome=f"{code}: {message}")
            os.pwrite(lock, msgspec.json.encode(end), 0)  # longer than what was there

    answer_also(over)
    try:
        yield
    finally:
        answer_no_more(over)
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


def begun_below(where: Path | Places) -> list[Found]:
    """Marks in a folder and the folders in it, oldest first; of a damaged one nothing is told."""
    return _marks(Places.of(where).states)


def begun_in(state_dir: Path) -> list[Found]:
    """Those of one state folder."""
    return _marks([state_dir])


def _marks(state_dirs: list[Path]) -> list[Found]:
    found: dict[Path, Found] = {}
    for state_dir in state_dirs:
        for path in (state_dir / RUNS).glob(f".*{SUFFIX}"):
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
            # It may have ended since it was opened: in order, or with a word
            if told is None or not path.exists():
                return None
            file.seek(0)
            told = decoded(file.read(), Begun) or told
            return Found(path, told, "killed" if told.exit_code is None else "cut short")
    except OSError:
        return None
