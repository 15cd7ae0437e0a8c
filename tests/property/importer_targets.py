"""Fuzz targets of the importers: any bytes are events, malformed lines, or refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from fairlead.adapters.simulation.mutation import BINARY, JSON_LINES, TEXT
from fairlead.engine.recording.importers.archives import ArchiveSource
from fairlead.engine.recording.importers.bybit import BybitSource
from fairlead.engine.recording.importers.events import Levels, Numbered, Refused, Source, Trade
from fairlead.engine.recording.importers.flat import Asked
from fairlead.engine.recording.importers.hft import HftSource
from fairlead.engine.recording.importers.lines import LineReader, Unreadable
from fairlead.engine.recording.importers.mapped import MappedSource
from fairlead.engine.recording.importers.staging import ImportFailed
from fairlead.engine.recording.importers.tardis import TardisSource
from tests.property.fuzzing import Target
from tests.property.state_targets import quiet
from tests.unit.recording.formats import CASES, HERE

LINES = 6  # of a file of the corpus
HEADER = 256  # bytes, of the array
SOURCES: dict[str, Callable[[LineReader, Asked, Numbered], Source]] = {
    "binance-archive": ArchiveSource,
    "tardis": TardisSource,
    "bybit-book": BybitSource,
    "hftbacktest": HftSource,
    "table": MappedSource,
}


class Files:
    """Any bytes in place of the file of a case."""

    def __init__(self, folder: Path, format_: str, name: str, asked: Asked) -> None:
        self._path = folder / f"{format_}-{name}"
        self._path.parent.mkdir(exist_ok=True)
        self._source = SOURCES[format_]
        self._asked = asked

    def __call__(self, data: bytes) -> None:
        self._path.write_bytes(data)
        quiet(self._read, Refused, Unreadable, ImportFailed)

    def _read(self) -> None:
        source = self._source(LineReader(self._path), self._asked, Numbered())
        for _, told in source.events():
            if isinstance(told, Trade):
                assert told.price > 0
                assert told.size > 0
            elif isinstance(told, Levels):
                assert all(price > 0 and size >= 0 for price, size in (*told.bids, *told.asks))


def _small_npz() -> bytes:
    """The head of the real file, not compressed, so that a changed byte is one of a row."""
    with zipfile.ZipFile(HERE / "hftbacktest_usdm.npz") as archive:
        array = archive.read("data.npy")
    rows = 12
    head = array[:HEADER].replace(b"(6080,)", f"({rows},)  ".encode())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("data.npy", head + array[HEADER : HEADER + 64 * rows])
    return out.getvalue()


def importer_targets(folder: Path) -> Iterator[Target]:
    make = partial(Files, folder / "imported")
    for name in ("tardis-book", "archive-depth", "archive-klines", "bybit-book", "table-bars"):
        case = CASES[name]
        lines = case.text().splitlines(keepends=True)
        yield Target(
            name=f"import-{name}",
            corpus=["".join(lines[:LINES]).encode(), "".join(lines[:2]).encode()],
            feed=make(case.format, case.name, Asked(**case.asked)),
            mutations=JSON_LINES if name == "bybit-book" else TEXT,
            inputs=4_000,
        )
    yield Target(
        name="import-hftbacktest",
        corpus=[_small_npz()],
        feed=make("hftbacktest", "x.npz", Asked(id="A.X", symbol="A/B")),
        mutations=BINARY,
        inputs=4_000,
    )
