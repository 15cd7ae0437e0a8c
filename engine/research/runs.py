"""Runs that were kept: a folder each, of one format in every mode, read without NautilusTrader.

`run.json` says what the run was made of (`Manifest`), with the hash of each other file; two equal
runs are equal to the byte in all of it. What differs between them is in `stamp.json` alone: when it
was, how long it took, where. `config.json` is the config as it was resolved, its SHA-256 is
`Manifest.config`; credentials are no part of it. Tables are JSON lines, and Parquet where the extra
`research` is installed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.observe.backtest_story import SUMMARY_FILE
from fairlead.engine.research import frames
from fairlead.engine.research.columns import COLUMNS, Row
from fairlead.engine.research.places import RUN_FILE, RUNS, Places

if TYPE_CHECKING:
    import pandas

FORMAT = 1
STAMP_FILE, CONFIG_FILE = "stamp.json", "config.json"
REPORT_FILES = frozenset({"report.html", "report.json"})  # about it, not of it
_ODD = re.compile(r"[^A-Za-z0-9_.]+")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was made of, and what it is to be known by. Times are UNIX nanoseconds.

    `config`, `data` and `inputs` are the hashes of `Assumptions`, `config_file` is the SHA-256 of
    the file; `changes` are those of `--set`, as it takes them. `command` gives the same run again.
    `study` is what a search says of a trial. `files` has the SHA-256 of each file of the folder but
    the stamp.
    """

    format: int = FORMAT
    name: str
    mode: str
    command: str
    config_file: str
    config: str
    data: str | None
    inputs: str
    versions: dict[str, str]
    seed: int
    changes: dict[str, str] = {}
    start_ns: int
    end_ns: int
    exit_code: int
    outcome: str
    orders_digest: str
    study: dict[str, Any] | None = None
    files: dict[str, str] = {}


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between equal runs."""

    begun_ns: int
    wall_secs: float | None = None
    config_path: str = ""


class Run:
    """A run as its files tell it, read when they are asked for.

    `orders`, `fills`, `equity` and so on are pandas DataFrames (columns: `COLUMNS`; the extra
    `research`), `rows` gives the same exactly.
    """

    def __init__(self, read: Callable[[str], bytes], folder: Path | None = None) -> None:
        self._read = read
        self.folder = folder

    @classmethod
    def at(cls, folder: Path) -> Run:
        """Raises FairleadError RUN-NOT-FOUND, RUN-DAMAGED."""
        if not (folder / RUN_FILE).is_file():
            text = f"{folder} is no run's folder: it has no {RUN_FILE}"
            raise FairleadError("RUN-NOT-FOUND", text, int(Exit.NO_DATA))
        run = cls(lambda name: (folder / name).read_bytes(), folder)
        if run.manifest.format > FORMAT:
            raise FairleadError(
                "RUN-FORMAT",
                f"{folder} is of format {run.manifest.format}, later than {FORMAT}: use the "
                "fairlead that wrote it",
                int(Exit.BAD_DATA),
            )
        return run

    @property
    def id(self) -> str:
        return "" if self.folder is None else self.folder.name

    @cached_property
    def manifest(self) -> Manifest:
        return self._decoded(RUN_FILE, Manifest)  # type: ignore[no-any-return]

    @cached_property
    def stamp(self) -> Stamp:
        return self._decoded(STAMP_FILE, Stamp)  # type: ignore[no-any-return]

    @cached_property
    def summary(self) -> dict[str, Any]:
        """`summary.json`: amounts are text."""
        return self._decoded(SUMMARY_FILE, dict[str, Any])  # type: ignore[no-any-return]

    @cached_property
    def config(self) -> dict[str, Any]:
        return self._decoded(CONFIG_FILE, dict[str, Any])  # type: ignore[no-any-return]

    def rows(self, name: str) -> list[Row]:
        """A table of `COLUMNS`: exact amounts as text, UNIX nanoseconds.

        Raises FairleadError RUN-DAMAGED, KeyError for a table that there is not.
        """
        if name not in COLUMNS:
            raise KeyError(f"{name} is no table of a run: {', '.join(COLUMNS)}")
        file = f"{name}.jsonl"
        with _whole(self.folder, file):
            return list(msgspec.json.Decoder(Row).decode_lines(self._read(file)))

    def frame(self, name: str) -> pandas.DataFrame:
        """The same as a pandas DataFrame: float64, UTC times. Raises FairleadError too where the
        extra `research` is not installed."""
        return frames.frame(name, self.rows(name))

    @property
    def orders(self) -> pandas.DataFrame:
        """One row an order, in the order in which they were decided."""
        return self.frame("orders")

    @property
    def fills(self) -> pandas.DataFrame:
        """One row a fill, with its fee, its time in the queue, and the mids after it."""
        return self.frame("fills")

    @property
    def denials(self) -> pandas.DataFrame:
        """The last orders that the gate refused; `summary["denials"]` counts them all."""
        return self.frame("denials")

    @property
    def equity(self) -> pandas.DataFrame:
        """By time, venue and currency: what the account was worth, and what holding would be."""
        return self.frame("equity")

    @property
    def positions(self) -> pandas.DataFrame:
        """After each fill, of its strategy in its instrument."""
        return self.frame("positions")

    @property
    def parts(self) -> pandas.DataFrame:
        """Whose each fill is, where its order's strategy does not tell; else there is no row."""
        return self.frame("parts")

    @property
    def marks(self) -> pandas.DataFrame:
        """Best bid and ask by time, sampled."""
        return self.frame("marks")

    @property
    def latencies(self) -> pandas.DataFrame:
        """Of each order, from its decision."""
        return self.frame("latencies")

    @property
    def gaps(self) -> pandas.DataFrame:
        """What the data that the run crossed says it lacks."""
        return self.frame("gaps")

    def damage(self) -> list[str]:
        """Files that are not what the run wrote: missing, or of another hash."""
        found = []
        for name, wanted in self.manifest.files.items():
            try:
                data = self._read(name)
            except (OSError, KeyError, ValueError):
                found.append(f"{name} is missing")
                continue
            if hashlib.sha256(data).hexdigest() != wanted:
                found.append(f"{name} was changed")
        return found

    def _decoded(self, file: str, kind: Any) -> Any:
        with _whole(self.folder, file):
            return msgspec.json.decode(self._read(file), type=kind)


@contextmanager
def _whole(folder: Path | None, file: str) -> Iterator[None]:
    """What can't be read of a run is an error in words."""
    try:
        yield
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        told = getattr(error, "strerror", None) or str(error)
        where = file if folder is None else folder / file
        raise FairleadError("RUN-DAMAGED", f"{where}: {told}", int(Exit.BAD_DATA)) from error


def runs_below(where: Path | str | Places = ".") -> list[Run]:
    """Runs in a folder and the folders in it, oldest first; of a damaged one nothing is told."""
    found: dict[Path, Run] = {}
    for folder in Places.of(Path(where) if isinstance(where, str) else where).runs:
        if folder.name.startswith("."):  # being written
            continue
        try:
            run = Run.at(folder)
            _ = run.stamp
        except FairleadError:
            continue
        found[folder.resolve()] = run
    return sorted(found.values(), key=lambda run: (run.stamp.begun_ns, run.id))


def id_of(name: str, mode: str, begun_ns: int) -> str:
    """What a run is called where it is kept: the second in which it began, and what it was."""
    begun = datetime.fromtimestamp(begun_ns // 1_000_000_000, UTC)
    return f"{begun:%Y%m%d-%H%M%S}-{mode}-{_ODD.sub('-', name)}"


def newest(state_dir: Path) -> Iterator[Path]:
    """Folders of the runs that a state folder keeps, newest first."""
    names = (path for path in (state_dir / RUNS).glob(f"*/{RUN_FILE}"))
    for path in sorted(names, key=lambda one: one.parent.name, reverse=True):
        yield path.parent
