"""Where runs are looked for below a folder: nearest first, and no further than so many names.

A folder may be anybody's, `/` or one of a million files: what was left out is told, never waited
for.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

RUN_FILE = "run.json"
RUNS = "runs"  # in the state folder
STATE_DEPTH = 4  # of state folders, below a folder
OUT_DEPTH = 2  # of folders of --out
NAMES_MAX = 200_000  # that are read in all, and of a folder of runs, or the first one
FOLDER_SHARE = 10  # of these any other folder may be one part: it keeps no one else from being read


@dataclass(frozen=True)
class Places:
    """Folders that exist: those of kept runs, and those that have a folder of runs."""

    where: Path
    runs: list[Path]
    states: list[Path]
    names: int  # that were read
    left_out: int  # folders that were not read to their end; what is in them is not known

    @classmethod
    def of(cls, where: Path | Places) -> Places:
        """Of a folder that can't be read, or is none, there are none."""
        return where if isinstance(where, Places) else _Walk().walked(where)

    def __str__(self) -> str:
        """What was left out; empty if nothing was."""
        if not self.left_out:
            return ""
        return (
            f"{self.where.resolve()} holds too much to be looked through: after {self.names} names "
            f"{self.left_out} folders, the farthest below it, were left out; --in names a nearer "
            "folder, --config a config's own"
        )


class _Walk:
    def __init__(self) -> None:
        self._runs: list[Path] = []
        self._states: list[Path] = []
        self._names = 0
        self._left = 0
        # Hidden ones last: a .git or a .venv holds more than all the rest
        self._next: deque[tuple[Path, int]] = deque()
        self._hidden: deque[tuple[Path, int]] = deque()

    def walked(self, where: Path) -> Places:
        self._next.append((where, 0))
        while self._next or self._hidden:
            folder, depth = (self._next or self._hidden).popleft()
            if self._names >= NAMES_MAX:
                self._left += 1
            else:
                self._read(folder, depth, is_hidden=folder.name.startswith("."))
        return Places(where, self._runs, self._states, self._names, self._left)

    def _read(self, folder: Path, depth: int, *, is_hidden: bool) -> None:
        below = self._hidden if is_hidden else self._next
        most = NAMES_MAX // FOLDER_SHARE if depth else NAMES_MAX
        for name, is_folder in self._names_of(folder, most):
            if name == RUN_FILE and depth <= OUT_DEPTH:
                self._runs.append(folder)
            if not is_folder:
                continue
            if name == RUNS:
                self._states.append(folder)
                self._runs += self._kept(folder / RUNS)
            if depth < STATE_DEPTH:
                (self._hidden if name.startswith(".") else below).append((folder / name, depth + 1))

    def _kept(self, runs: Path) -> list[Path]:
        found = (name for name, is_folder in self._names_of(runs, NAMES_MAX) if is_folder)
        return [runs / name for name in found if (runs / name / RUN_FILE).is_file()]

    def _names_of(self, folder: Path, most: int) -> list[tuple[str, bool]]:
        """And whether each is a folder, in the order of names."""
        found: list[tuple[str, bool]] = []
        try:
            with os.scandir(folder) as entries:
                for one in entries:
                    if self._names >= NAMES_MAX or len(found) >= most:
                        self._left += 1
                        break
                    self._names += 1
                    found.append((one.name, _is_folder(one)))
        except OSError:
            pass
        return sorted(found)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Also one that a link names: the depth ends a circle of them."""
    try:
        return entry.is_dir()
    except OSError:
        return False
