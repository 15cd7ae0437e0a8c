"""A simulated Toy: its wire, over fairlead's exchange."""

import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from secrets import token_hex
from typing import Any, Unpack

import msgspec

from fairlead import simulators as sim

FEES = sim.FeeSchedule.maker_taker(Decimal("0.001"), Decimal("0.001"))
BTC = sim.MarketSpec(
    id="BTC_USDT", base="BTC", quote="USDT", price_precision=2, size_precision=6, fees=FEES
)
PURSE = {"USDT": Decimal(100_000), "BTC": Decimal(2)}


class Simulator(sim.KitSimulator):
    name = "toy"

    def __init__(self, **start: Unpack[sim.Start]) -> None:
        credentials = {"key": token_hex(16), "secret": token_hex(32)}
        super().__init__([(BTC, Decimal(60_000))], PURSE, credentials, **start)

    def authorised(self, request: sim.SimRequest) -> bool:
        target = request.path + (f"?{request.query}" if request.query else "")
        text = f"{request.headers.get('x-time')}{request.method}{target}".encode() + request.body
        sign = hmac.new(self.credentials["secret"].encode(), text, hashlib.sha256).hexdigest()
        told = request.headers.get("x-sign"), request.headers.get("x-key")
        return told == (sign, self.credentials["key"])

    def new_order(self, body: Mapping[str, Any]) -> sim.NewOrder:
        return sim.NewOrder(
            market=body["market"],
            side=sim.Side(body["side"]),
            quantity=Decimal(body["size"]),
            price=None if body["price"] is None else Decimal(body["price"]),
            time_in_force=sim.Tif(body["tif"]),
            post_only=body["post_only"] is True,
            client_order_id=str(body["client_id"]),
        )

    def order_row(self, order: sim.SimOrder) -> dict[str, object]:
        return {
            "id": order.id,
            "client_id": order.client_order_id,
            "side": order.side,
            "price": order.price,
            "size": order.quantity,
            "filled": order.executed,
            "value": order.funds,
            "state": order.status.value,
            "created_ms": order.ts_created // sim.MS,
            "updated_ms": order.ts_updated // sim.MS,
        }

    def fill_row(self, fill: sim.FillEntry) -> dict[str, object]:
        row = _trade_row(fill.trade_id, fill.side, fill)
        more = {"fee": fill.fee, "fee_currency": fill.fee_currency, "is_maker": fill.is_maker}
        return row | more

    def topic(self, frame: Any) -> tuple[str, bool]:
        return frame["topic"], frame["wanted"]

    def book_frame(self, market: str) -> str:
        book, ms = self.exchange.markets[market].book, self.exchange.now_ns // sim.MS
        sides = {"bids": sim.texts(book.bids.levels(50)), "asks": sim.texts(book.asks.levels(50))}
        return msgspec.json.encode({"market": market, "ms": ms, **sides}).decode()

    def trade_frame(self, trade: sim.Trade) -> str:
        row = _trade_row(trade.id, trade.aggressor, trade)
        told = {"market": trade.market, "ms": row["ms"], "trade": row}
        return msgspec.json.encode(told).decode()


def _trade_row(number: int, side: sim.Side, of: sim.Trade | sim.FillEntry) -> dict[str, object]:
    told = {"id": number, "side": side, "price": of.price, "size": of.quantity}
    return told | {"ms": of.ts_event // sim.MS}


def _markets(venue: Simulator, call: sim.KitCall) -> object:
    told = {"id": BTC.id, "base": BTC.base, "quote": BTC.quote, "fee": FEES.buy_taker}
    return [told | {"price_precision": 2, "size_precision": 6, "min_size": BTC.size_step}]


Simulator.routes = sim.Routes(
    [
        sim.Endpoint("GET", "/time", sim.clock),
        sim.Endpoint("GET", "/markets", _markets),
        sim.Endpoint("GET", "/balances", sim.balances, is_private=True),
        sim.Endpoint("POST", "/orders", sim.create, is_private=True),
        sim.Endpoint("GET", "/orders", sim.listed, is_private=True),
        sim.Endpoint("GET", "/orders/{id}", sim.look, is_private=True),
        sim.Endpoint("DELETE", "/orders/{id}", sim.cancel, is_private=True),
        sim.Endpoint("GET", "/orders/{id}/fills", sim.fills, is_private=True),
    ]
)
create = Simulator
