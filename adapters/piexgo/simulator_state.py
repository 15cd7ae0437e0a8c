"""What the handlers of the simulated PiexGo work on: `PiexgoState`."""

from __future__ import annotations

from typing import Unpack

from fairlead.adapters.piexgo.simulator_auth import Credentials
from fairlead.adapters.piexgo.simulator_markets import PiexgoSimOptions
from fairlead.adapters.simulation.exchange import ExchangeOptions
from fairlead.adapters.simulation.shell import SimState, Start

ACCOUNT = "main"
FIRST_ORDER_ID = 1_136_203_593_297_424_385  # 19 digits, as in the document
FIRST_TRADE_ID = 1


class PiexgoState(SimState[PiexgoSimOptions]):
    """The account's key."""

    def __init__(self, options: PiexgoSimOptions | None = None, **start: Unpack[Start]) -> None:
        options = options or PiexgoSimOptions()
        listed = [(market.spec, market.start_price) for market in options.markets]
        matching = ExchangeOptions(first_order_id=FIRST_ORDER_ID, first_trade_id=FIRST_TRADE_ID)
        super().__init__(options, ACCOUNT, listed, matching, **start)
        self.markets = {market.id: market for market in options.markets}
        self.credentials = Credentials.of_seed(self.seed)
