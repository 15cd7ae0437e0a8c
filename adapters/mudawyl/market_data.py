"""Market data: the gateway has a ticker only, no book, no trades, no stream (sections 3 and 4).

Its last price is polled; prices to trade by come from another venue. Histories are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from fairlead.adapters.base.channel_feeds import NoFeeds
from fairlead.adapters.base.history import NoHistories
from fairlead.adapters.base.venue import (
    ParseError,
    StreamItem,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
)
from fairlead.adapters.mudawyl.errors import CODE
from fairlead.adapters.mudawyl.http import MudawylHttp
from fairlead.adapters.mudawyl.parse import MAX_VALUE, ms_ns
from fairlead.adapters.mudawyl.schemas import told


class NoStream(NoFeeds):
    """A `StreamProtocol` of a venue that has none: nothing is ever sent or received."""

    url = ""
    idle_ping_secs = 3_600.0
    idle_close_secs = 86_400.0

    def opened(self, now_ns: int) -> Sequence[str]:
        return ()

    def ping(self, now_ns: int) -> Sequence[str]:
        return ()

    def received(self, frame: bytes | str, ts_init: int) -> Iterable[StreamItem]:
        return ()

    def closed(self, ts_init: int) -> Iterable[StreamItem]:
        return ()


class MudawylMarketData(NoHistories):
    """`MarketData` and `TickerData` of the gateway."""

    no_book = "book"

    def __init__(self, http: MudawylHttp, instruments: Mapping[str, VenueInstrument]) -> None:
        self._http = http
        self._instruments = instruments

    async def last_price(self, instrument: str) -> tuple[Decimal, int]:
        ticker = await self._http.ticker(self._instruments[instrument].symbol)
        try:
            if not 0 < ticker.last <= MAX_VALUE:
                raise ParseError("ticker", f"expected a price above 0, received {ticker.last}")
            return ticker.last, ms_ns(told(ticker.timestamp))
        except ParseError as e:
            raise VenueError(VenueErrorKind.UNKNOWN, f"{CODE}-BAD-ANSWER", str(e)) from e

    def public_stream(self) -> NoStream:
        return NoStream()

    def lacks(self, subject: str, what: str) -> VenueError:
        text = f"{subject[:80]}: the gateway has no {what}; take data from another venue"
        return VenueError(VenueErrorKind.REFUSED, f"{CODE}-NO-DATA", text, is_sent=False)
