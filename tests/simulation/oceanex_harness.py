"""A bare OceanEx client over the simulator's handlers: no sockets, a clock moved by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fairlead.adapters.oceanex.simulator import OceanexSimOptions, OceanexSimulator
from fairlead.adapters.oceanex.simulator_auth import generated_key_pair
from fairlead.adapters.simulation.venue import Opened, SimRequest
from fairlead.engine.orders.model import Side

T0 = 1_800_000_000_000_000_000
MS = 1_000_000
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Desk:
    """Asks the venue as a client would. Markets stand still unless told otherwise."""

    def __init__(self, **options: Any) -> None:
        self.options = OceanexSimOptions(**{"is_market_live": False, **options})
        self.sim = OceanexSimulator(now_ns=T0, seed=3, options=self.options)
        self.now_ns = T0
        # parsed once: PyJWT would parse the PEM for each token, 37 ms a time
        self.key: Any = load_pem_private_key(generated_key_pair()[0].encode(), None)
        self.remote = "127.0.0.1"

    def wait(self, ms: int) -> None:
        self.now_ns += ms * MS
        self.sim.advance(self.now_ns)

    def token(
        self, data: Any, algorithm: str = "RS256", key: str | None = None, **more: Any
    ) -> str:
        payload = {"uid": self.options.uid, "apikey_id": self.options.key_id, "data": data, **more}
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, self.key if key is None else key, algorithm=algorithm)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        self.sim.advance(self.now_ns)
        response = self.sim.http(
            SimRequest(
                method=method,
                path=f"/v1{path}",
                query=query,
                headers=headers or FORM,
                body=body,
                remote=self.remote,
            )
        )
        return response.status, json.loads(response.body)

    def public(self, path: str, method: str = "GET", **params: Any) -> Any:
        _, envelope = self.send(method, path, query=urlencode(params, doseq=True))
        assert envelope["code"] == 0, envelope
        return envelope["data"]

    def private(self, path: str, data: Any = None, method: str = "POST") -> dict[str, Any]:
        """The whole envelope."""
        body = urlencode({"user_jwt": self.token(data or {})}).encode()
        return self.send(method, path, body=body)[1]

    def ok(self, path: str, data: Any = None, method: str = "POST") -> Any:
        envelope = self.private(path, data, method)
        assert envelope["code"] == 0, envelope
        return envelope["data"]

    def create(self, side: str, volume: str, price: str | None = None, **more: Any) -> Any:
        data = {"market": "btcusdt", "side": side, "volume": volume, **more}
        if price is None:
            data["ord_type"] = "market"
        else:
            data["price"] = price
        return self.ok("/orders", data)

    def status(self, order_id: int) -> Any:
        rows = self.ok("/orders", {"ids": [order_id]}, "GET")
        assert len(rows) == 1
        return rows[0]

    def print(self, price: str, size: str = "0.1", aggressor: Side = Side.SELL) -> None:
        self.sim.exchange.print_trade(
            "btcusdt", Decimal(price), Decimal(size), aggressor, self.now_ns
        )


class Line:
    """One push connection: what was received, and whether the venue closed it."""

    def __init__(self, desk: Desk, key: str | None = None, query: str = "protocol=7") -> None:
        self.frames: list[dict[str, Any]] = []
        self.is_closed = False
        self.session = desk.sim.open_session(
            Opened(
                f"/app/{key or desk.options.app_key}",
                query,
                lambda frame: self.frames.append(json.loads(frame)),
                self._close,
            )
        )

    def _close(self) -> None:
        self.is_closed = True

    def send(self, event: str, data: Any = None) -> None:
        self.session.received(json.dumps({"event": event, "data": {} if data is None else data}))

    def subscribe(self, channel: str) -> None:
        self.send("pusher:subscribe", {"channel": channel})

    def take(self) -> list[dict[str, Any]]:
        """Frames since the last call."""
        frames, self.frames = self.frames, []
        return frames


def shape(value: Any) -> Any:
    """Names and types, without values: what two payloads of one kind have in common."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__
