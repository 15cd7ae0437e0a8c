"""A strategy that subscribes what its parameter names, and trades nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nautilus_trader.model import BarType, BookType, DataType, InstrumentId, Venue
from nautilus_trader.trading import Strategy, StrategyConfig


def _bars(text: str) -> Callable[[Any, InstrumentId], None]:
    return lambda s, name: s.subscribe_bars(BarType.from_str(f"{name}-{text}"))


def _other(name: InstrumentId) -> InstrumentId:
    return InstrumentId.from_str(f"NO_SUCH.{name.venue}")


def _elsewhere(name: InstrumentId) -> InstrumentId:
    return InstrumentId.from_str(f"{name.symbol}.NOWHERE")


L2 = BookType.L2_MBP
ASKS: dict[str, Callable[[Any, InstrumentId], Any]] = {
    "other book": lambda s, name: s.subscribe_book_deltas(_other(name), L2),
    "other depth": lambda s, name: s.subscribe_book_depth(_other(name), L2),
    "other interval": lambda s, name: s.subscribe_book_at_interval(_other(name), L2, 1000),
    "other trades": lambda s, name: s.subscribe_trades(_other(name)),
    "other quotes": lambda s, name: s.subscribe_quotes(instrument_id=_other(name)),
    "other status": lambda s, name: s.subscribe_instrument_status(_other(name)),
    "other instrument": lambda s, name: s.subscribe_instrument(_other(name)),
    "other history": lambda s, name: s.request_trades(_other(name)),
    "other bars": lambda s, name: _bars("1-MINUTE-LAST-INTERNAL")(s, _other(name)),
    "other venue": lambda s, name: s.subscribe_trades(_elsewhere(name)),
    "venue's instruments": lambda s, name: s.subscribe_instruments(Venue("NOWHERE")),
    "mark bars": _bars("1-SECOND-MARK-INTERNAL"),
    "ready-made bars": _bars("12-MINUTE-LAST-EXTERNAL"),
    "composite alone": _bars("5-SECOND-LAST-INTERNAL@1-SECOND-INTERNAL"),
    "mark prices": lambda s, name: s.subscribe_mark_prices(name),
    "closing prices": lambda s, name: s.subscribe_instrument_close(name),
    "book": lambda s, name: s.subscribe_book_deltas(name, L2),
    "trades": lambda s, name: s.subscribe_trades(name),
    "quotes": lambda s, name: s.subscribe_quotes(name),
    "second bars": _bars("1-SECOND-LAST-INTERNAL"),
    "mid bars": _bars("1-SECOND-MID-INTERNAL"),
    "composite": _bars("5-SECOND-LAST-INTERNAL@1-SECOND-INTERNAL"),
    "own data": lambda s, name: s.subscribe_data(DataType("Mine")),
    "history": lambda s, name: s.request_trades(name),
    "nothing": lambda s, name: None,
}


class AskingConfig(StrategyConfig):
    instrument_id: InstrumentId
    asks: str

    def __init__(
        self, *, instrument_id: InstrumentId, asks: str, seen: str = "", **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.asks = asks
        self.seen = seen


class Asking(Strategy):
    def __init__(self, config: AskingConfig) -> None:
        self.asked = config
        self.bars = 0

    def on_start(self) -> None:
        for name in self.asked.asks.split(", "):
            ASKS[name](self, self.asked.instrument_id)

    def on_bar(self, bar: Any) -> None:
        self.bars += 1
        if self.asked.seen:
            Path(self.asked.seen).with_suffix(".bar").touch()
