"""A strategy of the live tests: one bracket with two targets, at the first price that it hears."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide, Quantity
from nautilus_trader.trading import StrategyConfig

from fairlead import GuardedStrategy

QUANTITY = Quantity.from_str("0.050")


class TwoTargetsConfig(StrategyConfig):
    """`feed` is what it hears prices by; `leaves_at` closes the position from that price on,
    `leaves` by which of the methods: "close", "exit", or "cancel", which cancels before it closes;
    "again" does not leave, and asks for a second bracket.
    `trails` enters by a trailing stop in place of the bracket: 1000 below, 1 % behind."""

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        feed: str = "ticker",
        leaves_at: Decimal | None = None,
        leaves: str = "close",
        opens: bool = True,
        trails: bool = False,
        **native: Any,
    ) -> None:
        self.instrument_id = instrument_id
        self.feed = feed
        self.leaves_at = leaves_at
        self.leaves = leaves
        self.opens = opens
        self.trails = trails


class TwoTargets(GuardedStrategy):
    def __init__(self, config: TwoTargetsConfig) -> None:
        super().__init__(config)
        self._c = config
        self._opened = not config.opens
        self._left = False

    def on_start(self) -> None:
        name = self._c.instrument_id
        if self.own_position(name) or self.open_brackets() or self.own_orders(name):
            self._opened = True
        if self._c.feed == "ticker":
            self.subscribe_mark_prices(self._c.instrument_id)
        else:
            self.subscribe_book_deltas(self._c.instrument_id, BookType.L2_MBP, managed=True)

    def on_mark_price(self, mark_price: Any) -> None:
        self._heard(mark_price.value.as_decimal())

    def on_book_deltas(self, deltas: Any) -> None:
        top = self.cache.top_of_book(self._c.instrument_id)
        if top is not None:
            self._heard(top[0].as_decimal())

    def _heard(self, price: Decimal) -> None:
        name = self._c.instrument_id
        if not self._opened and self._c.trails:
            self._opened = True
            begin = self.round_price(name, OrderSide.BUY, price - 1000)
            self.trailing_stop(name, OrderSide.BUY, QUANTITY, 100, begin)
        elif not self._opened:
            self._opened = True
            self._enter(name, price)
        elif self._c.leaves_at is not None and price >= self._c.leaves_at and not self._left:
            self._left = True
            if self._c.leaves == "again":
                self._enter(name, price)
                return
            if self._c.leaves == "cancel":
                self.cancel_all_orders(name)
            if self._c.leaves == "exit":
                self.market_exit()
            else:
                self.close_all_positions(name)

    def _enter(self, name: InstrumentId, price: Decimal) -> None:
        sell = OrderSide.SELL
        self.bracket(
            name,
            OrderSide.BUY,
            QUANTITY,
            stop=self.round_price(name, sell, price - 1000),
            stop_limit=self.round_price(name, sell, price - 1100),
            target=[self.round_price(name, sell, price + up) for up in (500, 1000)],
        )
