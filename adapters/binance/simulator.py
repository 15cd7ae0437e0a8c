"""A simulated Binance: spot and USD-M futures, their REST APIs and streams over one exchange.

Serve it with `fairlead.adapters.simulation.server.serve`, or in memory with
`fairlead.adapters.simulation.memory`. There is no adapter of ours: NautilusTrader's own client, and
anybody's, is its client.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Unpack

import msgspec

from fairlead.adapters.binance import simulator_algo as algo
from fairlead.adapters.binance.simulator_auth import Credentials
from fairlead.adapters.binance.simulator_markets import BinanceSimOptions
from fairlead.adapters.binance.simulator_push import StreamServer, StreamSession
from fairlead.adapters.binance.simulator_routes import answer
from fairlead.adapters.binance.simulator_state import BinanceState
from fairlead.adapters.binance.simulator_usdm_orders import tidy
from fairlead.adapters.binance.simulator_wsapi import ApiSession
from fairlead.adapters.simulation.shell import Start
from fairlead.adapters.simulation.venue import Opened, SimRequest, SimResponse

__all__ = ["BinanceSimOptions", "BinanceSimulator", "create"]


class BinanceSimulator(BinanceState):
    """A `SimulatedVenue`. Its credentials are the seed's too."""

    def __init__(self, options: BinanceSimOptions | None = None, **start: Unpack[Start]) -> None:
        super().__init__(options, **start)
        self.push = StreamServer(self)

    def http(self, request: SimRequest) -> SimResponse:
        return answer(self, request)

    def open_session(self, opened: Opened) -> StreamSession | ApiSession:
        return self.push.open(opened)

    def advance(self, now_ns: int) -> None:
        self.driver.advance(now_ns)
        algo.run(self)
        tidy(self)
        self.push.publish(now_ns)

    def describe(self, http_base: str, ws_base: str) -> Mapping[str, object]:
        """`ws` and `usdm_ws` are base addresses of streams."""
        return {
            "venue": "binance",
            "adapter": "nautilus:binance",
            "rest": http_base,
            "ws": f"{ws_base}/stream/ws",
            "ws_api": f"{ws_base}/ws-api/v3",
            "usdm_rest": http_base,
            "usdm_ws": f"{ws_base}/usdm/ws",
            "usdm_ws_api": f"{ws_base}/ws-fapi/v1",
            "credentials": msgspec.structs.asdict(self.credentials),
            "markets": list(self.markets),
        }

    def control(self, body: Mapping[str, object]) -> object:
        """`/_sim/venue`: {"revoked": bool} of the keys, {"expire_keys": true} of listen keys,
        {"paid_in": AMOUNT} into the futures wallet (USDT; below 0: out of it), untold.

        Tells of the futures account. Raises ValueError.
        """
        if unknown := body.keys() - {"revoked", "expire_keys", "paid_in"}:
            raise ValueError(f"no switch {', '.join(sorted(unknown))}")
        if "revoked" in body:
            self.auth.revoked = bool(body["revoked"])
        if body.get("expire_keys"):
            self.keys.expire()
        if "paid_in" in body:
            self.usdm.wallet += Decimal(str(body["paid_in"]))
        return {
            "revoked": self.auth.revoked,
            "wallet": self.usdm.wallet,
            "positions": self.usdm.held(),
            "algo_orders": [algo.row(self, one) for one in self.algos.open()],
        }

    def take_credentials(self, kept: Mapping[str, str]) -> None:
        """Go on with the keys of an earlier start. Raises ValueError for what are none."""
        if not all(kept.values()):
            raise ValueError("expected two keys with their secrets")
        self.auth.take(Credentials(**kept))
        self.credentials = self.auth.credentials


create = BinanceSimulator  # what `fairlead venue binance` serves
