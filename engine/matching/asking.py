"""Has the simulated exchange of a backtest look at its orders again when all know what it knows.

The exchange sees market data before its fill model can: at a trade not its size, at a change of the
book not the new levels. And it looks at its orders only when data or a command arrives. So `Asking`
sends it a command without effect, at the same nanosecond, once the data has reached everyone: to
cancel all orders of an instrument that has none. Commands take their time to the exchange; this one
is stamped that much earlier.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from nautilus_trader.model import (
    BookType,
    ClientOrderId,
    CurrencyPair,
    InstrumentId,
    OrderBook,
    Price,
    Quantity,
    StrategyId,
    Symbol,
    TradeTick,
    Venue,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from engine.currencies import currency
from engine.matching.traces import Traces

SYMBOL = "FAIRLEAD-ASKING"  # of the instrument that has no orders
STRATEGY_ID = "FAIRLEAD-ASKING"
HOUR_MS = 3_600_000


class Feed(Protocol):
    """The data that a run is fed with, by `ts_init`."""

    def told_ns(self, instrument_id: InstrumentId, now: int) -> int:
        """When its book was last told, up to `now`; 0: never."""
        ...

    def cleared_ns(self, instrument_id: InstrumentId, now: int) -> int:
        """When its book was last cleared by a gap, up to `now`; 0: never."""
        ...

    def books_at(self, instrument_id: InstrumentId, now: int) -> list[Any]:
        """What comes of its book at `now`."""
        ...

    def trades_at(self, instrument_id: InstrumentId, now: int) -> list[TradeTick]:
        """Its trades that come at `now`."""
        ...


def nothing_at(venue: Venue) -> InstrumentId:
    """The instrument of `venue` that has no orders."""
    return InstrumentId(Symbol(SYMBOL), venue)


def nothing(venue: Venue) -> CurrencyPair:
    """Its definition, which the simulated exchange has to be given."""
    instrument_id = nothing_at(venue)
    return CurrencyPair(
        instrument_id=instrument_id,
        raw_symbol=instrument_id.symbol,
        base_currency=currency("BTC"),
        quote_currency=currency("USDT"),
        price_precision=0,
        size_precision=0,
        price_increment=Price.from_str("1"),
        size_increment=Quantity.from_str("1"),
        ts_event=0,
        ts_init=0,
    )


class Asking(Strategy):
    """Keeps the books that fills are made on, hears of those that the run took from, and asks.

    It never trades.
    """

    _books: Mapping[InstrumentId, bool]
    _latency_ns = 0
    _feed: Feed
    error: Exception | None = None  # the first that answering an order ended in

    def prepare(self, books: Mapping[InstrumentId, bool], latency_ns: int, feed: Feed) -> None:
        """`books`: instruments with a book of more than the touch, whether told by deltas, else by
        whole books. `latency_ns`: of every command. Strategy's constructor takes its config only.
        """
        self._books, self._latency_ns = books, latency_ns
        # Weak: what feeds the run holds its engine, which holds this
        self._feed = weakref.proxy(feed)
        self._markets = {instrument_id: Traces() for instrument_id in books}
        self._watched: set[InstrumentId] = set()
        self._due: set[str] = set()

    def failed(self, error: Exception) -> None:
        if self.error is None:
            self.error = error
            self.shutdown_system(f"no fill could be found: {error!r}")

    def market(self, instrument_id: InstrumentId) -> Traces | None:
        return self._markets.get(instrument_id)

    def told_ns(self, instrument_id: InstrumentId) -> int:
        """When its book was last told."""
        return self._feed.told_ns(instrument_id, self.clock.timestamp_ns())

    def cached_ns(self, instrument_id: InstrumentId, book: OrderBook) -> int:
        """When `book`, as the cache has it, was last told: not now if that is still to come to it.

        A NautilusTrader book knows no time but the venue's.
        """
        now = self.clock.timestamp_ns()
        coming = self._feed.books_at(instrument_id, now)
        is_here = any(
            (one.ts_event, one.sequence) == (book.ts_event, book.sequence) for one in coming
        )
        return self._feed.told_ns(instrument_id, now if is_here else now - 1)

    def cleared_ns(self, instrument_id: InstrumentId) -> int:
        """When its book was last cleared by a gap."""
        return self._feed.cleared_ns(instrument_id, self.clock.timestamp_ns())

    def knows_trades(self, instrument_id: InstrumentId) -> bool:
        """Whether the cache has the trades that come now."""
        now = self.clock.timestamp_ns()
        for number in range(len(self._feed.trades_at(instrument_id, now))):
            trade = self.cache.trade(instrument_id, number)
            if trade is None or trade.ts_init != now:
                return False
        return True

    def coming(self, instrument_id: InstrumentId) -> tuple[list[Any], list[TradeTick]]:
        """What the exchange has and the cache has not: of the book, or trades."""
        now = self.clock.timestamp_ns()
        if not self.knows_trades(instrument_id):
            return [], self._feed.trades_at(instrument_id, now)
        return self._feed.books_at(instrument_id, now), []

    def is_trade(self, instrument_id: InstrumentId) -> bool | None:
        """Whether what comes now is a trade, not a change of its book. None: both come at once."""
        now = self.clock.timestamp_ns()
        if self._feed.told_ns(instrument_id, now) != now:
            return True
        return None if self._feed.trades_at(instrument_id, now) else False

    def on_start(self) -> None:
        for instrument_id in self._books:  # so that the cache has it; no call an event
            self.subscribe_book_at_interval(instrument_id, BookType.L2_MBP, HOUR_MS)

    def ask_again(self, instrument_id: InstrumentId) -> None:
        now = self.clock.timestamp_ns()
        name = f"{instrument_id.venue}-{now}"
        if name not in self._due:
            self._due.add(name)
            self.clock.set_time_alert_ns(name, now, lambda _: self._ask(instrument_id.venue, name))

    def _ask(self, venue: Venue, name: str) -> None:
        self._due.discard(name)
        for instrument_id, market in self._markets.items():
            if instrument_id.venue == venue:
                market.waiting.clear()  # the exchange names those who still wait
        with self._at_once():
            self.cancel_all_orders(nothing_at(venue), strategy_only=False)

    def end(self, order_id: ClientOrderId) -> None:
        """Cancel a market order that took all there was: NautilusTrader would keep it for ever.

        Its OrderPendingCancel bears the time of the stamp, before the fill.
        """
        self.clock.set_time_alert_ns(
            f"end-{order_id}", self.clock.timestamp_ns(), lambda _: self._end(order_id)
        )

    def _end(self, order_id: ClientOrderId) -> None:
        order = self.cache.order(order_id)
        if order is not None and not order.is_closed:
            with self._at_once():
                self.cancel_order(order_id)

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """What is commanded now arrives now."""
        now = self.clock.timestamp_ns()
        self.clock.set_time(now - self._latency_ns)
        try:
            yield
        finally:
            self.clock.set_time(now)

    def watch(self, instrument_id: InstrumentId) -> None:
        """Hear of the book while something of it is taken or waited for."""
        if instrument_id in self._watched:
            return
        self._watched.add(instrument_id)
        if self._books[instrument_id]:
            self.subscribe_book_deltas(instrument_id, BookType.L2_MBP)
        else:
            self.subscribe_book_depth(instrument_id, BookType.L2_MBP)

    def on_book_deltas(self, deltas: Any) -> None:
        market = self._markets[deltas.instrument_id]
        market.told(deltas.deltas, self.clock.timestamp_ns(), is_whole=self._is_whole(deltas))
        self._told(deltas.instrument_id, market)

    def on_book_depth(self, depth: Any) -> None:
        market = self._markets[depth.instrument_id]
        market.told_anew(self.clock.timestamp_ns(), is_whole=self._is_whole(depth))
        self._told(depth.instrument_id, market)

    def _is_whole(self, of: Any) -> bool:
        return self.cache.top_of_book(of.instrument_id) is not None

    def _told(self, instrument_id: InstrumentId, market: Traces) -> None:
        if market.waiting:
            self.ask_again(instrument_id)
        elif market.is_quiet:
            self._watched.discard(instrument_id)
            if self._books[instrument_id]:
                self.unsubscribe_book_deltas(instrument_id)
            else:
                self.unsubscribe_book_depth(instrument_id)


def asking(books: Mapping[InstrumentId, bool], latency_ns: int, feed: Feed) -> Asking:
    """One for a run, of all venues."""
    made = Asking(StrategyConfig(strategy_id=StrategyId(STRATEGY_ID)))
    made.prepare(books, latency_ns, feed)
    return made
