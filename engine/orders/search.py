"""Looking for an order until the venue shows it, or its absence is proven.

Absence is proof only when it is consistent for longer than the venue can lag, from the beginning of
the first look to that of the last: a look can last longer than the lag (limits, lost answers), and
what comes after its first page is in none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from fairlead.engine.orders.live import MIN_ABSENT_LOOKS, LiveOrder
from fairlead.engine.orders.model import Absent, FindResult, Found, Lost, Unsure
from fairlead.engine.orders.sent import Sent
from fairlead.engine.orders.shared import Part, Shared

KNOWN_IDS_WINDOW_NS = 3_600 * 1_000_000_000


class Gone(msgspec.Struct, frozen=True):
    """Absent from so many complete looks, over so many seconds."""

    last: Absent
    looks: int
    secs: float

    def __str__(self) -> str:
        return f"absent from {self.looks} complete looks over {self.secs:.1f} s"


class Absence:
    """Counts complete looks without an order, in loop time."""

    def __init__(self, needed_secs: float) -> None:
        self._needed_secs = needed_secs
        self._since: float | None = None
        self._looks = 0

    def over(self) -> None:
        """It was seen, or could not be looked for everywhere: the count begins again."""
        self._since = None

    def count(self, began: float, look: Absent) -> Gone | None:
        """A look that began then; the proof, once it is beyond any lag."""
        if self._since is None:
            self._since, self._looks = began, 0
        self._looks += 1
        secs = began - self._since
        if self._looks >= MIN_ABSENT_LOOKS and secs >= self._needed_secs:
            return Gone(look, self._looks, secs)
        return None


class Search(Part):
    """How this venue is looked through, from when an order was sent (`times`)."""

    def __init__(self, shared: Shared, times: Sent) -> None:
        super().__init__(shared)
        self.times = times

    async def until_settled(
        self,
        look: Callable[[], Awaitable[FindResult]],
        is_wanted: Callable[[], bool],
        settle: Callable[[Found | Unsure | Gone], Awaitable[None]],
    ) -> None:
        """Look with growing waits while it is wanted; what comes of it goes to `settle`.

        An answer that something else has overtaken meanwhile goes nowhere.
        """
        settings, loop = self._shared.settings, asyncio.get_running_loop()
        delays = settings.unknown_query_secs
        absence = Absence(max(settings.absent_quarantine_secs, self._can.max_order_lag_secs))
        looks = 0
        while is_wanted():
            await asyncio.sleep(delays[min(looks, len(delays) - 1)])
            looks += 1
            began = loop.time()
            result = await look()
            if not is_wanted():
                return
            if not isinstance(result, Absent):
                absence.over()
                await settle(result)
            elif (gone := absence.count(began, result)) is not None:
                await settle(gone)

    def lost(self, order: LiveOrder) -> Lost:
        """What a venue is asked by."""
        intent, times = order.intent, self.times
        before = self._journal.venue_ids_before(
            intent.client_order_id, intent.instrument, times.at(order) - KNOWN_IDS_WINDOW_NS
        )
        return Lost(intent, self.known_to(order), times.at(order), times.slack(order), before)

    def known_to(self, order: LiveOrder) -> frozenset[str]:
        """Venue order ids that are other orders', as far back as it matters."""
        since_ns = self.times.at(order) - KNOWN_IDS_WINDOW_NS
        return self._journal.known_venue_ids(order.intent.instrument, since_ns)
