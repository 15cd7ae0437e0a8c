"""A strategy of the engine's own in a node that trades through NautilusTrader's own clients.

It sends no orders. It is there for what another strategy can't do for itself: NautilusTrader lends
a strategy to the call that it makes, and takes questions about an account from a strategy only.
"""

from __future__ import annotations

from nautilus_trader.model import StrategyId
from nautilus_trader.trading import Strategy, StrategyConfig

STEWARD = "FAIRLEAD-STEWARD"  # NautilusTrader wants the part after the hyphen to be its own


class Steward(Strategy):
    """One of a run."""

    def __init__(self) -> None:
        super().__init__(
            StrategyConfig(strategy_id=StrategyId(STEWARD), log_events=False, log_commands=False)
        )
