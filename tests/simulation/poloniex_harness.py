"""A bare Poloniex client over the simulator's handlers: no sockets, a clock moved by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fairlead.adapters.poloniex.simulator import PoloniexSimOptions, PoloniexSimulator
from fairlead.adapters.simulation.venue import Opened, SimRequest
from fairlead.engine.orders.model import Side

T0 = 1_800_000_000_000_000_000
MS = 1_000_000
SAMPLES = Path(__file__).resolve().parents[1] / "data" / "poloniex"
BTC = "BTC_USDT"


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"polo_{name}.json").read_text())


def signature(secret: str, text: str) -> str:
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


class Desk:
    """Asks the venue as a client would. Markets stand still unless told otherwise."""

    def __init__(self, **options: Any) -> None:
        limits = {"bulk_rate": 1000, "private_rate": 1000, "public_rate": 1000}
        chosen = {"is_market_live": False, "settle_ms": 0, **limits, **options}
        self.options = PoloniexSimOptions(**chosen)
        self.sim = PoloniexSimulator(now_ns=T0, seed=3, options=self.options)
        self.now_ns = T0
        self.key, self.secret = self.sim.credentials.key, self.sim.credentials.secret

    def wait(self, ms: int) -> None:
        self.now_ns += ms * MS
        self.sim.advance(self.now_ns)

    def headers(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: bytes = b"",
        ahead_ms: int = 0,
    ) -> dict[str, str]:
        """Section 3 of the document."""
        stamp = str(self.now_ns // MS + ahead_ms)
        if body:
            tail = f"requestBody={body.decode()}&signTimestamp={stamp}"
        else:
            pairs = sorted({**(query or {}), "signTimestamp": stamp}.items())
            tail = "&".join(f"{k}={quote(v, safe='')}" for k, v in pairs)
        signed = signature(self.secret, f"{method}\n{path}\n{tail}")
        return {"key": self.key, "signtimestamp": stamp, "signature": signed}

    def send(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        self.sim.advance(self.now_ns)
        response = self.sim.http(
            SimRequest(
                method=method,
                path=path,
                query=urlencode(query or {}),
                headers=headers or {},
                body=body,
            )
        )
        return response.status, json.loads(response.body) if response.body else None

    def public(self, path: str, **query: str) -> Any:
        status, answer = self.send("GET", path, query=query)
        assert status == 200, answer
        return answer

    def private(
        self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        raw = b"" if body is None else json.dumps(body).encode()
        headers = self.headers(method, path, query, raw)
        return self.send(method, path, query=query, body=raw, headers=headers)

    def ok(
        self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None
    ) -> Any:
        status, answer = self.private(method, path, body, query)
        assert status == 200, answer
        return answer

    def refused(self, method: str, path: str, body: Any = None, **query: str) -> int:
        """The code of an error."""
        status, answer = self.private(method, path, body, query)
        assert status != 200, answer
        assert set(answer) == {"code", "message"}
        return int(answer["code"])

    def order(self, side: str = "BUY", **more: Any) -> dict[str, Any]:
        """A limit order far from the market; None removes a field."""
        base = {"symbol": BTC, "side": side, "type": "LIMIT", "price": "30000", "quantity": "0.01"}
        return {k: v for k, v in {**base, **more}.items() if v is not None}

    def create(self, side: str = "BUY", **more: Any) -> str:
        return str(self.ok("POST", "/orders", self.order(side, **more))["id"])

    def stop(self, side: str = "BUY", **more: Any) -> str:
        body = self.order(side, type="STOP_LIMIT", price="61100", stopPrice="61000") | more
        body = {name: value for name, value in body.items() if value is not None}
        return str(self.ok("POST", "/smartorders", body)["id"])

    def get(self, order_id: str) -> Any:
        return self.ok("GET", f"/orders/{order_id}")

    def smart(self, order_id: str) -> Any:
        return self.ok("GET", f"/smartorders/{order_id}")[0]

    def balance(self, currency: str) -> tuple[Decimal, Decimal]:
        (account,) = self.ok("GET", "/accounts/balances")
        (row,) = [b for b in account["balances"] if b["currency"] == currency]
        return Decimal(row["available"]), Decimal(row["hold"])

    def print(self, price: str, size: str = "0.1", aggressor: Side = Side.BUY) -> None:
        """A trade in the market, beyond the displayed levels where it must."""
        self.sim.exchange.print_trade(BTC, Decimal(price), Decimal(size), aggressor, self.now_ns)


class Line:
    """One WebSocket: what was received, and whether the venue closed it."""

    def __init__(self, desk: Desk, path: str = "/ws/public") -> None:
        self.desk = desk
        self.frames: list[dict[str, Any]] = []
        self.is_closed = False
        self.session = desk.sim.open_session(
            Opened(path, "", lambda frame: self.frames.append(json.loads(frame)), self._close)
        )

    def _close(self) -> None:
        self.is_closed = True

    def send(self, **message: Any) -> None:
        self.session.received(json.dumps(message))

    def subscribe(self, channel: str, *symbols: str, **more: Any) -> None:
        names = {"symbols": list(symbols)} if symbols else {}
        self.send(event="subscribe", channel=[channel], **names, **more)

    def authenticate(self, secret: str | None = None, ahead_ms: int = 0) -> None:
        stamp = self.desk.now_ns // MS + ahead_ms
        text = f"GET\n/ws\nsignTimestamp={stamp}"
        params = {
            "key": self.desk.key,
            "signTimestamp": stamp,
            "signature": signature(secret or self.desk.secret, text),
        }
        self.send(event="subscribe", channel=["auth"], params=params)

    def take(self, channel: str | None = None) -> list[dict[str, Any]]:
        """Frames since the last call, of one channel or all."""
        frames, self.frames = self.frames, []
        return [f for f in frames if channel in (None, f.get("channel"))]


def private_line(desk: Desk) -> Line:
    """Authenticated and subscribed to everything."""
    line = Line(desk, "/ws/private")
    line.authenticate()
    line.subscribe("orders", "all")
    line.subscribe("balances")
    line.take()
    return line


def shape(value: Any) -> Any:
    """Names and types, without values: what two payloads of one kind have in common."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__
