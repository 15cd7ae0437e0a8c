"""The fills of a backtest: NautilusTrader's simulated exchange, told what an order gets.

Left to itself it fills a stop that a trade fired at the stop's own limit price, holds a level that
the run took from for gone as long as its size is told the same, and fills nothing of a maker with a
queue before it when the market runs through its price. It asks `MarketFills` about each order that
its own touch, or a trade, has reached. The answer is what the `Shadow` of the instrument decides,
which has seen the same orders and the same market, event by event.

The question comes before anyone else has the data. So the shadow is told from the rows that the run
is fed with, as far as the exchange has come, and only when a question comes.
"""

from __future__ import annotations

import weakref
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

import msgspec
from nautilus_trader.execution import FillModel
from nautilus_trader.model import (
    BookOrder,
    BookType,
    ClientOrderId,
    InstrumentId,
    OrderAccepted,
    OrderBook,
    OrderModifyRejected,
    OrderSide,
    OrderStatus,
    OrderSubmitted,
    OrderType,
    OrderUpdated,
    Price,
    Quantity,
    StrategyId,
)

from fairlead.engine.matching.closing import Closing
from fairlead.engine.matching.native import HeldRules, new_order_of
from fairlead.engine.matching.orders import NewOrder
from fairlead.engine.matching.shadow import Decided, Shadow
from fairlead.engine.matching.shown import Shown
from fairlead.engine.matching.taking import ZERO, Offer, walk
from fairlead.engine.matching.tape import Tape
from fairlead.engine.orders.model import Side, TierPrice
from fairlead.engine.risk.approval import Change

JUMP_MIN = 2000  # events that take longer than a copy of the book that was told them
LATER_NS = 100_000_000  # to the next look, where no event is known to come
_COMMANDED = (OrderSubmitted, OrderAccepted, OrderUpdated)
_BARE = frozenset({OrderType.STOP_MARKET, OrderType.MARKET_IF_TOUCHED})
_OTHER = {OrderSide.BUY: OrderSide.SELL, OrderSide.SELL: OrderSide.BUY}


class _Change(msgspec.Struct, frozen=True):
    """What became of an order at `ts`; `number` is the exchange's own of that order."""

    ts: int
    number: str
    apply: Callable[[], None]

    def apply_to(self, shadow: Shadow) -> None:
        shadow.commanded_ns = self.ts
        self.apply()


def _turn_of(change: _Change) -> tuple[int, int, str]:
    return change.ts, len(change.number), change.number


class _NotNow(Exception):
    """An order without a limit goes on waiting: NautilusTrader asks by prices that do not fire it,
    too, its own touch among them.

    Told that it gets nothing, NautilusTrader cancels it. Of an answer that fails it keeps the
    order as it is, and asks again with the next event that meets its trigger. It logs the failure;
    `fairlead.engine.run.kernel` keeps that away.
    """


class Feed(Protocol):
    """The rows that a run is fed with."""

    def tape(self, instrument_id: InstrumentId) -> Tape:
        """The market data of an instrument in the part that is run now."""
        ...


class _Line:
    """One instrument: its shadow, and how far that has come."""

    def __init__(self, instrument: Any, shadow: Shadow) -> None:
        self.instrument, self.shadow = instrument, shadow
        self.tape: Tape | None = None
        self.at = 0  # of the tape's events, the first that is not applied
        self.seen: dict[str, int] = {}  # events of open orders, by client order id
        self.known: set[str] = set()  # client order ids of orders whose kind the matching knows
        self.answered: dict[str, int] = {}  # and what of the changes that were asked for


class MarketFills(FillModel):
    """What orders meet, of instruments with a book of more than the touch.

    `consumes`: what the run took of a level is gone until the market data tells of it again.
    `queues`: an order that rests stands behind what was displayed at its price when it came.
    `held`: what the engine holds for a venue, by its name.
    """

    def __init__(
        self,
        instruments: Mapping[InstrumentId, Any],
        feed: Feed,
        closing: Closing,
        *,
        consumes: bool,
        queues: bool,
        held: Mapping[str, HeldRules] | None = None,
        tier_prices: Mapping[str, TierPrice | None] | None = None,
        asked: Callable[[str], Sequence[Change]] = lambda _: (),
        decided: list[Decided] | None = None,
    ) -> None:
        """`tier_prices`: by venue, where a dealer's ladders are its books. `asked`: the changes
        that an order was commanded, since NautilusTrader drops the trigger of one that it takes for
        triggered. `decided`: see `Shadow`."""
        super().__init__()
        self._asked_changes = asked
        self._held = dict(held or {})
        self.shown = {
            instrument_id: Shown(one, sources)
            for instrument_id, one in instruments.items()
            if (rules := self._held.get(str(instrument_id.venue))) is not None
            and Shown.is_needed(sources := rules.sources())
        }  # to be fed to the exchange among the market's rows
        tiers = tier_prices or {}
        # Weak: what feeds the run holds its engine, which holds this
        self._feed, self._closing = weakref.proxy(feed), closing
        self._lines = {
            instrument_id: _Line(
                one,
                Shadow(
                    one,
                    self._reducible,
                    consumes=consumes,
                    queues=queues,
                    tier_price=tiers.get(str(instrument_id.venue)),
                    decided=decided,
                ),
            )
            for instrument_id, one in instruments.items()
        }

    def get_orderbook_for_fill_simulation(
        self, instrument: Any, order: Any, best_bid: Any = None, best_ask: Any = None
    ) -> OrderBook | None:
        """A book of just what `order` gets now. None: the exchange's own way.

        What else it raises NautilusTrader only logs; so it is kept, for the run to end with it.
        Raises _NotNow.
        """
        line = self._lines.get(instrument.id)
        if line is None or not self._is_known(line, order):
            return None
        try:
            is_shown = instrument.id in self.shown and best_bid and best_ask
            is_mid = bool(is_shown and best_bid >= best_ask)
            return _book(instrument, order, self._answer(line, order, is_mid=is_mid))
        except _NotNow:
            raise
        except Exception as error:
            self._closing.failed(error)
            raise

    def finish(self) -> None:
        """The part that was run is over: come to its end."""
        for line in self._lines.values():
            self._turn(line)
            assert line.tape is not None
            self._advance(line, len(line.tape.events), is_over=True)

    def _answer(self, line: _Line, order: Any, *, is_mid: bool) -> list[Offer]:
        order_id = str(order.client_order_id)
        self._turn(line)
        self._advance(line, self._reached(line, order, order_id, is_mid=is_mid))
        shadow = line.shadow
        if order_id in shadow.in_vain:  # a fill-or-kill that was not, of an order that was held
            self._closing.end(order.client_order_id)
            return []
        if order_id not in line.seen or not shadow.has(order_id):
            self._arrive(line, order)
        if shadow.is_waiting(order_id) and not shadow.fires_itself(order_id):
            shadow.fire(order_id)  # the other exchange fires by trades whatever it waits for
        leaves = order.leaves_qty.as_decimal()
        fills = walk(shadow.take(order_id), leaves)
        if not fills and order.order_type in _BARE and shadow.has(order_id):
            if order.status == OrderStatus.SUBMITTED:
                self._come_anew(line, order)
            raise _NotNow
        left = leaves - sum((size for _, size in fills), ZERO)
        if fills and left > 0 and order.order_type == OrderType.MARKET:
            self._closing.end(order.client_order_id)
        return fills

    def _arrive(self, line: _Line, order: Any) -> None:
        """It comes now, or goes on: the exchange filled less of it than it was told to."""
        left = order.leaves_qty.as_decimal()
        if left <= 0 or line.shadow.has_due(str(order.client_order_id)):
            return
        if (new := self._asked(order)) is not None:
            now = self._closing.clock.timestamp_ns()
            line.shadow.commanded_ns = now
            line.shadow.accept(msgspec.structs.replace(new, quantity=left), now)
            line.seen[new.id] = order.event_count

    def _come_anew(self, line: _Line, order: Any) -> None:
        """It came, and NautilusTrader takes it for passed: kept as it is it would be in no book.

        So it comes again, as soon as it fires, or as the touch has not passed it any more.
        """
        tape, now = line.tape, self._closing.clock.timestamp_ns()
        assert tape is not None
        at = bisect_right(tape.times, now)
        until = tape.times[at] + 1 if at < len(tape.times) else now + LATER_NS
        self._closing.call_at(
            f"anew-{order.client_order_id}", until, partial(self._look_again, line, order)
        )

    def _look_again(self, line: _Line, order: Any) -> None:
        found = self._closing.cache.order(order.client_order_id)
        if found is None or found.status != OrderStatus.SUBMITTED:
            return
        self._turn(line)
        assert line.tape is not None
        self._advance(line, line.tape.moment(self._closing.clock.timestamp_ns())[0])
        order_id = str(order.client_order_id)
        if line.shadow.is_waiting(order_id) and line.shadow.is_touched(order_id):
            self._come_anew(line, order)
        else:
            self._closing.submit_anew(found)

    # -- how far the exchange has come ---------------------------------------------------------

    def _turn(self, line: _Line) -> None:
        tape = self._feed.tape(line.instrument.id)
        if tape is not line.tape:
            line.tape, line.at = tape, 0

    def _reached(self, line: _Line, order: Any, order_id: str, *, is_mid: bool) -> int:
        """The number of the tape's events that the exchange has seen when it asks about `order`.

        What everyone has, and what it works on now. Of an order that has just come, or was changed,
        it asks in between; and so where it `is_mid` of a book that everyone has.
        """
        tape, now = line.tape, self._closing.clock.timestamp_ns()
        assert tape is not None
        begin, end = tape.moment(now)
        if begin == end:
            return end
        last = order.last_event
        is_command = (
            isinstance(last, _COMMANDED)
            and last.ts_event == now
            and line.seen.get(order_id) != order.event_count
        )
        if end - begin == 1 and not is_command:
            return end
        cache, iid = self._closing.cache, line.instrument.id
        known = tape.known(begin, end, cache.book_update_count(iid), _trades(cache, iid, now))
        return known if is_command or is_mid else min(known + 1, end)

    def _advance(self, line: _Line, end: int, *, is_over: bool = False) -> None:
        """Apply the tape's events up to `end`, and what became of orders, in their order.

        `is_over`: everyone has all of them.
        """
        assert line.tape is not None
        tape, shadow, at = line.tape, line.shadow, line.at
        changes = deque(sorted(self._changes(line), key=_turn_of))
        while at < end:
            while changes and changes[0].ts < tape.times[at]:
                changes.popleft().apply_to(shadow)
            until = bisect_right(tape.times, changes[0].ts, at, end) if changes else end
            if shadow.is_idle:  # most of the time
                self._pass_over(line, at, until, is_over=is_over and until == end)
                at = until
            else:
                at = shadow.hear(tape.events, at, until, tape.lasts)
        line.at = max(line.at, end)
        for change in changes:
            change.apply_to(shadow)

    def _pass_over(self, line: _Line, begin: int, end: int, *, is_over: bool) -> None:
        tape, shadow, iid = line.tape, line.shadow, line.instrument.id
        assert tape is not None
        events, cache = tape.events[begin:end], self._closing.cache
        if is_over and len(events) >= JUMP_MIN and cache.book_update_count(iid) == tape.total:
            book = cache.order_book(iid)
            if book is not None and book.book_type == BookType.L2_MBP:
                shadow.jump(book, events, tape.lasts)
                return
        shadow.pass_over(events, tape.lasts)

    # -- what became of orders -----------------------------------------------------------------

    def _changes(self, line: _Line) -> list[_Change]:
        """What happened to orders since the last time."""
        cache, shadow = self._closing.cache, line.shadow
        found: list[_Change] = []
        open_ids = set()
        for client_order_id in cache.client_order_ids_open(instrument_id=line.instrument.id):
            order_id, order = str(client_order_id), cache.order(client_order_id)
            open_ids.add(order_id)
            if order is not None and order.event_count != line.seen.get(order_id):
                found += self._changes_of(line, order, order_id)
        for order_id in [one for one in line.seen if one not in open_ids]:
            order = cache.order(ClientOrderId(order_id))
            if order is not None and order.is_closed:
                del line.seen[order_id]
                line.answered.pop(order_id, None)
                line.known.discard(order_id)
                found.append(_change(order, order.ts_last, shadow.drop, order_id))
        return found

    def _changes_of(self, line: _Line, order: Any, order_id: str) -> Iterator[_Change]:
        shadow, seen = line.shadow, line.seen.get(order_id, 0)
        line.seen[order_id] = order.event_count
        for event in order.events()[seen:]:
            ts = int(event.ts_event)
            if isinstance(event, OrderAccepted):  # which may have been asked to end before
                new = self._asked(type(order).create(order.init_event))
                if new is not None and not shadow.is_waiting(order_id):
                    yield _change(order, ts, shadow.accept, new, ts)
            elif isinstance(event, OrderModifyRejected):
                line.answered[order_id] = line.answered.get(order_id, 0) + 1
            elif isinstance(event, OrderUpdated):
                quantity, price, trigger = _terms(event)
                asked = self._trigger_asked(line, order_id, quantity, price)
                yield _change(order, ts, shadow.change, order_id, quantity, price, trigger or asked)

    def _trigger_asked(
        self, line: _Line, order_id: str, quantity: Decimal, price: Decimal | None
    ) -> Decimal | None:
        """Of the change that has come to this: what is updated otherwise was asked by nobody."""
        begin = line.answered.get(order_id, 0)
        for at, change in enumerate(self._asked_changes(order_id)[begin:], begin):
            if change[0] in (None, quantity) and change[1] in (None, price):
                line.answered[order_id] = at + 1
                return change[2]
        return None

    def _is_known(self, line: _Line, order: Any) -> bool:
        """Whether the matching knows its kind, which no change of it changes."""
        order_id = str(order.client_order_id)
        if order_id in line.known:
            return True
        if self._asked(order) is None:
            return False
        line.known.add(order_id)
        return True

    def _asked(self, order: Any) -> NewOrder | None:
        """What it asks for; None: the matching does not know its kind, and the gate lets it through
        only where UNSUPPORTED is off."""
        try:
            return new_order_of(order, self._held.get(str(order.instrument_id.venue)))
        except ValueError:
            return None

    def _reducible(self, new: NewOrder) -> Decimal:
        positions = self._closing.cache.positions_open(
            instrument_id=InstrumentId.from_str(new.instrument),
            strategy_id=StrategyId(new.strategy),
        )
        is_long = new.side is Side.SELL
        held = [one.quantity.as_decimal() for one in positions if one.is_long == is_long]
        return sum(held, ZERO)


def _change(order: Any, ts: int, apply: Callable[..., None], *args: Any) -> _Change:
    return _Change(int(ts), str(order.venue_order_id), partial(apply, *args))


def _terms(to: OrderUpdated) -> tuple[Decimal, Decimal | None, Decimal | None]:
    price, trigger = to.price, to.trigger_price
    return (
        to.quantity.as_decimal(),
        None if price is None else price.as_decimal(),
        None if trigger is None else trigger.as_decimal(),
    )


def _trades(cache: Any, instrument_id: InstrumentId, now: int) -> int:
    """How many trades of this moment everyone has."""
    count, trade = 0, cache.trade(instrument_id)
    while trade is not None and trade.ts_init == now:
        count += 1
        trade = cache.trade(instrument_id, count)
    return count


def _book(instrument: Any, order: Any, offers: list[Offer]) -> OrderBook:
    """A book of these for `order` to take."""
    levels: dict[Decimal, Decimal] = {}
    for price, size in offers:
        levels[price] = levels.get(price, ZERO) + size
    made = OrderBook(instrument.id, BookType.L2_MBP)
    for price, size in levels.items():
        row = BookOrder(
            _OTHER[order.side],
            Price.from_decimal_dp(price, instrument.price_precision),
            Quantity.from_decimal_dp(size, instrument.size_precision),
            0,
        )
        made.add(row, 0, 0, 0)
    return made
