"""What `fairlead import --format` takes: name, function, and which of the options it has a use for.

Each reads a file into a catalog, and tells what it found in one form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from fairlead.engine.recording.importers.archives import ArchiveSource
from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.recording.importers.bybit import BybitSource
from fairlead.engine.recording.importers.diffbook import DEPTH
from fairlead.engine.recording.importers.flat import Asked, import_flat
from fairlead.engine.recording.importers.hft import HftSource
from fairlead.engine.recording.importers.mapped import MappedSource
from fairlead.engine.recording.importers.report import ImportReport
from fairlead.engine.recording.importers.tardis import TardisSource

_MARKET = frozenset(("symbol", "id", "contract", "multiplier"))


class Importer(msgspec.Struct, frozen=True, kw_only=True):
    """`takes` are fields of Asked beyond those that every format has; `needs` must be given."""

    line: str
    run: Callable[[Path, Path, Asked], ImportReport]
    takes: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()


def _binance(file: Path, catalog: Path, asked: Asked) -> ImportReport:
    return import_binance(
        file,
        catalog,
        instruments=asked.instruments,
        maker_fee=asked.fees.maker,
        taker_fee=asked.fees.taker,
        rules=asked.rules,
        listing=asked.listing,
        progress=asked.progress,
        depth=asked.depth or DEPTH,
        fold_tops=asked.fold_tops,
    )


IMPORTERS: Mapping[str, Importer] = {
    "binance": Importer(
        line="raw combined streams, `<local_ns> <json>`",
        run=_binance,
        takes=frozenset(("depth", "fold_tops")),
    ),
    "binance-archive": Importer(
        line="daily files: trades, aggTrades, klines, bookTicker, depth",
        run=partial(import_flat, "binance-archive", ArchiveSource),
        takes=_MARKET | {"snapshot"},
    ),
    "tardis": Importer(
        line="CSV: trades, quotes, incremental_book_L2, book_snapshot_N",
        run=partial(import_flat, "tardis", TardisSource),
        takes=_MARKET,
    ),
    "bybit-book": Importer(
        line="order-book archive, JSON lines",
        run=partial(import_flat, "bybit-book", BybitSource),
        takes=_MARKET,
    ),
    "hftbacktest": Importer(
        line=".npz of events",
        run=partial(import_flat, "hftbacktest", HftSource),
        takes=_MARKET | {"snapshot"},
        needs=frozenset(("id", "symbol")),
    ),
    "table": Importer(
        line="CSV or Parquet of trades or bars, by --map",
        run=partial(import_flat, "table", MappedSource),
        takes=_MARKET | {"mapping"},
        needs=frozenset(("id", "symbol", "mapping")),
    ),
}
