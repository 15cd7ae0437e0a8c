"""The market data of one instrument as a backtest is fed with it, event by event."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import Any

import msgspec
from nautilus_trader.model import OrderBookDelta, TradeTick


def ordered(rows: Iterable[Any]) -> list[Any]:
    """Trades and book changes of an instrument as the exchange is to have them, by `ts_init`.

    Of what is received at once a trade comes before the book that it led to: the other way round it
    would be taken off the queue of a resting order twice, by the book and by itself. Only the
    venue's clock can say that it was later, where it is known of all of them.
    """
    found = sorted(sorted(rows, key=_is_book), key=attrgetter("ts_init"))
    times = [one.ts_init for one in found]
    done = 0
    for begin in [at for at, (one, next_) in enumerate(pairwise(times)) if one == next_]:
        if begin < done:
            continue
        done = bisect_right(times, times[begin])
        moment = found[begin:done]
        if all(one.ts_event != one.ts_init for one in moment):
            found[begin:done] = sorted(moment, key=_venue_time)
    return found


def _is_book(row: Any) -> bool:
    return not isinstance(row, TradeTick)


def _venue_time(row: Any) -> tuple[int, bool]:
    return row.ts_event, _is_book(row)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One trade, one batch of `rows`, or a whole book, received at `ts`.

    `is_last`: a gap comes next, so that the book is known no more once this is over.
    """

    ts: int
    trade: TradeTick | None = None
    rows: Sequence[OrderBookDelta] = ()
    depth: Any = None
    is_last: bool = False


class Tape:
    """`events` in the order in which the exchange has them.

    `updates`: changes of the book before the first event, as NautilusTrader's cache counts them.
    """

    def __init__(self, events: Sequence[Told], updates: int) -> None:
        self.events = events
        self.times = [one.ts for one in self.events]
        self._updates = list(accumulate(map(_count, self.events), initial=updates))

    @property
    def updates(self) -> int:
        """The count behind the last event."""
        return self._updates[-1]

    def moment(self, now: int) -> tuple[int, int]:
        """What comes at `now`: the first event's number, and the one behind the last."""
        return bisect_left(self.times, now), bisect_right(self.times, now)

    def known(self, begin: int, end: int, updates: int, trades: int) -> int:
        """Up to which of a moment's events everyone has them, by what the cache counts: `updates`
        of the book in all, `trades` of the moment."""
        for at in range(begin, end):
            if self.events[at].trade is None:
                is_known = self._updates[at + 1] <= updates
            else:
                trades -= 1
                is_known = trades >= 0
            if not is_known:
                return at
        return end


def _count(told: Told) -> int:
    return len(told.rows) or (0 if told.depth is None else 1)
