"""The market data of one instrument as a backtest is fed with it, event by event."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, compress, islice
from operator import attrgetter, eq, gt
from typing import Any

from nautilus_trader.model import TradeTick

_TS_INIT = attrgetter("ts_init")


def ordered(rows: Sequence[Any]) -> list[Any]:
    """Trades and book changes of an instrument as the exchange is to have them, by `ts_init`.

    Of what is received at once a trade comes before the book that it led to: the other way round it
    would be taken off the queue of a resting order twice, by the book and by itself. Only the
    venue's clock can say that it was later, where it is known of all of them.
    """
    found = [one for one in rows if type(one) is TradeTick]
    if len(found) < len(rows):
        found += [one for one in rows if type(one) is not TradeTick]
    times = list(map(_TS_INIT, found))
    if any(map(gt, times, islice(times, 1, None))):  # of one kind alone they mostly have an order
        found.sort(key=_TS_INIT)
        times = list(map(_TS_INIT, found))
    done = 0
    for begin in compress(range(len(times)), map(eq, times, islice(times, 1, None))):
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


class Tape:
    """Trades, and batches or wholes of the book, in the order in which the exchange has them.

    `sizes`: the changes in each batch, by its `id`. `lasts`: ids of the batches that a gap follows,
    so that the book is known no more once they are over. `updates`: changes of the book before the
    first event, as NautilusTrader's cache counts them; `total`: after the last; None: not counted.
    """

    def __init__(
        self,
        events: Sequence[Any],
        sizes: Mapping[int, int],
        lasts: Collection[int],
        updates: int,
        total: int | None = None,
    ) -> None:
        self.events = events
        self.times = list(map(_TS_INIT, events))
        self.lasts = lasts
        self.total = total
        self._sizes, self._before = sizes, updates

    @cached_property
    def _updates(self) -> list[int]:
        counts = (
            0 if type(one) is TradeTick else self._sizes.get(id(one), 1) for one in self.events
        )
        return list(accumulate(counts, initial=self._before))

    def moment(self, now: int) -> tuple[int, int]:
        """What comes at `now`: the first event's number, and the one behind the last."""
        return bisect_left(self.times, now), bisect_right(self.times, now)

    def known(self, begin: int, end: int, updates: int, trades: int) -> int:
        """Up to which of a moment's events everyone has them, by what the cache counts: `updates`
        of the book in all, `trades` of the moment."""
        for at in range(begin, end):
            if isinstance(self.events[at], TradeTick):
                trades -= 1
                is_known = trades >= 0
            else:
                is_known = self._updates[at + 1] <= updates
            if not is_known:
                return at
        return end
