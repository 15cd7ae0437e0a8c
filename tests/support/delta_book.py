"""Batches of rows as NautilusTrader's own objects, made apart from the importer's columns."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import batched

from nautilus_trader.model import (
    BookAction,
    BookOrder,
    InstrumentId,
    OrderBookDelta,
    OrderSide,
    Price,
    Quantity,
)

from fairlead.engine.recording.importers.diffbook import (
    Batch,
    Change,
    Code,
    DiffBook,
    Snapshot,
    Top,
)

F_LAST = 128
SIDES = {"": None, "BID": OrderSide.BUY, "ASK": OrderSide.SELL}


def deltas_of(
    batches: Iterable[Batch], instrument_id: InstrumentId, precisions: tuple[int, int]
) -> list[OrderBookDelta]:
    """`precisions`: of price and size."""
    deltas = []
    for batch in batches:
        rows = list(batched(batch.rows, 3, strict=True))
        for number, (code, price, size) in enumerate(rows, 1):
            action, _, side = Code(code).name.partition("_")
            made = (Price.from_raw(price, precisions[0]), Quantity.from_raw(size, precisions[1]))
            order = BookOrder(SIDES[side], *made, 0)
            flags = batch.flags | F_LAST if number == len(rows) else batch.flags
            stamps = (batch.sequence, batch.ts_event, batch.ts_init)
            deltas.append(
                OrderBookDelta(instrument_id, getattr(BookAction, action), order, flags, *stamps)
            )
    return deltas


class DeltaBook:
    """A DiffBook that gives deltas."""

    def __init__(
        self, instrument_id: InstrumentId, price_precision: int, size_precision: int, **options
    ) -> None:
        self._book = DiffBook(**options)
        self._named = (instrument_id, (price_precision, size_precision))

    def __getattr__(self, name: str):
        return getattr(self._book, name)

    def change(self, change: Change) -> list[OrderBookDelta]:
        return deltas_of(self._book.change(change), *self._named)

    def top(self, top: Top, ts_event: int, ts_init: int) -> list[OrderBookDelta]:
        return deltas_of(self._book.top(top, ts_event, ts_init), *self._named)

    def snapshot(self, snapshot: Snapshot) -> list[OrderBookDelta]:
        return deltas_of(self._book.snapshot(snapshot), *self._named)

    def lose(self, sequence: int, ts_event: int, ts_init: int) -> list[OrderBookDelta]:
        return deltas_of(self._book.lose(sequence, ts_event, ts_init), *self._named)
