"""A NautilusTrader 2.0 strategy as it would be written elsewhere: nothing of this project in it."""

from decimal import Decimal

from nautilus_trader.model import BookType, InstrumentId, OrderSide, Quantity
from nautilus_trader.trading import Strategy, StrategyConfig


class PlainConfig(StrategyConfig):
    def __init__(self, instrument_id: InstrumentId, size: Decimal, every: int = 50, **kwargs):
        self.instrument_id = instrument_id
        self.size = size
        self.every = every


class Plain(Strategy):
    """Buys and sells by turns, closes everything at the end."""

    def __init__(self, config: PlainConfig):
        super().__init__(config)
        self.settings = config
        self.count = 0
        self.trades = 0

    def on_start(self):
        self.subscribe_book_deltas(self.settings.instrument_id, BookType.L2_MBP, managed=True)
        self.subscribe_trades(self.settings.instrument_id)

    def on_trade(self, trade):
        self.trades += 1

    def on_book_deltas(self, deltas):
        self.count += 1
        if self.count % self.settings.every == 0:
            turn = self.count // self.settings.every
            if turn % 7 == 0:
                self.close_all_positions(self.settings.instrument_id)
                return
            side = OrderSide.BUY if turn % 2 else OrderSide.SELL
            quantity = Quantity.from_decimal_dp(self.settings.size, 3)
            order = self.order_factory.market(self.settings.instrument_id, side, quantity)
            self.submit_order(order)


class Faulty(Plain):
    """Raises at the tenth book update, with an order resting in the book."""

    def on_book_deltas(self, deltas):
        self.count += 1
        if self.count == 5:
            top = self.cache.top_of_book(self.settings.instrument_id)
            far = type(top[0]).from_decimal_dp(top[0].as_decimal() - 500, 1)
            quantity = Quantity.from_decimal_dp(self.settings.size, 3)
            factory = self.order_factory
            self.submit_order(
                factory.limit(self.settings.instrument_id, OrderSide.BUY, quantity, far)
            )
        if self.count == 10:
            raise ZeroDivisionError("the strategy has a bug")


class RoundTheGate(Plain):
    """Calls NautilusTrader's own method past the gate."""

    def on_book_deltas(self, deltas):
        self.count += 1
        quantity = Quantity.from_decimal_dp(self.settings.size, 3)
        if self.count == 5:
            order = self.order_factory.market(self.settings.instrument_id, OrderSide.BUY, quantity)
            Strategy.submit_order(self, order)
