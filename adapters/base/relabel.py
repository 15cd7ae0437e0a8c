"""Market data of one instrument as those of another, on that one's grid.

Where the other instrument has fewer decimals its book shows coarser levels: bids are rounded down
and asks up, so that no book crosses that did not, and what falls on one price is added up.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

from nautilus_trader.model import (
    Bar,
    BarType,
    BookAction,
    BookOrder,
    InstrumentId,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
    RecordFlag,
    TradeTick,
)

_LAST = RecordFlag.F_LAST.value
_SNAPSHOT = RecordFlag.F_SNAPSHOT.value
_ROUNDED = {OrderSide.BUY: ROUND_FLOOR, OrderSide.SELL: ROUND_CEILING}
_ZERO = Decimal(0)


class Grid:
    """Decimals of an instrument."""

    def __init__(self, instrument: Any) -> None:
        self.name: InstrumentId = instrument.id
        self.digits: tuple[int, int] = (instrument.price_precision, instrument.size_precision)
        self._price, self._size = (Decimal(1).scaleb(-one) for one in self.digits)

    def price(self, price: Any, rounding: str = ROUND_HALF_EVEN) -> Decimal:
        return price.as_decimal().quantize(self._price, rounding)  # type: ignore[no-any-return]

    def size(self, size: Decimal) -> Decimal:
        return size.quantize(self._size, ROUND_DOWN)


class Relabelled:
    """What is told of `source`, as told of `target`: two of NautilusTrader's instruments."""

    def __init__(self, source: Any, target: Any) -> None:
        self._source, self._target = Grid(source), Grid(target)
        self._is_same = self._source.digits == self._target.digits
        self._book = _Coarse(self._target)

    def deltas(self, deltas: OrderBookDeltas) -> OrderBookDeltas | None:
        """None where nothing has changed on this grid."""
        name = self._target.name
        if not self._is_same:
            changes = self._book.changes(deltas.deltas)
        else:
            changes = [_named(one, name) for one in deltas.deltas]
        return OrderBookDeltas(name, changes) if changes else None

    def trade(self, trade: TradeTick) -> TradeTick | None:
        """None for one that is too small for this grid."""
        to = self._target
        price, size = trade.price, trade.size
        if not self._is_same:
            least = to.size(size.as_decimal())
            if not least:
                return None
            price, size = _price(to.price(price), to), _size(least, to)
        stamps = (trade.ts_event, trade.ts_init)
        return TradeTick(to.name, price, size, trade.aggressor_side, trade.trade_id, *stamps)

    def bar(self, bar: Bar) -> Bar:
        to = self._target
        kind = BarType(to.name, bar.bar_type.spec, bar.bar_type.aggregation_source)

        def on(price: Price) -> Price:
            return _price(to.price(price), to)

        return Bar(
            kind,
            on(bar.open),
            on(bar.high),
            on(bar.low),
            on(bar.close),
            _size(to.size(bar.volume.as_decimal()), to),
            bar.ts_event,
            bar.ts_init,
        )


class _Coarse:
    """A book, and what it is on a coarser (or finer) grid."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._levels: dict[tuple[OrderSide, Decimal], Decimal] = {}
        self._sums: dict[tuple[OrderSide, Decimal], Decimal] = {}

    def changes(self, deltas: list[OrderBookDelta]) -> list[OrderBookDelta]:
        """A CLEAR and all levels after a CLEAR, else the levels that are not as before."""
        before: dict[tuple[OrderSide, Decimal], Decimal] = {}
        is_whole = False
        for one in deltas:
            if one.is_clear:
                self._levels.clear()
                self._sums.clear()
                before.clear()
                is_whole = True
                continue
            side, price = one.order.side, one.order.price.as_decimal()
            assert side is not None, "only a CLEAR has none"
            gone = one.action == BookAction.DELETE
            size = _ZERO if gone else one.order.size.as_decimal()
            at = (side, self._grid.price(one.order.price, _ROUNDED[side]))
            known = self._sums.get(at, _ZERO)
            before.setdefault(at, self._grid.size(known))
            more = size - self._levels.pop((side, price), _ZERO)
            if size:
                self._levels[side, price] = size
            self._sums[at] = known + more
            if not self._sums[at]:
                del self._sums[at]
        return list(self._told(before, deltas[-1], is_whole=is_whole))

    def _told(
        self,
        before: dict[tuple[OrderSide, Decimal], Decimal],
        last: OrderBookDelta,
        *,
        is_whole: bool,
    ) -> Iterator[OrderBookDelta]:
        name, stamps = self._grid.name, (last.sequence, last.ts_event, last.ts_init)
        changed = [
            (at, old, now)
            for at, old in before.items()
            if (now := self._grid.size(self._sums.get(at, _ZERO))) != old
        ]
        if is_whole:
            yield OrderBookDelta.clear(name, *stamps)
        flags = _SNAPSHOT if is_whole else 0
        for number, ((side, price), old, now) in enumerate(changed, start=1):
            action = BookAction.UPDATE if old else BookAction.ADD
            if not now:
                action = BookAction.DELETE
            order = BookOrder(side, _price(price, self._grid), _size(now, self._grid), 0)
            flag = flags | (_LAST if number == len(changed) else 0)
            yield OrderBookDelta(name, action, order, flag, *stamps)


def _named(one: OrderBookDelta, name: InstrumentId) -> OrderBookDelta:
    stamps = (one.sequence, one.ts_event, one.ts_init)
    if one.is_clear:
        return OrderBookDelta.clear(name, *stamps)
    return OrderBookDelta(name, one.action, one.order, one.flags, *stamps)


def _price(value: Decimal, grid: Grid) -> Price:
    return Price.from_str(f"{value:.{grid.digits[0]}f}")


def _size(value: Decimal, grid: Grid) -> Quantity:
    return Quantity.from_str(f"{value:.{grid.digits[1]}f}")
