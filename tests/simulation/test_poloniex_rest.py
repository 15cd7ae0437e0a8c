"""REST dialogues with the simulated Poloniex (the venue's document, sections 1 to 3)."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.poloniex.simulator_auth import Authenticator, Credentials
from fairlead.adapters.simulation.venue import SimRequest
from fairlead.engine.orders.model import Side
from tests.simulation.poloniex_harness import BTC, MS, SAMPLES, T0, Desk, Line, sample, shape

VECTORS = SAMPLES / "auth_vectors.json"


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- public ---------------------------------------------------------------------------------------


def test_payloads_have_the_shapes_of_the_recorded_ones(desk: Desk) -> None:
    desk.print("60000", "0.01")
    row = desk.public("/markets")[0]
    recorded = sample("rest_markets_4")[0]
    assert shape(row) | {"crossMargin": None} == shape(recorded) | {"crossMargin": None}
    assert desk.public(f"/markets/{BTC}") == [row]
    for path, name in (
        (f"/markets/{BTC}/orderBook", "rest_orderbook"),
        (f"/markets/{BTC}/trades", "rest_public_trades"),
        (f"/markets/{BTC}/price", "rest_price"),
        ("/timestamp", "rest_timestamp"),
    ):
        assert shape(desk.public(path)) == shape(sample(name)), path
    candles = desk.public(f"/markets/{BTC}/candles", interval="MINUTE_5")
    assert [type(v) for v in candles[0]] == [type(v) for v in sample("rest_candles")[0]]
    assert set(desk.public(f"/markets/{BTC}/ticker24h")) == set(sample("rest_ticker24h"))
    recorded_network = sample("rest_currencies_v2")[0]["networkList"][0]
    network = desk.public("/v2/currencies")[0]["networkList"][0]
    assert set(network) == set(recorded_network)


def test_book_is_flat_best_first_and_aggregates_away_from_the_spread(desk: Desk) -> None:
    bids = {Decimal("99.99"): Decimal(1), Decimal("99.91"): Decimal(2)}
    asks = {Decimal("100.01"): Decimal(1), Decimal("100.09"): Decimal(2)}
    desk.sim.exchange.replace_background(BTC, bids, asks, desk.now_ns)
    book = desk.public(f"/markets/{BTC}/orderBook", limit="5")
    assert book["asks"] == ["100.01", "1", "100.09", "2"]
    assert book["bids"] == ["99.99", "1", "99.91", "2"]
    coarse = desk.public(f"/markets/{BTC}/orderBook", scale="0.1")
    assert (coarse["asks"], coarse["bids"]) == (["100.1", "3"], ["99.9", "3"])


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/markets/NO_SUCH", {}, 24101),
        (f"/markets/{BTC}/orderBook", {"limit": "7"}, 24106),
        (f"/markets/{BTC}/candles", {}, 602),
        (f"/markets/{BTC}/candles", {"interval": "MINUTE_7"}, 24102),
        (f"/markets/{BTC}/candles", {"interval": "DAY_1", "limit": "501"}, 24104),
        (f"/markets/{BTC}/candles", {"interval": "DAY_1", "startTime": "x"}, 24105),
        (f"/markets/{BTC}/candles", {"interval": "DAY_1", "endTime": "x"}, 24103),
        (f"/markets/{BTC}/trades", {"limit": "1001"}, 24104),
        (f"/markets/{BTC}/trades", {"limit": "0"}, 21345),
        ("/nothing/here", {}, 404),
    ],
)
def test_public_errors(desk: Desk, path: str, query: dict[str, str], code: int) -> None:
    status, answer = desk.send("GET", path, query=query)
    assert (status != 200, answer["code"]) == (True, code)


def test_candles_are_low_high_open_close_and_the_last_is_open(desk: Desk) -> None:
    for price in ("60000", "59990", "60020", "60010"):
        desk.print(price, "0.01")
    *_, last = desk.public(f"/markets/{BTC}/candles", interval="MINUTE_1", limit="3")
    assert last[:4] == ["59990", "60020", "60000", "60010"]
    assert last[13] - last[12] == 59_999
    assert last[12] <= desk.now_ns // MS <= last[13]
    assert Decimal(last[4]) == Decimal("0.01") * 240_020


@pytest.mark.parametrize(
    ("interval", "opens", "closes"),
    [
        ("MONTH_1", "2027-02-01", "2027-03-01"),
        ("MONTH_1", "2028-02-01", "2028-03-01"),
        ("WEEK_1", "2027-02-01", "2027-02-08"),
        ("WEEK_1", "2027-01-25", "2027-02-01"),
    ],
)
def test_months_start_on_the_first_and_weeks_on_monday(
    interval: str, opens: str, closes: str
) -> None:
    """The day before each opens another candle; REST and the channel say the same."""

    def ns(day: str) -> int:
        return int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) * 10**9

    desk = Desk()
    for at, price in ((ns(opens), "60000"), (ns(closes) - 60 * 10**9, "61000")):
        desk.wait((at - desk.now_ns) // MS)
        line = Line(desk)
        line.subscribe(f"candles_{interval.lower()}", BTC)
        line.take()
        desk.print(price, "0.01")
        desk.wait(1)
        pushed = line.take(f"candles_{interval.lower()}")[-1]["data"][0]
        last = desk.public(f"/markets/{BTC}/candles", interval=interval)[-1]
        bounds = [ns(opens) // MS, ns(closes) // MS - 1]
        assert last[12:] == [pushed["startTime"], pushed["closeTime"]] == bounds
    desk.wait(60_000)
    desk.print("62000", "0.01")
    rows = desk.public(f"/markets/{BTC}/candles", interval=interval)
    assert [row[12] for row in rows[-2:]] == [ns(opens) // MS, ns(closes) // MS]


def test_an_aggregated_book_has_no_price_of_zero(desk: Desk) -> None:
    book = desk.public("/markets/TRX_USDT/orderBook", scale="10")
    assert book["asks"][0] == "10"
    assert book["bids"] == []


# -- authentication -------------------------------------------------------------------------------


def test_signatures_of_the_document_are_accepted() -> None:
    vectors = json.loads(VECTORS.read_text())
    auth = Authenticator(Credentials(vectors["api_key"], vectors["api_secret"]), 1000)
    now_ms = 1_700_000_000_000
    count = 0
    for vector in vectors["poloniex"]:
        method, path, tail = vector["string_to_sign"].split("\n")
        if path == "/ws":
            continue
        body, query = b"", tail
        if tail.startswith("requestBody="):
            body = tail.removeprefix("requestBody=").rpartition("&")[0].encode()
            query = ""
        query = "&".join(p for p in query.split("&") if not p.startswith("signTimestamp"))
        headers = {
            "key": vectors["api_key"],
            "signtimestamp": str(now_ms),
            "signature": vector["signature"],
        }
        auth.check(
            SimRequest(method=method, path=path, query=query, headers=headers, body=body), now_ms
        )
        count += 1
    assert count >= 6


def test_each_part_of_a_signature_matters(desk: Desk) -> None:
    body = json.dumps(desk.order()).encode()
    good = desk.headers("POST", "/orders", body=body)
    assert desk.send("POST", "/orders", body=body, headers=good)[0] == 200
    spaced = json.dumps(desk.order(), separators=(",", ":")).encode()
    bad: list[tuple[str, str, bytes, dict[str, str]]] = [
        ("POST", "/orders", spaced, good),  # the same JSON, other bytes
        ("POST", "/smartorders", body, good),
        ("POST", "/orders", body, good | {"key": "other"}),
        ("POST", "/orders", body, good | {"signature": "AAAA"}),
        ("POST", "/orders", body, good | {"signtimestamp": str(desk.now_ns // MS + 1)}),
    ]
    for method, path, sent, headers in bad:
        status, answer = desk.send(method, path, body=sent, headers=headers)
        assert (status, answer) == (401, None)  # nothing but the status
    for name in good:
        headers = {k: v for k, v in good.items() if k != name}
        assert desk.send("POST", "/orders", body=body, headers=headers)[1]["code"] == 602
    desk.sim.control({"revoked": True})
    assert desk.send("POST", "/orders", body=body, headers=good) == (401, None)


@pytest.mark.parametrize(
    ("ahead_ms", "code"), [(1000, 0), (1001, 400), (-1000, 0), (-1001, 400), (10_000, 400)]
)
def test_the_clock_may_differ_by_one_second(desk: Desk, ahead_ms: int, code: int) -> None:
    headers = desk.headers("GET", "/feeinfo", ahead_ms=ahead_ms)
    status, answer = desk.send("GET", "/feeinfo", headers=headers)
    assert (status, answer.get("code", 0)) == (code or 200, code)


def test_recv_window(desk: Desk) -> None:
    headers = desk.headers("GET", "/feeinfo", ahead_ms=-500) | {"recvwindow": "400"}
    status, answer = desk.send("GET", "/feeinfo", headers=headers)
    assert (status, answer["code"]) == (408, 408)
    headers["recvwindow"] = "500"
    assert desk.send("GET", "/feeinfo", headers=headers)[0] == 200


def test_a_query_is_signed_percent_encoded_and_sorted(desk: Desk) -> None:
    query = {"symbols": "BTC_USDT,ETH_USDT", "limit": "5"}
    assert desk.ok("GET", "/trades", query=query) == []
    # an older public client signs and sends a trailing slash
    assert desk.ok("GET", "/trades/", query=query) == []


@pytest.mark.parametrize(
    ("group", "path", "limit"),
    [("public", "/timestamp", 4), ("private", "/accounts", 3), ("bulk", "/feeinfo", 2)],
)
def test_budgets_per_group(group: str, path: str, limit: int) -> None:
    desk = Desk(**{f"{group}_rate": limit})

    def ask() -> int:
        return desk.send("GET", path, headers=desk.headers("GET", path))[0]

    assert [ask() for _ in range(limit)] == [200] * limit
    assert ask() == 429
    desk.wait(999)
    assert ask() == 429
    desk.wait(1)
    assert ask() == 200


# -- orders ---------------------------------------------------------------------------------------


def test_life_of_a_limit_order(desk: Desk) -> None:
    created = desk.ok("POST", "/orders", desk.order())
    assert shape(created) == shape(sample("rest_create_order_response"))
    assert created["clientOrderId"] == ""
    assert int(created["id"]) > 2**53
    row = desk.get(created["id"])
    assert shape(row) == shape(sample("rest_order"))
    assert (row["state"], row["type"], row["filledQuantity"]) == ("NEW", "LIMIT", "0")
    assert desk.balance("USDT") == (Decimal(99_700), Decimal(300))
    (listed,) = desk.ok("GET", "/orders", query={"symbol": BTC})
    assert listed == row
    assert desk.ok("GET", "/orders", query={"symbol": "ETH_USDT"}) == []
    cancelled = desk.ok("DELETE", f"/orders/{created['id']}")
    assert cancelled == sample("rest_cancel_order") | {"orderId": created["id"]}
    assert desk.get(created["id"])["state"] == "CANCELED"
    assert desk.balance("USDT") == (Decimal(100_000), Decimal(0))
    assert desk.refused("DELETE", f"/orders/{created['id']}") == 21359
    (past,) = desk.ok("GET", "/orders/history")
    assert past["orderSource"] == "API"


def test_a_cancel_is_pending_until_it_settles() -> None:
    desk = Desk(settle_ms=50)
    order_id = desk.create()
    desk.ok("DELETE", f"/orders/{order_id}")
    assert desk.get(order_id)["state"] == "PENDING_CANCEL"
    desk.wait(50)
    assert desk.get(order_id)["state"] == "CANCELED"


def test_fees_are_base_for_buys_and_quote_for_sells(desk: Desk) -> None:
    maker = desk.create(price="59000")
    desk.print("59000", "0.01", Side.SELL)
    (fill,) = desk.ok("GET", f"/orders/{maker}/trades")
    assert shape(fill) == shape(sample("rest_order_trades")[0])
    assert (fill["matchRole"], fill["feeCurrency"]) == ("MAKER", "BTC")
    assert Decimal(fill["feeAmount"]) == Decimal("0.01") * Decimal("0.00145")
    taker = desk.create("SELL", type="MARKET", price=None)
    fills = desk.ok("GET", f"/orders/{taker}/trades")
    assert {f["feeCurrency"] for f in fills} == {"USDT"}
    total = sum(Decimal(f["amount"]) for f in fills)
    assert sum(Decimal(f["feeAmount"]) for f in fills) == total * Decimal("0.00155")
    assert desk.get(taker)["state"] == "FILLED"
    (first, *_) = desk.ok("GET", "/trades", query={"symbols": BTC, "limit": "1"})
    assert first["orderId"] == taker
    later = desk.ok("GET", "/trades", query={"from": first["pageId"], "direction": "NEXT"})
    assert first["pageId"] not in {f["pageId"] for f in later}
    assert {f["orderId"] for f in later} >= {maker}


def test_market_buy_spends_an_amount(desk: Desk) -> None:
    body = sample("rest_create_order_request_market_buy")
    order_id = desk.ok("POST", "/orders", body)["id"]
    row = desk.get(order_id)
    assert (row["state"], row["quantity"], row["price"]) == ("FILLED", "0", "0")
    assert Decimal(row["amount"]) == Decimal(body["amount"])
    assert Decimal(row["filledAmount"]) <= Decimal(body["amount"])
    assert desk.refused("POST", "/orders", desk.order(type=None, price=None)) == 602  # no amount


@pytest.mark.parametrize("tolerance", ["0", "1", "1.5", "-0.1", "much", True])
def test_slippage_tolerance_is_between_0_and_1(desk: Desk, tolerance: Any) -> None:
    body = desk.order("SELL", type="MARKET", price=None, slippageTolerance=tolerance)
    assert desk.refused("POST", "/orders", body) == 601
    assert desk.ok("GET", "/orders/history") == []


def test_a_market_order_keeps_to_its_slippage_tolerance(desk: Desk) -> None:
    levels = {Decimal(60_000): Decimal("0.004"), Decimal(63_100): Decimal(1)}
    desk.sim.exchange.replace_background(BTC, {}, levels, desk.now_ns)
    market = {"type": "MARKET", "price": None, "quantity": None, "amount": "1000"}
    row = desk.get(desk.create(**market, slippageTolerance="0.05"))
    assert (row["state"], row["filledQuantity"]) == ("PARTIALLY_CANCELED", "0.004")
    desk.sim.exchange.replace_background(BTC, {}, levels, desk.now_ns)
    row = desk.get(desk.create(**market, slippageTolerance="0.06"))
    assert row["state"] == "FILLED"


@pytest.mark.parametrize(("tif", "state"), [("IOC", "CANCELED"), ("FOK", "CANCELED")])
def test_orders_that_do_not_rest(desk: Desk, tif: str, state: str) -> None:
    assert desk.get(desk.create(timeInForce=tif))["state"] == state


def test_partial_fills_then_the_rest_cancelled(desk: Desk) -> None:
    desk.sim.exchange.replace_background(BTC, {}, {Decimal(60_000): Decimal("0.004")}, desk.now_ns)
    row = desk.get(desk.create(price="60000", timeInForce="IOC"))
    assert (row["state"], row["filledQuantity"]) == ("PARTIALLY_CANCELED", "0.004")
    assert desk.get(desk.create(price="60000", timeInForce="FOK"))["state"] == "CANCELED"


def test_post_only_that_would_trade(desk: Desk) -> None:
    body = desk.order(type="LIMIT_MAKER", price="70000")
    order_id = desk.ok("POST", "/orders", body)["id"]
    assert desk.get(order_id)["state"] == "FAILED"
    assert desk.get(desk.create(type="LIMIT_MAKER"))["state"] == "NEW"
    strict = Desk(post_only_cross="error")
    assert strict.refused("POST", "/orders", body) == 601


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"symbol": "NO_SUCH"}, 10040),
        ({"symbol": None}, 602),
        ({"side": None}, 602),
        ({"side": "HOLD"}, 21319),
        ({"type": "STOP"}, 21320),
        ({"timeInForce": "DAY"}, 21321),
        ({"accountType": "FUTURES"}, 21324),
        ({"price": None}, 602),
        ({"price": "0"}, 21309),
        ({"price": "-1"}, 21309),
        ({"price": "1.234"}, 21335),
        ({"price": "one"}, 601),
        ({"price": "NaN"}, 601),
        ({"quantity": "0"}, 21328),
        ({"quantity": "0.0000001"}, 21336),
        ({"quantity": "0.00001"}, 21322),
        ({"symbol": "BTS_BTC", "price": "0.0000002", "quantity": "50"}, 21330),
        ({"quantity": "100"}, 21709),
        ({"clientOrderId": "x" * 65}, 21315),
        ({"clientOrderId": "no spaces"}, 601),
        ({"stpMode": "OTHER"}, 601),
    ],
)
def test_refused_creates(desk: Desk, change: dict[str, Any], code: int) -> None:
    before = len(desk.sim.exchange.orders("spot"))
    assert desk.refused("POST", "/orders", desk.order(**change)) == code
    assert len(desk.sim.exchange.orders("spot")) == before


def test_numbers_may_be_json_numbers(desk: Desk) -> None:
    assert desk.get(desk.create(price=30000.5, quantity=0.01))["price"] == "30000.5"


def test_client_order_ids(desk: Desk) -> None:
    order_id = desk.create(clientOrderId="mine")
    assert desk.refused("POST", "/orders", desk.order(clientOrderId="mine")) == 21312
    assert desk.get("cid:mine")["id"] == order_id
    assert desk.ok("DELETE", "/orders/cid:mine")["clientOrderId"] == "mine"
    assert desk.refused("POST", "/orders", desk.order(clientOrderId="mine")) == 21312
    again = Desk(client_ids="open")
    again.create(clientOrderId="mine")
    again.ok("DELETE", "/orders/cid:mine")
    again.create(clientOrderId="mine")
    assert desk.refused("GET", "/orders/cid:other") == 21301
    assert desk.refused("GET", "/orders/abc") == 21346
    assert desk.refused("GET", "/orders/1") == 21301


def test_batch_answers_by_position(desk: Desk) -> None:
    rows = [
        desk.order(clientOrderId="batch-1"),
        desk.order(quantity="100"),
        "not an order",
        desk.order(clientOrderId="batch-1"),
    ]
    first, short, wrong, twin = desk.ok("POST", "/orders/batch", rows)
    recorded = sample("rest_batch_create_response")
    assert (shape(first), shape(short)) == (shape(recorded[0]), shape(recorded[1]))
    assert first["clientOrderId"] == "batch-1"
    assert (short["code"], wrong["code"], twin["code"]) == (21709, 601, 21312)
    assert twin["clientOrderId"] == "batch-1"
    assert desk.refused("POST", "/orders/batch", [desk.order()] * 21) == 601


def test_cancel_by_ids_and_client_ids(desk: Desk) -> None:
    one, two = desk.create(), desk.create(clientOrderId="c2")
    answers = desk.ok(
        "DELETE",
        "/orders/cancelByIds",
        {"orderIds": [one, "7"], "clientOrderIds": ["c2", "none"]},
    )
    assert [(a["orderId"], a["code"]) for a in answers] == [
        (one, 200),
        ("7", 21301),
        (two, 200),
        ("0", 21301),
    ]
    assert desk.refused("DELETE", "/orders/cancelByIds", {}) == 602


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"symbols": [BTC]}, 1),
        ({"symbol": BTC}, 1),  # as an older public client sends it
        ({"symbols": []}, 0),
        ({}, 0),
        (None, 0),
        ({"symbols": [BTC, "ETH_USDT"], "accountTypes": ["SPOT"]}, 0),
    ],
)
def test_cancel_all(desk: Desk, body: Any, left: int) -> None:
    desk.create()
    desk.create("SELL", price="90000")
    desk.create(symbol="ETH_USDT", price="1000", quantity="1")
    stop = desk.stop()
    answers = desk.ok("DELETE", "/orders", body)
    assert len(answers) == 3 - left
    assert len(desk.ok("GET", "/orders")) == left
    assert desk.smart(stop)["state"] == "PENDING_NEW"


def test_replace(desk: Desk) -> None:
    old = desk.create(clientOrderId="a")
    change = {"price": "31000", "clientOrderId": "b"}
    new = desk.ok("PUT", f"/orders/{old}", change)
    assert shape(new) == shape(sample("rest_replace_response"))
    assert desk.get(old)["state"] == "CANCELED"
    row = desk.get(new["id"])
    assert (row["price"], row["quantity"], row["clientOrderId"]) == ("31000", "0.01", "b")
    assert desk.refused("PUT", f"/orders/{old}", {"price": "32000"}) == 21359
    third = desk.ok("PUT", f"/orders/{old}", {"price": "32000", "proceedOnFailure": "true"})
    assert desk.get(third["id"])["state"] == "NEW"
    assert desk.refused("PUT", f"/orders/{new['id']}", {"price": "1.001"}) == 21335
    assert desk.get(new["id"])["state"] == "NEW"  # a wrong parameter changes nothing
    assert desk.refused("PUT", f"/orders/{new['id']}", {"quantity": "100"}) == 21709
    assert desk.get(new["id"])["state"] == "CANCELED"  # cancelled, then not replaced
    assert desk.ok("PUT", "/orders/cid:b", {"proceedOnFailure": True})["id"] != new["id"]


def test_open_orders_page_from_an_id(desk: Desk) -> None:
    ids = [desk.create() for _ in range(5)]
    newest = desk.ok("GET", "/orders", query={"limit": "2"})
    assert [row["id"] for row in newest] == ids[:2:-1]
    query = {"limit": "2", "from": newest[-1]["id"], "direction": "NEXT"}
    assert [row["id"] for row in desk.ok("GET", "/orders", query=query)] == [ids[2], ids[1]]


def test_history_filters_and_windows(desk: Desk) -> None:
    cancelled = desk.create()
    desk.ok("DELETE", f"/orders/{cancelled}")
    filled = desk.create("SELL", type="MARKET", price=None)
    now_ms = desk.now_ns // MS

    def ids(**query: str) -> list[str]:
        return [row["id"] for row in desk.ok("GET", "/orders/history", query=query)]

    assert ids() == [filled, cancelled]
    assert ids(states="FILLED") == [filled]
    assert ids(hideCancel="true") == [filled]
    assert ids(type="LIMIT") == [cancelled]
    assert ids(startTime=str(now_ms - 86_400_000 * 7)) == [filled, cancelled]
    assert ids(endTime=str(now_ms - 1)) == []
    window = {"startTime": "0", "endTime": str(now_ms)}
    assert desk.refused("GET", "/orders/history", None, **window) == 21355
    desk.wait(86_400_000 * 8)
    since = {"startTime": str(T0 // MS - 1), "endTime": str(desk.now_ns // MS)}
    assert ids(**since) == [filled]  # cancelled orders are kept for 7 days


def test_histories_are_newest_first_whatever_the_id(desk: Desk) -> None:
    """The child of a smart order has the higher id, and is older than the orders after it."""
    desk.stop("SELL", stopPrice="61000", price="61000", quantity="0.01")
    desk.print("61000")
    desk.print("61000", "1")
    desk.wait(1000)
    later = desk.create("SELL", type="MARKET", price=None, quantity="0.01")
    desk.wait(1000)
    for path in ("/orders/history", "/trades"):
        rows = desk.ok("GET", path)
        times = [row["createTime"] for row in rows]
        assert times == sorted(times, reverse=True)
    newest, child = desk.ok("GET", "/orders/history")
    assert newest["id"] == later
    assert int(child["id"]) > int(later)
    query = {"from": later, "direction": "NEXT"}
    assert [r["id"] for r in desk.ok("GET", "/orders/history", query=query)] == [child["id"]]
    query = {"from": child["id"], "direction": "PRE"}
    assert [r["id"] for r in desk.ok("GET", "/orders/history", query=query)] == [later]


@pytest.mark.parametrize(
    "path", ["/orders", "/orders/history", "/smartorders", "/smartorders/history", "/trades"]
)
def test_limits_that_are_too_large_or_too_small(desk: Desk, path: str) -> None:
    assert desk.refused("GET", path, limit="2001") == 24104
    assert desk.refused("GET", path, limit="0") == 21345
