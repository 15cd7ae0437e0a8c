"""Market data: ladders by stream. There is no history, no public trades, no bars (section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from fairlead.adapters.base.venue import VenueError, VenueErrorKind, VenueInstrument
from fairlead.adapters.zerocap.config import ZerocapOptions
from fairlead.adapters.zerocap.errors import CODE
from fairlead.adapters.zerocap.signing import Signer
from fairlead.adapters.zerocap.websocket import Ladders, PriceStream


class ZerocapMarketData:
    """`MarketData` of the venue. What it does not have is refused by name."""

    def __init__(
        self,
        options: ZerocapOptions,
        instruments: Mapping[str, VenueInstrument],
        ladders: Ladders,
        signer: Signer | None,
    ) -> None:
        self._options = options
        self._instruments = instruments
        self._ladders = ladders
        self._signer = signer

    def public_stream(self) -> PriceStream:
        return PriceStream(self._options, self._instruments, self._ladders, self._signer)

    async def history_trades(
        self, instrument: str, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        """Raises VenueError."""
        _refuse(instrument, "public trades")

    async def history_bars(
        self, bar_type: Any, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        """Raises VenueError."""
        _refuse(str(bar_type), "bars; build them from quotes")

    async def book_snapshot(self, instrument: str, depth: int) -> Any:
        """Raises VenueError."""
        _refuse(instrument, "book by request; subscribe it")


def _refuse(subject: str, what: str) -> NoReturn:
    text = f"{subject[:80]}: the venue has no {what}"
    raise VenueError(VenueErrorKind.REFUSED, f"{CODE}-NO-HISTORY", text)
