"""Spot of the simulated Binance: orders, filters, balances, and what is pushed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.binance.simulator import BinanceSimulator
from fairlead.engine.orders.model import Side
from tests.venues.binance.kit import Stream, ask, done, hmac_of, quiet, refused, run, signed, told

ORDER = "/api/v3/order"
LIMIT: dict[str, Any] = {"symbol": "BTCUSDT", "type": "LIMIT", "timeInForce": "GTC"}


@pytest.fixture
def at() -> BinanceSimulator:
    """A market of one level a side, 59,990 to 60,010, 2 each."""
    venue = quiet()
    levels = {Decimal(59_990): Decimal(2)}, {Decimal(60_010): Decimal(2)}
    venue.exchange.replace_background("BTCUSDT", *levels, venue.exchange.now_ns)
    return venue


def subscribed(at: BinanceSimulator) -> Stream:
    """The account's stream over the WebSocket API, by a signature."""
    stream = Stream(at, "/ws-api/v3")
    params = {"apiKey": at.credentials.api_key, "timestamp": at.now_ms}
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    signature = hmac_of(at, text)
    asked = {**params, "signature": signature}
    made = stream.send(id=1, method="userDataStream.subscribe.signature", params=asked)
    assert made["result"] == {"subscriptionId": 0}
    return stream


def events(stream: Stream, kind: str) -> list[Any]:
    return [frame["event"] for frame in stream.frames if frame["event"]["e"] == kind]


def reports(stream: Stream) -> list[tuple[str, str, str]]:
    return [(one["x"], one["X"], one["z"]) for one in events(stream, "executionReport")]


def limit(at: BinanceSimulator, side: str, price: Any, quantity: Any, **more: Any) -> Any:
    fields = {**LIMIT, "side": side, "price": price, "quantity": quantity, **more}
    return done(at, "POST", ORDER, **fields)


def market(at: BinanceSimulator, side: str, **more: Any) -> Any:
    return done(at, "POST", ORDER, symbol="BTCUSDT", type="MARKET", side=side, **more)


def balance(at: BinanceSimulator, asset: str) -> tuple[Decimal, Decimal]:
    rows = {row["asset"]: row for row in done(at, "GET", "/api/v3/account")["balances"]}
    return Decimal(rows[asset]["free"]), Decimal(rows[asset]["locked"])


def trade(at: BinanceSimulator, price: int, quantity: str, aggressor: Side) -> None:
    at.exchange.print_trade(
        "BTCUSDT", Decimal(price), Decimal(quantity), aggressor, at.exchange.now_ns
    )


def test_a_limit_order_rests_is_told_and_is_cancelled(at: BinanceSimulator) -> None:
    user = subscribed(at)
    row = limit(at, "BUY", "59000", "0.01", newClientOrderId="one")
    assert (row["status"], row["clientOrderId"], row["fills"]) == ("NEW", "one", [])
    assert balance(at, "USDT") == (Decimal(99_410), Decimal(590))
    queried = done(at, "GET", ORDER, symbol="BTCUSDT", origClientOrderId="one")
    assert (queried["orderId"], queried["isWorking"]) == (row["orderId"], True)
    assert [o["orderId"] for o in done(at, "GET", "/api/v3/openOrders")] == [row["orderId"]]
    gone = done(at, "DELETE", ORDER, symbol="BTCUSDT", orderId=row["orderId"])
    assert (gone["status"], gone["origClientOrderId"]) == ("CANCELED", "one")
    again = signed(at, "DELETE", ORDER, symbol="BTCUSDT", orderId=row["orderId"])
    assert refused(again) == (400, -2011)
    run(at, 0.01)
    assert reports(user) == [("NEW", "NEW", "0.00000000"), ("CANCELED", "CANCELED", "0.00000000")]
    cancelled = events(user, "executionReport")[-1]
    assert (cancelled["C"], cancelled["c"]) == ("one", gone["clientOrderId"])
    last = events(user, "outboundAccountPosition")[-1]["B"]
    assert last == [{"a": "USDT", "f": "100000.00000000", "l": "0.00000000"}]


def test_a_market_order_by_quantity_and_by_value(at: BinanceSimulator) -> None:
    user = subscribed(at)
    row = market(at, "BUY", quantity="0.1")
    assert (row["status"], row["cummulativeQuoteQty"]) == ("FILLED", "6001.00000000")
    (fill,) = row["fills"]
    assert (fill["price"], fill["commission"], fill["commissionAsset"]) == (
        "60010.00000000",
        "0.00010000",
        "BTC",
    )
    assert balance(at, "BTC")[0] == Decimal("2.0999")
    bought = market(at, "BUY", quoteOrderQty="600.1")
    assert (bought["status"], bought["executedQty"]) == ("FILLED", "0.01000000")
    sold = market(at, "SELL", quoteOrderQty="599.9")
    assert (sold["status"], sold["executedQty"]) == ("FILLED", "0.01000000")
    run(at, 0.01)
    assert [x[:2] for x in reports(user)] == [("NEW", "NEW"), ("TRADE", "FILLED")] * 3
    trades = done(at, "GET", "/api/v3/myTrades", symbol="BTCUSDT")
    assert [row["isBuyer"] for row in trades] == [True, True, False]
    assert [row["t"] for row in events(user, "executionReport") if row["x"] == "TRADE"] == [
        row["id"] for row in trades
    ]


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"symbol": "NOSUCH"}, -1121, ""),
        ({"side": "HOLD"}, -1117, ""),
        ({"type": "DANCE"}, -1116, ""),
        ({"type": "STOP_LOSS"}, -1116, ""),
        ({"timeInForce": "SOON"}, -1115, ""),
        ({"timeInForce": ""}, -1102, "timeInForce"),
        ({"price": ""}, -1102, "price"),
        ({"quantity": ""}, -1102, "quantity"),
        ({"price": "1e4"}, -1100, "price"),
        ({"stopPrice": "59000"}, -1106, "stopPrice"),
        ({"price": "59000.123456789"}, -1111, "precision"),
        ({"price": "59000.001"}, -1013, "PRICE_FILTER"),
        ({"price": "0"}, -1013, "PRICE_FILTER"),
        ({"quantity": "0.000001"}, -1013, "LOT_SIZE"),
        ({"quantity": "10000"}, -1013, "LOT_SIZE"),
        ({"quantity": "0.00001"}, -1013, "NOTIONAL"),
        ({"quantity": "10"}, -2010, "insufficient"),
        ({"newClientOrderId": "a b"}, -1100, ""),
        ({"icebergQty": "0.001"}, -2010, "Iceberg"),
        ({"type": "LIMIT_MAKER", "timeInForce": "", "price": "60010"}, -2010, "immediately match"),
        (
            {"type": "STOP_LOSS_LIMIT", "stopPrice": "59999"},
            -2010,
            "trigger immediately",
        ),
        ({"type": "MARKET", "price": "1", "timeInForce": ""}, -1106, "price"),
        ({"type": "MARKET", "price": "", "timeInForce": "", "quantity": ""}, -1102, "quantity"),
    ],
)
def test_what_is_refused_has_the_venues_code_and_leaves_nothing(
    at: BinanceSimulator, changes: dict[str, Any], code: int, text: str
) -> None:
    fields = {**LIMIT, "side": "BUY", "price": "59000", "quantity": "0.01", **changes}
    response = signed(at, "POST", ORDER, **fields)
    assert refused(response) == (400, code)
    assert text in told(response)["msg"]
    assert at.exchange.orders("spot") == []


def test_an_open_client_id_is_refused_and_free_again_after(at: BinanceSimulator) -> None:
    limit(at, "BUY", "59000", "0.01", newClientOrderId="one")
    fields = {**LIMIT, "side": "BUY", "price": "59000", "quantity": "0.01"}
    again = signed(at, "POST", ORDER, **fields, newClientOrderId="one")
    assert refused(again) == (400, -2010)
    done(at, "DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="one")
    limit(at, "BUY", "59000", "0.01", newClientOrderId="one")


@pytest.mark.parametrize(
    ("side", "kind", "stop"),
    [
        ("BUY", "STOP_LOSS_LIMIT", 60_500),
        ("SELL", "STOP_LOSS_LIMIT", 59_500),
        ("BUY", "TAKE_PROFIT_LIMIT", 59_500),
        ("SELL", "TAKE_PROFIT_LIMIT", 60_500),
    ],
)
def test_a_stop_waits_fires_and_keeps_its_name(
    at: BinanceSimulator, side: str, kind: str, stop: int
) -> None:
    user = subscribed(at)
    row = limit(at, side, "60000", "0.01", type=kind, stopPrice=stop)
    waiting = done(at, "GET", ORDER, symbol="BTCUSDT", orderId=row["orderId"])
    assert (waiting["type"], waiting["isWorking"], waiting["workingTime"]) == (kind, False, -1)
    trade(at, 60_000, "0.001", Side.BUY)
    trade(at, stop, "0.001", Side.BUY)
    run(at, 0.01)
    fired = done(at, "GET", ORDER, symbol="BTCUSDT", orderId=row["orderId"])
    assert (fired["type"], fired["isWorking"], fired["status"]) == (kind, True, "NEW")
    assert [one["w"] for one in events(user, "executionReport")] == [False, True]


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
def test_what_does_not_fill_at_once_expires(at: BinanceSimulator, time_in_force: str) -> None:
    row = limit(at, "SELL", "59990", "2", timeInForce=time_in_force)
    assert row["status"] == "FILLED"
    row = limit(at, "BUY", "60000", "0.1", timeInForce=time_in_force)
    assert (row["status"], row["executedQty"]) == ("EXPIRED", "0.00000000")
    assert balance(at, "USDT")[1] == 0


def test_all_of_a_symbol_are_cancelled(at: BinanceSimulator) -> None:
    none = signed(at, "DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    assert refused(none) == (400, -2011)
    for price in ("59000", "58000"):
        limit(at, "BUY", price, "0.01")
    rows = done(at, "DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    assert [row["status"] for row in rows] == ["CANCELED", "CANCELED"]


def replace(at: BinanceSimulator, mode: str, order_id: int, **new: Any) -> Any:
    fields = {**LIMIT, "side": "BUY", "price": "59000", "quantity": "0.02", **new}
    path = "/api/v3/order/cancelReplace"
    return signed(at, "POST", path, **fields, cancelReplaceMode=mode, cancelOrderId=order_id)


def test_cancel_and_replace_says_of_each_half_what_became_of_it(at: BinanceSimulator) -> None:
    first = limit(at, "BUY", "58000", "0.01")
    made = replace(at, "STOP_ON_FAILURE", first["orderId"])
    assert made.status == 200
    answer = told(made)
    assert answer["cancelResponse"]["orderId"] == first["orderId"]
    assert answer["newOrderResponse"]["status"] == "NEW"
    stopped = replace(at, "STOP_ON_FAILURE", first["orderId"])
    assert refused(stopped) == (400, -2022)
    assert told(stopped)["data"]["newOrderResult"] == "NOT_ATTEMPTED"
    half = replace(at, "ALLOW_FAILURE", first["orderId"])
    assert refused(half) == (409, -2021)
    assert told(half)["data"]["newOrderResult"] == "SUCCESS"
    second = told(half)["data"]["newOrderResponse"]["orderId"]
    poor = replace(at, "STOP_ON_FAILURE", second, quantity="100")
    assert refused(poor) == (409, -2021)
    assert told(poor)["data"]["cancelResult"] == "SUCCESS"
    assert told(poor)["data"]["newOrderResponse"]["code"] == -2010


def test_histories_page_by_number_and_time(at: BinanceSimulator) -> None:
    made = [limit(at, "BUY", "59000", "0.01")["orderId"] for _ in range(5)]
    path = "/api/v3/allOrders"
    assert [o["orderId"] for o in done(at, "GET", path, symbol="BTCUSDT")] == made
    two = done(at, "GET", path, symbol="BTCUSDT", orderId=made[2], limit=2)
    assert [o["orderId"] for o in two] == made[2:4]
    assert done(at, "GET", path, symbol="BTCUSDT", startTime=at.now_ms + 1) == []
    assert done(at, "GET", path, symbol="ETHUSDT") == []


def test_the_stream_by_a_listen_key(at: BinanceSimulator) -> None:
    path, headers = "/api/v3/userDataStream", {"x-mbx-apikey": at.credentials.api_key}
    key = told(ask(at, "POST", path, headers=headers))["listenKey"]
    user = Stream(at, f"/ws/{key}")
    limit(at, "BUY", "59000", "0.01")
    run(at, 0.01)
    kinds = [frame["e"] for frame in user.frames]
    assert kinds == ["executionReport", "outboundAccountPosition"]
    assert ask(at, "PUT", path, f"listenKey={key}", headers=headers).status == 200
    assert ask(at, "DELETE", path, f"listenKey={key}", headers=headers).status == 200
    assert refused(ask(at, "PUT", path, f"listenKey={key}", headers=headers)) == (400, -1125)
    assert refused(ask(at, "POST", path)) == (401, -2014)


def test_the_test_order_is_checked_and_not_placed(at: BinanceSimulator) -> None:
    fields = {**LIMIT, "side": "BUY", "price": "59000", "quantity": "0.01"}
    assert done(at, "POST", "/api/v3/order/test", **fields) == {}
    bad = signed(at, "POST", "/api/v3/order/test", **{**fields, "price": "59000.001"})
    assert refused(bad) == (400, -1013)
    assert at.exchange.orders("spot") == []


def test_money_is_kept(at: BinanceSimulator) -> None:
    before = {name: at.exchange.ledger.total(name) for name in ("BTC", "USDT")}
    limit(at, "BUY", "59990", "0.5")
    market(at, "BUY", quantity="0.1")
    trade(at, 59_980, "3", Side.SELL)
    run(at, 0.01)
    after = {name: at.exchange.ledger.total(name) for name in ("BTC", "USDT")}
    assert before == after
