"""The simulated PiexGo by wire, against the venue's document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from fairlead.engine.orders.model import Side
from tests.venues.piexgo.simulator_kit import MS, T0, Desk, Line, shape
from tests.venues.piexgo.test_signing import VECTORS

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def balances(desk: Desk) -> dict[str, tuple[Decimal, Decimal]]:
    rows = desk.post("/api/v1/account", is_timed=False)["data"]
    return {r["market"]: (Decimal(r["balance"]), Decimal(r["locked"])) for r in rows}


# -- market data -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "params", "name"),
    [
        ("/api/v1/time", {}, "rest_time"),
        ("/api/v1/symbols", {}, "rest_v1_symbols"),
        ("/api/v1/orderBook", {"symbol": "BTC_USDT"}, "rest_v1_order_book"),
        ("/api/v1/ticker", {"symbol": "BTC_USDT"}, "rest_v1_ticker"),
        ("/api/v2/assets", {}, "rest_v2_assets"),
        ("/api/v2/trades", {"symbol": "BTC_USDT"}, "rest_v2_trades"),
        ("/api/v2/ticker", {"symbol": "BTC_USDT"}, "rest_v2_ticker"),
    ],
)
def test_market_data_has_the_documents_shape(
    desk: Desk, path: str, params: Mapping[str, str], name: str
) -> None:
    desk.print("60000")
    assert shape(desk.get(path, **params)) == shape(sample(f"extra_public/{name}"))


def test_market_data_without_an_example_or_with_a_wrong_one(desk: Desk) -> None:
    for price in ("60000", "60001"):
        desk.print(price)
        desk.wait(5)
    one = sample("extra_public/rest_v1_trades")["data"]
    found = desk.get("/api/v1/trades", symbol="BTC_USDT")["data"]
    assert shape(found) == [shape(one)]
    assert [Decimal(row["price"]) for row in found] == [60001, 60000]  # newest first
    tickers = desk.get("/api/v1/tickers")["data"]
    ticker = sample("extra_public/rest_v1_tickers")["data"]["BTC"]
    assert shape(tickers["BTC"]) == [shape(ticker)]
    assert desk.get("/api/v2/symbols") == list(desk.sim.markets)
    volume = desk.get("/api/v2/24hVolume")["BTC_USDT"]
    assert volume["USDT"] == pytest.approx(volume["BTC"] * 60001)
    assert set(desk.get("/api/v2/ticker", symbol="all")) == set(desk.sim.markets)


def test_books_of_rest(desk: Desk) -> None:
    v1 = desk.get("/api/v1/orderBook", symbol="BTC_USDT")
    assert v1["ts"] == T0 // 10**9
    v2 = desk.get("/api/v2/orderBook", symbol="BTC_USDT", depth=5)["BTC_USDT"]
    assert v2["timestamp"] == T0 // MS
    assert (len(v2["asks"]), len(v2["bids"])) == (5, 5)
    book = desk.sim.exchange.markets["BTC_USDT"].book
    for side, levels in (("asks", book.asks.levels(5)), ("bids", book.bids.levels(5))):
        rows = [(Decimal(row["price"]), Decimal(row["volume"])) for row in v1[side][:5]]
        assert rows == levels
        second = [(Decimal(row["price"]), Decimal(row["quantity"])) for row in v2[side]]
        assert sorted(second) == sorted(levels)
    most = desk.get("/api/v2/orderBook", symbol="BTC_USDT", depth=1000)["BTC_USDT"]
    assert len(most["asks"]) <= 50


def test_what_v2_refuses_is_empty_and_v1_says_why(desk: Desk) -> None:
    for path in ("orderBook", "trades", "ticker"):
        assert desk.get(f"/api/v2/{path}", symbol="XXX_YYY") == {}
        assert desk.get(f"/api/v2/{path}", symbol="btc_usdt") == {}
    assert desk.get("/api/v1/ticker", symbol="XXX_YYY") == sample("extra_public/rest_error")
    assert desk.get("/api/v1/ticker", symbol="")["err_code"] == 10300
    assert Desk(error_status=400).send("GET", "/api/v1/ticker")[0] == 400


def test_an_unknown_path_is_no_json(desk: Desk) -> None:
    assert desk.send("GET", "/api/v3/time")[0] == 404
    assert desk.send("GET", "/api/v1/order")[0] == 404


# -- signatures ------------------------------------------------------------------------------------


def test_the_documents_own_requests_are_taken() -> None:
    """Its three examples with their signatures; a JSON body of the same is taken too."""
    for params, _, signature in VECTORS:
        desk = Desk(balances={"USDT": Decimal(10**7)}, start_ns=int(params["timestamp"]) * MS)
        desk.sim.take_credentials({"key": "k", "secret": "example-secret"})
        headers = {"key": "k", "signature": signature}
        for body in (urlencode(params).encode(), json.dumps(params).encode()):
            found = desk.send("POST", "/api/v1/order", headers=headers, body=body)[1]
            assert found["err_code"] == 0
        assert len(desk.sim.exchange.orders("main")) == 2


@pytest.mark.parametrize(
    ("offset_ms", "code"), [(0, 0), (999, 0), (1000, 10440), (-5000, 0), (-5001, 10440)]
)
def test_the_rule_of_time(desk: Desk, offset_ms: int, code: int) -> None:
    stamp = str(desk.now_ns // MS + offset_ms)
    assert desk.post("/api/v1/openOrders", page=0, timestamp=stamp)["err_code"] == code


def test_what_is_not_signed_is_refused(desk: Desk) -> None:
    good = {"key": desk.key, "signature": desk.signature({})}
    assert desk.send("POST", "/api/v1/account", headers=good)[1]["err_code"] == 0
    for bad in ({}, good | {"key": "x"}, good | {"signature": "x"}, good | {"signature": "\u00e9"}):
        assert desk.send("POST", "/api/v1/account", headers=bad)[1]["err_code"] == 10440
    body = b"page=0"
    assert desk.send("POST", "/api/v1/openOrders", headers=good, body=body)[1]["err_code"] == 10440


def test_orders_demand_a_time_and_queries_as_configured(desk: Desk) -> None:
    order = {"symbol": "BTC_USDT", "side": "BUY", "quantity": "1", "type": "MARKET"}
    assert desk.post("/api/v1/order", is_timed=False, **order)["err_code"] == 10300
    assert desk.post("/api/v1/openOrders", is_timed=False, page=0)["err_code"] == 0
    strict = Desk(demands_time=True)
    assert strict.post("/api/v1/openOrders", is_timed=False, page=0)["err_code"] == 10300
    assert strict.post("/api/v1/account", is_timed=False)["err_code"] == 0


# -- orders ----------------------------------------------------------------------------------------


def test_an_order_rests_trades_in_part_and_ends(desk: Desk) -> None:
    order_id = desk.order("BUY", "0.5", "50000")
    assert len(order_id) == 19
    (row,) = desk.listed("openOrders")
    assert shape(row) == shape(sample("extra_public/rest_open_orders")["list"][0])
    assert (row["status"], row["remain"], row["price"]) == (0, "0.50000000", "50000.0000000000")
    assert balances(desk)["USDT"] == (75_000, 25_000)
    desk.print("49999", "0.2")
    (row,) = desk.listed("openOrders")
    assert (row["status"], row["remain"], row["amount"]) == (0, "0.30000000", "10000.00000000")
    desk.print("49999", "9")
    assert desk.listed("openOrders") == []
    (row,) = desk.listed("tradeOrderHistory")
    assert (row["status"], row["remain"], row["order_id"]) == (2, "0.00000000", order_id)
    info = desk.info(order_id)
    assert shape(info) == shape(sample("extra_public/rest_order_info")["data"])
    assert (info["filled_volume"], info["fee"]) == ("0.50000000", "0.00025000")
    assert balances(desk)["BTC"][0] == Decimal("2.49975")


def test_balances_are_the_ledgers_to_the_last_digit(desk: Desk) -> None:
    """A fee of 0.05 % of a price with cents has more than eight decimals."""
    order_id = desk.order("SELL", "0.0333", "60500.01")
    desk.print("60501", "9", Side.BUY)
    usdt = desk.sim.exchange.ledger.balance("main", "USDT")
    assert usdt.free != round(usdt.free, 8)
    assert balances(desk)["USDT"] == (usdt.free, usdt.locked)
    (fill, *more) = desk.sim.exchange.ledger.fills_of(int(order_id))
    assert Decimal(desk.info(order_id)["fee"]) == sum((f.fee for f in more), fill.fee)


def test_answers_have_the_documents_shape(desk: Desk) -> None:
    fields = {"symbol": "BTC_USDT", "side": "BUY", "type": "LIMIT", "quantity": 1, "price": 100}
    created = desk.ok("/api/v1/order", **fields)
    assert shape(created) == shape(sample("extra_public/rest_order_new_response"))
    page = desk.ok("/api/v1/openOrders", page=0)
    assert shape(page) == shape(sample("extra_public/rest_open_orders"))
    cancelled = desk.ok("/api/v1/cancelOrder", symbol="BTC_USDT", order_id=created["order_id"])
    assert shape(cancelled) == shape(sample("extra_public/rest_cancel_response"))
    page = desk.ok("/api/v1/canceledOrderHistory", page=0)
    assert shape(page) == shape(sample("extra_public/rest_canceled_history"))
    account = desk.post("/api/v1/account", is_timed=False)
    assert shape(account) == shape(sample("extra_public/rest_account"))


def test_a_market_order_trades_at_once_by_base_quantity(desk: Desk) -> None:
    order_id = desk.order("BUY", "0.3")
    info = desk.info(order_id)
    assert (info["status"], info["flag"], info["filled_volume"]) == (2, 1, "0.30000000")
    assert info["order_price"] == "0.0000000000"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"symbol": "XXX_YYY"}, 10201),
        ({"symbol": "btc_usdt"}, 10201),
        ({"symbol": ""}, 10300),
        ({"side": ""}, 10300),
        ({"quantity": ""}, 10300),
        ({"quantity": "x"}, 10300),
        ({"quantity": "1e2"}, 10300),
        ({"price": None}, 10300),
        ({"price": "0"}, 10301),
        ({"price": "-1"}, 10301),
        ({"quantity": "0.0001"}, 10302),
        ({"quantity": "-1"}, 10302),
        ({"quantity": "0.00015"}, 10303),
        ({"price": "100.001"}, 10303),
        ({"side": "buy"}, 10304),
        ({"type": "STOP"}, 10304),
        ({"quantity": "1001"}, 10305),
        ({"side": "SELL", "quantity": "2.0001"}, 10305),
        ({"quantity": "0.0002"}, 10306),
        ({"type": "STOP_LIMIT"}, 10300),
        ({"type": "STOP_LIMIT", "stop_price": "0"}, 10301),
    ],
)
def test_refusals(desk: Desk, fields: dict[str, Any], code: int) -> None:
    assert desk.refused(**fields) == code
    assert desk.listed("openOrders") == []
    assert balances(desk)["USDT"] == (100_000, 0)


def test_an_error_may_be_told_of_what_was_done(desk: Desk) -> None:
    desk.sim.fail_next("/api/v1/order", 10101, "Internal error.", is_executed=True)
    assert desk.refused() == 10101
    assert len(desk.listed("openOrders")) == 1
    desk.sim.fail_next("/api/v1/order", 10103)
    assert desk.refused() == 10103
    assert len(desk.listed("openOrders")) == 1


# -- cancels and lists -----------------------------------------------------------------------------


@pytest.mark.parametrize("hides_waiting", [False, True])
def test_a_stop_whose_cancel_settles_has_not_fired(hides_waiting: bool) -> None:
    desk = Desk(settle_ms=100, hides_waiting=hides_waiting)
    stop = desk.order("BUY", "0.01", "70000", type="STOP_LIMIT", stop_price="65000")
    desk.ok("/api/v1/cancelOrder", symbol="BTC_USDT", order_id=stop)
    assert desk.info(stop)["status"] == -1
    assert [row["status"] for row in desk.listed("openOrders")] == ([] if hides_waiting else [-1])
    desk.wait(200)
    assert desk.info(stop)["status"] == 4


def test_cancels_settle_later_and_what_is_over_is_an_error() -> None:
    desk = Desk(settle_ms=100)
    order_id = desk.order("BUY", "0.5", "50000")
    desk.ok("/api/v1/cancelOrder", symbol="BTC_USDT", order_id=order_id)
    assert desk.listed("openOrders")[0]["status"] == 0  # the answer proved nothing
    desk.print("49999", "0.1")
    desk.wait(100)
    (row,) = desk.listed("canceledOrderHistory")
    assert (row["status"], row["remain"]) == (4, "0.40000000")
    for order in (order_id, "1", "x"):
        found = desk.post("/api/v1/cancelOrder", symbol="BTC_USDT", order_id=order)
        assert found["err_code"] not in (0, *range(10101, 10310))
    found = desk.post("/api/v1/cancelOrder", symbol="ETH_USDT", order_id=order_id)
    assert found["err_code"] != 0


def test_cancels_in_lots_of_fifty(desk: Desk) -> None:
    ids = [desk.order("BUY", "0.001", "1100") for _ in range(51)]
    path = "/api/v1/cancelOrders"
    many = desk.post(path, symbol="BTC_USDT", order_id=",".join(ids))
    assert many["err_code"] == 10300
    assert len(desk.listed("openOrders")) == 50  # a page
    wrong = desk.ok(path, symbol="ETH_USDT", order_id=",".join(ids[:50]))
    assert wrong == {"err_code": 0, "msg": "ok"}
    assert desk.ok("/api/v1/openOrders", page=0)["total"] == 51
    desk.ok(path, symbol="BTC_USDT", order_id=",".join([*ids[:48], "1", ids[50]]))
    assert {row["order_id"] for row in desk.listed("openOrders")} == {ids[48], ids[49]}


def test_lists_are_pages_of_fifty_newest_first(desk: Desk) -> None:
    ids = [desk.order("BUY", "0.001", "1100") for _ in range(120)]
    found = []
    for page, (count, more) in enumerate([(50, True), (50, True), (20, False), (0, False)]):
        answer = desk.ok("/api/v1/openOrders", page=page)
        assert (answer["total"], len(answer["list"]), answer["next_page"]) == (120, count, more)
        found += [row["order_id"] for row in answer["list"]]
    assert found == ids[::-1]
    desk.ok("/api/v1/cancelOrders", symbol="BTC_USDT", order_id=",".join(ids[:3]))
    desk.order("BUY", "0.01")
    assert len(desk.listed("canceledOrderHistory")) == 3
    both = desk.ok("/api/v1/orderHistory", symbol="BTC_USDT", page=0)["list"]
    assert [row["status"] for row in both] == [2, 4, 4, 4]
    assert desk.ok("/api/v1/orderHistory", symbol="ETH_USDT", page=0)["list"] == []


# -- stops -----------------------------------------------------------------------------------------


def stop(desk: Desk, side: str, price: str, stop_price: str) -> str:
    return desk.order(side, "0.1", price, type="STOP_LIMIT", stop_price=stop_price)


@pytest.mark.parametrize(
    ("side", "far", "near"), [("BUY", "60500", "60499"), ("SELL", "59500", "59501")]
)
def test_a_stop_waits_in_its_sides_direction(desk: Desk, side: str, far: str, near: str) -> None:
    desk.print("60000")
    order_id = stop(desk, side, far, far)
    assert (desk.info(order_id)["status"], desk.info(order_id)["flag"]) == (-1, 2)
    assert [row["order_id"] for row in desk.listed("openOrders")] == [order_id]
    desk.print(near)
    assert desk.info(order_id)["status"] == -1
    desk.print(far)
    assert desk.info(order_id)["status"] in (0, 2)


@pytest.mark.parametrize(("side", "passed"), [("BUY", "59000"), ("SELL", "61000")])
def test_a_stop_that_is_passed(side: str, passed: str) -> None:
    """It fires at once, becomes a limit-if-touched, or is refused: the document does not say."""
    by_side = Desk()
    by_side.print("60000")
    assert by_side.info(stop(by_side, side, "50000", passed))["status"] != -1
    inferred = Desk(stop_direction="infer")
    inferred.print("60000")
    order_id = stop(inferred, side, "50000", passed)
    assert inferred.info(order_id)["status"] == -1
    inferred.print(passed)
    assert inferred.info(order_id)["status"] != -1
    refusing = Desk(stop_direction="refuse")
    refusing.print("60000")
    fields = {"type": "STOP_LIMIT", "side": side, "quantity": "0.1", "stop_price": passed}
    assert refusing.refused(**fields) == 10301


# -- sockets ---------------------------------------------------------------------------------------


def test_a_book_comes_as_the_document_shows_it(desk: Desk) -> None:
    line = Line(desk)
    line.send(sample("ws_sub_depth"))
    (first,) = line.take()
    assert shape(first) == shape(sample("ws_depth"))
    assert [row["index"] for row in first["buy_book"]] == list(range(len(first["buy_book"])))
    assert first["buy_book"][0]["price"] < first["sell_book"][0]["price"]
    desk.sim.exchange.set_level(
        "BTC_USDT", Side.BUY, Decimal("59990.5"), Decimal("0.3"), desk.now_ns
    )
    desk.wait(1)
    (second,) = line.take()
    assert second["change_id"] > first["change_id"]
    line.send(sample("ws_unsub_depth"))
    desk.sim.exchange.set_level("BTC_USDT", Side.BUY, Decimal("59990.5"), Decimal(0), desk.now_ns)
    desk.wait(1000)
    assert line.take() == []


def test_books_come_no_more_often_than_their_interval(desk: Desk) -> None:
    line = Line(desk)
    line.subscribe("depth.btc_usdt")
    line.take()
    for size in range(1, 30):
        level = Decimal("59990.5"), Decimal(size)
        desk.sim.exchange.set_level("BTC_USDT", Side.BUY, *level, desk.now_ns)
        desk.wait(10)
    assert len(line.take()) == 3


def test_deals_come_oldest_first_and_without_ids(desk: Desk) -> None:
    line = Line(desk)
    line.send(sample("ws_sub_dealinfo"))
    for price in ("60000", "60001"):
        desk.print(price, aggressor=Side.BUY)
    desk.wait(1)
    (frame,) = line.take()
    assert shape(frame) == shape(sample("ws_dealinfo"))
    assert [Decimal(row["price"]) for row in frame["deals"]] == [60000, 60001]
    assert {row["direct"] for row in frame["deals"]} == {0}
    assert frame["deals"][0]["time"] == T0 // MS


def test_order_events_come_before_the_answer(desk: Desk) -> None:
    line = Line(desk)
    line.log_in()
    assert line.take() == []
    told: list[str] = []
    line.session.send = lambda frame: told.append(json.loads(frame)["data"].get("order_id"))  # type: ignore[attr-defined]
    response = desk.order("BUY", "0.5", "50000")
    assert told == [response]


def test_events_of_an_order(desk: Desk) -> None:
    line = Line(desk)
    line.log_in()
    order_id = desk.order("BUY", "0.5", "50000")
    desk.print("49999", "0.2")
    desk.print("49999", "0.3")
    desk.wait(1)
    frames = line.take()
    orders = [frame["data"] for frame in frames if frame["type"] == "order"]
    example = sample("ws_pinfo_order")
    assert {json.dumps(shape(f), sort_keys=True) for f in frames if f["type"] == "order"} == {
        json.dumps(shape(example), sort_keys=True)
    }
    assert {row["order_id"] for row in orders} == {order_id}
    assert [(row["status"], row["remain"]) for row in orders] == [
        (0, "0.50000000"),
        (0, "0.30000000"),
        (2, "0.00000000"),
    ]
    ids = [row["id"] for row in orders]
    assert ids == sorted(set(ids))
    assert ids[0] >= T0
    told = [frame for frame in frames if frame["type"] == "balance"]
    assert shape(told[0]) == shape(sample("ws_pinfo_balance"))
    assert {frame["data"]["token"] for frame in told} == {"BTC", "USDT"}


def test_a_stop_tells_that_it_fired(desk: Desk) -> None:
    line = Line(desk)
    line.log_in()
    desk.print("60000")
    stop(desk, "BUY", "60500", "60500")
    desk.print("60600", aggressor=Side.BUY)
    statuses = [f["data"]["status"] for f in line.take() if f["type"] == "order"]
    assert statuses[:2] == [-1, 0]


def test_the_unsigned_form_is_a_switch() -> None:
    for is_taken in (False, True):
        desk = Desk(unsigned_pinfo=is_taken, acks=True)
        line = Line(desk)
        line.send(sample("ws_sub_pinfo_seed_unauthenticated"))
        (ack,) = line.take()
        assert (ack["err_code"] == 0) is is_taken
        desk.order("BUY", "0.5", "50000")
        assert bool(line.take()) is is_taken
        line.send(sample("ws_unsub_pinfo"))
        line.take()
        desk.order("BUY", "0.5", "50000")
        assert line.take() == []


def test_another_key_gets_nothing(desk: Desk) -> None:
    line = Line(desk)
    line.send(sample("extra_public/ws_sub_pinfo_signed"))
    desk.order("BUY", "0.5", "50000")
    desk.wait(1)
    assert line.take() == []


def test_what_can_not_be_understood_is_met_with_silence(desk: Desk) -> None:
    line = Line(desk)
    for message in ("", "x", "[]", "{}", '{"op":1}', '{"op":"subscribe","topic":[]}', "[" * 9999):
        line.send(message)
    line.subscribe("depth.BTC_USDT")  # topics are in lower case
    line.subscribe("depth.xxx_yyy")
    assert line.take() == []
    line.subscribe("depth.btc_usdt")
    line.subscribe("depth.btc_usdt")
    assert len(line.take()) == 1
    assert not line.is_closed
    line.session.closed()
    assert Line(desk, "/market").is_closed


def test_credentials_and_urls_are_told(desk: Desk) -> None:
    told = desk.sim.describe("http://x", "ws://x")
    assert (told["rest"], told["ws"]) == ("http://x", "ws://x/ws")
    assert told["credentials"] == {"key": desk.key, "secret": desk.secret}
    desk.sim.take_credentials({"key": "a", "secret": "b"})
    desk.key, desk.secret = "a", "b"
    assert desk.post("/api/v1/account", is_timed=False)["err_code"] == 0
    with pytest.raises(ValueError, match="a key and a secret"):
        desk.sim.take_credentials({"key": "", "secret": "b"})
