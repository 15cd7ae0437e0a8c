"""What the handlers of the simulated PiexGo work on: `PiexgoState`."""

from __future__ import annotations

from typing import Unpack

import msgspec

from fairlead.adapters.piexgo.simulator_auth import Credentials
from fairlead.adapters.piexgo.simulator_markets import PiexgoSimOptions
from fairlead.adapters.simulation.exchange import ExchangeOptions
from fairlead.adapters.simulation.shell import SimState, Start

ACCOUNT = "main"
FIRST_ORDER_ID = 1_136_203_593_297_424_385  # 19 digits, as in the document
FIRST_TRADE_ID = 1


class PlannedError(msgspec.Struct, frozen=True):
    """An error that the venue answers once, whatever it did."""

    path: str
    code: int
    message: str
    is_executed: bool


class PiexgoState(SimState[PiexgoSimOptions]):
    """The account's key, and answers that are planned to be errors."""

    def __init__(self, options: PiexgoSimOptions | None = None, **start: Unpack[Start]) -> None:
        options = options or PiexgoSimOptions()
        listed = [(market.spec, market.start_price) for market in options.markets]
        matching = ExchangeOptions(first_order_id=FIRST_ORDER_ID, first_trade_id=FIRST_TRADE_ID)
        super().__init__(options, ACCOUNT, listed, matching, **start)
        self.markets = {market.id: market for market in options.markets}
        self.credentials = Credentials.of_seed(self.seed)
        self._planned: list[PlannedError] = []

    def fail_next(
        self, path: str, code: int, message: str = "", *, is_executed: bool = False
    ) -> None:
        """Answer the next such request with an error: 10101 and its kin prove nothing."""
        self._planned.append(PlannedError(path, code, message, is_executed))

    def take_planned_error(self, path: str) -> PlannedError | None:
        for planned in self._planned:
            if planned.path == path:
                self._planned.remove(planned)
                return planned
        return None
