"""Judges the fills of a run by the market that was recorded: could each of them have happened?

Written apart from the product: it imports nothing of it, and knows a run by its `orders.jsonl` and
the market by the recorded data (`tape`). Where the data leaves a fact open (two things in the same
nanosecond, the size left behind a trade), each reading is allowed, and nothing else is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from tests.parity.orders import Fill, Order, Rules
from tests.parity.resting import Resting
from tests.parity.standing import ZERO, Market, Offer, Sheet, is_better
from tests.parity.tape import Event, Print, Tape
from tests.parity.unfilled import unfilled

MS_NS = 1_000_000
END = 2**63
NO_MARKET = "no market"


class Violation(NamedTuple):
    """A fill (or its lack) that could not have been. `market` is what stood, in words."""

    kind: str
    order: str
    instrument: str
    ts: int
    price: Decimal | None
    quantity: Decimal
    market: str

    def __str__(self) -> str:
        price = "" if self.price is None else f" at {self.price:f}"
        return (
            f"{self.kind}: {self.order} {self.instrument} {self.quantity:f}{price} "
            f"t={self.ts}: {self.market}"
        )


def judge(orders: Sequence[Order], tapes: Mapping[str, Tape], rules: Rules) -> list[Violation]:
    """Every violation of a run, by instrument and time."""
    found: list[Violation] = []
    end = max((tape[-1].ts for tape in tapes.values() if tape), default=0)
    for name in sorted({order.instrument for order in orders}):
        mine = [order for order in orders if order.instrument == name]
        found += _Judge(mine, tapes.get(name, []), rules, end).run()
    found += _exits(orders, rules)
    return found


class _Taking(NamedTuple):
    """What one order took in one moment."""

    order: Order
    ts: int
    parts: tuple[Fill, ...]

    @property
    def quantity(self) -> Decimal:
        return sum((part.quantity for part in self.parts), ZERO)


class _Taken(NamedTuple):
    """Taken in one of the markets after the events `first` to `last`, if in the first of a level
    that was told by event `told`; `order` by whom."""

    first: int
    last: int
    size: Decimal
    told: int
    order: str


class _Judge:
    """The fills of one instrument."""

    def __init__(self, orders: Sequence[Order], tape: Tape, rules: Rules, end: int) -> None:
        self.orders, self.tape, self.rules = orders, tape, rules
        self.end = end  # of all data: what is on its way then arrives together, at once
        self.found: list[Violation] = []
        self.as_maker: set[Fill] = set()  # of orders that had come to rest
        self.made: list[tuple[str, int, Fill]] = []  # side, event number, maker fill
        self.takings: list[_Taking] = []
        self.fired: dict[str, int] = {}  # when
        self.surely_fired: set[str] = set()  # and not perhaps before they came
        self.fired_by: dict[str, int] = {}  # the number of the event that did it
        self.sheets: list[Sheet] = []
        self.taken: dict[tuple[str, Decimal], list[_Taken]] = {}

    def run(self) -> list[Violation]:
        self._replay()
        self.takings = sorted(
            _takings(self.orders, self.as_maker), key=lambda one: (one.ts, one.order.sent)
        )
        for order in self.orders:
            self._times(order)
            self._bounds(order)
        for at, taking in enumerate(self.takings):
            self._taking(taking, self.takings[at + 1 :])
        for order in self.orders:
            self._missed(order)
        for one in unfilled(self.orders, self.tape, self.rules.slack_ns):
            self._say("maker not filled", one.order, one.ts, one.price, one.lack, one.text)
        self.found.sort(key=lambda one: (one.ts, one.order, one.kind))
        return self.found

    def _say(
        self, kind: str, order: Order, ts: int, price: Decimal | None, size: Decimal, text: str
    ) -> None:
        self.found.append(Violation(kind, order.id, order.instrument, ts, price, size, text))

    # -- the market, event by event --------------------------------------------------------------

    def _replay(self) -> None:
        """Play the tape once: sheets of the moments looked at, triggers, queues, maker fills."""
        rules, market = self.rules, Market()
        windows = _Windows([*self._moments()], rules.slack_ns)
        resting = Resting(market, rules.queue, rules.slack_ns)
        waiting = sorted(
            (order for order in self.orders if not order.has_trigger), key=lambda one: one.due
        )
        stops = _Stops([order for order in self.orders if order.has_trigger], rules.slack_ns)
        makers = sorted(  # of a moment, those called so have the first claim
            (
                (fill, order)
                for order in self.orders
                for fill in order.fills
                if fill.is_maker or order.kind != "MARKET"
            ),
            key=lambda one: (one[0].ts, not one[0].is_maker),
        )
        still = Counter(order.id for _, order in makers)
        self.sheets.append(market.sheet())
        for at, event in enumerate([*self.tape, None]):
            now = None if event is None else event.ts
            while makers and (now is None or makers[0][0].ts + rules.slack_ns < now):
                fill, order = makers.pop(0)
                self._made(resting, fill, order, market.number)
                still[order.id] -= 1
                if not still[order.id]:
                    resting.end(order.id)
            if event is None:
                break
            if windows.needs(market.ts, event.ts) and self.sheets[-1].number != market.number:
                self.sheets.append(market.sheet())
            while waiting and waiting[0].due <= event.ts:
                self._rest(resting, waiting.pop(0))
            resting.begin(event.ts)
            self._fire(stops.arrived(market, event.ts), market, resting)
            market.apply(event)
            resting.apply(event, market.number)
            following = self.tape[at + 1].ts if at + 1 < len(self.tape) else END
            self._fire(stops.reached(market, event), market, resting, following)
            is_new = self.sheets[-1].number != market.number
            if is_new and (windows.holds(event.ts) or windows.needs(event.ts, following)):
                self.sheets.append(market.sheet())
        self.numbers = [sheet.ts for sheet in self.sheets]

    def _made(self, resting: Resting, fill: Fill, order: Order, number: int) -> None:
        """A maker fill. Also one of an order that had come to rest, whatever it is called."""
        if not fill.is_maker:
            began = self._came(order, fill.ts)
            if began is None or fill.ts < began:
                return
            if resting.fill(order.id, fill.price, fill.quantity, fill.ts) is None:
                self.as_maker.add(fill)
                self.made.append((order.side, number, fill))
            return
        self.made.append((order.side, number, fill))
        why = resting.fill(order.id, fill.price, fill.quantity, fill.ts)
        if why is not None:
            self._say(why[0], order, fill.ts, fill.price, fill.quantity, why[1])

    def _came(self, order: Order, ts: int) -> int | None:
        """When it came to where it was at `ts`, or fired."""
        if order.has_trigger:
            return self.fired.get(order.id)
        return max((one.ts for one in order.terms if one.ts <= ts), default=None)

    def _moments(self) -> Iterator[int]:
        for order in self.orders:
            if not order.has_trigger and not order.post_only:
                yield order.due
            yield from (fill.ts for fill in order.fills)

    def _rest(self, resting: Resting, order: Order, since: int | None = None) -> None:
        """Follow the queue of an order that was filled as a maker."""
        if order.kind == "MARKET" or not order.fills:
            return
        for at, terms in enumerate(order.terms):
            if at == 0 or terms.price != order.terms[at - 1].price:
                start = max(terms.ts, since or terms.ts)
                if terms.price is not None:
                    resting.add(order.id, order.side, terms.price, start)

    def _fire(
        self, fired: Iterable[Order], market: Market, resting: Resting, following: int = END
    ) -> None:
        """`following` is when the next event comes: in the same moment it may take all back."""
        for order in fired:
            self.fired[order.id] = max(order.due, market.ts)
            self.fired_by[order.id] = market.number
            is_sure = order.by_trade or following > market.ts
            if is_sure and market.ts >= order.due + self.rules.slack_ns:
                self.surely_fired.add(order.id)
            self._rest(resting, order, self.fired[order.id])
            if self.sheets[-1].number != market.number:
                self.sheets.append(market.sheet())

    # -- one order -------------------------------------------------------------------------------

    def _times(self, order: Order) -> None:
        """When it may be filled: not before it is there, a taker only as it comes."""
        slack = self.rules.slack_ns
        for fill in order.fills:
            where = (order, fill.ts, fill.price, fill.quantity)
            if fill.ts < order.due:
                self._say("early", *where, f"sent {order.sent}, due {order.due}")
            elif order.has_trigger and order.id not in self.fired:
                self._say("not triggered", *where, self._text(fill.ts))
            elif order.has_trigger and fill.ts + slack < self.fired[order.id]:
                self._say("not triggered", *where, f"only at {self.fired[order.id]}")
            elif order.has_trigger or fill in self.as_maker:
                continue  # see _missed: what stood when it fired must have been taken
            elif not fill.is_maker or order.kind == "MARKET" or order.tif in ("IOC", "FOK"):
                arrived = [order.due, *(terms.ts for terms in order.terms[1:])]
                arrived += self._cleared(order)
                since = min(abs(fill.ts - one) for one in arrived)
                if since > MS_NS + slack and fill.ts <= self.end:
                    self._say("late", *where, f"{since} ns after it could be; due {order.due}")

    def _cleared(self, order: Order) -> list[int]:
        """When an exit may have come that waited, as own orders were in its way: it is looked at
        again as one ends."""
        others = (one for one in self.orders if order.reduce_only and one is not order)
        return [one.ended + self.rules.latency_ns for one in others if one.ended >= order.sent]

    def _bounds(self, order: Order) -> None:
        """Its own words: its limit and its quantity."""
        for fill in order.fills:
            limits = [one.price for one in order.at(fill.ts)]
            if not any(one is None or not is_better(order.side, one, fill.price) for one in limits):
                self._say(
                    "beyond its limit", order, fill.ts, fill.price, fill.quantity, str(limits)
                )
        total = sum((fill.quantity for fill in order.fills), ZERO)
        if total > max(one.quantity for one in order.terms):
            self._say("more than asked", order, order.ended, None, total, str(order.terms))
        if order.post_only and any(not fill.is_maker for fill in order.fills):
            self._say("post-only took", order, order.fills[0].ts, None, total, "")

    # -- takers ----------------------------------------------------------------------------------

    def _taking(self, taking: _Taking, later: Sequence[_Taking]) -> None:
        """Judge by each market that may have stood; remember what was taken of it."""
        order, slack = taking.order, self.rules.slack_ns
        also = [
            other
            for other in later
            if other.ts <= taking.ts + slack and other.order.side == order.side
        ]
        sheets = self._standing(taking.ts, self.fired_by.get(order.id, 0))
        is_again = len(_by_price(taking.parts)) < len(taking.parts)  # one walk has a price once
        if is_again and self._is_right_in_turn(taking, sheets, also):
            return
        found = [self._wrong(taking, sheet, also) for sheet in sheets]
        right = [sheet for sheet, wrong in zip(sheets, found, strict=True) if not wrong]
        if not right and not is_again and self._is_right_in_turn(taking, sheets, also):
            return
        if not right:
            self.found += min(reversed(found), key=len)
            right = [sheets[-1]]
        self._remember(taking, right[0], right[-1])

    def _is_right_in_turn(
        self, taking: _Taking, sheets: Sequence[Sheet], also: Sequence[_Taking]
    ) -> bool:
        """Whether its first parts were right in one market, and the others in a later one."""
        for at in range(1, len(taking.parts)):
            first, second = (
                taking._replace(parts=parts) for parts in (taking.parts[:at], taking.parts[at:])
            )
            for number, sheet in enumerate(sheets):
                if self._wrong(first, sheet, also):
                    continue
                self._remember(first, sheet, sheet)
                for later in sheets[number + 1 :]:
                    if not self._wrong(second, later, also):
                        self._remember(second, later, later)
                        return True
                self._forget(first)
        return False

    def _remember(self, taking: _Taking, first: Sheet, last: Sheet) -> None:
        """What it took, in one of the markets from `first` to `last`."""
        side = taking.order.side
        told = {offer.price: offer.told for offer in first.offers(side)}
        for part in taking.parts:
            taken = self.taken.setdefault((side, part.price), [])
            since = told.get(part.price, 0)
            one = _Taken(first.number, last.number, part.quantity, since, taking.order.id)
            taken.append(one)

    def _forget(self, taking: _Taking) -> None:
        for part in taking.parts:
            self.taken[taking.order.side, part.price].pop()

    def _standing(self, ts: int, since: int = 0) -> Sequence[Sheet]:
        """The markets that may have stood at `ts`: also before what came in the same moment.

        None before the event `since`, where there is one after it.
        """
        slack = self.rules.slack_ns
        first = max(bisect_left(self.numbers, ts - slack) - 1, 0)
        found = self.sheets[first : max(bisect_right(self.numbers, ts + slack), first + 1)]
        return [sheet for sheet in found if sheet.number >= since] or found

    def _wrong(self, taking: _Taking, sheet: Sheet, also: Sequence[_Taking]) -> list[Violation]:
        order, ts = taking.order, taking.ts
        left = {offer.price: self._left(order, offer, ts) for offer in sheet.offers(order.side)}
        found: list[Violation] = []

        def say(kind: str, price: Decimal, quantity: Decimal) -> None:
            text = f"{order.kind} {order.side}, {sheet.text()}"
            found.append(Violation(kind, order.id, order.instrument, ts, price, quantity, text))

        parts = _by_price(taking.parts)
        others = _by_price([part for other in also for part in other.parts])
        for price, quantity in parts.items():
            most, _ = left.get(price, (ZERO, ZERO))
            if quantity > most:
                say(_too_much(order, price, sheet), price, quantity)
        worst = max(parts) if order.side == "BUY" else min(parts)
        skipped = ZERO
        for price, (_, least) in left.items():
            if is_better(order.side, price, worst):
                skipped += max(least - parts.get(price, ZERO) - others.get(price, ZERO), ZERO)
        if skipped > 0:
            say("worse than it met", worst, skipped)
        return found

    def _left(self, order: Order, offer: Offer, ts: int) -> tuple[Decimal, Decimal]:
        """`most` and `least` of an offer, without what the run took of it since it was told.

        What was taken of the level once it had been told again is no part of what stood before.
        Without consumption others took nothing of it, and itself no order takes the same twice.
        """
        taker, shared = order.side, self.rules.consumption
        known = self.taken.get((taker, offer.price), ())
        taken = [one for one in known if shared or one.order == order.id]
        same = (one for one in taken if one.told <= offer.told <= one.first)
        gone = sum((one.size for one in same), ZERO)
        perhaps = sum((one.size for one in taken if one.last >= offer.since), ZERO)
        least = offer.least - perhaps - (self._met(taker, offer, ts) if shared else ZERO)
        return max(offer.most - gone, ZERO), max(least, ZERO)

    def _met(self, taker: str, offer: Offer, ts: int) -> Decimal:
        """What resting orders of the run may have taken of an offer that came to them until `ts`"""
        until = ts + self.rules.slack_ns
        return sum(
            (
                fill.quantity
                for side, number, fill in self.made
                if side == taker
                and number >= offer.since
                and fill.ts <= until
                and not is_better(taker, fill.price, offer.price)
            ),
            ZERO,
        )

    def _missed(self, order: Order) -> None:
        """An order that takes as it comes, or fires, gets what certainly stands there."""
        is_cut = order.reduce_only and order.entry is None  # to the position, which may be none
        if order.post_only or is_cut or not self.tape:
            return
        if order.has_trigger and order.id not in self.surely_fired:
            return
        came = self.fired.get(order.id, order.due)
        if order.status == "REJECTED" and NO_MARKET not in order.reason.lower():
            return
        until = came + MS_NS + self.rules.slack_ns
        if order.status == "DENIED" or order.ended <= came or until > self.tape[-1].ts:
            return
        terms = order.at(came)[-1]
        fills = [one for one in order.fills if one.ts <= until or not order.has_trigger]
        got = sum((fill.quantity for fill in fills), ZERO)  # others that are late are told so
        ahead = [one for one in self.takings if one.ts <= until and one.order.side == order.side]
        lacks = []
        for sheet in self._standing(came, self.fired_by.get(order.id, 0)):
            if not sheet.is_known:
                return
            sure = ZERO
            for offer in sheet.offers(order.side):
                if terms.price is None or not is_better(order.side, terms.price, offer.price):
                    sure += self._sure(offer, order, ahead)
            wanted = min(sure, terms.quantity)
            if order.tif == "FOK" and sure < terms.quantity:
                wanted = ZERO
            lacks.append((wanted - got, sheet))
        lack, sheet = min(lacks, key=lambda one: one[0])
        if lack > 0:
            text = f"{order.kind} {order.side} {order.status} {order.reason}; {sheet.text()}"
            self._say("not filled", order, came, terms.price, lack, text)

    def _sure(self, offer: Offer, order: Order, ahead: Iterable[_Taking]) -> Decimal:
        """What certainly stands at an offer, whatever other orders of the run took before."""
        if not self.rules.consumption:
            return offer.least
        gone = sum(
            (
                part.quantity
                for taking in ahead
                if taking.order is not order
                for part in taking.parts
                if part.price == offer.price
            ),
            ZERO,
        )
        told_since = [one.last for one in self.taken.get((order.side, offer.price), ())]
        if told_since and max(told_since) < offer.since:
            gone = ZERO
        return max(offer.least - gone - self._met(order.side, offer, order.ended), ZERO)

    def _text(self, ts: int) -> str:
        return self._standing(ts)[-1].text()


class _Windows:
    """The moments whose market is looked at."""

    def __init__(self, moments: Iterable[int], slack_ns: int) -> None:
        self._at = sorted(set(moments))
        self._slack = slack_ns

    def holds(self, ts: int) -> bool:
        return self.needs(ts - 1, ts + 1)

    def needs(self, ts: int, until: int) -> bool:
        """Whether a moment, give or take the slack, lies after `ts` and up to `until`."""
        first = bisect_left(self._at, ts + 1 - self._slack)
        return first < len(self._at) and self._at[first] <= until + self._slack


def _takings(orders: Iterable[Order], as_maker: set[Fill]) -> Iterator[_Taking]:
    for order in orders:
        moments: dict[int, list[Fill]] = {}
        for fill in order.fills:
            if not fill.is_maker and fill not in as_maker:
                moments.setdefault(fill.ts, []).append(fill)
        for ts, parts in moments.items():
            yield _Taking(order, ts, tuple(parts))


def _by_price(parts: Iterable[Fill]) -> dict[Decimal, Decimal]:
    found: dict[Decimal, Decimal] = {}
    for part in parts:
        found[part.price] = found.get(part.price, ZERO) + part.quantity
    return found


def _too_much(order: Order, price: Decimal, sheet: Sheet) -> str:
    """What kind of fault a part at `price` is that was larger than what stood there."""
    there = [offer.price for offer in sheet.offers(order.side) if offer.most]
    if price in there:
        return "more than stood there"
    best = (min if order.side == "BUY" else max)(there, default=None)
    if best is not None and is_better(order.side, price, best):
        return "better than the market"
    if price in (terms.price for terms in order.terms):
        return "at its own limit, where nothing stood"
    return "where nothing stood"


class _Stops:
    """Orders that wait for their trigger, and which of them the market has reached."""

    def __init__(self, orders: Iterable[Order], slack_ns: int) -> None:
        self._coming = sorted(orders, key=lambda order: order.due)
        self._there: list[Order] = []
        self._slack = slack_ns

    def arrived(self, market: Market, now: int) -> list[Order]:
        """Those that come until `now` with their trigger reached already; the others wait."""
        fired = []
        while self._coming and self._coming[0].due <= now:
            order = self._coming.pop(0)
            price = self._price(order, market)
            if price is not None and order.fires_at(price, order.due):
                fired.append(order)
            else:
                self._there.append(order)
        return fired

    def reached(self, market: Market, event: Event) -> list[Order]:
        """Those that `event`, which the market has, fires; those that are over are forgotten."""
        if not self._there:
            return []
        fired = []
        left = []
        for order in self._there:
            price = None
            if order.by_trade is isinstance(event, Print):
                price = self._price(order, market)
            if price is not None and order.fires_at(price, event.ts):
                fired.append(order)
            elif order.ended + self._slack >= event.ts:
                left.append(order)
        self._there = left
        return fired

    def _price(self, order: Order, market: Market) -> Decimal | None:
        if order.by_trade:
            return None if market.last is None else market.last.price
        return market.best(order.side)


def _exits(orders: Sequence[Order], rules: Rules) -> list[Violation]:
    """Exits of a bracket sell what its entry bought, reduce-only orders what is held, with or
    without what fees took of it.

    Or what was held when an order to cut them, were it sent at once, had not arrived yet.
    """
    found: list[Violation] = []
    brought: dict[str, Decimal] = {}
    held: dict[tuple[str, str], list[tuple[int, Decimal, Decimal]]] = {}  # and less fees
    fills = [(fill, order) for order in orders for fill in order.fills]
    # In one moment what comes in is counted before what goes out
    for fill, order in sorted(fills, key=lambda one: (one[0].ts, one[1].reduce_only)):
        sign = 1 if order.side == "BUY" else -1
        where = (order.strategy, order.instrument)
        steps = held.setdefault(where, [(0, ZERO, ZERO)])
        back = fill.ts - rules.latency_ns - rules.slack_ns
        known = bisect_left([step[0] for step in steps], back)
        most = max(-sign * each for step in steps[max(known - 1, 0) :] for each in step[1:])
        _, whole, less = steps[-1]
        signed = sign * fill.quantity
        steps.append((fill.ts, whole + signed, less + signed - fill.base_fee))
        wrong = []
        is_plain = order.reduce_only and order.entry is None
        if is_plain and fill.quantity > most:
            wrong.append(f"reduce-only with a position of {most:f} to leave")
        if order.entry is None:
            brought[order.id] = brought.get(order.id, ZERO) + fill.quantity
        else:
            left = brought.get(order.entry, ZERO) - fill.quantity
            brought[order.entry] = left
            if left < 0:
                wrong.append(f"{-left:f} more than the entry {order.entry} brought")
        kind = "exit of what is not its own"
        what = (order.id, order.instrument, fill.ts, fill.price, fill.quantity)
        found += [Violation(kind, *what, text) for text in wrong]
    return found
