"""Strategies for tests of arrival times: every kind of command, from timers and from data."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide, Price, Quantity
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy
from fairlead.strategies.bracketed_breakout import BracketedBreakout
from fairlead.strategies.imbalance_maker import ImbalanceMaker

BUY, SELL = OrderSide.BUY, OrderSide.SELL
FAR = Decimal("0.9")  # of the price: nothing comes there


class TimedConfig(StrategyConfig):
    """`every_us`: a command each so many microseconds; 0: one each `every_books` books."""

    def __init__(
        self, *, instrument_id: InstrumentId, every_us: int = 0, every_books: int = 1, **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.every_us = every_us
        self.every_books = every_books


class Timed(GuardedStrategy):
    """One command after another, of every kind there is."""

    def __init__(self, config: TimedConfig) -> None:
        super().__init__(config)
        self.settings = config
        self.iid = config.instrument_id
        self.count = self.books = 0
        self.resting: Any = None

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.iid, BookType.L2_MBP, managed=True)
        if self.settings.every_us:
            self.clock.set_timer_ns("commands", self.settings.every_us * 1000, callback=self.next)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if not self.settings.every_us and self.books % self.settings.every_books == 0:
            self.next()

    def next(self, event: Any = None) -> None:
        if self.cache.order_book(self.iid) is None or not self.books:
            return
        steps = (
            self.buy,
            self.rest,
            self.change,
            self.take_back,
            self.rest,
            self.change_several,
            self.take_back_several,
            self.rest_list,
            self.take_back_all,
            self.close,
            self.cross,
            self.leave,
        )
        steps[self.count % len(steps)]()
        self.count += 1

    def price(self, part: Decimal = FAR) -> Price:
        ask = self.cache.order_book(self.iid).best_ask_price().as_decimal()
        return self.round_price(self.iid, BUY, ask * part)

    def limit(self, price: Price) -> Any:
        return self.order_factory.limit(self.iid, BUY, Quantity.from_str("0.010"), price)

    def buy(self) -> None:
        self.submit_order(self.order_factory.market(self.iid, BUY, Quantity.from_str("0.010")))

    def rest(self) -> None:
        self.resting = self.limit(self.price())
        self.submit_order(self.resting)

    def change(self) -> None:
        lower = self.price(FAR - Decimal("0.01"))
        self.modify_order(self.resting.client_order_id, Quantity.from_str("0.020"), lower)

    def change_several(self) -> None:
        smaller = Quantity.from_str("0.005")
        self.modify_orders([(self.resting.client_order_id, smaller, None, None)])

    def take_back(self) -> None:
        self.cancel_order(self.resting.client_order_id)

    def take_back_several(self) -> None:
        self.cancel_orders([self.resting.client_order_id])

    def rest_list(self) -> None:
        self.submit_order_list([self.limit(self.price()), self.limit(self.price())])

    def take_back_all(self) -> None:
        self.cancel_all_orders(self.iid)

    def close(self) -> None:
        for position in self.cache.positions_open(strategy_id=self.strategy_id):
            self.close_position(position)

    def cross(self) -> None:
        self.submit_order(self.limit(self.price(Decimal("1.001"))))

    def leave(self) -> None:
        self.market_exit()


class Ticking:
    """A timer that does nothing, 1000 times a second."""

    def on_start(self: Any) -> None:
        super().on_start()  # type: ignore[misc]
        self.clock.set_timer_ns("nothing", 1_000_000, callback=lambda event: None)


class TickingTimed(Ticking, Timed):
    pass


class TickingMaker(Ticking, ImbalanceMaker):
    pass


class TickingBrackets(Ticking, BracketedBreakout):
    pass


class Idle(GuardedStrategy):
    """Timers, and no order."""

    def on_start(self) -> None:
        for number, interval_ns in enumerate((1_700_000, 5_000_000, 30_000_000)):
            self.clock.set_timer_ns(f"nothing-{number}", interval_ns, callback=lambda event: None)


class Looking(GuardedStrategy):
    """Sends an order at the fifth book, and notes its timers then."""

    def __init__(self, config: TimedConfig) -> None:
        super().__init__(config)
        self.iid = config.instrument_id
        self.books, self.heard = 0, []

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.iid, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books == 5:
            order = self.order_factory.market(self.iid, BUY, Quantity.from_str("0.010"))
            self.submit_order(order)
            self.names = list(self.clock.timer_names())
            self.clock.cancel_timers()

    def on_order_filled(self, event: Any) -> None:
        self.heard.append(self.clock.timestamp_ns())

    def on_time_event(self, event: Any) -> None:
        self.heard.append(event)
