"""Futures of the simulated Binance: orders, positions, margin, algo orders, and what is pushed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fairlead.adapters.binance.simulator import BinanceSimulator
from fairlead.engine.orders.model import Side
from tests.venues.binance.kit import (
    MS,
    START_NS,
    Stream,
    ask,
    done,
    quiet,
    refused,
    run,
    signed,
    told,
)

ORDER, ALGO = "/fapi/v1/order", "/fapi/v1/algoOrder"
MARKET = "BTCUSDT-PERP"
LIMIT: dict[str, Any] = {"symbol": "BTCUSDT", "type": "LIMIT", "timeInForce": "GTC"}


@pytest.fixture
def at() -> BinanceSimulator:
    """A market of one level a side, 59,990 to 60,010, 2 each."""
    venue = quiet()
    levels = {Decimal(59_990): Decimal(2)}, {Decimal(60_010): Decimal(2)}
    venue.exchange.replace_background(MARKET, *levels, venue.exchange.now_ns)
    return venue


@pytest.fixture
def user(at: BinanceSimulator) -> Stream:
    return opened(at)


def opened(at: BinanceSimulator) -> Stream:
    key = told(ask(at, "POST", "/fapi/v1/listenKey", headers=key_of(at)))["listenKey"]
    return Stream(at, "/usdm/ws", f"listenKey={key}")


def key_of(at: BinanceSimulator) -> dict[str, str]:
    return {"x-mbx-apikey": at.credentials.api_key}


def trade(at: BinanceSimulator, price: int, quantity: str, aggressor: Side) -> None:
    """A trade of others."""
    at.exchange.print_trade(
        MARKET, Decimal(price), Decimal(quantity), aggressor, at.exchange.now_ns
    )
    run(at, 0.01)


def limit(at: BinanceSimulator, side: str, price: Any, quantity: Any, **more: Any) -> Any:
    fields = {**LIMIT, "side": side, "price": price, "quantity": quantity, **more}
    return done(at, "POST", ORDER, **fields)


def market(at: BinanceSimulator, side: str, quantity: Any, **more: Any) -> Any:
    fields = {"symbol": "BTCUSDT", "type": "MARKET", "side": side, "quantity": quantity, **more}
    return done(at, "POST", ORDER, newOrderRespType="RESULT", **fields)


def position(at: BinanceSimulator) -> tuple[str, str]:
    (row,) = done(at, "GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")
    return row["positionAmt"], row["entryPrice"]


def updates(user: Stream) -> list[tuple[str, str, str]]:
    return [
        (frame["o"]["x"], frame["o"]["X"], frame["o"]["z"])
        for frame in user.of("ORDER_TRADE_UPDATE")
    ]


def test_a_limit_order_rests_is_told_and_is_cancelled(at: BinanceSimulator, user: Stream) -> None:
    row = limit(at, "BUY", "59000.0", "0.010", newClientOrderId="one")
    assert (row["status"], row["clientOrderId"], row["executedQty"]) == ("NEW", "one", "0.000")
    queried = done(at, "GET", ORDER, symbol="BTCUSDT", origClientOrderId="one")
    assert queried["orderId"] == row["orderId"]
    assert [o["orderId"] for o in done(at, "GET", "/fapi/v1/openOrders")] == [row["orderId"]]
    gone = done(at, "DELETE", ORDER, symbol="BTCUSDT", orderId=row["orderId"])
    assert gone["status"] == "CANCELED"
    again = signed(at, "DELETE", ORDER, symbol="BTCUSDT", orderId=row["orderId"])
    assert refused(again) == (400, -2011)
    run(at, 0.01)
    assert updates(user) == [("NEW", "NEW", "0.000"), ("CANCELED", "CANCELED", "0.000")]


def test_fills_make_the_position_and_the_wallet(at: BinanceSimulator, user: Stream) -> None:
    row = market(at, "BUY", "0.100")
    assert (row["status"], row["avgPrice"]) == ("FILLED", "60010.00")
    assert position(at) == ("0.100", "60010.00000000")
    limit(at, "SELL", "60000.0", "0.300", reduceOnly="false")
    trade(at, 60_000, "0.3", Side.BUY)
    assert position(at) == ("-0.200", "60000.00000000")
    run(at, 0.01)
    fees = Decimal("0.1") * 60_010 * Decimal("0.0005") + 18_000 * Decimal("0.0002")
    account = done(at, "GET", "/fapi/v2/account")
    assert Decimal(account["totalWalletBalance"]) == 100_000 - 1 - fees
    last = user.of("ACCOUNT_UPDATE")[-1]["a"]
    assert last["P"][0]["pa"] == "-0.200"
    assert Decimal(last["B"][0]["wb"]) == 100_000 - 1 - fees
    assert [x[:2] for x in updates(user)] == [
        ("NEW", "NEW"),
        ("TRADE", "FILLED"),
        ("NEW", "NEW"),
        ("TRADE", "FILLED"),
    ]
    trades = done(at, "GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert [row["maker"] for row in trades] == [False, True]
    assert [Decimal(row["realizedPnl"]) for row in trades] == [0, -1]
    incomes = done(at, "GET", "/fapi/v1/income")
    assert sum(Decimal(row["income"]) for row in incomes) == -1 - fees
    assert [f["t"] for f in user.of("TRADE_LITE")] == [row["id"] for row in trades]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOSUCH"}, -1121),
        ({"side": "HOLD"}, -1117),
        ({"type": "DANCE"}, -1116),
        ({"type": "STOP"}, -4120),
        ({"timeInForce": "SOON"}, -1115),
        ({"timeInForce": ""}, -1102),
        ({"price": ""}, -1102),
        ({"quantity": ""}, -1102),
        ({"price": "1e4"}, -1100),
        ({"price": "-1"}, -1100),
        ({"price": "0"}, -4001),
        ({"price": "59000.05"}, -4014),
        ({"newOrderRespType": "XX"}, -1130),
        ({"quantity": "0.0001"}, -4003),
        ({"quantity": "0.0105"}, -1111),
        ({"quantity": "90000"}, -4005),
        ({"quantity": "0.001"}, -4164),
        ({"quantity": "100"}, -2019),
        ({"newClientOrderId": "a b"}, -4015),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"reduceOnly": "true"}, -2022),
        ({"reduceOnly": "perhaps"}, -1100),
        ({"positionSide": "LONG"}, -4061),
        ({"timeInForce": "GTX", "price": "60010.0"}, -5022),
        ({"timeInForce": "GTD"}, -1102),
        ({"timeInForce": "GTD", "goodTillDate": 1}, -5040),
        ({"timeInForce": "GTD", "goodTillDate": START_NS // MS + 600_000}, -5040),
        ({"timeInForce": "GTD", "goodTillDate": 253_402_300_799_000}, -5040),
        ({"price": "63000.1"}, -4016),
        ({"side": "SELL", "price": "56999.9"}, -4024),
    ],
)
def test_what_is_refused_has_the_venues_code_and_leaves_nothing(
    at: BinanceSimulator, user: Stream, changes: dict[str, Any], code: int
) -> None:
    fields = {**LIMIT, "side": "BUY", "price": "59000.0", "quantity": "0.010", **changes}
    assert refused(signed(at, "POST", ORDER, **fields)) == (400, code)
    run(at, 0.01)
    assert user.frames == []
    assert at.exchange.orders("usdm") == []


def test_a_client_id_in_use_is_refused(at: BinanceSimulator) -> None:
    limit(at, "BUY", "59000.0", "0.010", newClientOrderId="one")
    fields = {**LIMIT, "side": "BUY", "price": "59000.0", "quantity": "0.010"}
    assert refused(signed(at, "POST", ORDER, **fields, newClientOrderId="one")) == (400, -4116)


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
def test_what_does_not_fill_at_once_expires(
    at: BinanceSimulator, user: Stream, time_in_force: str
) -> None:
    row = limit(at, "BUY", "60010.0", "3.000", timeInForce=time_in_force)
    queried = done(at, "GET", ORDER, symbol="BTCUSDT", orderId=row["orderId"])
    filled = "2.000" if time_in_force == "IOC" else "0.000"
    assert (queried["status"], queried["executedQty"]) == ("EXPIRED", filled)
    run(at, 0.01)
    assert updates(user)[-1] == ("EXPIRED", "EXPIRED", filled)


def test_good_till_date_ends_by_itself(at: BinanceSimulator, user: Stream) -> None:
    until = at.now_ms + 601_999  # what is less than a second does not count
    limit(at, "BUY", "59000.0", "0.010", timeInForce="GTD", goodTillDate=until)
    run(at, 600.9, step_ms=100)
    assert len(done(at, "GET", "/fapi/v1/openOrders")) == 1
    run(at, 0.2)
    assert done(at, "GET", "/fapi/v1/openOrders") == []
    assert updates(user)[-1] == ("EXPIRED", "EXPIRED", "0.000")


def test_reduce_only_never_turns_the_position(at: BinanceSimulator, user: Stream) -> None:
    market(at, "BUY", "0.100")
    row = market(at, "SELL", "0.500", reduceOnly="true")
    assert (row["status"], row["origQty"], row["executedQty"]) == ("EXPIRED", "0.500", "0.100")
    assert position(at)[0] == "0.000"
    run(at, 0.01)
    assert updates(user)[-2:] == [
        ("TRADE", "PARTIALLY_FILLED", "0.100"),
        ("EXPIRED", "EXPIRED", "0.100"),
    ]


def test_a_resting_reduce_only_order_follows_the_position(
    at: BinanceSimulator, user: Stream
) -> None:
    market(at, "BUY", "0.100")
    row = limit(at, "SELL", "60100.0", "0.100", reduceOnly="true")
    market(at, "SELL", "0.060")
    (resting,) = at.exchange.open_orders("usdm")
    assert (resting.id, resting.remaining) == (row["orderId"], Decimal("0.04"))
    market(at, "SELL", "0.040")
    run(at, 0.01)
    assert done(at, "GET", "/fapi/v1/openOrders") == []
    assert updates(user)[-1] == ("EXPIRED", "EXPIRED", "0.000")
    assert not any(x[0] == "AMENDMENT" for x in updates(user))


def test_an_order_is_modified_in_place(at: BinanceSimulator, user: Stream) -> None:
    row = limit(at, "BUY", "59000.0", "0.010")
    change = {"symbol": "BTCUSDT", "side": "BUY", "orderId": row["orderId"]}
    made = done(at, "PUT", ORDER, **change, price="59100.0", quantity="0.020")
    assert (made["orderId"], made["price"], made["origQty"]) == (
        row["orderId"],
        "59100.00",
        "0.020",
    )
    same = signed(at, "PUT", ORDER, **change, price="59100.0", quantity="0.020")
    assert refused(same) == (400, -5027)
    done(at, "PUT", ORDER, **change, price="60010.0", quantity="0.020")
    run(at, 0.01)
    assert [x[:2] for x in updates(user)] == [
        ("NEW", "NEW"),
        ("AMENDMENT", "NEW"),
        ("AMENDMENT", "NEW"),
        ("TRADE", "FILLED"),
    ]
    over = signed(at, "PUT", ORDER, **change, price="59000.0", quantity="0.030")
    assert refused(over) == (400, -2013)


def test_prices_far_from_the_mark_are_refused_whatever_asks(at: BinanceSimulator) -> None:
    """PERCENT_PRICE, 5 %: a limit's own price, of others the best that they would meet."""
    row = limit(at, "BUY", "63000.0", "0.010")
    assert limit(at, "SELL", "90000.0", "0.010")["status"] == "NEW"  # it takes nothing too low
    low = limit(at, "BUY", "59000.0", "0.010")
    change = {"symbol": "BTCUSDT", "side": "BUY", "orderId": low["orderId"]}
    far = signed(at, "PUT", ORDER, **change, price="64000.0", quantity="0.010")
    assert refused(far) == (400, -4016)
    held, made = position(at)[0], algo(at, "BUY", "STOP_MARKET", 60_100, quantity="0.010")
    levels = {Decimal(56_000): Decimal(2)}, {Decimal(64_000): Decimal(2)}
    at.exchange.replace_background(MARKET, *levels, at.exchange.now_ns)
    fields = {"symbol": "BTCUSDT", "type": "MARKET", "quantity": "0.010"}
    for side in ("BUY", "SELL"):
        if side == "SELL":
            done(at, "DELETE", ORDER, symbol="BTCUSDT", orderId=low["orderId"])
        assert refused(signed(at, "POST", ORDER, **fields, side=side)) == (400, -4131)
    trade(at, 60_100, "0.001", Side.BUY)
    run(at, 0.02)
    assert done(at, "GET", ALGO, algoId=made["algoId"])["algoStatus"] == "REJECTED"
    assert (row["status"], position(at)[0]) == ("NEW", held)


def test_an_order_is_only_tested(at: BinanceSimulator, user: Stream) -> None:
    fields = {**LIMIT, "side": "BUY", "price": "59000.0", "quantity": "0.010"}
    row = done(at, "POST", f"{ORDER}/test", **fields)
    assert (row["orderId"], row["status"], row["price"], row["origQty"]) == (
        0,
        "NEW",
        "59000.00",
        "0.010",
    )
    wrong = signed(at, "POST", f"{ORDER}/test", **fields | {"price": "59000.05"})
    assert refused(wrong) == (400, -4014)
    run(at, 0.01)
    assert (at.exchange.orders("usdm"), user.frames) == ([], [])


def test_batches_answer_each_by_itself(at: BinanceSimulator) -> None:
    fields = {**LIMIT, "side": "BUY", "price": "59000.0", "quantity": "0.010"}
    good = msgspec.json.encode(fields).decode()
    bad = good.replace("0.010", "0.0001")
    rows = done(at, "POST", "/fapi/v1/batchOrders", batchOrders=f"[{good},{bad}]")
    assert rows[0]["status"] == "NEW"
    assert rows[1]["code"] == -4003
    ids = f"[{rows[0]['orderId']},7]"
    gone = done(at, "DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", orderidlist=ids)
    assert [row.get("status", row.get("code")) for row in gone] == ["CANCELED", -2011]
    assert refused(signed(at, "POST", "/fapi/v1/batchOrders", batchOrders="7")) == (400, -1130)


def algo(at: BinanceSimulator, side: str, kind: str, trigger: Any, **more: Any) -> Any:
    fields = {"symbol": "BTCUSDT", "algoType": "CONDITIONAL", "side": side, "type": kind}
    return done(at, "POST", ALGO, **fields, triggerPrice=trigger, **more)


@pytest.mark.parametrize(
    ("side", "kind", "trigger"),
    [
        ("BUY", "STOP", 60_500),
        ("SELL", "STOP", 59_500),
        ("BUY", "TAKE_PROFIT", 59_500),
        ("SELL", "TAKE_PROFIT", 60_500),
        ("BUY", "STOP_MARKET", 60_500),
        ("SELL", "STOP_MARKET", 59_500),
        ("BUY", "TAKE_PROFIT_MARKET", 59_500),
        ("SELL", "TAKE_PROFIT_MARKET", 60_500),
    ],
)
def test_a_conditional_order_fires_where_it_should_and_becomes_an_order(
    at: BinanceSimulator, user: Stream, side: str, kind: str, trigger: int
) -> None:
    is_limit = not kind.endswith("MARKET")
    more: dict[str, Any] = {"price": 60_000} if is_limit else {}
    row = algo(at, side, kind, trigger, quantity="0.010", clientAlgoId="mine", **more)
    assert (row["algoStatus"], row["orderType"]) == ("NEW", kind)
    trade(at, 60_000, "0.001", Side.BUY)
    assert [one["algoId"] for one in done(at, "GET", "/fapi/v1/openAlgoOrders")] == [row["algoId"]]
    trade(at, trigger, "0.001", Side.BUY)
    run(at, 0.02)
    told_now = done(at, "GET", ALGO, algoId=row["algoId"])
    order = done(at, "GET", ORDER, symbol="BTCUSDT", origClientOrderId="mine")
    assert told_now["actualOrderId"] == str(order["orderId"])
    assert (order["type"], order["origType"]) == ("LIMIT" if is_limit else "MARKET", kind)
    assert order["status"] == ("NEW" if is_limit else "FILLED")
    states = [frame["o"]["X"] for frame in user.of("ALGO_UPDATE")]
    assert states == ["NEW", "TRIGGERING", "TRIGGERED", *([] if is_limit else ["FINISHED"])]
    assert updates(user)[0] == ("NEW", "NEW", "0.000")


@pytest.mark.parametrize(("side", "kind"), [("BUY", "STOP"), ("SELL", "TAKE_PROFIT_MARKET")])
def test_a_conditional_order_that_would_fire_at_once_is_refused(
    at: BinanceSimulator, side: str, kind: str
) -> None:
    fields = {"symbol": "BTCUSDT", "algoType": "CONDITIONAL", "side": side, "type": kind}
    more: dict[str, Any] = {"price": 60_000} if kind == "STOP" else {}
    fields |= {"triggerPrice": "59999.0", "quantity": "0.010", **more}
    assert refused(signed(at, "POST", ALGO, **fields)) == (400, -2021)


@pytest.mark.parametrize(("side", "sign"), [("SELL", 1), ("BUY", -1)])
@pytest.mark.parametrize("is_activated", [False, True])
def test_a_trailing_stop_follows_the_price_and_fires_when_it_comes_back(
    at: BinanceSimulator, side: str, sign: int, is_activated: bool
) -> None:
    more = {"activatePrice": 60_000 + sign * 500} if is_activated else {}
    fields: dict[str, Any] = {"symbol": "BTCUSDT", "algoType": "CONDITIONAL", "side": side}
    fields |= {"type": "TRAILING_STOP_MARKET", "callbackRate": "1", "quantity": "0.010", **more}
    row = done(at, "POST", ALGO, **fields)
    assert (row["callbackRate"], row["algoStatus"]) == ("1", "NEW")
    for distance in (100, 400) if is_activated else (100, -400):
        trade(at, 60_000 + sign * distance, "0.001", Side.BUY)
    trade(at, 60_000 + sign * 1_000, "0.001", Side.BUY)
    trade(at, 60_000 + sign * 500, "0.001", Side.BUY)
    assert done(at, "GET", ALGO, algoId=row["algoId"])["algoStatus"] == "NEW"
    trade(at, 60_000 + sign * 380, "0.001", Side.BUY)
    run(at, 0.02)
    assert done(at, "GET", ALGO, algoId=row["algoId"])["algoStatus"] == "FINISHED"
    assert position(at)[0] == ("-0.010" if side == "SELL" else "0.010")


def test_a_trailing_stop_is_checked(at: BinanceSimulator) -> None:
    fields: dict[str, Any] = {"symbol": "BTCUSDT", "algoType": "CONDITIONAL", "side": "SELL"}
    fields |= {"type": "TRAILING_STOP_MARKET", "quantity": "0.010"}
    assert refused(signed(at, "POST", ALGO, **fields)) == (400, -1102)
    assert refused(signed(at, "POST", ALGO, **fields, callbackRate="0.05")) == (400, -2007)
    below = {"callbackRate": "1", "activatePrice": "59000"}
    assert refused(signed(at, "POST", ALGO, **fields, **below)) == (400, -2021)


def test_conditional_orders_are_cancelled_one_by_one_and_all(
    at: BinanceSimulator, user: Stream
) -> None:
    first = algo(at, "BUY", "STOP_MARKET", 61_000, quantity="0.010", clientAlgoId="one")
    algo(at, "SELL", "STOP_MARKET", 59_000, quantity="0.010")
    gone = done(at, "DELETE", ALGO, clientAlgoId="one")
    assert (gone["algoId"], gone["code"]) == (first["algoId"], "200")
    assert refused(signed(at, "DELETE", ALGO, clientAlgoId="one")) == (400, -2011)
    done(at, "DELETE", "/fapi/v1/algoOpenOrders", symbol="BTCUSDT")
    assert done(at, "GET", "/fapi/v1/openAlgoOrders") == []
    run(at, 0.01)
    states = [frame["o"]["X"] for frame in user.of("ALGO_UPDATE")]
    assert states == ["NEW", "NEW", "CANCELED", "CANCELED"]


def test_close_position_sells_what_there_is(at: BinanceSimulator) -> None:
    market(at, "BUY", "0.123")
    algo(at, "SELL", "STOP_MARKET", 59_500, closePosition="true")
    trade(at, 59_500, "0.001", Side.SELL)
    run(at, 0.02)
    assert position(at)[0] == "0.000"


def test_margin_is_what_leverage_makes_of_it(at: BinanceSimulator) -> None:
    limit(at, "BUY", "59000.0", "10")
    account = done(at, "GET", "/fapi/v2/account")
    assert Decimal(account["totalOpenOrderInitialMargin"]) == Decimal(590_000) / 20
    assert Decimal(account["availableBalance"]) == 100_000 - Decimal(590_000) / 20
    told_back = done(at, "POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=5)
    assert told_back["leverage"] == 5
    account = done(at, "GET", "/fapi/v3/account")
    assert Decimal(account["totalOpenOrderInitialMargin"]) == Decimal(590_000) / 5
    wrong = signed(at, "POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=126)
    assert refused(wrong) == (400, -4028)


def test_margin_type_and_hedge_mode_change_only_when_flat(at: BinanceSimulator) -> None:
    isolate = {"symbol": "BTCUSDT", "marginType": "ISOLATED"}
    assert done(at, "POST", "/fapi/v1/marginType", **isolate)["code"] == 200
    assert refused(signed(at, "POST", "/fapi/v1/marginType", **isolate)) == (400, -4046)
    dual = "/fapi/v1/positionSide/dual"
    limit(at, "BUY", "59000.0", "0.010")
    assert refused(signed(at, "POST", dual, dualSidePosition="true")) == (400, -4067)
    done(at, "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    done(at, "POST", dual, dualSidePosition="true")
    assert done(at, "GET", dual) == {"dualSidePosition": True}
    assert refused(signed(at, "POST", dual, dualSidePosition="true")) == (400, -4059)


def test_hedge_mode_holds_both_sides(at: BinanceSimulator) -> None:
    done(at, "POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    market(at, "BUY", "0.100", positionSide="LONG")
    market(at, "SELL", "0.050", positionSide="SHORT")
    rows = done(at, "GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")
    amounts = {row["positionSide"]: row["positionAmt"] for row in rows}
    assert amounts == {"LONG": "0.100", "SHORT": "-0.050"}
    market(at, "SELL", "0.100", positionSide="LONG")
    beyond = {"symbol": "BTCUSDT", "type": "MARKET", "side": "SELL", "quantity": "0.100"}
    assert refused(signed(at, "POST", ORDER, **beyond, positionSide="LONG")) == (400, -2022)


def test_a_listen_key_is_kept_alive_ends_and_expires(at: BinanceSimulator) -> None:
    user = opened(at)
    kept = told(ask(at, "PUT", "/fapi/v1/listenKey", headers=key_of(at)))
    assert kept["listenKey"] in at.keys.start(user_product(at), at.now_ms)
    at.control({"expire_keys": True})
    run(at, 0.01)
    assert user.of("listenKeyExpired")
    limit(at, "BUY", "59000.0", "0.010")
    run(at, 0.01)
    assert updates(user) == []
    assert refused(ask(at, "PUT", "/fapi/v1/listenKey", headers=key_of(at))) == (400, -1125)
    again = opened(at)
    limit(at, "BUY", "59000.0", "0.010")
    run(at, 0.01)
    assert len(updates(again)) == 1
    ask(at, "DELETE", "/fapi/v1/listenKey", headers=key_of(at))
    limit(at, "BUY", "59000.0", "0.010")
    run(at, 0.01)
    assert len(updates(again)) == 1


def user_product(at: BinanceSimulator) -> Any:
    return at.markets[MARKET].product


def test_orders_in_ten_seconds_are_limited() -> None:
    at = quiet(usdm_orders_10s=2)
    fields = {**LIMIT, "side": "BUY", "price": "59000.0", "quantity": "0.010"}
    counts = [
        signed(at, "POST", ORDER, **fields).headers["x-mbx-order-count-10s"] for _ in range(2)
    ]
    assert counts == ["1", "2"]
    over = signed(at, "POST", ORDER, **fields)
    assert refused(over) == (429, -1015)
    assert 0 < int(over.headers["retry-after"]) <= 10
    run(at, 10, step_ms=1000)
    limit(at, "BUY", "59000.0", "0.010")


def test_the_ledger_is_the_position(at: BinanceSimulator) -> None:
    market(at, "BUY", "0.100")
    market(at, "SELL", "0.250")
    fills = at.exchange.ledger.fills("usdm")
    signed_sum = sum(f.quantity if f.side is Side.BUY else -f.quantity for f in fills)
    (held,) = at.control({})["positions"]  # type: ignore[index]
    assert held.amount == signed_sum == Decimal("-0.150")
    assert held.entry == 59_990
