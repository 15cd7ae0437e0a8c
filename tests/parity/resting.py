"""Orders that rest: when the market has come to them, and how much of it is theirs."""

from __future__ import annotations

from decimal import Decimal

from tests.parity.standing import ZERO, Market, is_better
from tests.parity.tape import Event, Print, Told

Fault = tuple[str, str]  # kind, and the market in words


class _Place:
    """An order's place at one price, since `start`."""

    def __init__(self, side: str, price: Decimal, start: int) -> None:
        self.side, self.price, self.start = side, price, start
        self.ahead: Decimal | None = None  # None: it is not there yet
        self.is_through = False
        self.came: list[tuple[int, Decimal]] = []  # event number and size that reached it


class Resting:
    """Follows the queues of resting orders. A trade's size is used once over all of them.

    The size shown at a price when an order comes there is before it. What trades there takes away
    from that; and so does a smaller size shown, since more than is shown can't be ahead.
    """

    def __init__(self, market: Market, queue: bool, slack_ns: int) -> None:
        self._market = market
        self._queue = queue
        self._slack = slack_ns
        self._places: dict[str, list[_Place]] = {}
        self._left: dict[int, Decimal] = {}  # by event number: what no order has used of a trade

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
        for places in self._places.values():
            for place in places:
                if place.ahead is None:
                    continue
                if isinstance(event, Print):
                    self._trade(place, event, number)
                else:
                    self._told(place, event)

    def _trade(self, place: _Place, one: Print, number: int) -> None:
        assert place.ahead is not None
        if one.price == place.price:
            before = ZERO if one.taker == place.side else place.ahead
            came = one.size - before
            place.ahead = max(place.ahead - one.size, ZERO)
            if came > 0:
                place.came.append((number, came))
                self._left.setdefault(number, one.size)
        elif is_better(place.side, one.price, place.price):
            place.is_through = True  # one of them sold lower, or bought higher, than it asks

    def _told(self, place: _Place, event: Told) -> None:
        assert place.ahead is not None
        place.ahead = min(place.ahead, self._shown(place))
        offered = event.asks if place.side == "BUY" else event.bids
        if any(
            size and not is_better(place.side, place.price, price)
            for price, size in offered.items()
        ):
            place.is_through = True

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
        for at, (number, came) in reversed(list(enumerate(place.came))):
            used = min(left, came, self._left[number])
            left -= used
            self._left[number] -= used
            place.came[at] = (number, came - used)
            if not left:
                return None
        if place.is_through:
            return None
        sheet = self._market.sheet().text()
        if left == quantity and place.ahead:
            return "before its queue", f"{place.ahead:f} ahead of it at {price:f}; {sheet}"
        return "more than was traded", f"{left:f} more than reached it at {price:f}; {sheet}"
