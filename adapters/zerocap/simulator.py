"""A simulated Zerocap: REST and WebSocket of both dialects over a dealer's ladder.

Source: the venue document, all sections.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, Unpack

from fairlead.adapters.simulation.shell import Start
from fairlead.adapters.simulation.venue import Opened, SimRequest, SimResponse
from fairlead.adapters.zerocap.simulator_markets import ZerocapSimOptions
from fairlead.adapters.zerocap.simulator_push import PushServer, PushSession
from fairlead.adapters.zerocap.simulator_routes import BASE_PATH, answer
from fairlead.adapters.zerocap.simulator_rows import iso
from fairlead.adapters.zerocap.simulator_state import ZerocapState

__all__ = ["ZerocapSimOptions", "ZerocapSimulator", "create"]


class ZerocapSimulator(ZerocapState):
    """A `SimulatedVenue`."""

    def __init__(self, options: ZerocapSimOptions | None = None, **start: Unpack[Start]) -> None:
        super().__init__(options, **start)
        self.started_ns = start["now_ns"]
        self.push = PushServer(self)

    def http(self, request: SimRequest) -> SimResponse:
        response = answer(self, request)
        if self.options.push_first:
            self.push.publish_orders()
        return response

    def open_session(self, opened: Opened) -> PushSession:
        return self.push.open(opened)

    def advance(self, now_ns: int) -> None:
        self.driver.advance(now_ns)
        self.exchange.advance(now_ns)
        self.push.publish(now_ns)

    def vary(self, rng: Random) -> dict[str, Any]:
        self.change(
            id_suffix=rng.choice(("", "be")),
            push_first=rng.random() < 0.5,
            error_body=rng.choice(("text", "detail", "code")),
            data_as_text=rng.random() < 0.5,
            answers_ping_with_error=rng.random() < 0.5,
        )
        if rng.random() < 0.5:
            return {"dialect": "A"}
        return {"dialect": "C", "markets": [], "balances": {}}  # the venue tells them

    def control(self, body: Mapping[str, object]) -> object:
        """`{"prices": "down"|"up"}` breaks the price feed, and mends it."""
        self.push.stream({"down": False, "up": True}[str(body["prices"])])
        return {"prices": "up" if self.is_price_up else "down"}

    def describe(self, http_base: str, ws_base: str) -> Mapping[str, object]:
        """`rest` and `ws` are what a client is configured with, `options` what dialect A needs."""
        credentials = {"api_key": self.options.api_key, "api_secret": self.options.api_secret}
        return {
            "venue": "zerocap",
            "rest": f"{http_base}{BASE_PATH}",
            "ws": f"{ws_base}{BASE_PATH}",
            "credentials": credentials,
            "markets": list(self.markets),
            "options": self.options_of_a(),
        }

    def options_of_a(self) -> dict[str, object]:
        """What dialect A has no endpoint for, as options of the adapter."""
        markets = [
            {
                "symbol": market.symbol,
                "price_precision": market.price_precision,
                "quantity_precision": market.quantity_precision,
                "min_quantity": str(market.min_quantity),
                "max_quantity": str(market.max_quantity),
            }
            for market in self.markets.values()
        ]
        return {
            "markets": markets,
            "balances": {name: str(amount) for name, amount in self.options.balances.items()},
            "balances_at": iso(self.started_ns),
        }

    def take_credentials(self, kept: Mapping[str, str]) -> None:
        """Raises ValueError for what is no text of a key."""
        if not kept["api_key"] or not kept["api_secret"]:
            raise ValueError("api_key and api_secret are empty")
        self.change(api_key=kept["api_key"], api_secret=kept["api_secret"])


create = ZerocapSimulator
