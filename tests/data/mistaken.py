"""A strategy that makes one mistake, at its third book."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from nautilus_trader.model import BookType, ClientOrderId, InstrumentId, OrderSide, Price, Quantity
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.orders.model import Role

BUY = OrderSide.BUY
SIZE = Quantity.from_str("0.100")
BIG, NO_NAME = Price.from_str("70000.0"), InstrumentId.from_str("NO_SUCH.TEST")
HALF, TEN = Decimal("0.5"), Decimal(10)


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


def _stop_of(s: Any, name: InstrumentId, **given: Any) -> None:
    asked = {"side": BUY, "trigger": Price.from_str("60500.0"), "limit": Price.from_str("60600.0")}
    s.stop_limit(name, quantity=SIZE, **{**asked, **given})


def _bracket(s: Any, name: InstrumentId, **given: Any) -> None:
    asked = {"side": BUY, "quantity": SIZE}
    s.bracket(name, **{**asked, "stop": Price.from_str("1.0"), "target": BIG, **given})


def _changed(s: Any, name: InstrumentId, **given: Any) -> None:
    order = s.order_factory.limit(name, BUY, SIZE, Price.from_str("59000.0"))
    s.submit_order(order)
    s.modify_order(order.client_order_id, **given)


def _tagged(s: Any, name: InstrumentId, *tags: str) -> None:
    price = Price.from_str("59000.0")
    s.submit_order(s.order_factory.limit(name, BUY, SIZE, price, tags=list(tags)))


MISTAKES: dict[str, Callable[[Any, InstrumentId], Any]] = {
    "off tick": lambda s, name: _limit(s, name, price="100.123"),
    "float": lambda s, name: _limit(s, name, size=0.1),
    "no order": lambda s, name: s.submit_order(None),
    "text for an order": lambda s, name: s.submit_order("buy"),
    "list of nothing": lambda s, name: s.submit_order_list([None]),
    "other instrument": lambda s, name: _market(s, "NO_SUCH.TEST"),
    "other venue": lambda s, name: _market(s, "BTCUSDT.NOWHERE"),
    "text for an id": lambda s, name: s.cancel_order("O-1"),
    "text for ids": lambda s, name: s.cancel_orders("O-1"),
    "an id for ids": lambda s, name: s.cancel_orders(ClientOrderId("O-1")),
    "text among ids": lambda s, name: s.cancel_orders([ClientOrderId("O-1"), "O-2"]),
    "cancel nothing": lambda s, name: s.cancel_order(None),
    "cancel all of text": lambda s, name: s.cancel_all_orders(str(name)),
    "close all of text": lambda s, name: s.close_all_positions(str(name)),
    "close text": lambda s, name: s.close_position("P-1"),
    "query text": lambda s, name: s.query_order("O-1"),
    "bracket of text": lambda s, name: s.cancel_bracket("O-1"),
    "modify text": lambda s, name: s.modify_order("O-1", SIZE),
    "modify texts": lambda s, name: s.modify_orders([("O-1", SIZE, None, None)]),
    "modify orders": lambda s, name: s.modify_orders("O-1"),
    "modify ids": lambda s, name: s.modify_orders([ClientOrderId("O-1")]),
    "unknown order": lambda s, name: s.cancel_order(ClientOrderId("O-1")),
    "modify of nothing": lambda s, name: s.modify_order(ClientOrderId("O-1"), SIZE),
    "condition": lambda s, name: _stop(s, name, "ge"),
    "float price": lambda s, name: s.round_price(name, BUY, 1.5),
    "side text": lambda s, name: s.round_price(name, "BUY", TEN),
    "no number": lambda s, name: s.round_price(name, BUY, None),
    "text for a number": lambda s, name: s.round_quantity(name, "a few"),
    "no finite number": lambda s, name: s.round_quantity(name, Decimal("NaN")),
    "role text": lambda s, name: _stop_of(s, name, role="stop"),
    "stop side": lambda s, name: _stop_of(s, name, side="BUY"),
    "stop decimal": lambda s, name: _stop_of(s, name, trigger=TEN),
    "stop name": lambda s, name: _stop_of(s, str(name)),
    "trailing": lambda s, name: s.trailing_stop(name, BUY, SIZE, 30, TEN),
    "trailing float": lambda s, name: s.trailing_stop(name, BUY, SIZE, 0.1, BIG),
    "bracket stop": lambda s, name: _bracket(s, name, stop=TEN),
    "bracket target": lambda s, name: _bracket(s, name, target=TEN),
    "bracket targets": lambda s, name: _bracket(s, name, target=[BIG, TEN]),
    "bracket entry": lambda s, name: _bracket(s, name, entry=TEN),
    "bracket limit": lambda s, name: _bracket(s, name, stop_limit=TEN),
    "bracket quantity": lambda s, name: _bracket(s, name, quantity=HALF),
    "bracket side": lambda s, name: _bracket(s, name, side="BUY"),
    "modify quantity": lambda s, name: _changed(s, name, quantity=HALF),
    "modify price": lambda s, name: _changed(s, name, price=TEN),
    "price for": lambda s, name: s.price_for(name, BUY, HALF),
    "quote": lambda s, name: s.request_quote(name, BUY, HALF, print),
    "price of nothing": lambda s, name: s.price_for(NO_NAME, BUY, SIZE),
    "quote of nothing": lambda s, name: s.request_quote(NO_NAME, BUY, SIZE, print),
    "close nothing": lambda s, name: s.close_position(None),
    "position of a slip": lambda s, name: s.own_position(InstrumentId.from_str("BTCUSD.TEST")),
    "position of nothing": lambda s, name: s.own_position(NO_NAME),
    "orders of nothing": lambda s, name: s.own_orders(NO_NAME),
    "role for a tag": lambda s, name: _tagged(s, name, Role.STOP),
    "role's tag": lambda s, name: _tagged(s, name, Role.ENTRY.tag, "entry-7", "stops"),
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
