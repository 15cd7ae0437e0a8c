"""A simulated PiexGo: REST v1 and v2, and the WebSocket, over the simulated exchange.

Source: the venue document. Serve it with `fairlead.adapters.simulation.server.serve`, or in
memory with `fairlead.adapters.simulation.memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Unpack

from fairlead.adapters.piexgo.simulator_auth import Credentials
from fairlead.adapters.piexgo.simulator_markets import PiexgoSimOptions
from fairlead.adapters.piexgo.simulator_push import PATH, PushServer
from fairlead.adapters.piexgo.simulator_routes import answer
from fairlead.adapters.piexgo.simulator_state import PiexgoState
from fairlead.adapters.simulation.shell import Start
from fairlead.adapters.simulation.venue import (
    Opened,
    SimRequest,
    SimResponse,
    SimSession,
    SimulatedVenue,
)

__all__ = ["PiexgoSimOptions", "PiexgoSimulator", "create"]


class PiexgoSimulator(PiexgoState):
    """A `SimulatedVenue`."""

    def __init__(self, options: PiexgoSimOptions | None = None, **start: Unpack[Start]) -> None:
        super().__init__(options, **start)
        self.push = PushServer(self)

    def http(self, request: SimRequest) -> SimResponse:
        return answer(self, request)

    def open_session(self, opened: Opened) -> SimSession:
        return self.push.open(opened)

    def advance(self, now_ns: int) -> None:
        self.driver.advance(now_ns)
        self.push.publish(now_ns)

    def vary(self, rng: Random) -> dict[str, Any]:
        is_unsigned, is_hiding = rng.random() < 0.3, rng.random() < 0.5
        self.change(
            settle_ms=rng.choice((0, 20, 500)),
            acks=rng.random() < 0.5,
            first_depth=rng.random() < 0.7,
            error_status=rng.choice((200, 400)),
            demands_time=rng.random() < 0.5,
            unsigned_pinfo=is_unsigned,
            hides_waiting=is_hiding,
        )
        return {
            "pinfo": "unsigned" if is_unsigned else "signed",
            "lists_triggers": rng.random() < 0.5 and not is_hiding,
        }

    def describe(self, http_base: str, ws_base: str) -> Mapping[str, object]:
        """`rest` and `ws` are what a client is configured with."""
        return {
            "venue": "piexgo",
            "rest": http_base,
            "ws": f"{ws_base}{PATH}",
            "credentials": {"key": self.credentials.key, "secret": self.credentials.secret},
            "markets": list(self.markets),
        }

    def take_credentials(self, kept: Mapping[str, str]) -> None:
        """Go on with the key of an earlier start. Raises ValueError for an empty one."""
        if not (kept["key"] and kept["secret"]):
            raise ValueError("expected a key and a secret")
        self.credentials = Credentials(kept["key"], kept["secret"])


create: Callable[..., SimulatedVenue] = PiexgoSimulator
