"""The last price of instruments of a venue without a stream, polled."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from nautilus_trader.model import InstrumentId, MarkPriceUpdate, Price, Quantity, QuoteTick

from fairlead.adapters.base.polled import Polled
from fairlead.adapters.base.venue import TickerData, VenueError


class Tickers(Polled):
    """What is wanted of a venue's tickers."""

    name = "tickers"

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.wanted: set[InstrumentId] = set()

    async def poll(self) -> None:
        """Until none is wanted. One that can't be read is told: its price gets old, and stale."""
        market_data = self._account.adapter.market_data
        assert isinstance(market_data, TickerData)
        while self.wanted:
            for instrument_id in sorted(self.wanted, key=str):
                name = str(instrument_id)
                try:
                    price, ts_event = await market_data.last_price(name)
                except VenueError as error:
                    self._problem(error.code, f"{name}: {error.message}")
                    continue
                self._told(instrument_id, price, ts_event)
            await asyncio.sleep(self._account.request_limits.ticker_poll_secs)

    def _told(self, instrument_id: InstrumentId, price: Decimal, ts_event: int) -> None:
        """The mark price; and a quote without size or spread, which nobody trades by:
        NautilusTrader denies a market order where it has neither quote nor trade."""
        instrument = self._account.adapter.instruments[str(instrument_id)]
        told = Price.from_str(f"{price:.{instrument.price_precision}f}")
        none = Quantity(0, instrument.size_precision)
        self._account.status.count(f"tickers {instrument_id}")
        now_ns = self._account.now_ns()
        self._hand_on(QuoteTick(instrument_id, told, told, none, none, ts_event, now_ns))
        self._hand_on(MarkPriceUpdate(instrument_id, told, ts_event, now_ns))
