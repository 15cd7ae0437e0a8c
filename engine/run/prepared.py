"""A backtest's data, looked up and checked; read once by a process that runs many on the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.observe.assumptions import Data
from fairlead.engine.research.marks import Marks
from fairlead.engine.research.remote import local_catalog
from fairlead.engine.run.backtest_data import Selection, select
from fairlead.engine.run.data_used import data_used

ROWS_MAX = 4_000_000  # kept in memory, of all data together; more are read from the disk each time
SELECTIONS_MAX = 4  # spans of data whose rows are kept, the newest
Chunk = tuple[int, list[Any]]
Seen = Callable[[Sequence[Any]], Sequence[Any]]


class Chunks:
    """What the engine is fed of one selection: kept once they were all read, if they are few."""

    def __init__(self, rows_max: int = ROWS_MAX) -> None:
        self.rows: list[Any] | None = None  # the readers, with their instruments
        self._kept: list[Chunk] | None = None
        self._rows_max = rows_max

    def of(self, read: Callable[[], Iterator[Chunk]]) -> Iterator[Chunk]:
        """Those that are kept, else what `read` gives. A run that is cut short keeps none."""
        if self._kept is not None:
            yield from self._kept
            return
        found: list[Chunk] | None = []
        count = 0
        for chunk in read():
            count += sum(part.changes for part in chunk[1])
            if found is not None and count <= self._rows_max:
                found.append(chunk)
            else:
                found = None
            yield chunk
        self._kept = found


class Prepared:
    """The data of one selection. Books that are rebuilt at its start lie in a folder until `close`.

    `chunks` is None where a run reads them from the disk as it goes; `marks` are the prices by time
    of a run over all of it, which are the same of every run. `seen` gives what a run has of rows of
    one kind, where that is less than the data has.
    """

    def __init__(
        self, selection: Selection, chunks: Chunks | None = None, seen: Seen | None = None
    ) -> None:
        self.selection, self.seen = selection, seen
        self.chunks = chunks
        self.marks: Marks | None = None
        self._scratch = tempfile.TemporaryDirectory(prefix="fairlead-")

    @cached_property
    def configs(self) -> list[Any]:
        """Raises FairleadError CATALOG-RANGE."""
        return self.selection.configs(Path(self._scratch.name))

    @cached_property
    def data(self) -> Data:
        """What was read, with its hash."""
        _ = self.configs  # which rebuild the books that count to it
        return data_used(self.selection, Path(self._scratch.name))

    def close(self) -> None:
        self._scratch.cleanup()

    def __enter__(self) -> Prepared:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Shared:
    """Data that the backtests of one process share, one run after another. Close it at the end."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Prepared] = {}

    def prepared(self, loaded: LoadedConfig) -> Prepared:
        """Raises what `select` does."""
        backtest = loaded.config.backtest
        root = local_catalog(loaded, again=False)
        key = (root, *loaded.config.instruments, backtest.start, backtest.end, backtest.chunk_size)
        if (found := self._known.pop(key, None)) is None:
            rows_max = ROWS_MAX // SELECTIONS_MAX if self._known else ROWS_MAX
            found = Prepared(select(loaded.config, root), Chunks(rows_max))
        self._known[key] = found  # the newest is the last
        while len(self._known) > SELECTIONS_MAX:
            self._known.pop(next(iter(self._known))).close()
        return found

    def close(self) -> None:
        for one in self._known.values():
            one.close()
        self._known = {}

    def __enter__(self) -> Shared:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
