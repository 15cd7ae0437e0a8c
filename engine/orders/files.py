"""Where a venue account keeps what outlives a run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.files import make_folder

PAPER = "paper"  # stands for the account of a run that sends nothing to a venue
JOURNAL = ".journal.sqlite"
PROBE_BYTES = 64 * 1024


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
    """Why the folder, or the nearest one above it that is there, takes no file; the probe has no
    name there."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"\0")
            probe.flush()
    except OSError as error:
        return f"{there}: {error.strerror}"
    return None
