"""Market data of a guarded strategy: what it asked for, and what only the gate needs.

The gate compares prices with the managed book (or quotes), and simulated triggers need trades.
Where the strategy has not subscribed these itself, they are subscribed for it and kept from its
callbacks, so that a strategy sees the same events with and without the gate.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from nautilus_trader.model import BookType, InstrumentId
from nautilus_trader.trading import Strategy

from engine.guard.callbacks import GuardedClock
from engine.guard.offer import BOOK, QUOTES, TRADES
from engine.guard.run_state import RunState
from engine.guard.turns import TurnsMixin
from engine.guard.wants import WantsMixin

Feeds = Literal["book", "quotes"] | None


class FeedMixin(WantsMixin, TurnsMixin):
    """Subscriptions, topics and timers of a guarded strategy."""

    _guard_native: ClassVar[Any] = Strategy  # whose calls are behind the guard
    _guard_run: RunState
    _guard_clock: GuardedClock | None = None
    _guard_feeds: Feeds = None
    _guard_wanted: dict[str, set[InstrumentId]]
    _guard_topics: dict[Any, Any]
    _guard_user_callbacks: ClassVar[frozenset[str]] = frozenset()

    # Subscriptions: as NautilusTrader's, noting what the strategy itself wants to see

    def subscribe_book_deltas(
        self: Any,
        instrument_id: InstrumentId,
        book_type: BookType,
        depth: int | None = None,
        client_id: Any = None,
        managed: bool = False,
        params: dict[str, Any] | None = None,
    ) -> None:
        self._guard_wants.data(BOOK, instrument_id)
        self._guard_wanted["on_book_deltas"].add(instrument_id)
        managed = managed or self._guard_feeds == "book"
        if managed:
            self._guard_run.fed.add(str(instrument_id))
        self._guard_native.subscribe_book_deltas(
            self, instrument_id, book_type, depth, client_id, managed, params
        )
        self._guard_join("on_book_deltas", instrument_id)

    def unsubscribe_book_deltas(self: Any, instrument_id: InstrumentId, *args: Any) -> None:
        self._guard_forget("on_book_deltas", instrument_id, self._guard_feeds == "book", args)

    def subscribe_quotes(self: Any, instrument_id: InstrumentId, *args: Any, **kw: Any) -> None:
        self._guard_wants.data(QUOTES, instrument_id)
        self._guard_wanted["on_quote"].add(instrument_id)
        if self._guard_feeds == "quotes":
            self._guard_run.fed.add(str(instrument_id))
        self._guard_native.subscribe_quotes(self, instrument_id, *args, **kw)
        self._guard_join("on_quote", instrument_id)

    def subscribe_trades(self: Any, instrument_id: InstrumentId, *args: Any, **kw: Any) -> None:
        self._guard_wants.data(TRADES, instrument_id)
        self._guard_wanted["on_trade"].add(instrument_id)
        self._guard_native.subscribe_trades(self, instrument_id, *args, **kw)
        self._guard_join("on_trade", instrument_id)

    def subscribe_topic(self: Any, topic: str, handler: Any, priority: int = 0) -> None:
        safe = self._guard_safe(f"handler of {topic}", handler)
        self._guard_topics[topic, handler] = safe
        self._guard_native.subscribe_topic(self, topic, safe, priority)

    def unsubscribe_topic(self: Any, topic: str, handler: Any) -> None:
        self._guard_native.unsubscribe_topic(
            self, topic, self._guard_topics.pop((topic, handler), handler)
        )

    def register_indicator_for_quote_ticks(self: Any, instrument_id: Any, indicator: Any) -> None:
        self._guard_indicator(indicator)
        self._guard_native.register_indicator_for_quote_ticks(self, instrument_id, indicator)

    def register_indicator_for_trade_ticks(self: Any, instrument_id: Any, indicator: Any) -> None:
        self._guard_indicator(indicator)
        self._guard_native.register_indicator_for_trade_ticks(self, instrument_id, indicator)

    def register_indicator_for_bars(self: Any, bar_type: Any, indicator: Any) -> None:
        self._guard_indicator(indicator)
        self._guard_native.register_indicator_for_bars(self, bar_type, indicator)

    @property
    def clock(self: Any) -> GuardedClock:
        """The strategy's clock; exceptions in its timers' callbacks end the run like any other."""
        clock = self._guard_clock
        if clock is None:
            clock = GuardedClock(self._guard_native.clock.__get__(self), self._guard_safe)
            self._guard_clock = clock
        assert isinstance(clock, GuardedClock)
        return clock

    def _guard_indicator(self: Any, indicator: Any) -> None:
        """Let an exception of a Python indicator end the run; it would end its data in silence."""
        if type(indicator).__module__.startswith("nautilus_trader"):
            return
        for name in dir(indicator):
            if name.startswith("handle_"):
                label = f"{name} of indicator {type(indicator).__name__}"
                setattr(indicator, name, self._guard_safe(label, getattr(indicator, name)))

    def _guard_subscribe(self: Any) -> None:
        """Last part of on_start: market data for the gate, where no strategy subscribed it."""
        self._guard_wants.settle()
        feeds, run = self._guard_feeds, self._guard_run
        if feeds is None:
            return
        for name in run.instruments:
            if name in run.fed:
                continue
            run.fed.add(name)
            instrument_id = InstrumentId.from_str(name)
            if feeds == "book":
                self._guard_filter("on_book_deltas")
                self._guard_native.subscribe_book_deltas(
                    self, instrument_id, BookType.L2_MBP, managed=True
                )
            else:
                self._guard_filter("on_quote")
                self._guard_native.subscribe_quotes(self, instrument_id)

    def _guard_need_trades(self: Any, instrument_id: InstrumentId) -> None:
        """Make sure that trades of the instrument come; the strategy sees what it asked for."""
        key = ("trades", instrument_id)
        if instrument_id in self._guard_wanted["on_trade"] or key in self._guard_topics:
            return
        self._guard_wants.trigger(instrument_id)
        self._guard_topics[key] = True
        self._guard_filter("on_trade")
        self._guard_native.subscribe_trades(self, instrument_id)

    def _guard_filter(self: Any, callback: str) -> None:
        """Hide from the strategy's `callback` what only the gate subscribed to."""
        if callback not in self._guard_user_callbacks or callback in self.__dict__:
            return
        inner, wanted = getattr(self, callback), self._guard_wanted[callback]

        def filtered(event: Any) -> None:
            if event.instrument_id in wanted:
                inner(event)

        setattr(self, callback, filtered)

    def _guard_forget(
        self: Any, callback: str, instrument_id: InstrumentId, keep: bool, args: tuple[Any, ...]
    ) -> None:
        """Unsubscribe; what the gate needs stays subscribed and is hidden from the strategy."""
        self._guard_wanted[callback].discard(instrument_id)
        self._guard_part(callback, instrument_id)
        if keep:
            self._guard_filter(callback)
        else:
            self._guard_native.unsubscribe_book_deltas(self, instrument_id, *args)
