"""Market data of a guarded strategy: what it asked for, and what only the gate needs.

The gate compares prices with the managed book (or quotes), and simulated triggers need trades. A
book that is told as whole depths alone is managed by those: no deltas come that could.
Where the strategy has not subscribed these itself, they are subscribed for it and kept from its
callbacks, so that a strategy sees the same events with and without the gate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from nautilus_trader.model import BarType, BookType, InstrumentId, TriggerType

from fairlead.engine.guard import offer
from fairlead.engine.guard.callback_names import BOOKS
from fairlead.engine.guard.core import Core
from fairlead.engine.guard.stop import Stop
from fairlead.engine.guard.turns import HEARD_AS
from fairlead.engine.guard.wants import Wants
from fairlead.engine.orders.held import may_be_held
from fairlead.engine.orders.model import Capabilities, Kind, TriggerSource

# What the gate subscribes to where no strategy does: the managed book, quotes, or nothing.
FeedKind = Literal["book", "quotes"] | None

# Subscriptions by instrument: what an offer calls the data, by NautilusTrader's name.
SUBSCRIBED = {
    "book_depth": offer.DEPTH,
    "book_at_interval": offer.BOOK,
    "instrument": offer.INSTRUMENT,
    "instrument_status": offer.STATUS,
    "instrument_close": "closing prices",
    "mark_prices": offer.MARK,
    "index_prices": offer.INDEX,
    "funding_rates": offer.FUNDING,
    "option_greeks": "option greeks",
    "quotes": offer.QUOTES,
    "trades": offer.TRADES,
}
REQUESTED = {
    "trades": offer.TRADES,
    "quotes": offer.QUOTES,
    "book_deltas": offer.BOOK,
    "book_depth": offer.DEPTH,
    "book_snapshot": "a snapshot of the book",
    "funding_rates": offer.FUNDING,
    "instrument": "the instrument",
}


class Feeds:
    """Subscriptions and topics of one strategy."""

    def __init__(self, core: Core, stop: Stop, kind: FeedKind) -> None:
        self._core = core
        self._stop = stop
        self._kind = kind
        self.wants = Wants(core.id, core.run)
        # What the strategy itself is to see, by callback
        self._wanted: dict[str, set[InstrumentId]] = {
            "on_book_deltas": set(),
            "on_book_depth": set(),
            "on_quote": set(),
            "on_trade": set(),
        }
        self._marked: set[InstrumentId] = set()  # whose mark price the strategy asked for
        self._triggering: set[InstrumentId] = set()  # whose trades the guard subscribed
        self._topics: dict[tuple[str, Any], Callable[[Any], None]] = {}

    # Subscriptions: as NautilusTrader's, noting what the strategy itself wants to see

    def subscribe(self, what: str, instrument_id: InstrumentId, *args: Any, **kw: Any) -> None:
        """`subscribe_WHAT`. Raises ValueError for an instrument that the run does not know."""
        self.wants.data(SUBSCRIBED[what], instrument_id)
        callback = HEARD_AS.get(what, "")
        if what == "mark_prices":
            self._marked.add(instrument_id)
        if callback in self._wanted:
            self._wanted[callback].add(instrument_id)
        is_book = what == "book_depth" and self._is_told_whole(instrument_id)
        if what == self._kind or is_book:
            self._core.run.fed.add(str(instrument_id))
        if is_book:
            args, kw = _managed(*args, **kw), {}
        getattr(self._core.native, f"subscribe_{what}")(
            self._core.strategy, instrument_id, *args, **kw
        )
        if callback:
            self._join(callback, instrument_id)

    def subscribe_book(
        self,
        instrument_id: InstrumentId,
        book_type: BookType,
        depth: int | None,
        client_id: Any,
        managed: bool,
        params: dict[str, Any] | None,
    ) -> None:
        core = self._core
        self.wants.data(offer.BOOK, instrument_id)
        self._wanted["on_book_deltas"].add(instrument_id)
        managed = managed or self._kind == "book"
        if managed:
            core.run.fed.add(str(instrument_id))
        core.native.subscribe_book_deltas(
            core.strategy, instrument_id, book_type, depth, client_id, managed, params
        )
        self._join("on_book_deltas", instrument_id)

    def subscribe_bars(self, bar_type: BarType, *args: Any, **kw: Any) -> None:
        self.wants.bars(bar_type)
        self._core.native.subscribe_bars(self._core.strategy, bar_type, *args, **kw)
        self._join("on_bar", bar_type.standard())

    def unsubscribe(self, what: str, instrument_id: InstrumentId, *args: Any, **kw: Any) -> None:
        if what == "book_depth" and self._is_told_whole(instrument_id):
            self._hide("on_book_depth", instrument_id)
            return
        getattr(self._core.native, f"unsubscribe_{what}")(
            self._core.strategy, instrument_id, *args, **kw
        )
        self._part(HEARD_AS[what], instrument_id)

    def unsubscribe_book(self, instrument_id: InstrumentId, *args: Any) -> None:
        """What the gate needs stays subscribed and is hidden from the strategy."""
        if self._kind == "book":
            self._hide("on_book_deltas", instrument_id)
        else:
            self._wanted["on_book_deltas"].discard(instrument_id)
            self._part("on_book_deltas", instrument_id)
            self._core.native.unsubscribe_book_deltas(self._core.strategy, instrument_id, *args)

    def unsubscribe_bars(self, bar_type: BarType, *args: Any, **kw: Any) -> None:
        self._core.native.unsubscribe_bars(self._core.strategy, bar_type, *args, **kw)
        self._part("on_bar", bar_type.standard())

    def request(self, what: str, instrument_id: InstrumentId, *args: Any, **kw: Any) -> Any:
        """`request_WHAT`. Raises ValueError for an instrument that the run does not know."""
        self.wants.request(REQUESTED[what], instrument_id)
        native = getattr(self._core.native, f"request_{what}")
        return native(self._core.strategy, instrument_id, *args, **kw)

    def subscribe_topic(self, topic: str, handler: Callable[[Any], Any], priority: int) -> None:
        safe = self._stop.safe(f"handler of {topic}", handler)
        self._topics[topic, handler] = safe
        self._core.native.subscribe_topic(self._core.strategy, topic, safe, priority)

    def unsubscribe_topic(self, topic: str, handler: Callable[[Any], Any]) -> None:
        known = self._topics.pop((topic, handler), handler)
        self._core.native.unsubscribe_topic(self._core.strategy, topic, known)

    def indicator(self, indicator: Any) -> None:
        """Let an exception of a Python indicator end the run; it would end its data in silence."""
        if type(indicator).__module__.startswith("nautilus_trader"):
            return
        for name in dir(indicator):
            if name.startswith("handle_"):
                label = f"{name} of indicator {type(indicator).__name__}"
                setattr(indicator, name, self._stop.safe(label, getattr(indicator, name)))

    # For the gate

    def settle(self) -> None:
        """Last part of on_start: market data for the gate, where no strategy subscribed it."""
        self.wants.settle()
        core = self._core
        if self._kind is None:
            return
        for name in core.run.instruments:
            if name in core.run.fed:
                continue
            core.run.fed.add(name)
            instrument_id = InstrumentId.from_str(name)
            if self._kind == "book":
                self._manage(instrument_id)
            else:
                self._filter("on_quote")
                core.native.subscribe_quotes(core.strategy, instrument_id)

    def _is_told_whole(self, instrument_id: InstrumentId) -> bool:
        """Whether the gate's book has to be managed by depths."""
        has = self._core.run.offer
        if has is None or self._kind != "book":
            return False
        return bool(has.lacks(instrument_id, offer.BOOK)) and not has.lacks(
            instrument_id, offer.DEPTH
        )

    def _manage(self, instrument_id: InstrumentId) -> None:
        native, is_whole = self._core.native, self._is_told_whole(instrument_id)
        has = self._core.run.offer
        if has is not None and not is_whole and has.lacks(instrument_id, offer.BOOK):
            if not has.lacks(instrument_id, offer.MARK) and instrument_id not in self._marked:
                native.subscribe_mark_prices(self._core.strategy, instrument_id)
            return
        self._filter("on_book_depth" if is_whole else "on_book_deltas")
        subscribe = native.subscribe_book_depth if is_whole else native.subscribe_book_deltas
        subscribe(self._core.strategy, instrument_id, BookType.L2_MBP, managed=True)

    def need_trades(self, instrument_id: InstrumentId) -> None:
        """Make sure that trades of the instrument come; the strategy sees what it asked for."""
        if instrument_id in self._wanted["on_trade"] or instrument_id in self._triggering:
            return
        self.wants.trigger(instrument_id)
        self._triggering.add(instrument_id)
        self._filter("on_trade")
        self._core.native.subscribe_trades(self._core.strategy, instrument_id)

    def _able(self, instrument_id: InstrumentId) -> Capabilities | None:
        return self._core.gate.capabilities.get(str(instrument_id.venue))

    def need_held(self, instrument_id: InstrumentId, kind: str) -> None:
        """The same for what the engine holds, whoever has built it."""
        able = self._able(instrument_id)
        if able is not None and may_be_held(kind, able):
            self.need_trigger(instrument_id, kind)

    def need_trigger(self, instrument_id: InstrumentId, kind: str) -> TriggerType:
        """Make sure that what fires an order of this kind comes, as NautilusTrader names it.

        The last trade, but where the engine holds the kind by the book's prices, which the gate's
        own book has.
        """
        able = self._able(instrument_id)
        if able is not None and (kind in able.held or kind == Kind.LIMIT):
            named = _TRIGGERS.get(able.source_for(kind))
            if named is not None:
                return named
        self.need_trades(instrument_id)
        return TriggerType.LAST_PRICE

    def _hide(self, callback: str, instrument_id: InstrumentId) -> None:
        """The strategy wants it no more, and the gate does."""
        self._wanted[callback].discard(instrument_id)
        self._part(callback, instrument_id)
        self._filter(callback)

    def _filter(self, callback: str) -> None:
        """Hide from the strategy's `callback` what only the gate subscribed to."""
        strategy = self._core.strategy
        if callback not in strategy._guard_user_callbacks or callback in strategy.__dict__:
            return
        inner, wanted = getattr(strategy, callback), self._wanted[callback]
        received = self._core.gate.received if callback in BOOKS else None

        def filtered(event: Any) -> None:
            if event.instrument_id in wanted:
                inner(event)
            elif received is not None:
                received[event.instrument_id] = event

        self._core.put(callback, filtered)

    def _join(self, callback: str, key: Any) -> None:
        self._core.run.turns.join(self._core, callback, key)

    def _part(self, callback: str, key: Any) -> None:
        self._core.run.turns.leave(self._core, callback, key)


# NautilusTrader's simulated exchange knows no price between bid and ask, or of a quantity.
_TRIGGERS = {
    TriggerSource.TOUCH: TriggerType.BID_ASK,
    TriggerSource.TIER: TriggerType.BID_ASK,
    TriggerSource.MID: TriggerType.BID_ASK,
}


def _managed(
    book_type: BookType,
    depth: int | None = None,
    client_id: Any = None,
    managed: bool = False,
    params: dict[str, Any] | None = None,
) -> tuple[Any, ...]:
    """Arguments of `subscribe_book_depth`, as those of a managed book."""
    return (book_type, depth, client_id, True, params)
