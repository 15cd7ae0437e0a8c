"""Market data: ladders by stream. There is no history, no public trades, no bars (section 3)."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.adapters.base.history import NoHistories
from fairlead.adapters.base.venue import VenueError, VenueErrorKind, VenueInstrument
from fairlead.adapters.zerocap.config import ZerocapOptions
from fairlead.adapters.zerocap.errors import CODE
from fairlead.adapters.zerocap.signing import Signer
from fairlead.adapters.zerocap.websocket import Ladders, PriceStream


class ZerocapMarketData(NoHistories):
    """`MarketData` of the venue."""

    no_bars = "bars; build them from quotes"

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

    def lacks(self, subject: str, what: str) -> VenueError:
        text = f"{subject[:80]}: the venue has no {what}"
        return VenueError(VenueErrorKind.REFUSED, f"{CODE}-NO-HISTORY", text)
