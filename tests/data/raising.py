"""Strategies whose own code fails before the run, each in its way."""

import sys
from decimal import Decimal
from typing import Any

from nautilus_trader.model import InstrumentId
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.engine.guard import Declared, GuardedStrategy


class InInit(Strategy):
    def __init__(self, config: StrategyConfig) -> None:
        self.table = {"a": 1}["in __init__"]


class ExitInInit(Strategy):
    def __init__(self, config: StrategyConfig) -> None:
        sys.exit("exit in __init__")


class InConfigInitConfig(StrategyConfig):
    def __init__(self, **native: Any) -> None:
        raise LookupError("in the config's __init__")


class InConfigInit(Strategy):
    def __init__(self, config: InConfigInitConfig) -> None:
        pass


class RefusingConfig(StrategyConfig):
    def __init__(self, **native: Any) -> None:
        raise ValueError("fast must be below slow")


class Refusing(Strategy):
    def __init__(self, config: RefusingConfig) -> None:
        pass


class Overriding(Strategy):
    def __init__(self, config: StrategyConfig) -> None:
        pass

    def submit_order(self, order: Any) -> None:
        print(order)


class WithoutConfig(Strategy):
    def __init__(self) -> None:
        super().__init__(StrategyConfig())


class WithMore(Strategy):
    def __init__(self, config: StrategyConfig, more: int) -> None:
        super().__init__(config)


class ByName(Strategy):
    def __init__(self, *, config: StrategyConfig) -> None:
        super().__init__(config)


class OfNothing(Strategy):
    def on_trade(self) -> None:  # what it is told of has no place
        pass


class OfMore(Strategy):
    def on_stop(self, why: str) -> None:
        pass


class OfOne(GuardedStrategy):
    def on_gate_denied(self, order: Any) -> None:
        pass


class OnInstance(GuardedStrategy):
    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.on_order_filled = self.mine

    def mine(self, event: Any) -> None:
        pass


class InCallback(Strategy):
    def __init__(self, config: StrategyConfig) -> None:
        pass

    def on_quote(self, quote: Any) -> None:
        self.before, self.on_trade = quote, print


def wired(strategy: Any, name: str, value: Any) -> None:
    setattr(strategy, name, value)


class Named(Strategy):
    def __init__(self, config: StrategyConfig) -> None:
        wired(self, "on_trade", self.mine)

    def mine(self, trade: Any) -> None:  # stands for on_trade
        pass


class Hiding(Strategy):
    def __init__(self, config: StrategyConfig) -> None:
        self.entry = self.stop = None


class OfClass(Strategy):
    @classmethod
    def on_trade(cls, trade: Any) -> None:
        pass


class OfNumber(Strategy):
    on_trade = 5


class OfObject(Strategy):
    on_stop = type("Called", (), {"__call__": print})()


class OfProperty(Strategy):
    @property
    def on_trade(self) -> Any:
        return print


class Declaring(GuardedStrategy):
    """Of an instrument that is a slip of the config's."""

    def declared(self) -> Any:
        return {InstrumentId.from_str("BTCUSD.TEST"): Declared(may_short=False)}


class DeclaringLate(GuardedStrategy):
    """It can say so once it is started."""

    def declared(self) -> Any:
        (instrument,) = self.cache.instruments()
        return {instrument.id: Declared(Decimal(-5))}
