"""An import writes beside the catalog and joins it only when whole."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.errors import FairleadError
from fairlead.engine.files import write_whole
from fairlead.engine.recording.gaps import GapLog, GapRow, gaps_path, read_gaps
from fairlead.engine.recording.importers.columns import Stream
from fairlead.engine.recording.importers.converting import Converter, HelperEnded
from fairlead.engine.recording.importers.left_out import LeftOut
from fairlead.engine.recording.parquet_rows import parquet_rows
from fairlead.engine.recording.rows import ROW_GROUP_SIZE

CHUNK_ROWS = 200_000  # rows of one Parquet file; bounds the memory of an import
NO_DATA = 4  # exit code: not found, or no data
HELD = "IMPORT-HELD"  # code: all that the file has is in the catalog
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_PREFIX = ".importing-"


class ImportFailed(FairleadError):
    """An import that changed nothing."""

    exit_code = 9  # data invalid


def refused_by(error: OSError, file: Path, target: Path) -> ImportFailed:
    """Whether it is the catalog's disk that takes no more, or the file that can't be read."""
    if error.errno in _FULL or "No space left" in str(error):  # NautilusTrader's have no number
        text = f"the disk of {target} takes no more: {error}; nothing of {file} was imported"
        return ImportFailed("IMPORT-DISK", text)
    return unreadable(error, file)


def unreadable(error: OSError, file: Path) -> ImportFailed:
    """Of a file that can't be opened or read."""
    reason = str(error)
    if error.strerror is not None and error.filename in (None, str(file), file):
        reason = error.strerror.lower()
    text = f"{file}: expected a file that this user may read, came {reason}"
    return ImportFailed("IMPORT-FILE", text, NO_DATA)


class ChunkWriter:
    """Entries of one type and instrument, one row each or a batch, in files that do not overlap.

    NautilusTrader wants each file sorted by `ts_init`, and files disjoint; so a file ends only
    where the time moves on. `mark` keeps places, for rows that only later ones show to be needed:
    until `release` their file is not written, unless twice the rows of one are waiting.
    """

    def __init__(self, write: Callable[[list[Any]], object], chunk_rows: int = CHUNK_ROWS) -> None:
        self._write = write
        self._chunk_rows = chunk_rows
        self._entries: list[Any] = []
        self._written = 0  # rows
        self._marked: list[tuple[int, int, Any]] = []  # place, number, entry
        self.first_ts = 0  # of the oldest row, 0 for none
        self.last_ts = 0  # of the newest one
        self.count = 0

    def add(self, entry: Any, ts_init: int, rows: int = 1) -> None:
        """Add rows of one `ts_init`, not before the last; those of one time stay in one file."""
        if ts_init > self.last_ts:
            if self.count - self._written >= self._chunk_rows * (2 if self._marked else 1):
                self.flush()
            self.last_ts = ts_init
        self.first_ts = self.first_ts or ts_init
        self._entries.append(entry)
        self.count += rows

    def mark(self, number: int, entry: Any) -> None:
        """Keep the place after the newest row for `entry`, one row with the time of the next."""
        self._marked.append((len(self._entries), number, entry))

    def insert_marked(self, after: int) -> None:
        """Add the entries that are kept of numbers beyond `after`; forget all places."""
        for place, number, entry in reversed(self._marked):
            if number > after:
                self._entries.insert(place, entry)
                self.count += 1
        self.release()

    def release(self) -> None:
        self._marked.clear()

    def flush(self) -> None:
        self.release()
        if self._entries:
            self._write(self._entries)
            self._entries = []
            self._written = self.count


class StagedCatalog:
    """A temporary catalog in the parent folder of `target`, on the same disk.

    `commit` moves its files into `target`; leaving the context without it deletes everything.
    Remains of imports whose process is gone are deleted on entry. `is_helped`: a process beside
    this one converts what it has time for.
    """

    def __init__(self, target: Path, *, is_helped: bool = False) -> None:
        self.target = Path(os.path.abspath(target))  # a symlink stays one
        self.path = Path()
        self._streams = 0
        self.is_helped = is_helped
        self._converter: Converter | None = None
        self._given: tuple[str, Stream] | None = None  # what the converter is at

    def __enter__(self) -> StagedCatalog:
        if self.target.exists() and not self.target.is_dir():
            raise ImportFailed("IMPORT-CATALOG", f"{self.target} is a file, not a catalog folder")
        parent = self.target.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            remove_remains(parent)
            prefix = f"{_PREFIX}{os.getpid()}-"
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        except OSError as e:
            raise ImportFailed("IMPORT-CATALOG", f"cannot write beside {self.target}: {e}") from e
        self.catalog = ParquetDataCatalog(str(self.path), max_row_group_size=ROW_GROUP_SIZE)
        if self.is_helped:
            self._converter = Converter(self.path)
        self.gaps = GapLog(gaps_path(self.path))
        self.left_out = LeftOut()
        self.split_gaps: list[GapRow] = []  # rows of the target that the staged ones replace
        return self

    def write(self, stream: Stream) -> None:
        """Add a file of all rows of `stream`, named as NautilusTrader names what it writes itself.

        Raises OSError, ImportFailed, HelperEnded, where it is converted beside this process with a
        later stream or from `settle`.
        """
        self._streams += 1
        run = str(self._streams)
        path = self._stream_path(run, stream)
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            file.writelines(stream.pieces)
        if not self._is_given(run, stream):
            self._convert(run, stream)

    def settle(self) -> None:
        """Have what was written in files. Raises OSError, ImportFailed, HelperEnded."""
        given, self._given = self._given, None
        if given is None or self._converter is None:
            return
        if not self._converter.result():
            raise HelperEnded
        self._take(*given)

    def _is_given(self, run: str, stream: Stream) -> bool:
        """Whether the converter has it. While that is at work, other kinds are converted here."""
        given, converter = self._given, self._converter
        if converter is None:
            return False
        if given is not None and given[1].folder != stream.folder and not converter.is_done:
            return False
        self.settle()
        converter.give(run, str(stream.data_type))
        self._given = run, msgspec.structs.replace(stream, pieces=())
        return True

    def _convert(self, run: str, stream: Stream) -> None:
        self.catalog.convert_stream_to_data(run, stream.data_type)
        self._take(run, stream)

    def _take(self, run: str, stream: Stream) -> None:
        """Of a stream that is converted: its file, under its name."""
        self._stream_path(run, stream).unlink()
        made = self._made(stream)
        rows = sum(map(parquet_rows, made))
        if len(made) != 1 or rows != stream.rows:
            text = f"NautilusTrader wrote {rows} of {stream.rows} rows of {stream.folder}"
            raise ImportFailed("IMPORT-CATALOG", text)
        made[0].rename(made[0].with_stem(made[0].stem.rpartition("_")[0]))  # without its hash

    def _stream_path(self, run: str, stream: Stream) -> Path:
        return self.path / "backtest" / run / stream.folder / "1.feather"

    def _made(self, stream: Stream) -> list[Path]:
        """Files of its kind that have not been taken."""
        return list(self.path.glob(f"data/{stream.folder}/*/*_*_*.parquet"))

    def __exit__(self, *_: object) -> None:
        if self._converter is not None:
            self._converter.close()
        self.gaps.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def commit(self) -> list[Path]:
        """Move every file into the target; all or none.

        Raises ImportFailed if the target holds data in the same time range.
        """
        self.settle()
        self.gaps.close()
        moves = list(self._moves())
        moved: list[Path] = []
        try:
            for source, to in moves:
                to.parent.mkdir(parents=True, exist_ok=True)
                source.rename(to)
                moved.append(to)
            self._join_gaps()
        except OSError as e:
            for to in moved:
                to.unlink(missing_ok=True)
            raise ImportFailed("IMPORT-DISK", f"cannot write {self.target}: {e}") from e
        return moved

    def _moves(self) -> Iterable[tuple[Path, Path]]:
        files = sorted(path for path in self.path.rglob("*.parquet"))
        for source in files:
            to = self.target / source.relative_to(self.path)
            if to.exists():
                raise ImportFailed("IMPORT-OVERLAP", f"{to} exists; nothing was imported")
            yield source, to

    def _join_gaps(self) -> None:
        rows, _ = read_gaps(self.path)
        if self.split_gaps:
            self._write_gaps(rows)
            return
        path = gaps_path(self.target)
        size = path.stat().st_size if path.exists() else None
        try:
            with GapLog(path) as log:
                for row in rows:
                    log.append(row)
        except OSError:
            if size is None:
                path.unlink(missing_ok=True)
            elif path.stat().st_size > size:
                os.truncate(path, size)
            raise

    def _write_gaps(self, rows: Iterable[GapRow]) -> None:
        """All at once, without those that the new ones stand for; a line that is none is kept."""
        path = gaps_path(self.target)
        gone = {msgspec.json.encode(row) for row in self.split_gaps}
        kept = [line for line in path.read_bytes().splitlines() if line not in gone]
        lines = [*kept, *(msgspec.json.encode(row) for row in rows)]
        write_whole(path, b"".join(line + b"\n" for line in lines))


def remove_remains(parent: Path) -> list[Path]:
    """Delete staging folders in `parent` whose process no longer runs."""
    removed = []
    for path in parent.glob(f"{_PREFIX}*"):
        pid = path.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc").exists():
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
    return removed
