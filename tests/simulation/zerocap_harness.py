"""A bare Zerocap client over the simulator's handlers: no sockets, a clock moved by hand."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from fairlead.adapters.simulation.venue import Opened, SimRequest
from fairlead.adapters.zerocap.config import Dialect
from fairlead.adapters.zerocap.simulator import ZerocapSimOptions, ZerocapSimulator

T0 = 1_800_000_000_123_000_000
MS = 1_000_000
SYMBOL = "USDT/AUD"


class Desk:
    """Asks the venue as a client of one dialect would. Markets stand still unless told."""

    def __init__(self, dialect: Dialect = "A", **options: Any) -> None:
        self.options = ZerocapSimOptions(**{"is_market_live": False, **options})
        self.sim = ZerocapSimulator(now_ns=T0, seed=3, options=self.options)
        self.sim.advance(T0)
        self.now_ns = T0
        self.dialect = dialect
        self.remote = "127.0.0.1"
        self.skew_secs = 0

    def wait(self, ms: int) -> None:
        self.now_ns += ms * MS
        self.sim.advance(self.now_ns)

    def headers(self) -> dict[str, str]:
        key = self.options.api_key
        seconds = str(self.now_ns // 10**9 + self.skew_secs)
        message = key if self.dialect == "A" else seconds
        secret = self.options.api_secret.encode()
        signature = hmac.new(secret, message.encode(), hashlib.sha256).hexdigest()
        timed = {} if self.dialect == "A" else {"timestamp": seconds}
        return {"api-key": key, "signature": signature} | timed

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: str = "",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        self.sim.advance(self.now_ns)
        response = self.sim.http(
            SimRequest(
                method=method,
                path=f"/v2{path}",
                query=query,
                headers=self.headers() if headers is None else headers,
                body=b"" if body is None else json.dumps(body).encode(),
                remote=self.remote,
            )
        )
        return response.status, response.body

    def ok(self, method: str, path: str, body: Any = None, query: str = "") -> Any:
        status, answer = self.send(method, path, body, query)
        assert status == 200, (status, answer)
        return json.loads(answer)

    def create(self, side: str, amount: str, price: str | None = None, **more: Any) -> Any:
        body = {"symbol": SYMBOL, "side": side, "amount": amount, "client_order_id": "c1"}
        body |= {"type": "market", "price": "0"} if price is None else {"type": "limit"}
        body |= {} if price is None else {"price": price}
        return self.ok("POST", "/orders/create_order", body | more)

    def fetch(self, order_id: str) -> Any:
        if self.dialect == "C":
            return self.ok("GET", "/orders/fetch_order", query=f"id={order_id}")
        (row,) = self.ok("POST", "/orders/fetch_order", {"id": order_id})["order_list"]
        return row

    def fetched(self, **params: Any) -> Any:
        return self.ok("POST", "/orders/fetch_orders", params)


class Line:
    """One connection: what was received, and whether the venue closed it."""

    def __init__(self, desk: Desk, headers: dict[str, str] | None = None) -> None:
        self.frames: list[dict[str, Any]] = []
        self.is_closed = False
        self.session = desk.sim.open_session(
            Opened(
                "/v2",
                "",
                lambda frame: self.frames.append(json.loads(frame)),
                self._close,
                desk.headers() if headers is None else headers,
            )
        )

    def _close(self) -> None:
        self.is_closed = True

    def send(self, **message: Any) -> None:
        self.session.received(json.dumps(message))

    def take(self) -> list[dict[str, Any]]:
        """Frames since the last call."""
        frames, self.frames = self.frames, []
        return frames

    def said(self) -> list[str]:
        return [frame["message"] for frame in self.take()]


def shape(value: Any) -> Any:
    """Names and types, without values: what two payloads of one kind have in common."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
