"""Writing what is kept of a run; see `fairlead.engine.research.runs` for what its files are."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.files import FILE_MODE, make_folder
from fairlead.engine.observe.backtest_story import SUMMARY_FILE
from fairlead.engine.observe.orders_file import json_lines
from fairlead.engine.observe.summary import RunSummary
from fairlead.engine.research import frames
from fairlead.engine.research.columns import Row
from fairlead.engine.research.places import RUN_FILE, RUNS
from fairlead.engine.research.runs import CONFIG_FILE, STAMP_FILE, Manifest, Run, Stamp, id_of

NAMED = {"summary": SUMMARY_FILE, "orders": "orders.jsonl", "denials": "denials.jsonl"}
SAME_SECOND_MAX = 1000  # runs of one second, one mode and one name


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A run that has ended, whole: what is written of it."""

    manifest: Manifest
    summary: RunSummary
    config: bytes
    tables: Mapping[str, list[Row]]
    stamp: Stamp

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Each file and its name, `run.json` last: one at a time, for they may be large."""
        hashes: dict[str, str] = {}
        for name, data in self._contents():
            hashes[name] = hashlib.sha256(data).hexdigest()
            yield name, data
        yield STAMP_FILE, _json(self.stamp)
        files = dict(sorted(hashes.items()))
        yield RUN_FILE, _json(msgspec.structs.replace(self.manifest, files=files))

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        for name, rows in self.tables.items():
            yield f"{name}.jsonl", json_lines(rows)
            if frames.can_parquet():
                yield f"{name}.parquet", frames.parquet(name, rows)
        files = {**self.summary.files, **NAMED}
        yield (
            SUMMARY_FILE,
            msgspec.structs.replace(self.summary, files=files, wall_secs=None).json(),
        )
        yield CONFIG_FILE, self.config

    def run(self) -> Run:
        """The same to be read, written nowhere."""
        return Run(dict(self.parts()).__getitem__)

    def write(self, folder: Path) -> RunSummary:
        """Into a folder that is made; each file whole or not at all. The summary names them.

        Raises FairleadError `OUT-UNWRITABLE`.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, data in self.parts():
                temporary = folder / f"{name}.new"
                temporary.write_bytes(data)
                temporary.replace(folder / name)
        except OSError as error:
            raise FairleadError(
                "OUT-UNWRITABLE",
                f"the results can't be written to {folder} ({error.strerror}); choose another "
                "--out",
                int(Exit.FAILED),
            ) from error
        return self._named(folder)

    def keep(self, state_dir: Path) -> RunSummary:
        """Into a new folder below the state folder, which is there whole or not at all.

        Raises FairleadError `OUT-UNWRITABLE`.
        """
        root = state_dir / RUNS
        made = root / f".{_id(self.manifest, self.stamp)}.new"
        try:
            for one in (state_dir, root, made):
                make_folder(one)
            self.write(made)
            for one in made.iterdir():
                one.chmod(FILE_MODE)
            folder = _moved(made, root, _id(self.manifest, self.stamp))
        except OSError as error:
            raise FairleadError(
                "OUT-UNWRITABLE", f"{root}: {error.strerror}", int(Exit.FAILED)
            ) from error
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return self._named(folder)

    def _named(self, folder: Path) -> RunSummary:
        files = {name: str(folder / file) for name, file in NAMED.items()}
        return msgspec.structs.replace(self.summary, files={**self.summary.files, **files})


def _moved(made: Path, root: Path, name: str) -> Path:
    """Under the first name that nobody has. Raises OSError."""
    for count in range(1, SAME_SECOND_MAX):
        folder = root / (name if count == 1 else f"{name}-{count}")
        if not folder.exists():
            return made.rename(folder)
    raise FileExistsError(0, "too many runs of the same second", str(root / name))


def _id(manifest: Manifest, stamp: Stamp) -> str:
    return id_of(manifest.name, manifest.mode, stamp.begun_ns)


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
