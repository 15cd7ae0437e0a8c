"""A simulated Poloniex spot: its REST API and both WebSockets over the simulated exchange.

Source: the venue document, sections 0 to 8. Serve it with
`fairlead.adapters.simulation.server.serve`, or in memory with
`fairlead.adapters.simulation.memory`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any, Unpack

import msgspec

from fairlead.adapters.poloniex.simulator_auth import Credentials
from fairlead.adapters.poloniex.simulator_markets import PoloniexSimOptions
from fairlead.adapters.poloniex.simulator_orders import CHILD_OFFSET
from fairlead.adapters.poloniex.simulator_push import PushServer, PushSession
from fairlead.adapters.poloniex.simulator_routes import answer
from fairlead.adapters.poloniex.simulator_state import ACCOUNT, PoloniexState
from fairlead.adapters.simulation.shell import Start
from fairlead.adapters.simulation.venue import Opened, SimRequest, SimResponse

__all__ = ["PoloniexSimOptions", "PoloniexSimulator", "create"]


class PoloniexSimulator(PoloniexState):
    """A `SimulatedVenue`. Its credentials are the seed's too."""

    def __init__(self, options: PoloniexSimOptions | None = None, **start: Unpack[Start]) -> None:
        super().__init__(options, **start)
        self.push = PushServer(self)

    def http(self, request: SimRequest) -> SimResponse:
        return answer(self, request)

    def open_session(self, opened: Opened) -> PushSession:
        return self.push.open(opened)

    def advance(self, now_ns: int) -> None:
        self.driver.advance(now_ns)
        self.kill_switch.advance(self.exchange)
        self.push.publish(now_ns)

    def vary(self, rng: Random) -> dict[str, Any]:
        self.change(
            settle_ms=rng.choice((0, 20, 500)),
            child_client_id=rng.choice(("parent", "none")),
            smart_get=rng.choice(("list", "object")),
            smart_events=rng.random() < 0.5,
            client_ids=rng.choice(("ever", "open")),
            error_status=rng.choice((200, 400)),
        )
        self.exchange.options = msgspec.structs.replace(
            self.exchange.options, duplicate_client_ids=self.options.client_ids
        )
        return {
            "order_transport": rng.choice(("rest", "websocket")),
            "trigger_crossed": rng.choice(("refuse", "limit")),
        }

    def describe(self, http_base: str, ws_base: str) -> Mapping[str, object]:
        """`rest`, `public_ws` and `private_ws` are what a client is configured with."""
        return {
            "venue": "poloniex",
            "rest": http_base,
            "public_ws": f"{ws_base}/ws/public",
            "private_ws": f"{ws_base}/ws/private",
            "credentials": {"key": self.credentials.key, "secret": self.credentials.secret},
            "markets": list(self.markets),
        }

    def control(self, body: Mapping[str, object]) -> object:
        """`/_sim/venue`: {"symbol","state"}, {"maintenance"}, {"post_only"}, {"revoked"},
        {"symbol","highest_bid","lowest_ask"}.

        Raises KeyError or ValueError.
        """
        modes = self.modes
        # Everything is understood before anything is set.
        maintenance = _switch(body.get("maintenance"))
        post_only = _switch(body.get("post_only"))
        limits = [Decimal(str(body.get(name, 0))) for name in ("highest_bid", "lowest_ask")]
        if "symbol" in body:
            symbol = self.markets[str(body["symbol"])].symbol
            if "state" in body:
                modes.set_state(symbol, str(body["state"]))
            if "highest_bid" in body or "lowest_ask" in body:
                modes.limits[symbol] = (limits[0], limits[1])
                modes.changed.add(symbol)
        if "maintenance" in body or "post_only" in body:
            modes.set_venue(maintenance=maintenance, post_only=post_only)
        if "revoked" in body:
            self.auth.revoked = bool(body["revoked"])
        return {
            "states": modes.states,
            "maintenance": modes.maintenance,
            "post_only": modes.post_only,
            "revoked": self.auth.revoked,
            "trade_requests": self.push.trade_requests,
        }

    def ledger_id(self, venue_order_id: str) -> int:
        """The ledger's number of an order, one for a stop (`smart-ID`) and its child."""
        number = int(venue_order_id.removeprefix("smart-"))
        child_of = number - CHILD_OFFSET
        return child_of if self.exchange.order(ACCOUNT, child_of) is not None else number

    def take_credentials(self, kept: Mapping[str, str]) -> None:
        """Go on with the key of an earlier start. Raises ValueError for an empty one."""
        if not (kept["key"] and kept["secret"]):
            raise ValueError("expected a key and a secret")
        self.credentials = Credentials(kept["key"], kept["secret"])
        self.auth.credentials = self.credentials


def _switch(value: object) -> bool | None:
    return None if value is None else bool(value)


create = PoloniexSimulator  # what `fairlead venue poloniex` serves
