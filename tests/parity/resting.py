"""Orders that rest: when the market has come to them, and how much of it is theirs."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from tests.parity.standing import ZERO, Market, is_better
from tests.parity.tape import Event, Print, Told

Fault = tuple[str, str]  # kind, and the market in words
BEFORE_NS = 50_000_000  # 99 of 100 quotes that a trade led to come less than this before it


class _Came(NamedTuple):
    """What orders of the run could have traded with, once over all of them.

    Of event `number`: a trade, what a trade of another one on their `side` took, or the level at
    `price` that orders of that side meet.
    """

    number: int
    side: str = ""
    price: Decimal | None = None


class _Place:
    """An order's place at one price, since `start`."""

    def __init__(self, side: str, price: Decimal, start: int) -> None:
        self.side, self.price, self.start = side, price, start
        self.ahead: Decimal | None = None  # None: it is not there yet
        self.came: dict[_Came, Decimal] = {}  # what of it reached it and is not used
        self.gone: list[tuple[int, Decimal]] = []  # from before it, by the book alone, and when


class _Used:
    """What a fill has used of something; it could be of all that had come by `until`."""

    def __init__(self, place: _Place, came: _Came, size: Decimal, until: int) -> None:
        self.place, self.came, self.size, self.until = place, came, size, until


class Resting:
    """Follows the queues of resting orders. A size is used once over all of them.

    The size shown at a price when an order comes there is before it. What trades there takes away
    from that; and so does a smaller size shown, since more than is shown can't be ahead. A trade
    told within `BEFORE_NS` after such a size is what that told of: it takes away only what is more
    than that. (Where moments are not exact nobody knows which of them was first.)

    What the other side shows at its price or beyond it meets the order, each time that it is told.
    A trade beyond its price, whose taker was of its own side, took just that: only what it took
    more of than was shown is something else.
    """

    def __init__(self, market: Market, queue: bool, slack_ns: int) -> None:
        self._market = market
        self._queue = queue
        self._slack = slack_ns
        self._places: dict[str, list[_Place]] = {}
        self._left: dict[_Came, Decimal] = {}  # what no order has used of it
        self._at: dict[_Came, int] = {}  # when it stood at last
        self._since: dict[_Came, int] = {}  # and at first
        self._used: dict[_Came, list[_Used]] = {}
        self._told_now: set[int] = set()  # events of this moment
        self._now = 0
        self._traded: dict[tuple[str, Decimal], tuple[int, Decimal]] = {}  # since it was told

    def add(self, order: str, side: str, price: Decimal, start: int) -> None:
        self._places.setdefault(order, []).append(_Place(side, price, start))
        self.begin(self._market.ts)

    def begin(self, now: int) -> None:
        """Put those whose time has come behind what is shown; before the event of `now`."""
        for places in self._places.values():
            for place in places:
                if place.ahead is None and place.start <= now:
                    place.ahead = self._shown(place) if self._queue else ZERO

    def end(self, order: str) -> None:
        """It is over: nobody asks for it any more."""
        self._places.pop(order, None)

    def apply(self, event: Event, number: int) -> None:
        """`event` was applied to the market and is its `number`th."""
        if event.ts != self._now:
            self._told_now.clear()
            self._now = event.ts
        self._told_now.add(number)
        more = self._more(event) if isinstance(event, Print) else ZERO
        for places in self._places.values():
            for place in places:
                if place.ahead is None:
                    continue
                if isinstance(event, Print):
                    self._trade(place, event, number, more)
                else:
                    self._told(place, event)

    def _more(self, one: Print) -> Decimal:
        """How much a trade took of what was not shown at its price.

        Of a level of the same moment nobody knows whether it was shown before the trade or is what
        the trade left.
        """
        told, shown = self._market.told(one.taker, one.price)
        if told in self._told_now:
            shown = ZERO
        since, before = self._traded.get((one.taker, one.price), (told, ZERO))
        if since != told:
            before = ZERO
        self._traded[one.taker, one.price] = told, before + one.size
        return max(before + one.size - shown, ZERO) - max(before - shown, ZERO)

    def _trade(self, place: _Place, one: Print, number: int, more: Decimal) -> None:
        assert place.ahead is not None
        if is_better(place.side, place.price, one.price):
            return
        is_rival = one.taker == place.side
        came = one.size
        if one.price == place.price:
            if not is_rival and not self._slack:
                came -= _told_before(place, one)
            ahead = place.ahead
            place.ahead = max(ahead - came, ZERO)
            came -= ahead
        elif not is_rival:
            place.ahead = ZERO  # it went past this price: nobody was left there
        if is_rival:
            self._comes(place, _Came(number, place.side), one.ts, more, of=more)
        else:
            self._comes(place, _Came(number), one.ts, came, of=one.size)

    def _told(self, place: _Place, event: Told) -> None:
        assert place.ahead is not None
        ts, ahead = event.ts, place.ahead
        place.ahead = min(ahead, self._shown(place))
        is_told_of_it = place.start < ts  # what it came with may have been told before it came
        if is_told_of_it and place.ahead < ahead and event.kind in ("levels", "quote"):
            place.gone.append((ts, ahead - place.ahead))
        for offer in self._market.crossing(place.side, place.price):
            came = _Came(offer.told, place.side, offer.price)
            self._comes(place, came, ts, offer.most, of=offer.most)

    def _comes(self, place: _Place, came: _Came, ts: int, size: Decimal, *, of: Decimal) -> None:
        self._at[came] = ts
        self._since.setdefault(came, ts)
        if size > 0 and came not in place.came:
            place.came[came] = size
            self._left.setdefault(came, of)

    def _shown(self, place: _Place) -> Decimal:
        return self._market.displayed(place.side, place.price)

    def fill(self, order: str, price: Decimal, quantity: Decimal, ts: int) -> Fault | None:
        """A maker fill; None if it could be."""
        places = [
            place
            for place in self._places.get(order, ())
            if place.ahead is not None and place.start <= ts + self._slack
        ]
        here = [place for place in places if place.price == price]
        if not here:
            prices = sorted({place.price for place in self._places.get(order, ())})
            return "maker at another price", f"it rested at {[str(one) for one in prices]}"
        place = here[-1]
        left = quantity
        uses: list[_Used] = []
        for came in sorted(place.came, key=lambda one: self._at[one]):  # some are booked late
            left -= self._use(place, came, left, ts + self._slack, uses)
        for came in list(place.came) if left else ():
            wanted = min(left, place.came[came])
            if self._free(came, wanted, {came}):
                left -= self._use(place, came, left, ts + self._slack, uses)
        if not left:
            return None
        was_none = left == quantity
        for used in uses:
            self._unuse(used, used.size)
        sheet = self._market.sheet().text()
        if was_none and place.ahead:
            return "before its queue", f"{place.ahead:f} ahead of it at {price:f}; {sheet}"
        return "more than was traded", f"{left:f} more than reached it at {price:f}; {sheet}"

    def _use(
        self, place: _Place, came: _Came, most: Decimal, until: int, uses: list[_Used]
    ) -> Decimal:
        size = min(most, place.came[came], self._left[came])
        if size > 0:
            place.came[came] -= size
            self._left[came] -= size
            uses.append(_Used(place, came, size, until))
            self._used.setdefault(came, []).append(uses[-1])
        return size

    def _unuse(self, used: _Used, size: Decimal) -> None:
        used.place.came[used.came] += size
        self._left[used.came] += size
        used.size -= size
        if not used.size:
            self._used[used.came].remove(used)

    def _free(self, came: _Came, wanted: Decimal, seen: set[_Came]) -> Decimal:
        """Have earlier fills be of something else that had come to them: which of two things a fill
        was of, nothing tells. How much of `wanted` was freed.
        """
        freed = ZERO
        for used in list(self._used.get(came, ())):
            others = [one for one in used.place.came if self._since[one] <= used.until]
            for other in others:
                if other in seen or freed >= wanted or not used.size:
                    continue
                more = min(wanted - freed, used.size, used.place.came[other])
                if self._left[other] < more:
                    self._free(other, more - self._left[other], {*seen, other})
                moved = self._use(used.place, other, more, used.until, [])
                if moved:
                    self._unuse(used, moved)
                    freed += moved
        return freed


def _told_before(place: _Place, one: Print) -> Decimal:
    """How much of a trade at an order's price the book had told of; that is told then."""
    known, left = ZERO, []
    for ts, size in place.gone:
        if ts >= one.ts - BEFORE_NS:
            part = min(size, one.size - known)
            known += part
            left.append((ts, size - part))
    place.gone = left
    return known
