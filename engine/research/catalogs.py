"""A catalog's data as DataFrames: trades, quotes, book by time, gaps. For notebooks.

Columns of time are UTC, prices and sizes float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from nautilus_trader.model import (
    BookType,
    InstrumentId,
    NautilusDataType,
    OrderBook,
    OrderBookDelta,
    RecordFlag,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.recording.catalog import open_catalog
from fairlead.engine.recording.gaps import read_gaps
from fairlead.engine.research.columns import Row
from fairlead.engine.research.extra import need

if TYPE_CHECKING:
    import pandas

# A UTC moment: text or datetime as pandas reads it, or UNIX nanoseconds
Moment = str | datetime | int
WINDOW_NS = 60_000_000_000  # of book changes held in memory
LEVELS_MAX = 50


class Catalog:
    """A catalog folder. Raises FairleadError where there is none, or none of what is asked for.

    `start` and `end` are moments of receipt, both in; None: all there is.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._catalog: ParquetDataCatalog = open_catalog(self.folder)

    @property
    def instruments(self) -> list[str]:
        """Ids of the instruments that are defined."""
        return sorted({str(one.id) for one in self._catalog.instruments()})

    def trades(
        self, instrument: str, start: Moment | None = None, end: Moment | None = None
    ) -> pandas.DataFrame:
        """ts_event, ts_init, price, size, aggressor (BUY, SELL), trade_id."""
        ticks = self._query(NautilusDataType.TradeTick, instrument, start, end)
        return _frame(
            (
                {
                    "ts_event": one.ts_event,
                    "ts_init": one.ts_init,
                    "price": _float(one.price),
                    "size": _float(one.size),
                    "aggressor": one.aggressor_side.name,
                    "trade_id": str(one.trade_id),
                }
                for one in ticks
            ),
            ("ts_event", "ts_init", "price", "size", "aggressor", "trade_id"),
        )

    def quotes(
        self, instrument: str, start: Moment | None = None, end: Moment | None = None
    ) -> pandas.DataFrame:
        """ts_event, ts_init, bid, bid_size, ask, ask_size: quotes that the venue told as such."""
        ticks = self._query(NautilusDataType.QuoteTick, instrument, start, end)
        return _frame(
            (
                {
                    "ts_event": one.ts_event,
                    "ts_init": one.ts_init,
                    "bid": _float(one.bid_price),
                    "bid_size": _float(one.bid_size),
                    "ask": _float(one.ask_price),
                    "ask_size": _float(one.ask_size),
                }
                for one in ticks
            ),
            ("ts_event", "ts_init", "bid", "bid_size", "ask", "ask_size"),
        )

    def book(
        self,
        instrument: str,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        every_secs: float = 1.0,
        levels: int = 5,
    ) -> pandas.DataFrame:
        """The book as it stood each `every_secs`: ts, bid_1, bid_size_1, ask_1, ask_size_1, ...

        A level that there is not, and all of them while the book is not known, is NaN.
        """
        if not (every_secs > 0 and 1 <= levels <= LEVELS_MAX):
            raise FairleadError(
                "CATALOG-BOOK", f"expected every_secs above 0, 1 to {LEVELS_MAX} levels", Exit.USAGE
            )
        names = [
            f"{side}{what}_{at}"
            for at in range(1, levels + 1)
            for side in ("bid", "ask")
            for what in ("", "_size")
        ]
        begin, until = self._span(NautilusDataType.OrderBookDelta, instrument, start, end)
        rows = self._books(instrument, begin, until, int(every_secs * 1e9), levels)
        return _frame(rows, ("ts", *names))

    def gaps(self) -> pandas.DataFrame:
        """from_ns, to_ns, kind, instrument, reason, count: what the recording says it lacks."""
        rows, _ = read_gaps(self.folder)
        columns = ("from_ns", "to_ns", "kind", "instrument", "reason", "count")
        return _frame((msgspec.to_builtins(row) for row in rows), columns)

    # -- parts

    def _books(
        self, instrument: str, begin: int, until: int, step: int, levels: int
    ) -> Iterator[Row]:
        book = OrderBook(InstrumentId.from_str(instrument), BookType.L2_MBP)
        due, is_whole = -(-begin // step) * step, True
        for delta in self._deltas(instrument, until):
            while is_whole and due < delta.ts_init and due <= until:
                yield {"ts": due, **_levels(book, levels)}
                due += step
            book.apply_delta(delta)
            is_whole = bool(delta.flags & RecordFlag.F_LAST.value)
        while due <= until:
            yield {"ts": due, **_levels(book, levels)}
            due += step

    def _deltas(self, instrument: str, until: int) -> Iterator[OrderBookDelta]:
        """From the first on, some at a time."""
        at, _ = self._span(NautilusDataType.OrderBookDelta, instrument, None, None)
        while at <= until:
            last = min(at + WINDOW_NS - 1, until)
            yield from self._catalog.query_order_book_deltas([instrument], start=at, end=last)
            at = last + 1

    def _query(self, kind: Any, instrument: str, start: Moment | None, end: Moment | None) -> Any:
        begin, until = self._span(kind, instrument, start, end)
        return self._catalog.query(kind, [instrument], start=begin, end=until)

    def _span(
        self, kind: Any, instrument: str, start: Moment | None, end: Moment | None
    ) -> tuple[int, int]:
        spans = self._catalog.get_intervals(kind, instrument)
        if not spans:
            there = ", ".join(self.instruments)
            raise FairleadError(
                "CATALOG-EMPTY",
                f"{self.folder} has no {kind} of {instrument}; its instruments: {there}",
                int(Exit.NO_DATA),
            )
        first, last = min(a for a, _ in spans), max(b for _, b in spans)
        begin = first if start is None else max(first, _ns(start))
        return begin, last if end is None else min(last, _ns(end))


def _ns(moment: Moment) -> int:
    if isinstance(moment, int):
        return moment
    stamp = need("pandas", "a moment").Timestamp(moment)
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return int(stamp.as_unit("ns").value)


def _levels(book: OrderBook, count: int) -> Row:
    found: Row = {}
    for side, levels in (("bid", book.bids(count)), ("ask", book.asks(count))):
        for at, level in enumerate(levels, 1):
            found[f"{side}_{at}"] = _float(level.price)
            found[f"{side}_size_{at}"] = level.size()
    return found


def _frame(rows: Iterator[Row], columns: tuple[str, ...]) -> Any:
    pandas = need("pandas", "a DataFrame")
    made = pandas.DataFrame(rows, columns=list(columns))
    for name in columns:
        if name.startswith("ts") or name in ("from_ns", "to_ns"):
            made[name] = pandas.to_datetime(made[name], unit="ns", utc=True)
    return made


def _float(value: Any) -> float:
    """The nearest to the decimal: NautilusTrader's own is one step off for some."""
    return float(value.as_decimal())
