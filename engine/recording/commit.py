"""Several file changes of a catalog as one: all happen, or none, whenever the process dies.

New files are written in a stage folder of the same disk. `commit` writes down what is to be moved
and deleted, and then does it; what was written down and not finished is finished by `redo`. Each
step may be repeated without harm. The caller holds the catalog's exclusive lock.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec

from fairlead.engine.files import decoded, sync, write_whole

JOURNAL = "journal"
_PLAN = "commit.json"
_STAGE = "stage"


class _Plan(msgspec.Struct, frozen=True):
    """Paths are relative to the catalog."""

    moves: list[tuple[str, str]]
    deletes: list[str]

    @property
    def is_within(self) -> bool:
        """Whether it touches nothing outside the catalog."""
        paths = [Path(name) for pair in self.moves for name in pair]
        paths += [Path(name) for name in self.deletes]
        return not any(path.is_absolute() or ".." in path.parts for path in paths)


def new_stage(catalog: Path) -> Path:
    """An empty folder for the next files."""
    drop_stage(catalog)
    stage = catalog / JOURNAL / _STAGE
    stage.mkdir(parents=True)
    return stage


def drop_stage(catalog: Path) -> None:
    """Remove what the last commit did not take. Raises OSError."""
    stage = catalog / JOURNAL / _STAGE
    if stage.exists():
        shutil.rmtree(stage)


def commit(catalog: Path, staged: Path, deletes: Iterable[Path]) -> list[Path]:
    """Move every Parquet file below `staged` to its place in the catalog, and delete `deletes`.

    A staged file replaces one of the same name. Gives the new files. Raises OSError; then nothing
    has changed, or `redo` finishes it.
    """
    moves = []
    is_private = not catalog.stat().st_mode & 0o077
    for source in sorted(staged.rglob("*.parquet")):
        if is_private:  # as in a run that trades, whoever brings its rows in
            source.chmod(0o600)
        sync(source)
        to = source.relative_to(staged)
        moves.append((str(source.relative_to(catalog)), str(to)))
    plan = _Plan(moves, [str(path.relative_to(catalog)) for path in deletes])
    write_whole(catalog / JOURNAL / _PLAN, msgspec.json.encode(plan))
    _apply(catalog, plan)
    return [catalog / to for _, to in moves]


def is_unfinished(catalog: Path) -> bool:
    """Whether a crash cut off a commit: until `redo` rows may be there twice."""
    return (catalog / JOURNAL / _PLAN).exists()


def redo(catalog: Path) -> bool:
    """Finish a commit that a crash cut off; whether there was one. Raises OSError."""
    path = catalog / JOURNAL / _PLAN
    if not path.exists():
        return False
    plan = decoded(path.read_bytes(), _Plan)
    if plan is None or not plan.is_within:
        raise OSError(
            f"{path} is damaged: what it began is not known. Look which rows of the newest files "
            "under data/ are there twice, then delete it"
        )
    _apply(catalog, plan)
    return True


def _apply(catalog: Path, plan: _Plan) -> None:
    folders = set()
    for source, to in plan.moves:
        target = catalog / to
        if (catalog / source).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(catalog / source, target)
        folders.add(target.parent)
    for folder in folders:
        sync(folder)
    kept = {to for _, to in plan.moves}
    for old in plan.deletes:
        if old not in kept:
            (catalog / old).unlink(missing_ok=True)
    (catalog / JOURNAL / _PLAN).unlink()
