"""Random markets and orders at the simulated exchange: a judge of its own looks at each fill.

The judge keeps the market and the accounts by itself, from what was put in and what was told.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.engine.matching.orders import Fill, Order, State, Watched
from fairlead.engine.matching.taking import Print
from fairlead.engine.orders.model import Side
from tests.unit.matching.kit import BUY, MS, SELL, Bench, base_fee, new, quote_fee

ZERO = Decimal(0)
FEES = {"quote": quote_fee, "base": base_fee}
SIZES = st.integers(1, 5)
SIDES = st.sampled_from([BUY, SELL])


def _sides(taken: Side) -> Side:
    return SELL if taken is BUY else BUY


class Judge(Bench):
    """A bench that looks at every event at the moment when it is told."""

    def __init__(self, *, margin: bool, fees: str, queue: bool, consume: bool) -> None:
        has = {"USDT": 3_000, "BTC": 12}
        super().__init__(margin=margin, balances=has, fees=FEES[fees], queue=queue, consume=consume)
        self.is_margin, self.queue, self.consume = margin, queue, consume
        self.shown: dict[Side, dict[Decimal, Decimal]] = {BUY: {}, SELL: {}}
        self.newer: Print | None = None  # since the book
        self.older: list[Print] = []  # and before it
        self.event = ""
        self.print_left = ZERO
        self.used: defaultdict[tuple[Side, Decimal], Decimal] = defaultdict(Decimal)
        self.ahead: dict[str, Decimal | None] = {}  # of resting orders, as the judge counts
        self.state: dict[str, str] = {}
        self.totals = defaultdict(Decimal, {code: Decimal(n) for code, n in has.items()})
        self.position: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.taken: defaultdict[str, Decimal] = defaultdict(Decimal)  # of it, as fees in base

    # -- what comes in -------------------------------------------------------------------------

    def see_book(self, ms: int, bids: dict[int, int], asks: dict[int, int]) -> None:
        self.event, self.newer = "book", None
        self.older.clear()
        self.shown = {
            BUY: {Decimal(p): Decimal(s) for p, s in bids.items()},
            SELL: {Decimal(p): Decimal(s) for p, s in asks.items()},
        }
        self.used.clear()
        self._advance_queues()
        self.book(ms, bids, asks)

    def see_level(self, ms: int, side: Side, price: int, size: int) -> None:
        other = self.shown[_sides(side)]
        if any(price >= p if side is BUY else price <= p for p in other):
            return  # a book that crosses itself is none
        self.event, self.newer = "book", None
        self.older.clear()
        at = Decimal(price)
        self.shown[side].pop(at, None)
        if size:
            self.shown[side][at] = Decimal(size)
        self.used.pop((side, at), None)
        for key in [key for key in self.used if key[1] not in self.shown[key[0]]]:
            del self.used[key]
        self._advance_queues()
        self.level(ms, side, price, size)

    def see_trade(self, ms: int, price: int, size: int, side: Side | None) -> None:
        if self.newer is not None:
            self.older.append(self.newer)
        self.event, self.newer = "trade", Print(Decimal(price), Decimal(size), side)
        self.print_left = Decimal(size)
        self.trade(ms, price, size, side)
        self._traded_queues()

    # -- the queue, by the judge's own count ----------------------------------------------------

    def _shown_at(self, side: Side, price: Decimal) -> Decimal | None:
        others = self.shown[_sides(side)]
        if any(other <= price if side is BUY else other >= price for other in others):
            return ZERO  # else the other side could not stand there
        levels = self.shown[side]
        if not levels or (price < min(levels) if side is BUY else price > max(levels)):
            return None
        return levels.get(price, ZERO)

    def _resting(self) -> list[Order]:
        return [one for one in self.exchange.open_orders() if one.state is State.RESTING]

    def _advance_queues(self) -> None:
        for order in self._resting():
            assert order.price is not None
            shown, before = self._shown_at(order.side, order.price), self.ahead.get(order.id)
            if shown is not None:
                self.ahead[order.id] = shown if before is None else min(before, shown)

    def _traded_queues(self) -> None:
        """A trade at its price takes from who is ahead of it; one through it, everybody."""
        assert self.newer is not None
        for order in self._resting():
            before, price = self.ahead.get(order.id), order.price
            assert price is not None
            if price == self.newer.price and before is not None:
                self.ahead[order.id] = max(ZERO, before - self.newer.size)
            elif self.newer.price < price if order.side is BUY else self.newer.price > price:
                self.ahead[order.id] = ZERO

    def settle(self) -> None:
        """After each event: new resting orders have the queue that was shown."""
        for order in self._resting():
            assert order.price is not None
            if order.id not in self.ahead:
                self.ahead[order.id] = self._shown_at(order.side, order.price)
        self._check_account()

    # -- what is told --------------------------------------------------------------------------

    def accepted(self, order: Order, ts_ns: int) -> None:
        assert order.id not in self.state
        self.state[order.id] = "open"

    def rejected(self, order: Order, reason: str, ts_ns: int, *, due_post_only: bool) -> None:
        assert order.id not in self.state
        self.state[order.id] = "over"

    def canceled(self, order: Order, reason: str, ts_ns: int) -> None:
        assert self.state[order.id] == "open"
        self.state[order.id] = "over"

    expired = None  # type: ignore[assignment]

    def updated(self, order: Order, ts_ns: int) -> None:
        assert self.state[order.id] == "open"
        if self.event == "modify":
            self.ahead.pop(order.id, None)

    def filled(self, order: Order, fill: Fill, ts_ns: int) -> None:
        self.fills.append(fill)
        assert self.state[order.id] == "open"
        assert fill.quantity > ZERO
        assert order.filled <= order.quantity
        if order.remaining == 0:
            self.state[order.id] = "over"
        if order.price is not None:
            worse = fill.price > order.price if order.side is BUY else fill.price < order.price
            assert not worse, "beyond its limit"
        if fill.is_maker:
            self._judge_maker(order, fill)
        else:
            self._judge_taker(order, fill)
        self._pay(order, fill)

    def _judge_taker(self, order: Order, fill: Fill) -> None:
        side = _sides(order.side)
        assert not order.new.post_only
        since = [*self.older, *([] if self.newer is None else [self.newer])]
        stood = self.shown[side].get(fill.price, ZERO)
        assert stood > 0, "nobody stood there"
        for seen in since:
            if seen.price == fill.price and seen.aggressor in (order.side, None):
                stood -= seen.size
        assert stood > 0, "a trade took it"
        for seen in since:
            better = fill.price < seen.price if order.side is BUY else fill.price > seen.price
            assert not better, "better than a trade since the book"
        self._use(side, fill, stood)

    def _judge_maker(self, order: Order, fill: Fill) -> None:
        assert fill.price == order.price
        if self.event == "book":
            best = self.shown[_sides(order.side)]
            crossing = [
                p for p in best if (p <= fill.price if order.side is BUY else p >= fill.price)
            ]
            assert crossing, "nobody crosses it"
            self._use_all(order.side, crossing, fill)
            return
        assert self.event == "trade"
        newer = self.newer
        assert newer is not None
        assert fill.quantity <= self.print_left, "more than what traded"
        self.print_left -= fill.quantity
        if newer.price == fill.price:
            assert newer.aggressor in (None, _sides(order.side))
            ahead = self.ahead.get(order.id, ZERO)
            if self.queue:
                assert ahead is not None
                assert fill.quantity <= newer.size - ahead, "before its turn"
        else:
            assert newer.price < fill.price if order.side is BUY else newer.price > fill.price

    def _use_all(self, side: Side, crossing: list[Decimal], fill: Fill) -> None:
        """A maker fill stands for what crosses it, the best of it first."""
        other, left = _sides(side), fill.quantity
        for price in sorted(crossing, reverse=other is BUY):
            stood = self.shown[other][price] - (self.used[other, price] if self.consume else ZERO)
            part = min(left, stood)
            self.used[other, price] += part
            left -= part
        assert left == 0, "more than what crossed it"

    def _use(self, side: Side, fill: Fill, stood: Decimal) -> None:
        if self.consume:
            self.used[side, fill.price] += fill.quantity
            assert self.used[side, fill.price] <= stood, "more than what stood there"
        else:
            assert fill.quantity <= stood

    def _pay(self, order: Order, fill: Fill) -> None:
        signed = fill.quantity if order.side is BUY else -fill.quantity
        strategy = order.new.strategy
        if order.new.reduce_only:
            held = self.position[strategy] - self.taken[strategy]
            assert held * signed < 0
            assert abs(signed) <= abs(held)
        self.position[strategy] += signed
        if fill.fee_currency == "BTC" and not self.is_margin:
            self.taken[strategy] += fill.fee
        if not self.is_margin:
            self.totals["BTC"] += signed
            self.totals["USDT"] -= signed * fill.price
        self.totals[fill.fee_currency] -= fill.fee

    def _check_account(self) -> None:
        told = {one.currency: one for one in self.account.balances()}
        if not self.is_margin:
            for code, one in told.items():
                assert one.total == self.totals[code]
                assert ZERO <= one.locked <= one.total
        holds: defaultdict[str, Decimal] = defaultdict(Decimal)
        for order in self.exchange.open_orders():
            holds[order.hold_currency] += order.hold
        assert all(one.locked == holds[code] for code, one in told.items())


# Prices are steps from the middle of the market, which the books move about.
NEAR = st.integers(-3, 3)
SIDE_OF_BOOK = st.lists(st.integers(0, 4), min_size=3, max_size=3)
BOOK = st.tuples(st.just("book"), st.integers(-2, 2), SIDE_OF_BOOK, SIDE_OF_BOOK)
CLEAR = st.tuples(st.just("book"), st.just(0), st.just([]), st.just([]))
LEVEL = st.tuples(st.just("level"), SIDES, NEAR, st.integers(0, 5))
TRADE = st.tuples(st.just("trade"), NEAR, SIZES, st.sampled_from([BUY, SELL, BUY, SELL, None]))
FLAGS = st.fixed_dictionaries(
    {
        "tif": st.sampled_from(["GTC", "GTC", "GTC", "IOC", "FOK"]),
        "post_only": st.sampled_from([False, False, False, True]),
        "reduce_only": st.sampled_from([False, False, False, True]),
        "watched": st.sampled_from([Watched.LAST, Watched.LAST, Watched.TOUCH, Watched.EITHER]),
        "strategy": st.sampled_from(["S-001", "S-002"]),
    }
)
LIMIT = st.tuples(st.just("limit"), SIDES, SIZES, st.integers(-1, 3), FLAGS)
MARKET = st.tuples(st.just("order"), SIDES, SIZES, st.none(), st.just(""), NEAR, FLAGS)
STOP = st.tuples(
    st.just("order"),
    SIDES,
    SIZES,
    st.one_of(st.none(), NEAR),
    st.sampled_from(["stop", "touched"]),
    NEAR,
    FLAGS,
)
CANCEL = st.tuples(st.just("cancel"), st.integers(0, 5))
MODIFY = st.tuples(
    st.just("modify"), st.integers(0, 5), st.one_of(st.none(), SIZES), st.one_of(st.none(), NEAR)
)
OTHER = st.one_of(BOOK, LEVEL, STOP, MARKET, CANCEL, MODIFY, CLEAR)
STEP = st.one_of(BOOK, LEVEL, TRADE, TRADE, TRADE, LIMIT, LIMIT, OTHER)
STEPS = st.lists(STEP, min_size=25, max_size=60)


class Play:
    """Does the steps; knows the middle."""

    def __init__(self, judge: Judge) -> None:
        self.judge, self.mid, self.ms = judge, 100, 0

    def do(self, step: Any) -> None:
        self.ms += 1
        kind, *args = step
        getattr(self, f"_{kind}")(*args)
        self.judge.settle()

    def _book(self, move: int, bids: list[int], asks: list[int]) -> None:
        self.mid = min(110, max(90, self.mid + move))
        self.judge.see_book(
            self.ms,
            {self.mid - 1 - n: size for n, size in enumerate(bids) if size},
            {self.mid + 1 + n: size for n, size in enumerate(asks) if size},
        )

    def _level(self, side: Side, near: int, size: int) -> None:
        self.judge.see_level(self.ms, side, self.mid + near, size)

    def _trade(self, near: int, size: int, side: Side | None) -> None:
        self.judge.see_trade(self.ms, self.mid + near, size, side)

    def _order(
        self, side: Side, size: int, near: int | None, trigger: str, at: int, flags: dict[str, Any]
    ) -> None:
        price = None if near is None else self.mid + near
        flags = flags | {"post_only": flags["post_only"] and price is not None}
        if trigger:
            flags[trigger] = self.mid + at
        self.judge.event = "order"
        order = new(f"o{self.ms}", side, size, price, **flags)
        self.judge.exchange.submit([order], self.ms * MS)

    def _limit(self, side: Side, size: int, behind: int, flags: dict[str, Any]) -> None:
        self._order(side, size, -behind if side is BUY else behind, "", 0, flags)

    def _cancel(self, which: int) -> None:
        if (order := self._open(which)) is not None:
            self.judge.event = "cancel"
            self.judge.cancel(self.ms, order.id)

    def _modify(self, which: int, quantity: int | None, near: int | None) -> None:
        if (order := self._open(which)) is None:
            return
        self.judge.event = "modify"
        price = None if near is None or order.price is None else Decimal(self.mid + near)
        asked = None if quantity is None else Decimal(quantity)
        is_moved = price not in (None, order.price) or (asked or ZERO) > order.quantity
        ahead = self.judge.ahead.get(order.id)
        self.judge.exchange.modify(order.id, self.ms * MS, quantity=asked, price=price)
        if not is_moved and ahead is not None:
            self.judge.ahead[order.id] = ahead

    def _open(self, which: int) -> Order | None:
        found = self.judge.exchange.open_orders()
        return found[which % len(found)] if found else None


@settings(max_examples=300, deadline=None)
@given(STEPS, st.booleans(), st.sampled_from(list(FEES)), st.booleans(), st.booleans())
def test_no_fill_could_not_have_happened(steps, margin, fees, queue, consume):
    play = Play(Judge(margin=margin, fees=fees, queue=queue, consume=consume))
    for step in [("book", 0, [2, 3, 4], [2, 3, 4]), *steps]:
        play.do(step)
