"""The WebSocket APIs of the simulated Binance: the REST endpoints' requests in frames.

Sources: Spot "WebSocket API" (session and user data stream requests too), USD-M "Websocket API
General Info" and "Trade". A request is signed by itself, or its connection is logged on (Ed25519).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from fairlead.adapters.binance.simulator_auth import ApiError, check_clock
from fairlead.adapters.binance.simulator_feeds import text
from fairlead.adapters.binance.simulator_info import rate_limits
from fairlead.adapters.binance.simulator_limits import TooMany
from fairlead.adapters.binance.simulator_markets import Product
from fairlead.adapters.binance.simulator_routes import ROUTES, refusal, weight_of
from fairlead.adapters.binance.simulator_state import BinanceState, Call

FRAME_CHARS_MAX = 64 * 1024
_SPOT, _USDM = "/api/v3/", "/fapi/v1/"
# Method and path of the REST endpoint that a request is.
SPOT_METHODS = {
    "ping": ("GET", "ping"),
    "time": ("GET", "time"),
    "exchangeInfo": ("GET", "exchangeInfo"),
    "depth": ("GET", "depth"),
    "trades.recent": ("GET", "trades"),
    "trades.historical": ("GET", "historicalTrades"),
    "trades.aggregate": ("GET", "aggTrades"),
    "klines": ("GET", "klines"),
    "avgPrice": ("GET", "avgPrice"),
    "ticker.24hr": ("GET", "ticker/24hr"),
    "ticker.price": ("GET", "ticker/price"),
    "ticker.book": ("GET", "ticker/bookTicker"),
    "order.place": ("POST", "order"),
    "order.test": ("POST", "order/test"),
    "order.cancel": ("DELETE", "order"),
    "order.cancelReplace": ("POST", "order/cancelReplace"),
    "order.status": ("GET", "order"),
    "openOrders.status": ("GET", "openOrders"),
    "openOrders.cancelAll": ("DELETE", "openOrders"),
    "allOrders": ("GET", "allOrders"),
    "myTrades": ("GET", "myTrades"),
    "account.status": ("GET", "account"),
    "account.commission": ("GET", "account/commission"),
    "account.rateLimits.orders": ("GET", "rateLimit/order"),
    "userDataStream.start": ("POST", "userDataStream"),
    "userDataStream.ping": ("PUT", "userDataStream"),
    "userDataStream.stop": ("DELETE", "userDataStream"),
}
# `klines`, `trades.historical`, `order.test`, `openOrders.status` and `myTrades` are in no document
# of USD-M's: ccxt asks for them there, by spot's names.
USDM_METHODS = {
    "ping": ("GET", "ping"),
    "time": ("GET", "time"),
    "depth": ("GET", "depth"),
    "klines": ("GET", "klines"),
    "trades.historical": ("GET", "historicalTrades"),
    "ticker.price": ("GET", "ticker/price"),
    "ticker.book": ("GET", "ticker/bookTicker"),
    "order.place": ("POST", "order"),
    "order.test": ("POST", "order/test"),
    "order.modify": ("PUT", "order"),
    "order.cancel": ("DELETE", "order"),
    "order.status": ("GET", "order"),
    "openOrders.status": ("GET", "openOrders"),
    "myTrades": ("GET", "userTrades"),
    "algoOrder.place": ("POST", "algoOrder"),
    "algoOrder.cancel": ("DELETE", "algoOrder"),
    "account.status": ("GET", "account"),
    "account.balance": ("GET", "balance"),
    "account.position": ("GET", "positionRisk"),
    "v2/account.status": ("GET", "account"),
    "v2/account.balance": ("GET", "balance"),
    "v2/account.position": ("GET", "positionRisk"),
    "userDataStream.start": ("POST", "listenKey"),
    "userDataStream.ping": ("PUT", "listenKey"),
    "userDataStream.stop": ("DELETE", "listenKey"),
}


class ApiSession:
    """One WebSocket of requests; spot's may subscribe the account's stream too."""

    def __init__(
        self,
        venue: BinanceState,
        product: Product,
        send: Callable[[str], None],
        forget: Callable[[ApiSession], None],
        remote: str = "127.0.0.1",
    ) -> None:
        self.product = product
        self.subscriptions: list[int] = []
        self._venue = venue
        self._send = send
        self._forget = forget
        self._remote = remote
        self._key: str | None = None  # of who logged on
        self._subscribed = 0

    def tell(self, event: Mapping[str, Any]) -> None:
        for number in self.subscriptions:
            self._send(text({"subscriptionId": number, "event": event}))

    def received(self, frame: str) -> None:
        try:
            if len(frame) > FRAME_CHARS_MAX:
                raise ValueError("the frame is too long")
            asked = msgspec.json.decode(frame, type=dict[str, Any])
        except (ValueError, RecursionError):
            self._send(text(self._refused(None, ApiError(-1135, "Invalid JSON"))))
            return
        number = asked.get("id")
        try:
            told = {"id": number, "status": 200, "result": self._answer(asked)}
            told["rateLimits"] = rate_limits(self._venue, self.product)
        except ApiError as error:
            told = self._refused(number, error)
        self._send(text(told))

    def closed(self) -> None:
        self._forget(self)

    def _refused(self, number: object, error: ApiError) -> dict[str, Any]:
        told = refusal(error)
        if isinstance(error, TooMany):
            told["data"] = {"retryAfter": self._venue.now_ms + error.retry_secs * 1000}
        limits = rate_limits(self._venue, self.product)
        return {"id": number, "status": error.status, "error": told, "rateLimits": limits}

    def _answer(self, asked: Mapping[str, Any]) -> object:
        """Raises ApiError."""
        method, params = asked.get("method"), asked.get("params") or {}
        if not isinstance(method, str) or not isinstance(params, dict):
            raise ApiError(-1135, "Invalid 'method' or 'params' in JSON request.")
        own = self._own(method, params)
        if own is not None:
            return own
        known = SPOT_METHODS if self.product is Product.SPOT else USDM_METHODS
        if method not in known:
            raise ApiError(-1000, f"Unknown method '{method[:40]}'")
        verb, path = known[method]
        endpoint, _ = ROUTES.find(verb, (_SPOT if self.product is Product.SPOT else _USDM) + path)
        assert endpoint is not None, "each method has its endpoint"
        venue = self._venue
        key = params.get("apiKey", self._key)
        call = Call(
            product=self.product,
            params={name: _plain(value) for name, value in params.items() if value is not None},
            remote=self._remote,
            key=key if isinstance(key, str) else None,
        )
        venue.limits[self.product].take(
            self._remote, weight_of(endpoint, call), venue.exchange.now_ns
        )
        if endpoint.is_private:
            self._check(params)
        return endpoint.handler(venue, call)

    def _check(self, params: Mapping[str, Any]) -> None:
        """Raises ApiError."""
        venue = self._venue
        if self._key is not None and "signature" not in params:
            check_clock(params, venue.now_ms)
            return
        venue.auth.check_params(params, venue.now_ms)

    def _own(self, method: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """Requests that only a connection has; None for others. Raises ApiError."""
        venue = self._venue
        if method == "session.logon":
            venue.auth.check_params(params, venue.now_ms)
            if params.get("apiKey") != venue.credentials.ed25519_api_key:
                raise ApiError(-4056, "HMAC_SHA256 API key is not supported.", status=403)
            self._key = str(params["apiKey"])
            return self._session()
        if method == "session.status":
            return self._session()
        if method == "session.logout":
            self._key = None
            return self._session()
        if self.product is Product.USDM:
            return None
        if method == "userDataStream.subscribe.signature":
            venue.auth.check_params(params, venue.now_ms)
            return self._subscribe()
        if method == "userDataStream.subscribe":
            if self._key is None:
                raise ApiError(-2015, "Session is not authenticated.")
            return self._subscribe()
        if method == "userDataStream.unsubscribe":
            self.subscriptions.clear()
            return {}
        return None

    def _subscribe(self) -> dict[str, Any]:
        number, self._subscribed = self._subscribed, self._subscribed + 1
        self.subscriptions.append(number)
        return {"subscriptionId": number}

    def _session(self) -> dict[str, Any]:
        now_ms = self._venue.now_ms
        since = now_ms if self._key is not None else None
        return {
            "apiKey": self._key,
            "authorizedSince": since,
            "connectedSince": self._venue.started_ms,
            "returnRateLimits": True,
            "serverTime": now_ms,
            "userDataStream": bool(self.subscriptions),
        }


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
