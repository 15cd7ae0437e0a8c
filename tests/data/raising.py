"""Strategies whose own code fails before the run, each in its way."""

import sys
from typing import Any

from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.engine.guard import GuardedStrategy


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
