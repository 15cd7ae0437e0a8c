"""A simulated Mudawyl gateway, with the exchange behind it.

Source: the gateway's document, all sections.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from fairlead.adapters.mudawyl.simulator_markets import MudawylSimOptions
from fairlead.adapters.mudawyl.simulator_routes import answer
from fairlead.adapters.mudawyl.simulator_state import MudawylState
from fairlead.adapters.simulation.venue import (
    Opened,
    SimRequest,
    SimResponse,
    SimSession,
    SimulatedVenue,
)
from fairlead.engine.secrets import Secret

__all__ = ["MudawylSimOptions", "MudawylSimulator", "create"]


class NoSession:
    """There is no WebSocket: a connection is closed as soon as it was opened."""

    def received(self, frame: str) -> None: ...

    def closed(self) -> None: ...


class _Person:
    """Who is at the website when a card or a session asks for a person."""

    def __init__(self, state: MudawylState) -> None:
        self._state = state

    async def token(self, purpose: str) -> Secret:
        return Secret(self._state.new_captcha(), "simulated person")


class MudawylSimulator(MudawylState):
    """A `SimulatedVenue`."""

    @property
    def person(self) -> _Person:
        return _Person(self)

    def http(self, request: SimRequest) -> SimResponse:
        return answer(self, request)

    def open_session(self, opened: Opened) -> SimSession:
        opened.close()
        return NoSession()

    def advance(self, now_ns: int) -> None:
        self.driver.advance(now_ns)
        self.settle()

    def vary(self, rng: Random) -> dict[str, Any]:
        bearer = rng.random() < 0.5
        self.change(
            clears=rng.choice(("symbol", "account")),
            refusal_clears=rng.random() < 0.5,
            flat_position=rng.choice(("zero", "nulls", "empty")),
            partial=rng.choice(("short", "error")),
            market_stop_closes=rng.random() < 0.5,
            authorization="bearer" if bearer else "raw",
            captcha_status=rng.choice((400, 401, 403)),
            reduces_amount=rng.random() < 0.5,
            history_has_open=rng.random() < 0.5,
        )
        return {"authorization": "bearer" if bearer else "raw"}

    def control(self, body: Mapping[str, object]) -> object:
        """What the website and the exchange do. Raises KeyError or ValueError.

        `{"captcha": true}` gives a reCAPTCHA token, `{"token": true}` a fresh token of the user,
        `{"exchange": "refuses"|"accepts"}` revokes the key that is traded with, `{"fail": "stop"}`
        (or `"target"`) has the exchange refuse such a leg of the next order.
        """
        if body.get("captcha"):
            return {"captcha": self.new_captcha()}
        if body.get("token"):
            return {"token": self.new_token(self.exchange.now_ns)}
        if "fail" in body:
            kind = str(body["fail"])
            if kind not in ("stop", "target"):
                raise ValueError("fail is stop or target")
            self.failing.append(kind)
            return {"failing": self.failing}
        self.main.is_authorized = {"refuses": False, "accepts": True}[str(body["exchange"])]
        return {"exchange": body["exchange"]}

    def describe(self, http_base: str, ws_base: str) -> Mapping[str, object]:
        """`rest` and `key_id` are what a client is configured with."""
        return {
            "venue": "mudawyl",
            "rest": http_base,
            "ws": "",
            "key_id": self.main.id,
            "credentials": {"token": self.token},
            "options": {"key_id": self.main.id, "markets": self._told_markets()},
            "markets": list(self.markets),
        }

    def _told_markets(self) -> list[dict[str, object]]:
        """As the config of a client names them: no endpoint does."""
        return [
            {
                "symbol": market.symbol,
                "price_precision": market.price_precision,
                "quantity_precision": market.quantity_precision,
                "min_notional": str(market.min_notional),
                "maker_fee": str(market.maker_fee),
                "taker_fee": str(market.taker_fee),
            }
            for market in self.markets.values()
        ]

    def take_credentials(self, kept: Mapping[str, str]) -> None:
        """Go on with the token of an earlier start. Raises ValueError for an empty one."""
        if not kept["token"]:
            raise ValueError("expected a token")
        self.kept_tokens.add(kept["token"])
        self.token = kept["token"]


create: Callable[..., SimulatedVenue] = MudawylSimulator
