"""Market data: the gateway has a ticker only, no book, no trades, no stream (sections 3 and 4).

Prices to trade by come from another venue. Histories are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from fairlead.adapters.base.venue import Feed, StreamItem, VenueError, VenueErrorKind
from fairlead.adapters.mudawyl.errors import CODE


class NoStream:
    """A `StreamProtocol` of a venue that has none: nothing is ever sent or received."""

    url = ""
    idle_ping_secs = 3_600.0
    idle_close_secs = 86_400.0

    def opened(self, now_ns: int) -> Sequence[str]:
        return ()

    def subscribe(self, feed: Feed) -> Sequence[str]:
        return ()

    def unsubscribe(self, feed: Feed) -> Sequence[str]:
        return ()

    def ping(self, now_ns: int) -> Sequence[str]:
        return ()

    def received(self, frame: bytes | str, ts_init: int) -> Iterable[StreamItem]:
        return ()

    def closed(self, ts_init: int) -> Iterable[StreamItem]:
        return ()


class MudawylMarketData:
    """`MarketData` of the gateway. What it does not have is refused by name."""

    def public_stream(self) -> NoStream:
        return NoStream()

    async def history_trades(
        self, instrument: str, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        """Raises VenueError."""
        _refuse(instrument, "public trades")

    async def history_bars(
        self, bar_type: Any, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        """Raises VenueError."""
        _refuse(str(bar_type), "bars")

    async def book_snapshot(self, instrument: str, depth: int) -> Any:
        """Raises VenueError."""
        _refuse(instrument, "book")


def _refuse(subject: str, what: str) -> NoReturn:
    text = f"{subject[:80]}: the gateway has no {what}; take data from another venue"
    raise VenueError(VenueErrorKind.REFUSED, f"{CODE}-NO-DATA", text, is_sent=False)
