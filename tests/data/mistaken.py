"""A strategy that makes one mistake, at its third book."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from nautilus_trader.model import BookType, ClientOrderId, InstrumentId, OrderSide, Price, Quantity
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy

BUY = OrderSide.BUY
SIZE = Quantity.from_str("0.100")


def _raise(error: BaseException) -> None:
    raise error


def _limit(s: Any, name: InstrumentId, size: Any = SIZE, price: str = "100.1") -> None:
    s.submit_order(s.order_factory.limit(name, BUY, size, Price.from_str(price)))


def _market(s: Any, text: str) -> None:
    s.submit_order(s.order_factory.market(InstrumentId.from_str(text), BUY, SIZE))


def _again(s: Any) -> None:
    s.mistake = s.mistake  # the frame of the author that comes round for ever
    _again(s)


def _stop(s: Any, name: InstrumentId, condition: str) -> None:
    s.stop_limit(name, BUY, SIZE, Price.from_str("1"), Price.from_str("2"), condition)


MISTAKES: dict[str, Callable[[Any, InstrumentId], Any]] = {
    "off tick": lambda s, name: _limit(s, name, price="100.123"),
    "float": lambda s, name: _limit(s, name, size=0.1),
    "no order": lambda s, name: s.submit_order(None),
    "text for an order": lambda s, name: s.submit_order("buy"),
    "list of nothing": lambda s, name: s.submit_order_list([None]),
    "other instrument": lambda s, name: _market(s, "NO_SUCH.TEST"),
    "other venue": lambda s, name: _market(s, "BTCUSDT.NOWHERE"),
    "text for an id": lambda s, name: s.cancel_order("O-1"),
    "unknown order": lambda s, name: s.cancel_order(ClientOrderId("O-1")),
    "modify of nothing": lambda s, name: s.modify_order(ClientOrderId("O-1"), SIZE),
    "condition": lambda s, name: _stop(s, name, "ge"),
    "float price": lambda s, name: s.round_price(name, BUY, 1.5),
    "sys.exit": lambda s, name: sys.exit(0),
    "no words": lambda s, name: _raise(RuntimeError()),
    "many lines": lambda s, name: _raise(ValueError("first\nsecond")),
    "recursion": lambda s, name: _again(s),
    "division": lambda s, name: 1 / 0,
}


class MistakenConfig(StrategyConfig):
    instrument_id: InstrumentId
    mistake: str

    def __init__(self, *, instrument_id: InstrumentId, mistake: str, **native: Any) -> None:
        self.instrument_id = instrument_id
        self.mistake = mistake


class Mistaken(GuardedStrategy):
    def __init__(self, config: MistakenConfig) -> None:
        super().__init__(config)
        self.asked, self.books = config, 0
        self.mistake = MISTAKES[config.mistake]

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.asked.instrument_id, BookType.L2_MBP)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books == 3:
            self.mistake(self, self.asked.instrument_id)
