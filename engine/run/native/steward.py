"""A strategy of the engine's own in a node that trades through NautilusTrader's own clients.

It sends no orders. It is there for what another strategy can't do for itself: NautilusTrader lends
a strategy to the call that it makes, and takes questions about an account from a strategy only.
"""

from __future__ import annotations

from nautilus_trader.model import StrategyId
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.engine.orders.model import VenueBalance
from fairlead.engine.run.native.balances import ask_balances

STEWARD = "FAIRLEAD-STEWARD"  # NautilusTrader wants the part after the hyphen to be its own


class Steward(Strategy):
    """One of a run."""

    def __init__(self) -> None:
        super().__init__(
            StrategyConfig(strategy_id=StrategyId(STEWARD), log_events=False, log_commands=False)
        )


class Teller:
    """What an account holds, asked through the run's steward."""

    def __init__(self, account_id: str) -> None:
        self.steward: Steward | None = None
        self._account_id = account_id

    async def balances(self) -> list[VenueBalance]:
        """Raises VenueUnavailable."""
        assert self.steward is not None, "the run has one where an account is traded"
        return await ask_balances(self.steward, self._account_id)
