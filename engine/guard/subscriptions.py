"""NautilusTrader's subscriptions and requests, after a look at what the run has."""

from __future__ import annotations

from typing import Any

from nautilus_trader.model import BarType, BookType, InstrumentId, Venue

from fairlead.engine.guard.clock import GuardedClock
from fairlead.engine.guard.feeds import REQUESTED, SUBSCRIBED
from fairlead.engine.guard.guard import Guard
from fairlead.engine.guard.hooks import Hooks
from fairlead.engine.guard.turns import HEARD_AS


class Subscriptions(Hooks):
    """The half of a guarded strategy that asks for market data and time."""

    _guard: Guard | None = None
    _guard_clock: GuardedClock | None = None

    def _guard_bound(self) -> Guard:
        """Raises RuntimeError before `bind`."""
        if self._guard is None:
            raise RuntimeError(
                f"{type(self).__name__} is not bound to a gate: nothing can be asked for or sent; "
                "do it from on_start on"
            )
        return self._guard

    @property
    def clock(self) -> Any:
        """The strategy's clock; exceptions in its timers' callbacks end the run like any other."""
        if self._guard is None:
            return self._guard_native.clock.__get__(self)
        if self._guard_clock is None:
            self._guard_clock = GuardedClock(self._guard.clock(), self._guard.stop.safe)
        return self._guard_clock

    def subscribe_book_deltas(
        self,
        instrument_id: InstrumentId,
        book_type: BookType,
        depth: int | None = None,
        client_id: Any = None,
        managed: bool = False,
        params: dict[str, Any] | None = None,
    ) -> None:
        feeds = self._guard_bound().feeds
        feeds.subscribe_book(instrument_id, book_type, depth, client_id, managed, params)

    def unsubscribe_book_deltas(self, instrument_id: InstrumentId, *args: Any) -> None:
        self._guard_bound().feeds.unsubscribe_book(instrument_id, *args)

    def subscribe_bars(self, bar_type: BarType, *args: Any, **kw: Any) -> None:
        self._guard_bound().feeds.subscribe_bars(bar_type, *args, **kw)

    def unsubscribe_bars(self, bar_type: BarType, *args: Any, **kw: Any) -> None:
        self._guard_bound().feeds.unsubscribe_bars(bar_type, *args, **kw)

    def request_bars(self, bar_type: BarType, *args: Any, **kw: Any) -> Any:
        self._guard_bound().feeds.wants.request("bars", bar_type.instrument_id)
        return self._guard_native.request_bars(self, bar_type, *args, **kw)

    def subscribe_instruments(self, venue: Venue, *args: Any, **kw: Any) -> None:
        self._guard_bound().feeds.wants.venue(venue)
        self._guard_native.subscribe_instruments(self, venue, *args, **kw)

    def subscribe_data(self, data_type: Any, *args: Any, **kw: Any) -> None:
        if kw.get("client_id") is not None or args:  # else: what strategies publish for each other
            self._guard_bound().feeds.wants.other(f"custom data {data_type}")
        self._guard_native.subscribe_data(self, data_type, *args, **kw)

    def subscribe_topic(self, topic: str, handler: Any, priority: int = 0) -> None:
        self._guard_bound().feeds.subscribe_topic(topic, handler, priority)

    def unsubscribe_topic(self, topic: str, handler: Any) -> None:
        self._guard_bound().feeds.unsubscribe_topic(topic, handler)

    def register_indicator_for_quote_ticks(self, instrument_id: Any, indicator: Any) -> None:
        self._guard_bound().feeds.indicator(indicator)
        self._guard_native.register_indicator_for_quote_ticks(self, instrument_id, indicator)

    def register_indicator_for_trade_ticks(self, instrument_id: Any, indicator: Any) -> None:
        self._guard_bound().feeds.indicator(indicator)
        self._guard_native.register_indicator_for_trade_ticks(self, instrument_id, indicator)

    def register_indicator_for_bars(self, bar_type: Any, indicator: Any) -> None:
        self._guard_bound().feeds.indicator(indicator)
        self._guard_native.register_indicator_for_bars(self, bar_type, indicator)


def _subscribe(what: str) -> Any:
    def subscribe(self: Subscriptions, instrument_id: Any, *args: Any, **kw: Any) -> None:
        self._guard_bound().feeds.subscribe(what, instrument_id, *args, **kw)

    return subscribe


def _unsubscribe(what: str) -> Any:
    def unsubscribe(self: Subscriptions, instrument_id: Any, *args: Any, **kw: Any) -> None:
        self._guard_bound().feeds.unsubscribe(what, instrument_id, *args, **kw)

    return unsubscribe


def _request(what: str) -> Any:
    def request(self: Subscriptions, instrument_id: Any, *args: Any, **kw: Any) -> Any:
        return self._guard_bound().feeds.request(what, instrument_id, *args, **kw)

    return request


for _verb, _names, _make in (
    ("subscribe", SUBSCRIBED, _subscribe),
    ("unsubscribe", HEARD_AS, _unsubscribe),
    ("request", REQUESTED, _request),
):
    for _name in _names:
        setattr(Subscriptions, f"{_verb}_{_name}", _make(_name))
