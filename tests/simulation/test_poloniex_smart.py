"""Smart orders of the simulated Poloniex (the venue's document, sections 2.2 and 8)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.simulation.poloniex_harness import BTC, Desk, private_line, sample


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("side", "stop", "trigger", "short"),
    [
        ("BUY", "61000", "61000", "60999.99"),
        ("BUY", "59000", "59000", "59000.01"),
        ("SELL", "61000", "61000", "60999.99"),
        ("SELL", "59000", "58999.99", "59000.01"),
    ],
)
def test_triggers_when_the_price_reaches_the_stop_from_its_side(
    desk: Desk, side: str, stop: str, trigger: str, short: str
) -> None:
    order_id = desk.stop(side, stopPrice=stop, price=stop, quantity="0.01")
    desk.print(short)
    assert desk.smart(order_id)["state"] == "PENDING_NEW"
    desk.print(trigger)
    row = desk.smart(order_id)
    assert row["state"] == "TRIGGERED"
    child = row["triggeredOrder"]
    assert (child["symbol"], child["side"], child["type"]) == (BTC, side, "LIMIT")
    assert desk.get(child["id"])["price"] == stop


def test_ids_of_parent_and_child_never_meet(desk: Desk) -> None:
    order_id = desk.stop(clientOrderId="s1", price="61000", stopPrice="61000")
    assert desk.refused("GET", f"/orders/{order_id}") == 21301
    assert desk.ok("GET", "/orders") == []
    assert [o["id"] for o in desk.ok("GET", "/smartorders")] == [order_id]
    desk.print("61000")
    child = desk.ok("GET", "/smartorders/cid:s1")[0]["triggeredOrder"]
    assert child["id"] != order_id
    assert desk.refused("GET", f"/orders/{order_id}") == 21301
    assert desk.get(child["id"])["clientOrderId"] == "s1"
    assert desk.get("cid:s1")["id"] == child["id"]
    assert desk.refused("GET", f"/smartorders/{child['id']}") == 25015
    assert desk.ok("GET", "/smartorders") == []
    assert desk.ok("GET", "/smartorders/history")[0]["state"] == "TRIGGERED"


def test_child_without_the_client_id() -> None:
    desk = Desk(child_client_id="none", smart_get="object")
    order_id = desk.stop(clientOrderId="s1", stopPrice="61000")
    desk.print("61000")
    row = desk.ok("GET", f"/smartorders/{order_id}")
    assert (row["clientOrderId"], row["triggeredOrder"]["clientOrderId"]) == ("s1", "")
    assert desk.refused("GET", "/orders/cid:s1") == 21301


def test_funds_are_frozen_only_when_triggered(desk: Desk) -> None:
    free = desk.balance("USDT")
    order_id = desk.stop(price="50000", stopPrice="59000", quantity="0.01")
    assert desk.balance("USDT") == free
    desk.print("59000")
    assert desk.balance("USDT") == (free[0] - 500, Decimal(500))
    poor = desk.stop(price="70000", stopPrice="65000", quantity="50")
    desk.print("65000")
    assert desk.smart(poor)["state"] == "FAILED"
    assert "triggeredOrder" not in desk.smart(poor)
    assert desk.smart(order_id)["state"] == "TRIGGERED"


def test_stop_market(desk: Desk) -> None:
    sell = desk.stop("SELL", type="STOP", price=None, stopPrice="59000")
    buy = desk.stop(type=None, price=None, quantity=None, amount="600", stopPrice="61000")
    assert (desk.smart(sell)["type"], desk.smart(buy)["type"]) == ("STOP", "STOP")
    desk.print("59000")
    desk.print("61000")
    for order_id in (sell, buy):
        child = desk.smart(order_id)["triggeredOrder"]
        assert (child["type"], child["state"]) == ("MARKET", "FILLED")


def test_cancels(desk: Desk) -> None:
    ids = [desk.stop(clientOrderId=f"s{i}") for i in range(5)]
    answer = desk.ok("DELETE", f"/smartorders/{ids[0]}")
    assert answer == sample("rest_cancel_order") | {
        "orderId": ids[0],
        "clientOrderId": "s0",
        "state": "CANCELED",
    }
    assert desk.ok("DELETE", "/smartorders/cid:s1")["orderId"] == ids[1]
    assert desk.refused("DELETE", f"/smartorders/{ids[0]}") == 25013
    named = {"orderIds": [ids[2], "5"], "clientOrderIds": ["s3"]}
    answers = desk.ok("DELETE", "/smartorders/cancelByIds", named)
    assert [a["code"] for a in answers] == [200, 25013, 200]
    resting = desk.create()
    assert len(desk.ok("DELETE", "/smartorders", {"symbols": [BTC]})) == 1
    assert desk.get(resting)["state"] == "NEW"
    assert {o["state"] for o in desk.ok("GET", "/smartorders/history")} == {"CANCELED"}


def test_replace(desk: Desk) -> None:
    old = desk.stop(clientOrderId="s1")
    change = {"stopPrice": "62000", "price": "62100", "clientOrderId": "s2"}
    new = desk.ok("PUT", f"/smartorders/{old}", change)["id"]
    row = desk.smart(new)
    assert (row["stopPrice"], row["price"], row["clientOrderId"]) == ("62000", "62100", "s2")
    assert desk.smart(old)["state"] == "CANCELED"
    desk.print("62000")
    assert desk.refused("PUT", f"/smartorders/{new}", {"stopPrice": "63000"}) == 21359


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"stopPrice": None}, 21347),
        ({"stopPrice": "0"}, 21347),
        ({"stopPrice": "1.001"}, 21335),
        ({"quantity": None}, 602),
        ({"type": "TRAILING_STOP"}, 602),  # no trailingOffset
        ({"type": "TRAILING_STOP", "trailingOffset": "0"}, 601),
        ({"type": "TRAILING_STOP", "trailingOffset": "100%"}, 601),
        ({"type": "TRAILING_STOP", "trailingOffset": "1.001"}, 601),
        ({"type": "TRAILING_STOP", "trailingOffset": "5%", "operator": "EQ"}, 601),
        ({"type": "TRAILING_STOP_LIMIT", "trailingOffset": "5%", "operator": "GTE"}, 602),
        ({"type": "LIMIT"}, 21320),
        ({"price": None, "type": "STOP", "quantity": "0.01"}, 602),  # a market buy has an amount
        ({"clientOrderId": "twin"}, 25004),
    ],
)
def test_refused(desk: Desk, change: dict[str, str | None], code: int) -> None:
    desk.stop(clientOrderId="twin")
    body = desk.order(type="STOP_LIMIT", price="61100", stopPrice="61000") | change
    body = {name: value for name, value in body.items() if value is not None}
    assert desk.refused("POST", "/smartorders", body) == code


def trailing(desk: Desk, side: str, **more: str) -> str:
    body = {"symbol": BTC, "side": side, "type": "TRAILING_STOP", "quantity": "0.01", **more}
    return str(desk.ok("POST", "/smartorders", body)["id"])


def test_a_trailing_stop_follows_the_best_price_and_never_goes_back(desk: Desk) -> None:
    order_id = trailing(desk, "SELL", trailingOffset="5%")
    for price in ("60000", "64000", "61000", "60800.01"):  # the best is 64000: 60800 fires
        desk.print(price)
        assert desk.smart(order_id)["state"] == "PENDING_NEW"
    desk.print("60800")
    row = desk.smart(order_id)
    assert (row["state"], row["type"], row["trailingOffset"]) == (
        "TRIGGERED",
        "TRAILING_STOP",
        "5%",
    )
    assert row["triggeredOrder"]["type"] == "MARKET"
    assert row["triggeredOrder"]["state"] == "FILLED"


def test_a_trailing_buy_waits_for_its_activation_price(desk: Desk) -> None:
    more = {"type": "TRAILING_STOP_LIMIT", "trailingOffset": "500", "limitOffset": "10"}
    order_id = trailing(desk, "BUY", **more, stopPrice="58000", operator="LTE")
    for price in ("59000", "60000", "58000", "57000", "57499.99"):
        desk.print(price)
        assert desk.smart(order_id)["state"] == "PENDING_NEW"
    row = desk.smart(order_id)
    assert (row["stopPrice"], row["operator"], row["limitOffset"]) == ("58000", "LTE", "10")
    desk.print("57500")
    child = desk.smart(order_id)["triggeredOrder"]
    assert (child["type"], child["price"]) == ("LIMIT", "57510")


def test_a_trailing_stop_is_cancelled_and_replaced(desk: Desk) -> None:
    old = trailing(desk, "SELL", trailingOffset="5%")
    new = desk.ok("PUT", f"/smartorders/{old}", {"trailingOffset": "100"})["id"]
    assert (desk.smart(old)["state"], desk.smart(new)["trailingOffset"]) == ("CANCELED", "100")
    assert desk.ok("DELETE", f"/smartorders/{new}")["state"] == "CANCELED"
    for price in ("60000", "50000"):
        desk.print(price)
    assert desk.ok("GET", "/orders/history") == []


def test_filters_of_the_history(desk: Desk) -> None:
    """The history that the public SDK asks for, with each of its filters."""
    gone = desk.stop("BUY", stopPrice="70000", price="70000", quantity="0.01")
    desk.ok("DELETE", f"/smartorders/{gone}")
    desk.wait(1)
    fired = desk.stop("SELL", stopPrice="61000", price=None, type="STOP", quantity="0.01")
    desk.print("61000")
    desk.wait(1)
    other = desk.stop("BUY", symbol="ETH_USDT", stopPrice="4000", price="4000", quantity="1")
    desk.ok("DELETE", f"/smartorders/{other}")

    def ids(**query: str) -> list[str]:
        return [row["id"] for row in desk.ok("GET", "/smartorders/history", query=query)]

    assert ids() == [other, fired, gone]
    assert ids(type="STOP") == [fired]
    assert ids(type="TRAILING_STOP") == []
    assert ids(side="BUY") == [other, gone]
    assert ids(symbol=BTC) == [fired, gone]
    assert ids(states="TRIGGERED,FAILED") == [fired]
    assert ids(states="CANCELED") == [other, gone]
    assert ids(hideCancel="true") == [fired]
    assert ids(limit="1") == [other]
    assert ids(**{"from": other, "direction": "NEXT", "limit": "1"}) == [fired]
    assert ids(**{"from": gone, "direction": "PRE"}) == [other, fired]
    assert desk.refused("GET", "/smartorders/history", states="DONE") == 601
    assert desk.refused("GET", "/smartorders/history", type="LIMIT") == 21320
    assert desk.refused("GET", "/smartorders/history", accountType="FUTURES") == 21324


def test_the_child_is_pushed_with_its_source(desk: Desk) -> None:
    line = private_line(desk)
    order_id = desk.stop("SELL", stopPrice="61000", price="61000")
    desk.wait(1)
    assert line.take() == []  # nothing is told of a smart order that waits
    desk.print("61000")
    desk.wait(1)
    (place,) = [f["data"][0] for f in line.take("orders")]
    child = desk.smart(order_id)["triggeredOrder"]
    assert (place["eventType"], place["source"], place["orderId"]) == (
        "place",
        "SMART",
        child["id"],
    )
    talkative = Desk(smart_events=True)
    line = private_line(talkative)
    order_id = talkative.stop("SELL", stopPrice="59000", price="58900")
    talkative.wait(1)
    (place,) = [f["data"][0] for f in line.take("orders")]
    assert (place["type"], place["orderId"]) == ("STOP_LOSS_LIMIT", order_id)
