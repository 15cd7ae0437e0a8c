"""Where a venue account keeps what outlives a run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.files import make_folder

PAPER = "paper"  # stands for the account of a run that sends nothing to a venue
JOURNAL = ".journal.sqlite"
CANCELS = ".cancels.json"
PROBE_BYTES = 64 * 1024
DISK_LEAST_BYTES = 256 * 1024 * 1024  # of what a day of a recording takes, and a journal


class AccountFiles(msgspec.Struct, frozen=True):
    """The files of the account `name`: a venue's key in the config, and the account's own name."""

    folder: Path
    name: str

    @property
    def journal(self) -> Path:
        return self.folder / f"{self.name}{JOURNAL}"

    @property
    def risk(self) -> Path:
        """Halt, losses and counters of the risk gate."""
        return self.folder / f"{self.name}.risk.json"

    @property
    def cancels(self) -> Path:
        """What the run's own thread cancelled of the last kills."""
        return self.folder / f"{self.name}{CANCELS}"

    @property
    def lock(self) -> Path:
        """Held by the run that trades the account."""
        return self.folder / f"{self.name}.lock"

    @property
    def flatten_lock(self) -> Path:
        """Held by the process that closes the account's positions."""
        return self.folder / f"{self.name}.flatten.lock"

    @property
    def is_paper(self) -> bool:
        return self.name.endswith(f"-{PAPER}")


def files_of(journal: Path) -> AccountFiles:
    """The files of the account whose journal this is."""
    return AccountFiles(journal.parent, journal.name.removesuffix(JOURNAL))


def old_risk_file(folder: Path, *, paper: bool = False) -> Path:
    """Where all accounts of a state folder once shared one risk state."""
    return folder / f"risk-{PAPER if paper else 'live'}.json"


def require_writable(
    folder: Path,
    code: str = "STATE-UNWRITABLE",
    remedy: str = "name another folder in the config",
    undone: str = "nothing was sent",
    exit_code: Exit = Exit.FAILED,
) -> None:
    """Make the folder and prove that it takes a file, so that no start fails half-way.

    Raises FairleadError of this code.
    """
    try:
        make_folder(folder)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
    except OSError as error:
        raise FairleadError(
            code,
            f"can't write in {folder}: {error.strerror}; {undone}. Free the disk or {remedy}",
            exit_code,
        ) from error


def unwritable(folder: Path) -> str | None:
    """Why the folder, or the nearest one above it that is there, takes no file; the probe, of more
    than a journal needs for an order, has no name there."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
    except OSError as error:
        return f"{there}: {error.strerror}"
    return None


class Room(msgspec.Struct, frozen=True):
    """On the disk of `folder`, for this user; `there` is the nearest folder that exists."""

    folder: Path
    there: Path
    free_bytes: int

    @property
    def problem(self) -> str | None:
        """What is wrong where little is left."""
        if self.free_bytes >= DISK_LEAST_BYTES:
            return None
        return (
            f"{self.free_bytes / 1e6:.0f} MB are free for {self.folder}; a journal that can't be "
            f"written ends its run, {DISK_LEAST_BYTES / 1e6:.0f} MB are the least"
        )


def rooms(folders: Iterable[Path]) -> Iterator[Room]:
    """Of each disk once. Raises OSError."""
    seen = set()
    for folder in folders:
        there = next((one for one in (folder, *folder.parents) if one.exists()), None)
        if there is None:
            continue
        disk = os.stat(there).st_dev
        if disk not in seen:
            seen.add(disk)
            yield Room(folder, there, shutil.disk_usage(there).free)
