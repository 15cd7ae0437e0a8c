"""Rows of an import as columns, which NautilusTrader writes without an object for each.

Its catalog turns recorded Arrow streams into files, as they are: half the work of writing a list of
deltas, and nothing of making them. The streams here are those that NautilusTrader makes of a few
examples, one for each combination of enumerated values, filled with the rows (`arrow_fill`). Prices
and sizes are raw: integers in units of 10 ** -FIXED_PRECISION.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from operator import mul
from typing import Any

import msgspec
from nautilus_trader.model import (
    FIXED_PRECISION,
    AggressorSide,
    BookAction,
    BookOrder,
    InstrumentId,
    NautilusDataType,
    OrderBookDelta,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    TradeId,
    TradeTick,
)
from nautilus_trader.serialization import (
    book_deltas_to_arrow_record_batch_bytes,
    quotes_to_arrow_record_batch_bytes,
    trades_to_arrow_record_batch_bytes,
)

from fairlead.engine.recording.arrow_fill import Column, filled
from fairlead.engine.recording.importers.diffbook import F_LAST, ROW, Batch, Code

ONE = 10**FIXED_PRECISION  # raw
PACKED_MAX = 200_000  # distinct prices or sizes kept as bytes
RAW_BYTES = 16
NUMBER_BYTES = 8
_pack = struct.Struct("<q").pack
_BYTES = [bytes((number,)) for number in range(256)]
_SIDES = (AggressorSide.BUY, AggressorSide.SELL, AggressorSide.NO_AGGRESSOR)
_CODES = {
    Code.CLEAR: (BookAction.CLEAR, None),
    Code.ADD_BID: (BookAction.ADD, OrderSide.BUY),
    Code.ADD_ASK: (BookAction.ADD, OrderSide.SELL),
    Code.UPDATE_BID: (BookAction.UPDATE, OrderSide.BUY),
    Code.UPDATE_ASK: (BookAction.UPDATE, OrderSide.SELL),
    Code.DELETE_BID: (BookAction.DELETE, OrderSide.BUY),
    Code.DELETE_ASK: (BookAction.DELETE, OrderSide.SELL),
}


class Stream(msgspec.Struct, frozen=True):
    """Rows of one type and instrument, for `StagedCatalog.write`."""

    data_type: Any
    folder: str
    rows: int
    pieces: Sequence[bytes]


# Raw price and size, index of the aggressor (True: a seller), id, ts_event, ts_init.
TradeRow = tuple[int, int, int, str, int, int]
# Raw bid, ask, bid size and ask size, ts_event, ts_init.
QuoteRow = tuple[int, int, int, int, int, int]


class _Packed(dict[int, bytes]):
    """The bytes of raw numbers; made when first asked for."""

    def __init__(self, increment: int) -> None:
        super().__init__()
        self._increment = increment
        self.off = 0  # distinct numbers that are no multiple of the increment

    def __missing__(self, raw: int) -> bytes:
        self.off += raw % self._increment != 0
        if len(self) >= PACKED_MAX:
            self.clear()
        packed = self[raw] = raw.to_bytes(RAW_BYTES, "little")
        return packed

    def column(self, numbers: Iterable[int]) -> Column:
        return (b"".join(map(self.__getitem__, numbers)),)


class Columns:
    """Rows of one instrument as Arrow streams; none is empty."""

    def __init__(self, instrument: Any) -> None:
        self._id: InstrumentId = instrument.id
        self._prices = _Packed(instrument.price_increment.raw)
        self._sizes = _Packed(instrument.size_increment.raw)
        self._price = Price.from_raw(0, instrument.price_precision)
        self._one = Quantity.from_raw(ONE, instrument.size_precision)

    @property
    def off_tick(self) -> int:
        """Distinct prices so far that are no multiple of the price increment."""
        return self._prices.off

    @property
    def off_step(self) -> int:
        return self._sizes.off

    def deltas(self, batches: Sequence[Batch]) -> Stream:
        codes, prices, sizes = _transposed((batch.rows for batch in batches), ROW)
        packed = bytes(codes)
        counts = [len(batch.rows) // ROW for batch in batches]
        flags = [
            _BYTES[batch.flags] * (count - 1) + _BYTES[batch.flags | F_LAST]
            for batch, count in zip(batches, counts, strict=True)
        ]
        kinds = [_CODES[Code(code)] for code in _firsts(packed, _CODES)]
        example = [
            OrderBookDelta(self._id, action, BookOrder(side, self._price, self._one, 0), 0, 0, 0, 0)
            for action, side in kinds
        ]
        return self._stream(
            (NautilusDataType.OrderBookDelta, "order_book_deltas"),
            book_deltas_to_arrow_record_batch_bytes(example),
            len(packed),
            [
                _indices(packed, {code: action for code, (action, _) in _CODES.items()}),
                _indices(packed, {code: side for code, (_, side) in _CODES.items()}),
                self._prices.column(prices),
                self._sizes.column(sizes),
                (bytes(NUMBER_BYTES * len(packed)),),  # order ids
                (b"".join(flags),),
                _repeated([batch.sequence for batch in batches], counts),
                _repeated([batch.ts_event for batch in batches], counts),
                _repeated([batch.ts_init for batch in batches], counts),
            ],
        )

    def trades(self, rows: Sequence[TradeRow]) -> Stream:
        prices, sizes, takers, ids, ts_events, ts_inits = _transposed(rows, 6)
        packed = bytes(takers)
        example = [
            TradeTick(self._id, self._price, self._one, _SIDES[taker], TradeId("1"), 0, 0)
            for taker in _firsts(packed, range(len(_SIDES)))
        ]
        return self._stream(
            (NautilusDataType.TradeTick, "trades"),
            trades_to_arrow_record_batch_bytes(example),
            len(rows),
            [
                self._prices.column(prices),
                self._sizes.column(sizes),
                _indices(packed, dict(enumerate(_SIDES))),
                _texts(ids),
                _numbers(ts_events),
                _numbers(ts_inits),
            ],
        )

    def quotes(self, rows: Sequence[QuoteRow]) -> Stream:
        bids, asks, bid_sizes, ask_sizes, ts_events, ts_inits = _transposed(rows, 6)
        price, size = self._price, self._one
        example = [QuoteTick(self._id, price, price, size, size, 0, 0)]
        return self._stream(
            (NautilusDataType.QuoteTick, "quotes"),
            quotes_to_arrow_record_batch_bytes(example),
            len(rows),
            [
                self._prices.column(bids),
                self._prices.column(asks),
                self._sizes.column(bid_sizes),
                self._sizes.column(ask_sizes),
                _numbers(ts_events),
                _numbers(ts_inits),
            ],
        )

    def _stream(
        self, kind: tuple[Any, str], example: bytes, rows: int, columns: Sequence[Column]
    ) -> Stream:
        """The last column of every type is the instrument's id."""
        name = str(self._id).encode("ascii")
        offsets = array("i", range(0, len(name) * rows + 1, len(name)))
        names = (offsets.tobytes(), name * rows)
        return Stream(*kind, rows, filled(example, rows, [*columns, names]))


def _transposed(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Columns of rows of `width` numbers each, or of several such rows."""
    flat = list(chain.from_iterable(rows))
    return [flat[number::width] for number in range(width)]


def _numbers(numbers: Iterable[int]) -> Column:
    return (array("q", numbers).tobytes(),)


def _repeated(numbers: Iterable[int], counts: Iterable[int]) -> Column:
    return (b"".join(map(mul, map(_pack, numbers), counts)),)


def _firsts(codes: bytes, among: Iterable[int]) -> list[int]:
    """The distinct ones, in the order in which they first come."""
    return sorted((code for code in among if code in codes), key=codes.index)


def _indices(codes: bytes, values: dict[int, Any]) -> Column:
    """Into a dictionary of the codes' values in the order in which they first come."""
    order = list(dict.fromkeys(values[code] for code in _firsts(codes, values)))
    table = bytearray(256)
    for code, value in values.items():
        if value in order:
            table[code] = order.index(value)
    return (codes.translate(table),)


def _texts(texts: Sequence[str]) -> Column:
    offsets = array("i", accumulate(map(len, texts), initial=0))  # all of them are ASCII
    return (offsets.tobytes(), "".join(texts).encode("ascii"))
