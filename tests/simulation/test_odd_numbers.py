"""A number that no venue would read is refused by every simulated one, with the venue's code."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from fairlead.adapters.poloniex.simulator_routes import ROUTES
from fairlead.adapters.simulation.numbers import WHOLE_MAX, exact, natural, whole
from fairlead.adapters.simulation.venue import Opened
from fairlead.adapters.zerocap.simulator_routes import ROUTES as ZEROCAP
from tests.simulation import oceanex_harness, poloniex_harness, zerocap_harness
from tests.venues.piexgo import simulator_kit as piexgo_harness

NINES = "9" * 5000
LONG = "9" * 4301
ARABIC = "\u0661\u0660"  # ten
ODD_WHOLE = ("--2", "1_0", ARABIC, " 1", "1 ", "+1", "1.0", "1e1", "", "x", NINES, LONG, "-", "²")
ODD_EXACT = (
    *("0.0_12", "1_0", ARABIC, "0,1", " 1", "1 ", "+1", ".5", "5.", "NaN", "Infinity", "1e999999"),
    *("0x10", NINES, f"0.{NINES}", "1E+999999", "--1", "１"),
)


# -- the readers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [*ODD_WHOLE, True, 1.9, 1.0, None, [1], WHOLE_MAX + 1])
def test_what_is_no_whole_number(value: object) -> None:
    assert whole(value) is None
    assert natural(value) is None


@pytest.mark.parametrize("value", [*ODD_EXACT, True, None, [1], float("inf"), float("nan"), 10**41])
def test_what_is_no_number(value: object) -> None:
    assert exact(value) is None


def test_what_is_one() -> None:
    assert whole(10**5000) is exact(10**5000) is None
    assert [whole(each) for each in ("0", "-1", 7, "9223372036854775807", "007")] == [
        *(0, -1, 7, WHOLE_MAX, 7)
    ]
    assert (natural("-1"), natural("-0"), natural(-1), natural("5")) == (None, None, None, 5)
    wanted = [("0.10", "0.10"), ("-1", "-1"), (1e-07, "1E-7"), (0.1, "0.1"), ("1e3", "1E+3")]
    for given, text in wanted:
        assert exact(given) == Decimal(text)


# -- Poloniex --------------------------------------------------------------------------------------


@pytest.fixture
def polo() -> poloniex_harness.Desk:
    return poloniex_harness.Desk()


def told(desk: poloniex_harness.Desk, path: str, **query: str) -> tuple[int, int]:
    """Status and code of a public refusal."""
    status, answer = desk.send("GET", path, query=query)
    assert set(answer) == {"code", "message"}, answer
    return status, answer["code"]


@pytest.mark.parametrize("text", ODD_WHOLE)
def test_poloniex_reads_no_odd_count_or_time(polo: poloniex_harness.Desk, text: str) -> None:
    market = "/markets/BTC_USDT"
    assert told(polo, f"{market}/trades", limit=text) == (400, 601)
    assert told(polo, f"{market}/candles", interval="MINUTE_1", limit=text) == (400, 601)
    assert told(polo, f"{market}/candles", interval="MINUTE_1", startTime=text) == (400, 24105)
    assert told(polo, f"{market}/candles", interval="MINUTE_1", endTime=text) == (400, 24103)
    assert told(polo, f"{market}/orderBook", limit=text) == (400, 24106)
    assert polo.refused("GET", "/orders", limit=text) == 601
    assert polo.refused("GET", "/orders/history", startTime=text) == 601
    if text:  # an empty `from` is none
        polo.create()
        assert polo.refused("GET", "/orders/history", **{"from": text}) == 601
    assert polo.refused("POST", "/orders/killSwitch", {"timeout": text}) == 602


@pytest.mark.parametrize("text", [each for each in ODD_WHOLE if each])
def test_poloniex_knows_no_order_of_an_odd_id(polo: poloniex_harness.Desk, text: str) -> None:
    for method in ("GET", "DELETE"):
        assert polo.refused(method, f"/orders/{text}") == 21346
    assert polo.refused("GET", f"/smartorders/{text}") == 25015
    assert polo.refused("DELETE", f"/smartorders/{text}") == 25013
    (row,) = polo.ok("DELETE", "/orders/cancelByIds", {"orderIds": [text]})
    assert row["code"] == 21346


@pytest.mark.parametrize("scale", [*ODD_EXACT, "1e-999999", "0", "-1.0", "1e-13", "1e10", ""])
def test_poloniex_groups_by_no_odd_scale(polo: poloniex_harness.Desk, scale: str) -> None:
    assert told(polo, "/markets/BTC_USDT/orderBook", scale=scale) == (400, 601)


def test_poloniex_groups_by_a_scale(polo: poloniex_harness.Desk) -> None:
    for scale in ("1e-12", "0.01", "10", "1000000000"):
        assert polo.public("/markets/BTC_USDT/orderBook", scale=scale)["scale"] == scale


@pytest.mark.parametrize("text", ODD_EXACT)
@pytest.mark.parametrize("name", ["price", "quantity"])
def test_poloniex_takes_no_order_of_an_odd_number(
    polo: poloniex_harness.Desk, name: str, text: str
) -> None:
    assert polo.refused("POST", "/orders", polo.order(**{name: text})) == 601
    assert polo.sim.exchange.orders("spot") == []


@pytest.mark.parametrize("text", [each for each in ODD_WHOLE if each])
def test_poloniex_lets_no_odd_time_sign(polo: poloniex_harness.Desk, text: str) -> None:
    def asked(headers: dict[str, str]) -> int:
        status, answer = polo.send("GET", "/orders", headers=headers)
        assert status == 400
        return int(answer["code"])

    good = polo.headers("GET", "/orders")
    signed = poloniex_harness.signature(polo.secret, f"GET\n/orders\nsignTimestamp={text}")
    assert asked(good | {"signtimestamp": text, "signature": signed}) == 400
    assert asked(good | {"recvwindow": text}) == 601
    line = poloniex_harness.Line(polo, "/ws/private")
    params = {"key": polo.key, "signTimestamp": text, "signature": signed}
    line.send(event="subscribe", channel=["auth"], params=params)
    assert line.take()[-1]["data"]["success"] is False


def test_poloniex_refuses_a_key_that_is_no_text(polo: poloniex_harness.Desk) -> None:
    headers = polo.headers("GET", "/orders")
    for name in ("key", "signature"):
        status, _ = polo.send("GET", "/orders", headers=headers | {name: "\udcff"})
        assert status == 401


@pytest.mark.parametrize("endpoint", ROUTES.endpoints, ids=lambda e: f"{e.methods} {e.path}")
def test_any_body_of_a_poloniex_request_has_an_answer(
    polo: poloniex_harness.Desk, endpoint: Any
) -> None:
    path = endpoint.path.replace("{symbol}", "BTC_USDT").replace("{id}", "1")
    path = path.replace("{currency}", "BTC")
    for body in (b"null", b"[]", b"1", b'"x"', b"{}", b"[" * 100_000, b"\xff", b'{"a":"\xff"}'):
        headers = {}
        if endpoint.is_private:
            stamp = str(polo.now_ns // 1_000_000)
            tail = f"requestBody={body.decode('utf-8', 'replace')}&signTimestamp={stamp}"
            signed = poloniex_harness.signature(polo.secret, f"{endpoint.methods}\n{path}\n{tail}")
            headers = {"key": polo.key, "signtimestamp": stamp, "signature": signed}
        status, _ = polo.send(endpoint.methods, path, body=body, headers=headers)
        assert status in (200, 400)


# -- a cancel that names nothing -------------------------------------------------------------------


def resting(desk: poloniex_harness.Desk) -> int:
    return len(desk.sim.exchange.open_orders("spot"))


@pytest.mark.parametrize(
    "body", [["ETH_USDT"], "ETH_USDT", [], "", 0, False, True, [{"symbol": "ETH_USDT"}]]
)
def test_poloniex_cancels_nothing_of_a_body_that_is_no_object(
    polo: poloniex_harness.Desk, body: Any
) -> None:
    polo.create()
    smart = polo.order(type="STOP_LIMIT", stopPrice="90000", price="90000")
    polo.ok("POST", "/smartorders", smart)
    for path in ("/orders", "/smartorders", "/orders/cancelByIds", "/smartorders/cancelByIds"):
        assert polo.refused("DELETE", path, body) in (601, 602)
    line = poloniex_harness.private_line(polo)
    for event in ("cancelAllOrders", "cancelOrders"):
        line.send(id="1", event=event, params=body)
        (answer,) = [frame for frame in line.take() if frame.get("id") == "1"]
        assert [row["code"] for row in answer["data"]] in ([601], [602])
    assert resting(polo) == 2


def test_poloniex_cancels_nothing_of_null(polo: poloniex_harness.Desk) -> None:
    polo.create()
    headers = polo.headers("DELETE", "/orders", None, b"null")
    status, answer = polo.send("DELETE", "/orders", body=b"null", headers=headers)
    assert (status, answer["code"], resting(polo)) == (400, 601, 1)


def test_poloniex_cancels_what_an_object_names_and_all_without_one(
    polo: poloniex_harness.Desk,
) -> None:
    polo.create()
    polo.create(symbol="ETH_USDT", price="1000", quantity="0.1")
    assert len(polo.ok("DELETE", "/orders", {"symbols": ["ETH_USDT"]})) == 1
    assert resting(polo) == 1
    assert len(polo.ok("DELETE", "/orders")) == 1


@pytest.mark.parametrize(
    "side", [["buy"], {"side": "buy"}, "", 0, False, "BUY", "all", ["btcusdt"]]
)
def test_oceanex_clears_nothing_for_a_side_that_is_none(side: Any) -> None:
    desk = oceanex_harness.Desk()
    desk.ok("/orders", {"market": "btcusdt", "side": "buy", "volume": "0.1", "price": "1000"})
    for data in ({"side": side}, [side], "buy"):
        assert desk.private("/orders/clear", data)["code"] == 9002
    assert len(desk.sim.exchange.open_orders("main")) == 1


def test_piexgo_and_zerocap_cancel_only_what_is_named() -> None:
    desk = piexgo_harness.Desk()
    order = desk.order("BUY", "0.1", "1000")
    market = {"symbol": "BTC_USDT"}
    for named in (None, "", ",", "all", f"[{order}]", f"{order}_", f"{order}.0", f" {order}"):
        for path in ("/api/v1/cancelOrder", "/api/v1/cancelOrders"):
            desk.post(path, order_id=named, **market)
    assert len(desk.sim.exchange.open_orders("main")) == 1
    assert not any("cancel" in e.path for e in zerocap_endpoints())  # its orders end at once


def zerocap_endpoints() -> tuple[Any, ...]:
    return ZEROCAP.endpoints


# -- OceanEx ---------------------------------------------------------------------------------------


@pytest.fixture
def ocean() -> oceanex_harness.Desk:
    return oceanex_harness.Desk(orders_per_minute=10**6, requests_per_minute=10**6)


@pytest.mark.parametrize("text", [*ODD_WHOLE, 1.9, True, None, [1]])
def test_oceanex_reads_no_odd_count_or_id(ocean: oceanex_harness.Desk, text: Any) -> None:
    assert ocean.private("/orders", {"ids": [text]}, "GET")["code"] == 9002
    assert ocean.private("/order/delete/multi", {"ids": [1, text]})["code"] == 9002
    assert ocean.private("/order/delete", {"id": text})["code"] == 9002
    filtered = {"market": "btcusdt", "limit": text}
    assert ocean.private("/orders/filter", filtered)["code"] == 9002
    if isinstance(text, str):
        _, envelope = ocean.send("GET", "/trades", query=f"market=btcusdt&limit={text}")
        assert envelope["code"] == 9002 or text in (" 1", "1 ", "+1", "")  # as a form reads them


@pytest.mark.parametrize("text", [*ODD_EXACT, True, [1]])
@pytest.mark.parametrize("name", ["volume", "price", "stop_price"])
def test_oceanex_takes_no_order_of_an_odd_number(
    ocean: oceanex_harness.Desk, name: str, text: Any
) -> None:
    order = {"market": "btcusdt", "side": "buy", "volume": "0.1", "price": "1000"}
    order |= {"ord_type": "stop_limit", "stop_price": "900000", "trigger_condition": "gte"}
    assert ocean.private("/orders", order | {name: text})["code"] == 2002
    assert ocean.sim.exchange.orders("main") == []


@pytest.mark.parametrize(
    ("exp", "code"),
    [
        *(("1", 1010), ("9999999999", 1010), (True, 1010), ([1], 1010), ({}, 1010)),
        *((float("nan"), 1010), (float("inf"), 1010), (10**60, 1010), (1, 2001), (1.5, 2001)),
        *((-1, 2001), (0, 2001), (9_999_999_999, 0), (9_999_999_999.5, 0)),
    ],
)
def test_an_oceanex_token_expires_at_a_number(
    ocean: oceanex_harness.Desk, exp: Any, code: int
) -> None:
    for _ in range(2):  # the second time from memory
        token = json.dumps({"user_jwt": signed(ocean, exp)}).encode()
        assert ocean.send("POST", "/members/me", body=token)[1]["code"] == code


def signed(desk: oceanex_harness.Desk, exp: Any) -> str:
    """PyJWT itself writes no such token."""
    payload = {"uid": desk.options.uid, "apikey_id": desk.options.key_id, "data": {}, "exp": exp}
    raw = json.dumps(payload).encode()
    return jwt.api_jws.encode(raw, desk.key, algorithm="RS256")


def test_an_oceanex_token_that_is_deep_is_none(ocean: oceanex_harness.Desk) -> None:
    token = jwt.api_jws.encode(b'{"a":' * 50_000, ocean.key, algorithm="RS256")
    body = json.dumps({"user_jwt": token}).encode()
    assert ocean.send("POST", "/members/me", body=body)[1]["code"] == 1001
    assert ocean.send("POST", "/members/me", body=b'{"a":' * 50_000)[1]["code"] == 9002


@pytest.mark.parametrize(
    "query",
    [
        "markets=btcusdt&markets[]=vetusdt",
        "markets=btcusdt&markets%5B%5D=vetusdt",
        "markets%5B%5D=vetusdt&markets=btcusdt",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "tickers_multi"), ("POST", "order_book/multi")]
)
def test_a_name_that_is_one_value_and_a_list_is_refused(
    ocean: oceanex_harness.Desk, method: str, path: str, query: str
) -> None:
    for told in ({"query": query}, {"body": query.encode()}):
        assert ocean.send(method, f"/{path}", **told)[1]["code"] == 9002
    body = b'{"markets":"btcusdt"}'
    _, envelope = ocean.send(method, f"/{path}", query="markets%5B%5D=vetusdt", body=body)
    assert envelope["code"] == 9002
    lists = "markets%5B%5D=vetusdt&markets%5B%5D=btcusdt"
    assert len(ocean.send(method, f"/{path}", query=lists)[1]["data"]) == 2


@pytest.mark.parametrize("protocol", [*ODD_WHOLE, "\u0667"])
def test_oceanex_push_knows_no_odd_protocol(ocean: oceanex_harness.Desk, protocol: str) -> None:
    frames: list[str] = []
    path = f"/app/{ocean.options.app_key}"
    ocean.sim.open_session(
        Opened(path, urlencode({"protocol": protocol}), frames.append, lambda: None)
    )
    assert "4007" in frames[0]


# -- PiexGo and Zerocap ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", [each for each in ODD_EXACT if each])
@pytest.mark.parametrize("name", ["price", "quantity"])
def test_piexgo_takes_no_order_of_an_odd_number(name: str, text: str) -> None:
    desk = piexgo_harness.Desk()
    fields = {"symbol": "BTC_USDT", "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "1"}
    assert desk.post("/api/v1/order", **(fields | {name: text}))["err_code"] == 10300
    assert desk.sim.exchange.orders("main") == []


@pytest.mark.parametrize("text", [each for each in ODD_WHOLE if each])
def test_piexgo_reads_no_odd_count_or_time(text: str) -> None:
    desk = piexgo_harness.Desk()
    assert desk.post("/api/v1/openOrders", page=text)["err_code"] == 10300
    for name in ("timestamp", "recv_window"):
        assert desk.post("/api/v1/openOrders", **{name: text})["err_code"] == 10300
    assert desk.get("/api/v2/orderBook", symbol="BTC_USDT", depth=text) == {}
    asked = desk.post("/api/v1/orderInfo", symbol="BTC_USDT", order_id=text)
    assert asked["err_code"] == 10400
    status, answer = desk.send("POST", "/api/v1/openOrders", body=b'{"a":' * 50_000)
    assert (status, answer["err_code"]) == (200, 10300)


@pytest.mark.parametrize("text", [*ODD_EXACT, True, [1]])
@pytest.mark.parametrize("name", ["amount", "price"])
def test_zerocap_takes_no_order_of_an_odd_number(name: str, text: Any) -> None:
    desk = zerocap_harness.Desk("C")
    body = {"symbol": "USDT/AUD", "side": "buy", "type": "limit", "amount": "100", "price": "2"}
    status, answer = desk.send("POST", "/orders/create_order", body | {name: text})
    assert (status, name.encode() in answer) == (422, True)
    assert not desk.sim.deals


@pytest.mark.parametrize("text", [each for each in ODD_WHOLE if each] + [1.9, True, [1]])
def test_zerocap_reads_no_odd_count_or_time(text: Any) -> None:
    desk = zerocap_harness.Desk("C")
    counted = [e for e in zerocap_endpoints() if e.path == "/orders/fetch_orders"]
    assert counted
    status, _ = desk.send("POST", "/orders/fetch_orders", {"limit": text, "page": 1})
    assert status == 422
    if isinstance(text, str):
        status, _ = desk.send("GET", "/orders/get_instruments", headers=dated(desk, text))
        assert status == 401


def dated(desk: zerocap_harness.Desk, stamp: str) -> dict[str, str]:
    return desk.headers() | {"timestamp": stamp, "signature": desk.sim.signature(stamp)}
