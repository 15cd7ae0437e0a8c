"""A bare PiexGo client over the simulator's handlers: no sockets, a clock moved by hand.

It signs by itself: two readings of the document check each other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from fairlead.adapters.piexgo.simulator import PiexgoSimOptions, PiexgoSimulator
from fairlead.adapters.simulation.venue import Opened, SimRequest
from fairlead.engine.orders.model import Side

T0 = 1_800_000_000_123_000_000
MS = 1_000_000


class Desk:
    """Asks the venue as a client would. Markets stand still unless told otherwise."""

    def __init__(self, *, start_ns: int = T0, **options: Any) -> None:
        self.options = PiexgoSimOptions(**{"is_market_live": False, "settle_ms": 0, **options})
        self.sim = PiexgoSimulator(self.options, now_ns=start_ns, seed=3)
        self.now_ns = start_ns
        self.key, self.secret = self.sim.credentials.key, self.sim.credentials.secret

    def wait(self, ms: int) -> None:
        self.now_ns += ms * MS
        self.sim.advance(self.now_ns)

    def send(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        self.sim.advance(self.now_ns)
        fields = {"query": "", "headers": {}, "body": b"", **more}
        response = self.sim.http(SimRequest(method=method, path=path, **fields))
        is_json = response.headers["content-type"] == "application/json"
        return response.status, json.loads(response.body) if is_json else response.body

    def get(self, path: str, **params: Any) -> Any:
        status, found = self.send("GET", path, query=urlencode(params))
        assert status == 200
        return found

    def signature(self, params: dict[str, str]) -> str:
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha512).hexdigest()

    def post(self, path: str, /, *, is_timed: bool = True, **params: Any) -> Any:
        """The whole answer of a signed request."""
        texts = {name: str(value) for name, value in params.items() if value is not None}
        if is_timed:
            texts = {"recv_window": "5000", "timestamp": str(self.now_ns // MS)} | texts
        headers = {"key": self.key, "signature": self.signature(texts)}
        return self.send("POST", path, headers=headers, body=urlencode(texts).encode())[1]

    def ok(self, path: str, /, **params: Any) -> Any:
        found = self.post(path, **params)
        assert found["err_code"] == 0, found
        return found

    def order(self, side: str, quantity: str, price: str | None = None, **more: Any) -> str:
        """A new order's id."""
        fields = {"symbol": "BTC_USDT", "side": side, "quantity": quantity}
        fields |= {"type": "MARKET" if price is None else "LIMIT"}
        found = self.ok("/api/v1/order", **(fields | {"price": price} | more))
        return str(found["order_id"])

    def refused(self, **fields: Any) -> int:
        base = {"symbol": "BTC_USDT", "side": "BUY", "quantity": "1", "type": "LIMIT"}
        found = self.post("/api/v1/order", **(base | {"price": "100"} | fields))
        assert set(found) == {"err_code", "msg"}, found
        return int(found["err_code"])

    def info(self, order_id: str) -> Any:
        return self.ok("/api/v1/orderInfo", symbol="BTC_USDT", order_id=order_id)["data"]

    def listed(self, path: str, page: int = 0) -> Any:
        return self.ok(f"/api/v1/{path}", page=page)["list"]

    def print(self, price: str, size: str = "0.1", aggressor: Side = Side.SELL) -> None:
        self.sim.exchange.print_trade(
            "BTC_USDT", Decimal(price), Decimal(size), aggressor, self.now_ns
        )


class Line:
    """One connection: what was received, and whether the venue closed it."""

    def __init__(self, desk: Desk, path: str = "/ws") -> None:
        self.frames: list[dict[str, Any]] = []
        self.is_closed = False
        self._desk = desk
        self.session = desk.sim.open_session(
            Opened(path, "", lambda frame: self.frames.append(json.loads(frame)), self._close)
        )

    def _close(self) -> None:
        self.is_closed = True

    def send(self, message: Any) -> None:
        self.session.received(message if isinstance(message, str) else json.dumps(message))

    def subscribe(self, topic: str) -> None:
        self.send({"op": "subscribe", "topic": topic})

    def log_in(self) -> None:
        digest = hmac.new(self._desk.secret.encode(), self._desk.key.encode(), hashlib.sha256)
        signature = base64.b64encode(digest.digest()).decode()
        message = {"op": "subscribe", "topic": "pinfo", "apikey": self._desk.key}
        self.send(message | {"signature": signature})

    def take(self, topic: str = "") -> list[dict[str, Any]]:
        """Frames since the last call, of one topic if named."""
        frames, self.frames = self.frames, []
        return [frame for frame in frames if topic in ("", frame.get("topic"))]


def shape(value: Any) -> Any:
    """Names and types, without values: what two payloads of one kind have in common."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, (int, float)) else type(value).__name__
