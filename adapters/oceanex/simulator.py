"""A simulated OceanEx: REST v1, push websocket and query websocket over the simulated exchange.

Source: the venue document, sections 1 to 7. Serve it with
`fairlead.adapters.simulation.server.serve`, or in memory with
`fairlead.adapters.simulation.memory`.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, Unpack

from fairlead.adapters.oceanex.simulator_auth import Authenticator, public_half
from fairlead.adapters.oceanex.simulator_markets import OceanexSimOptions
from fairlead.adapters.oceanex.simulator_push import PushServer
from fairlead.adapters.oceanex.simulator_query import PATH as QUERY_PATH
from fairlead.adapters.oceanex.simulator_query import QueryServer
from fairlead.adapters.oceanex.simulator_routes import answer
from fairlead.adapters.oceanex.simulator_state import OceanexState
from fairlead.adapters.simulation.shell import Start
from fairlead.adapters.simulation.venue import Opened, SimRequest, SimResponse, SimSession

__all__ = ["OceanexSimOptions", "OceanexSimulator", "create"]

BASE_PATH = "/v1"
NOT_FOUND = SimResponse(
    status=404, body=b"<html><h1>Not Found</h1></html>", headers={"content-type": "text/html"}
)


class OceanexSimulator(OceanexState):
    """A `SimulatedVenue`."""

    def __init__(self, options: OceanexSimOptions | None = None, **start: Unpack[Start]) -> None:
        super().__init__(options, **start)
        self.push = PushServer(self)
        self.query = QueryServer(self)

    def http(self, request: SimRequest) -> SimResponse:
        if not request.path.startswith(f"{BASE_PATH}/"):
            return NOT_FOUND
        return answer(self, request, request.path.removeprefix(BASE_PATH).replace("//", "/"))

    def open_session(self, opened: Opened) -> SimSession:
        if opened.path == QUERY_PATH:
            return self.query.open(opened)
        return self.push.open(opened)

    def advance(self, now_ns: int) -> None:
        self.driver.advance(now_ns)
        self.wallet.advance(self.exchange, self.options.withdraw_secs, now_ns)
        self.push.publish(now_ns)
        self.query.advance(now_ns)

    def vary(self, rng: Random) -> dict[str, Any]:
        """`lists_triggers` only where stops that wait are listed."""
        is_hiding = rng.random() < 0.5
        self.change(
            filter_hides_waiting=is_hiding,
            create_reply=rng.choice(("entry", "matched")),
            settle_ms=rng.choice((0, 150, 1500)),
            post_status=rng.choice((200, 201)),
        )
        adapter_options = {
            "lists_triggers": rng.random() < 0.5 and not is_hiding,
            "orders_get_jwt": rng.choice(("body", "query")),
            "jwt_ttl_secs": rng.choice((None, 60)),
        }
        self.change(funds_error=rng.choice(("plain", "wrapped")))
        return adapter_options

    def describe(self, http_base: str, ws_base: str) -> Mapping[str, object]:
        """`rest` and `ws` are what a client is configured with; `ws_url` is the whole address."""
        options = self.options
        key, account = options.app_key, {"uid": options.uid, "key_id": options.key_id}
        return {
            "venue": "oceanex",
            "rest": f"{http_base}{BASE_PATH}",
            "ws": ws_base,
            "ws_url": f"{ws_base}/app/{key}?protocol=7&version=4.3.1&flash=false&client=js",
            "query_ws_url": f"{ws_base}{QUERY_PATH}",
            "app_key": key,
            **account,
            "credentials": {**account, "private_key": self.private_key_pem},
            "markets": list(self.markets),
        }

    def take_credentials(self, kept: Mapping[str, str]) -> None:
        """Go on with the key of an earlier start. Raises ValueError for one that is no such key."""
        if (kept["uid"], kept["key_id"]) != (self.options.uid, self.options.key_id):
            raise ValueError("uid and key_id are another account's")
        self.private_key_pem = kept["private_key"]
        self.auth = Authenticator(self.options, public_half(self.private_key_pem))


create = OceanexSimulator  # what `fairlead venue oceanex` serves
