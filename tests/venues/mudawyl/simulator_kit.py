"""A bare client over the simulated gateway's handlers: no sockets, a clock moved by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from fairlead.adapters.mudawyl.simulator import MudawylSimOptions, MudawylSimulator
from fairlead.adapters.simulation.venue import SimRequest
from fairlead.engine.orders.model import Side

T0 = 1_800_000_000_123_000_000
MS = 1_000_000
SECOND = 1_000_000_000
BTC = "BTC/USDT"
ORDER = {"symbol": BTC, "type": "MARKET", "side": "BUY", "amount": "0.05"}
BRACKET = ORDER | {
    "takeProfitPrices": [60500, 61000],
    "stopTriggerPrice": 59000,
    "stopTriggerType": "LIMIT",
    "stopPrice": 58900,
}


class Desk:
    """Asks the gateway as a client would. Markets stand still unless told otherwise."""

    def __init__(self, **options: Any) -> None:
        self.options = MudawylSimOptions(**{"is_market_live": False, **options})
        self.sim = MudawylSimulator(self.options, now_ns=T0, seed=3)
        self.now_ns = T0
        self.key = self.sim.main.id
        self.print("60000", "0.001")

    def wait(self, ms: int) -> None:
        self.now_ns += ms * MS
        self.sim.advance(self.now_ns)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> tuple[int, Any]:
        """Status and decoded body; with token and captcha unless `headers` are given."""
        self.now_ns += SECOND // 10  # below the limit of requests
        self.sim.advance(self.now_ns)
        if headers is None:
            headers = {"authorization": self.sim.token}
            if method != "GET":
                headers["recaptcha-token-v3"] = self.sim.new_captcha()
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        response = self.sim.http(
            SimRequest(method=method, path=path, query=urlencode(query), headers=headers, body=data)
        )
        found = json.loads(response.body, parse_float=Decimal) if response.body else None
        return response.status, found

    def get(self, path: str, **query: Any) -> Any:
        status, found = self.send("GET", path, **query)
        assert status == 200, found
        return found

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        status, found = self.send(method, path, body)
        assert status == (204 if found is None else 200), found
        return found

    def refused(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, str]:
        """Status, and the 433 code, or the params of a 422."""
        status, found = self.send(method, path, body, **query)
        assert status >= 400, found
        if status == 433:
            return status, found["error"].rpartition("(")[2].rstrip(")")
        if status == 422:
            return status, ",".join(row["param"] for row in found["errors"])
        return status, found["message"]

    # -- the exchange ------------------------------------------------------------------------------

    def create(self, **fields: Any) -> Any:
        return self.ok("POST", f"/v1/priv/exchange/order/{self.key}", ORDER | fields)

    def bracket(self, **fields: Any) -> Any:
        return self.ok("POST", f"/v1/priv/exchange/order/{self.key}", BRACKET | fields)

    def open(self, symbol: str = BTC) -> Any:
        return self.get(f"/v1/priv/exchange/order/{self.key}/list", symbol=symbol)

    def history(self, symbol: str = BTC) -> Any:
        return self.get(f"/v1/priv/exchange/order/{self.key}/history", symbol=symbol)

    def trades(self, symbol: str = BTC) -> Any:
        return self.get(f"/v1/priv/exchange/trade/{self.key}/history", symbol=symbol)

    def position(self, symbol: str = BTC) -> Any:
        return self.get(f"/v1/priv/exchange/position/{self.key}", symbol=symbol)

    def balance(self) -> Any:
        return self.get(f"/v1/priv/account/exchange/key/{self.key}/balance")

    def move(self, price: str) -> None:
        """The market trades at `price`: a book of one level a side around it, and a print."""
        value, exchange = Decimal(price), self.sim.exchange
        tick = self.sim.markets[BTC].spec.tick
        size = Decimal(100)
        exchange.replace_background(BTC, {value - tick: size}, {value + tick: size}, self.now_ns)
        self.print(price)

    def print(self, price: str, size: str = "0.001", aggressor: Side = Side.SELL) -> None:
        self.sim.exchange.print_trade(BTC, Decimal(price), Decimal(size), aggressor, self.now_ns)
        self.sim.advance(self.now_ns)
