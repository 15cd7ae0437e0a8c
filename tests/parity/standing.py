"""What stood in the market at a moment, as far as a run could know it: the oracle's own book.

A price level is known since the market data last told of it. A trade that is newer than that and
lies beyond the level ran through it: nothing stands there any more. One at the level's own price
took its size from what was shown; nobody can meet what a trade took. Where the data leaves it open
how much stands, both ends are kept: `most` is the largest size that could be met, `least` the
smallest. So a level that was told shortly before the trade may show already what that left. A fill
is right if it is possible between the two.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from tests.parity.tape import Event, Print, Told

ZERO = Decimal(0)
LEVELS = 500  # of each side on a sheet, nearest first
LATE_NS = 20_000_000  # a trade may come this much after a quote that is newer and has no time


class Offer(NamedTuple):
    """One price that a taker could meet.

    `told` is the number of the last event that told of it; `since` of the last that told something
    new, or whose kind tells changes only: what was taken after `since` may still be gone.
    """

    price: Decimal
    most: Decimal
    least: Decimal
    told: int
    since: int


class Sheet(NamedTuple):
    """What takers of both sides could meet after event `number`, best first.

    `is_known`: the book is whole, or there are only quotes.
    """

    number: int
    ts: int
    for_buy: tuple[Offer, ...]
    for_sell: tuple[Offer, ...]
    last: Print | None
    is_known: bool

    def offers(self, taker: str) -> tuple[Offer, ...]:
        return self.for_buy if taker == "BUY" else self.for_sell

    def text(self) -> str:
        def few(offers: tuple[Offer, ...]) -> str:
            return " ".join(
                f"{o.price:f}x{o.most:f}" + (f"..{o.least:f}" if o.least != o.most else "")
                for o in offers[:4]
            )

        last = "none"
        if self.last is not None:
            last = f"{self.last.taker} {self.last.size:f} at {self.last.price:f}"
        return f"bids {few(self.for_sell)} | asks {few(self.for_buy)} | last trade {last}"


class _Level(NamedTuple):
    size: Decimal
    told: int
    since: int


class Market:
    """Applies what was told, one event after the other; events are numbered from 1."""

    def __init__(self) -> None:
        self.number = 0
        self.ts = 0
        self.is_known = False
        self._has_levels = False  # besides those of quotes
        self._is_silent = False
        self.last: Print | None = None
        self._book: dict[str, dict[Decimal, _Level]] = {"BUY": {}, "SELL": {}}  # by taker: asks, ..
        self._whole = 0  # the number of the event since which every level is known
        self._whole_at = 0
        self._update = 0
        self._top: Told | None = None
        self._top_number = 0
        self._prices: dict[str, list[Decimal]] = {"BUY": [], "SELL": []}  # ascending
        self._prints: list[tuple[int, Print]] = []  # newer than the whole book

    def apply(self, event: Event) -> None:
        self.number += 1
        self.ts = event.ts
        if isinstance(event, Print):
            self.last = event
            self._prints.append((self.number, event))
        elif event.kind == "silence":
            self._is_silent = True
        elif event.kind == "quote":
            self._top, self._top_number = event, self.number
            self._fold()
            if not self._whole:
                self._prints.clear()  # there is nothing else that they could have run through
        else:
            self._apply_book(event)
            self._fold()

    def _apply_book(self, event: Told) -> None:
        if self._is_silent and event.kind == "levels":  # all that stands is told anew with them
            for taker, side in self._book.items():
                for price, level in list(side.items()):
                    self._set(taker, price, _Level(level.size, self.number, self.number))
        self._is_silent = False
        if event.kind in ("snapshot", "clear"):
            self._book = {"BUY": {}, "SELL": {}}
            self._prices = {"BUY": [], "SELL": []}
        self._has_levels = event.kind != "clear"
        self.is_known = event.kind != "clear" and (self.is_known or event.kind == "snapshot")
        for taker, levels in (("BUY", event.asks), ("SELL", event.bids)):
            for price, size in levels.items():
                self._set(taker, price, _Level(size, self.number, self.number))
        self._whole, self._whole_at, self._update = self.number, event.at, event.update
        self._prints.clear()

    def _set(self, taker: str, price: Decimal, level: _Level) -> None:
        side, prices = self._book[taker], self._prices[taker]
        if level.size:
            if price not in side:
                insort(prices, price)
            side[price] = level
        elif side.pop(price, None) is not None:
            del prices[bisect_left(prices, price)]

    def _fold(self) -> None:
        """The best of both sides by the newest quote, where that is newer than the book."""
        top = self._top
        if top is None or top.update <= self._update:
            return
        for taker, levels in (("BUY", top.asks), ("SELL", top.bids)):
            best, size = next(iter(levels.items()))
            side, prices = self._book[taker], self._prices[taker]
            for price in self._beyond(taker, best) if self._has_levels else list(prices):
                self._set(taker, price, _Level(ZERO, 0, 0))
            level = side.get(best)
            is_same = level is not None and level.size == size
            since = level.since if level is not None and is_same else self._top_number
            self._set(taker, best, _Level(size, self._top_number, since))

    def _beyond(self, taker: str, best: Decimal) -> list[Decimal]:
        """The prices that are better than `best`."""
        prices = self._prices[taker]
        at = bisect_left(prices, best) if taker == "BUY" else bisect_right(prices, best)
        return prices[:at] if taker == "BUY" else prices[at:]

    def displayed(self, side: str, price: Decimal) -> Decimal:
        """Size shown at `price` on the book's `side`."""
        level = self._book[_other(side)].get(price)
        return ZERO if level is None else level.size

    def told(self, taker: str, price: Decimal) -> tuple[int, Decimal]:
        """When the size at `price` that `taker` meets was told, as the event's number, and it.

        Nothing is shown while nobody knows the book.
        """
        level = None if self._is_silent else self._book.get(taker, {}).get(price)
        return (0, ZERO) if level is None else (level.told, level.size)

    def crossing(self, taker: str, limit: Decimal) -> Iterator[Offer]:
        """What stands for `taker` within its limit, by book and quote."""
        best = self.best(taker)
        if best is not None and not is_better(taker, limit, best):
            for offer in self._levels(taker, LEVELS):
                if not is_better(taker, limit, offer.price):
                    yield offer

    def best(self, taker: str) -> Decimal | None:
        """The best price that `taker` meets by book and quote."""
        return next(iter(self._nearest(taker, 1)), None)

    def _nearest(self, taker: str, count: int) -> list[Decimal]:
        prices = self._prices[taker]
        return prices[:count] if taker == "BUY" else prices[: -count - 1 : -1]

    def sheet(self) -> Sheet:
        found = {taker: tuple(self._offers(taker)) for taker in ("BUY", "SELL")}
        is_known = self.is_known if self._whole else self._top is not None
        is_known = is_known and not self._is_silent
        return Sheet(self.number, self.ts, found["BUY"], found["SELL"], self.last, is_known)

    def _levels(self, taker: str, count: int) -> Iterator[Offer]:
        """Levels by book and quote, best first."""
        side = self._book[taker]
        for price in self._nearest(taker, count):
            level = side[price]
            yield Offer(price, level.size, level.size, level.told, level.since)

    def _offers(self, taker: str) -> Iterator[Offer]:
        """The levels, with what newer trades say of them."""
        levels = list(self._levels(taker, LEVELS))
        if not self._prints:
            yield from levels
            return
        reached = (max if taker == "BUY" else min)(one.price for _, one in self._prints)
        for level in levels:
            if is_better(taker, reached, level.price):
                yield level  # no trade came so far
                continue
            offer = self._after_prints(taker, level)
            if offer.most or offer.least:
                yield offer

    def _after_prints(self, taker: str, level: Offer) -> Offer:
        """A level, and what the trades since it was known say of it."""
        top = self._top if 0 < level.told == self._top_number else None
        known = max(level.told, self._whole)
        most = least = level.most
        for number, one in self._prints:
            if number <= known:
                continue
            if is_better(taker, level.price, one.price):
                gone = level.most
            elif one.price == level.price:
                gone = one.size if one.taker in (taker, "") else ZERO
                least = least if gone else ZERO  # who bids where there was an offer?
            else:
                continue
            least = max(least - gone, ZERO)
            if self._is_after(one, top):
                most = max(most - gone, ZERO)
        return level._replace(most=most, least=least)

    def _is_after(self, one: Print, top: Told | None) -> bool:
        """Whether a trade that came after the book, or the quote, also happened after it.

        Venues send the quote that a trade leads to before the trade itself.
        """
        if top is not None and not top.at:
            return one.ts - top.ts > LATE_NS
        at = self._whole_at if top is None else top.at
        return not one.at or one.at > at


def _other(side: str) -> str:
    return "SELL" if side == "BUY" else "BUY"


def is_better(taker: str, price: Decimal, other: Decimal) -> bool:
    """Whether `taker` would rather have `price` than `other`."""
    return price < other if taker == "BUY" else price > other
