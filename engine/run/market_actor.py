"""An actor of ours that keeps instruments' market data coming where no strategy asks for it."""

from __future__ import annotations

from nautilus_trader.common import DataActor
from nautilus_trader.model import BookType, InstrumentId


class MarketActor(DataActor):
    """Subscribes to book and trades: a recording is whole, and what is held has a price."""

    def __init__(self, instruments: tuple[str, ...]) -> None:
        super().__init__()
        self._instruments = instruments

    def on_start(self) -> None:
        for name in self._instruments:
            instrument_id = InstrumentId.from_str(name)
            self.subscribe_book_deltas(instrument_id, BookType.L2_MBP, managed=True)
            self.subscribe_trades(instrument_id)
