"""A strategy that buys once at the market, and leaves in its on_stop by one of the ways."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy

QUANTITY = Decimal("0.01")


class LeavingConfig(StrategyConfig):
    """`how` is a method of NautilusTrader's, or "" for none; `told` a file for what it heard."""

    def __init__(
        self, *, instrument_id: InstrumentId, how: str = "", told: str = "", **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.how = how
        self.told = told


class Leaving(GuardedStrategy):
    config_class = LeavingConfig

    def __init__(self, config: LeavingConfig) -> None:
        super().__init__(config)
        self._c = config
        self._is_in = False

    def on_start(self) -> None:
        self._tell("start")
        self.subscribe_book_deltas(self._c.instrument_id, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        if self.cache.top_of_book(self._c.instrument_id) is None:
            self._tell("cleared" if self._is_in else "waiting")
        elif not self._is_in:
            self._is_in = True
            order = self.order_factory.market(self._c.instrument_id, OrderSide.BUY, self._size())
            self.submit_order(order)
            self._tell("sent")

    def _size(self) -> Any:
        return self.cache.instrument(self._c.instrument_id).make_qty(QUANTITY)

    def on_order_filled(self, event: Any) -> None:
        self._tell("filled")

    def on_stop(self) -> None:
        self._tell("stop")
        if self._c.how == "market_exit":
            self.market_exit()
        elif self._c.how == "close_all_positions":
            self.close_all_positions(self._c.instrument_id)

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        self._tell(denial.code)
        if denial.code in ("STALE_REFERENCE", "INVALID_BOOK") and order.side is OrderSide.BUY:
            self._is_in = False

    def _tell(self, what: str) -> None:
        with Path(self._c.told).open("a") as file:
            file.write(f"{what}\n")


class Moving(Leaving):
    """Rests an order, and with each further book cancels what rests and rests another."""

    config_class = LeavingConfig

    def on_book_deltas(self, deltas: Any) -> None:
        name = self._c.instrument_id
        if (touch := self.cache.top_of_book(name)) is None:
            return
        self.cancel_all_orders(name)
        known = self.cache.instrument(name)
        far = known.make_price(touch[0].as_decimal() * Decimal("0.97"))
        self.submit_order(self.order_factory.limit(name, OrderSide.BUY, self._size(), far))

    def on_order_accepted(self, event: Any) -> None:
        self._tell("accepted")


class Flooding(Leaving):
    """Sends very many quotes at once, more than the venue answers soon; tells what was not sent."""

    config_class = LeavingConfig
    QUOTES = 1_500

    def on_book_deltas(self, deltas: Any) -> None:
        touch = self.cache.top_of_book(self._c.instrument_id)
        if touch is None or self._is_in:
            return
        self._is_in = True
        known = self.cache.instrument(self._c.instrument_id)
        far = known.make_price(touch[0].as_decimal() * Decimal("0.97"))
        for _ in range(self.QUOTES):
            self.submit_order(self.order_factory.limit(known.id, OrderSide.BUY, self._size(), far))
        self.cancel_all_orders(known.id)
        self._tell("quoted")

    def on_order_rejected(self, event: Any) -> None:
        self._tell("withdrawn")

    def on_order_denied(self, event: Any) -> None:
        self._tell("withdrawn")


class Ending(Leaving):
    """Ends the run once the book is gone that another strategy needs to leave: asks, or raises."""

    config_class = LeavingConfig

    def on_book_deltas(self, deltas: Any) -> None:
        is_gone = self.cache.top_of_book(self._c.instrument_id) is None
        if not is_gone or self._is_in or not self.cache.positions_open():
            return
        self._is_in = True
        self._tell("ends")
        if self._c.how == "raises":
            raise ValueError("raised on purpose")
        self.shutdown_system("enough for today")


class Promising(Leaving):
    """Answers `flat_on_stop` as no strategy should."""

    config_class = LeavingConfig

    def flat_on_stop(self) -> Any:
        self._tell("asked")
        if self._c.how == "text":
            return "BTC_USDT"
        if self._c.how == "elsewhere":
            return (InstrumentId.from_str("NO_SUCH.VENUE"),)
        raise ValueError("raised on purpose")


class Quoting(Leaving):
    """Buys once; a file beside `told` makes it send many quotes at once, which nobody takes."""

    config_class = LeavingConfig
    QUOTES = 30

    def on_book_deltas(self, deltas: Any) -> None:
        super().on_book_deltas(deltas)
        go = Path(self._c.told).with_name("quote")
        touch = self.cache.top_of_book(self._c.instrument_id)
        if touch is None or not go.exists():
            return
        go.unlink()
        known = self.cache.instrument(self._c.instrument_id)
        for step in range(self.QUOTES):
            far = known.make_price(touch[0].as_decimal() * (Decimal("0.97") - step / Decimal(1000)))
            quote = self.order_factory.limit(known.id, OrderSide.BUY, self._size(), far)
            self.submit_order(quote)
        self._tell("quoted")

    def on_order_rejected(self, event: Any) -> None:
        self._tell("withdrawn" if "DESK-WITHDRAWN" in event.reason else "rejected")

    def on_order_denied(self, event: Any) -> None:
        self._tell("withdrawn" if "DESK-WITHDRAWN" in event.reason else "denied")

    def flat_on_stop(self) -> tuple[InstrumentId, ...]:
        return (self._c.instrument_id,)
