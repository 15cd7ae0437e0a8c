"""Recorded data as a market's flow: book updates and trades of a catalog on the venue's clock.

Book updates are displayed liquidity: users' orders take from it (until the recording's next
update of that level) and queue behind it; recorded trades fill users' orders in their way.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_UP, Decimal
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from fairlead.adapters.simulation.exchange import Exchange
from fairlead.adapters.simulation.orders import ZERO, MarketSpec
from fairlead.engine.orders.model import Side

WINDOW_NS = 3_000_000_000  # what is read from a catalog at a time
OPENING_NS_MAX = 1_000_000_000  # how far into a recording its first snapshot is looked for
LOOP_PAUSE_NS = 1_000_000_000  # between the end of a recording and its next round


class LevelSet(msgspec.Struct, frozen=True):
    """The size displayed at a price is now `size`."""

    ts_ns: int
    side: Side
    price: Decimal
    size: Decimal


class Snapshot(msgspec.Struct, frozen=True):
    """The whole book, price: size."""

    ts_ns: int
    bids: dict[Decimal, Decimal]
    asks: dict[Decimal, Decimal]


class Print(msgspec.Struct, frozen=True):
    """A trade. The aggressor is guessed from the book when the recording has none."""

    ts_ns: int
    price: Decimal
    size: Decimal
    aggressor: Side | None


ReplayItem = LevelSet | Snapshot | Print


class ReplaySource(Protocol):
    """A recording that can be read again from its start, in time order."""

    def items(self) -> Iterator[ReplayItem]: ...


class ReplayFlow:
    """Plays a source into one market; the recording's first time is the start of the flow.

    Prices are rounded to the market's tick away from the spread, sizes up to its step; recorded
    levels that meet at one rounded price are added up.
    """

    def __init__(
        self, spec: MarketSpec, source: ReplaySource, at_end: Literal["loop", "stop"] = "loop"
    ) -> None:
        self.next_ns: int | None = None
        self.rounds = 0  # times the recording ended
        self._spec = spec
        self._source = source
        self._at_end = at_end
        self._items: Iterator[ReplayItem] = iter(())
        self._pending: ReplayItem | None = None
        self._shift_ns = 0
        # Sizes by recorded price, and their sums by the market's price.
        self._recorded: dict[Side, dict[Decimal, Decimal]] = {Side.BUY: {}, Side.SELL: {}}
        self._shown: dict[Side, dict[Decimal, Decimal]] = {Side.BUY: {}, Side.SELL: {}}

    def start(self, exchange: Exchange, now_ns: int) -> None:
        """Raises ValueError for an empty recording."""
        self._items = self._source.items()
        self._pending = next(self._items, None)
        if self._pending is None:
            raise ValueError("the recording is empty: nothing to replay")
        first_ns = self._pending.ts_ns
        self._shift_ns = now_ns - first_ns
        # A recording's first snapshot comes a moment after its first trades: a venue that opens
        # has a book, so all up to that snapshot happens at once.
        is_booked = False
        while self._pending is not None:
            ts_ns = self._pending.ts_ns
            if ts_ns > first_ns and (is_booked or ts_ns - first_ns > OPENING_NS_MAX):
                break
            if isinstance(self._pending, Snapshot):
                is_booked, first_ns = True, ts_ns
                self._shift_ns = now_ns - ts_ns
            self.next_ns = now_ns
            self.step(exchange)

    def step(self, exchange: Exchange) -> None:
        item, now_ns = self._pending, self.next_ns
        assert item is not None
        assert now_ns is not None
        if isinstance(item, Print):
            self._apply_print(exchange, item, now_ns)
        elif isinstance(item, LevelSet):
            self._apply_level(exchange, item, now_ns)
        else:
            self._apply_snapshot(exchange, item, now_ns)
        self._pending = next(self._items, None)
        if self._pending is None:
            self._next_round(now_ns)
        else:
            self.next_ns = max(now_ns, self._pending.ts_ns + self._shift_ns)

    def _next_round(self, now_ns: int) -> None:
        self.rounds += 1
        self.next_ns = None
        if self._at_end == "stop":
            return
        self._items = self._source.items()
        self._pending = next(self._items, None)
        if self._pending is not None:
            self._shift_ns = now_ns + LOOP_PAUSE_NS - self._pending.ts_ns
            self.next_ns = now_ns + LOOP_PAUSE_NS
            # The book of the round before is dropped by its first snapshot; a recording that
            # starts with single levels must not inherit it.
            if not isinstance(self._pending, Snapshot):
                empty = Snapshot(self._pending.ts_ns, {}, {})
                self._items = _chain(self._pending, self._items)
                self._pending = empty

    def _apply_print(self, exchange: Exchange, item: Print, now_ns: int) -> None:
        aggressor = item.aggressor
        if aggressor is None:
            best = exchange.markets[self._spec.id].book.asks.best()
            aggressor = Side.BUY if best is not None and item.price >= best.price else Side.SELL
        # A taker's price is rounded as the level that it hits.
        price = self._round_price(Side.SELL if aggressor is Side.BUY else Side.BUY, item.price)
        exchange.print_trade(self._spec.id, price, self._round_size(item.size), aggressor, now_ns)

    def _apply_level(self, exchange: Exchange, item: LevelSet, now_ns: int) -> None:
        recorded, shown = self._recorded[item.side], self._shown[item.side]
        price = self._round_price(item.side, item.price)
        size = shown.get(price, ZERO) + item.size - recorded.pop(item.price, ZERO)
        shown.pop(price, None)
        if item.size > 0:
            recorded[item.price] = item.size
        if size > 0:
            shown[price] = size
        exchange.set_level(self._spec.id, item.side, price, self._round_size(size), now_ns)

    def _apply_snapshot(self, exchange: Exchange, item: Snapshot, now_ns: int) -> None:
        self._recorded = {Side.BUY: dict(item.bids), Side.SELL: dict(item.asks)}
        self._shown = {Side.BUY: {}, Side.SELL: {}}
        for side, levels in self._recorded.items():
            shown = self._shown[side]
            for price, size in levels.items():
                at = self._round_price(side, price)
                shown[at] = shown.get(at, ZERO) + size
        bids, asks = (
            {price: self._round_size(size) for price, size in self._shown[side].items()}
            for side in (Side.BUY, Side.SELL)
        )
        exchange.replace_background(self._spec.id, bids, asks, now_ns)

    def _round_price(self, side: Side, price: Decimal) -> Decimal:
        rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
        return price.quantize(self._spec.tick, rounding)

    def _round_size(self, size: Decimal) -> Decimal:
        return size.quantize(self._spec.size_step, ROUND_UP)


def _chain(first: ReplayItem, rest: Iterator[ReplayItem]) -> Iterator[ReplayItem]:
    yield first
    yield from rest


class CatalogReplay:
    """A NautilusTrader Parquet catalog's order book deltas and trades of one instrument.

    Read in windows, so that memory does not grow with the recording's length.
    """

    def __init__(
        self, catalog: Path | str, instrument_id: str, *, window_ns: int = WINDOW_NS
    ) -> None:
        """Raises ValueError when the catalog has no data of the instrument."""
        # Imported here: a simulated venue without a recording needs no NautilusTrader.
        from nautilus_trader.persistence import ParquetDataCatalog

        if not Path(catalog).is_dir():
            raise ValueError(f"catalog {catalog}: not a directory")
        self.instrument_id = instrument_id
        self._catalog: Any = ParquetDataCatalog(str(catalog))
        self._window_ns = window_ns
        self._start_ns, self._end_ns = self._span()

    def items(self) -> Iterator[ReplayItem]:
        start_ns = self._start_ns
        assembler = _DeltaAssembler()
        while start_ns <= self._end_ns:
            end_ns = start_ns + self._window_ns - 1
            ids = [self.instrument_id]
            deltas = self._catalog.query_order_book_deltas(ids, start=start_ns, end=end_ns)
            trades = self._catalog.query_trade_ticks(ids, start=start_ns, end=end_ns)
            book_items = [item for delta in deltas for item in assembler.add(delta)]
            prints = [_print(trade) for trade in trades]
            # Stable: of equal times the trade goes first, for the book update tells its result.
            yield from sorted([*prints, *book_items], key=lambda item: item.ts_ns)
            start_ns = end_ns + 1

    def _span(self) -> tuple[int, int]:
        from nautilus_trader.model import NautilusDataType

        intervals = [
            interval
            for data_type in (NautilusDataType.OrderBookDelta, NautilusDataType.TradeTick)
            for interval in self._catalog.get_intervals(data_type, self.instrument_id)
        ]
        if not intervals:
            raise ValueError(
                f"no order book deltas or trades of {self.instrument_id} in the catalog"
            )
        return min(start for start, _ in intervals), max(end for _, end in intervals)


class _DeltaAssembler:
    """Deltas to items; a CLEAR collects what follows, until its last, into one snapshot."""

    def __init__(self) -> None:
        from nautilus_trader.model import BookAction, OrderSide, RecordFlag

        self._clear, self._delete = BookAction.CLEAR, BookAction.DELETE
        self._buy = OrderSide.BUY
        self._last_flag = int(RecordFlag.F_LAST.value)
        self._snapshot: Snapshot | None = None

    def add(self, delta: Any) -> list[ReplayItem]:
        out: list[ReplayItem] = []
        if self._snapshot is not None and delta.ts_init != self._snapshot.ts_ns:
            out.append(self._snapshot)  # a batch that was never marked as ended
            self._snapshot = None
        if delta.action == self._clear:
            self._snapshot = Snapshot(delta.ts_init, {}, {})
        else:
            side = Side.BUY if delta.order.side == self._buy else Side.SELL
            price = delta.order.price.as_decimal()
            size = ZERO if delta.action == self._delete else delta.order.size.as_decimal()
            if self._snapshot is None:
                out.append(LevelSet(delta.ts_init, side, price, size))
            elif size > 0:
                (self._snapshot.bids if side is Side.BUY else self._snapshot.asks)[price] = size
        if self._snapshot is not None and delta.flags & self._last_flag:
            out.append(self._snapshot)
            self._snapshot = None
        return out


def _print(trade: Any) -> Print:
    name = str(trade.aggressor_side).rsplit(".", 1)[-1]
    side = {"BUY": Side.BUY, "BUYER": Side.BUY, "SELL": Side.SELL, "SELLER": Side.SELL}.get(name)
    return Print(trade.ts_init, trade.price.as_decimal(), trade.size.as_decimal(), side)
