"""REST of the simulated OceanEx against the venue's document (sections 1, 2, 4 and 6)."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.simulation.oceanex_harness import T0, Desk, shape

DATA = Path(__file__).resolve().parents[1] / "data" / "oceanex_simulator"
DOCUMENT = Path(__file__).resolve().parents[1] / "data" / "oceanex"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def sample(name: str, folder: Path = DATA) -> Any:
    return json.loads((folder / f"{name}.json").read_text())


# -- market data -----------------------------------------------------------------------------------


def test_order_book_runs_from_high_to_low_on_both_sides(desk: Desk) -> None:
    book = desk.public("/order_book", market="btcusdt", limit=5)
    for side in ("asks", "bids"):
        prices = [Decimal(price) for price, _ in book[side]]
        assert len(prices) == 5
        assert prices == sorted(prices, reverse=True)
    assert Decimal(book["asks"][-1][0]) > Decimal(book["bids"][0][0])
    assert book["timestamp"] == T0 // 10**9
    multi = desk.public("/order_book/multi", "POST", **{"markets[]": ["btcusdt", "ethusdt"]})
    assert [row["market"] for row in multi] == ["btcusdt", "ethusdt"]


def test_trades_filter_and_sides(desk: Desk) -> None:
    for price in ("60000.5", "60001", "60002"):
        desk.print(price)
        desk.wait(1000)
    rows = desk.public("/trades", market="btcusdt")
    assert [row["price"] for row in rows] == ["60002.0", "60001.0", "60000.5"]
    assert {row["side"] for row in rows} == {"ask"}
    assert all(row["id"] > 2**32 for row in rows)
    ascending = desk.public("/trades", market="btcusdt", order_by="asc", limit=1)
    assert ascending[0]["price"] == "60000.5"
    old = Desk(trade_sides=False)
    old.print("60000")
    assert old.public("/trades", market="btcusdt")[0]["side"] is None


def test_every_bound_of_trades_excludes(desk: Desk) -> None:
    """`after` and `before`, a time or a trade id: the document's names of the four."""
    for price in ("60000", "60001", "60002"):
        desk.print(price)
        desk.wait(1000)

    def seen(**bounds: Any) -> list[str]:
        return [row["price"] for row in desk.public("/trades", market="btcusdt", **bounds)]

    last, middle, first = desk.public("/trades", market="btcusdt")
    assert seen(to=middle["id"]) == ["60000.0"]
    assert seen(**{"from": middle["id"]}) == ["60002.0"]
    assert seen(**{"from": first["id"], "to": last["id"]}) == ["60001.0"]
    assert seen(start=middle["created_on"]) == ["60002.0"]
    assert seen(end=middle["created_on"]) == ["60000.0"]
    assert seen(start=first["created_on"], end=last["created_on"]) == ["60001.0"]


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("/orders/filter", {"order_by": "newest"}),
        ("/orders/filter", {"order_by": ""}),
        ("/orders/filter", {"states": ["open"]}),
        ("/deposit_history", {"state": "arrived"}),
    ],
)
def test_unknown_orders_and_states_are_refused(
    desk: Desk, path: str, change: dict[str, Any]
) -> None:
    envelope = desk.private(path, {"market": "btcusdt", **change})
    assert (envelope["code"], envelope["data"]) == (9002, {})
    assert f"{next(iter(change))} does not have a valid value" == envelope["message"]


def test_an_unknown_order_of_public_trades_is_refused(desk: Desk) -> None:
    _, envelope = desk.send("GET", "/trades", query="market=btcusdt&order_by=newest")
    assert envelope["code"] == 9002


def test_the_documents_own_new_orders_are_accepted() -> None:
    """Its four examples, as they are, with the account that the venue starts with."""
    desk = Desk()
    rows = [
        desk.ok("/orders", sample(f"req_order_new_{kind}", DOCUMENT))
        for kind in ("limit", "market", "stop_limit")
    ]
    assert [row["ord_type"] for row in rows] == ["limit", "market", "stop_limit"]
    assert [row["volume"] for row in rows] == ["0.75", "20.0", "20.0"]
    both = desk.ok("/orders/multi", sample("req_orders_multi", DOCUMENT))
    assert [(row["side"], row["price"]) for row in both] == [("buy", "1001.0"), ("sell", "1002.0")]


def test_bars_are_ascending_floats_and_start_at_the_timestamp(desk: Desk) -> None:
    bars = desk.public("/k", "POST", market="btcusdt", period=5, limit=4)
    assert len(bars) == 4
    assert [type(v) for v in bars[0]] == [int, float, float, float, float, float]
    times = [bar[0] for bar in bars]
    assert times == sorted(times)
    assert all(t % 300 == 0 for t in times)
    since = desk.public("/k", "POST", market="btcusdt", period=5, timestamp=times[1], limit=2)
    assert since == bars[1:3]


def test_markets_fees_tickers_and_time(desk: Desk) -> None:
    plain = desk.public("/markets")
    assert plain[0] == {"id": "btcusdt", "name": "BTC/USDT"}
    detailed = desk.public("/markets", show_details="True")
    row = {k: type(v) for k, v in detailed[0].items()}
    assert row["minimum_trading_amount"] is row["price_precision"] is str
    assert row["enabled"] is bool
    fees = {row["market"]: row["bid_fee"]["value"] for row in desk.public("/fees/trading")}
    assert (fees["btcusdt"], fees["vetusdt"]) == ("0.001", "0.0005")
    ticker = desk.public("/tickers/btcusdt")["ticker"]
    assert Decimal(ticker["buy"]) < Decimal(ticker["sell"])
    assert set(desk.public("/tickers")) == {row["id"] for row in plain}
    assert desk.public("/timestamp") == T0 // 10**9


@pytest.mark.parametrize(
    ("path", "name", "params"),
    [
        ("/markets", "rest_markets", {}),
        ("/tickers/btcusdt", "rest_ticker", {}),
        ("/tickers_multi", "rest_tickers_multi", {"markets[]": ["btcusdt"]}),
        ("/order_book", "rest_order_book", {"market": "btcusdt"}),
        ("/order_book/multi", "rest_order_book_multi", {"markets[]": ["btcusdt"]}),
        ("/fees/trading", "rest_fees_trading", {}),
        ("/timestamp", "rest_timestamp", {}),
        ("/k", "rest_k", {"market": "btcusdt"}),
    ],
)
def test_public_shapes_equal_the_documents(
    desk: Desk, path: str, name: str, params: dict[str, Any]
) -> None:
    assert shape(desk.public(path, **params)) == shape(sample(name, DOCUMENT)["data"])


@pytest.mark.parametrize("name", ["rest_key", "rest_deposit_address", "rest_deposit_addresses"])
def test_private_shapes_equal_the_documents(name: str) -> None:
    desk = Desk(allowed_ips=("127.0.0.1",))
    path = "/" + name.removeprefix("rest_")
    assert shape(desk.ok(path, {"currency": "vet"})) == shape(sample(name, DOCUMENT)["data"])


def test_shapes_equal_the_samples_kept_here(desk: Desk) -> None:
    new = desk.create("buy", "0.75", "1000")
    assert shape(new) == shape(sample("rest_order_new_limit")["data"])
    assert (new["price"], new["volume"], new["created_on"]) == ("1000.0", "0.75", "1800000000")
    accounts = desk.ok("/members/me")
    assert shape(accounts) == shape(sample("rest_members_me")["data"])
    bars = desk.public("/k", market="btcusdt")
    assert shape(bars) == shape(sample("rest_k")["data"])
    desk.ok("/order/delete", {"id": new["id"]})
    desk.wait(1000)
    groups = desk.ok(
        "/orders/filter", {"market": "btcusdt", "states": ["cancel"], "need_price": "True"}
    )
    expected = sample("rest_orders_filter")["data"][1]
    assert shape(groups[0]) == shape(expected)
    withdrawal = desk.ok(
        "/withdraws/special/new",
        {"rid": desk.options.withdraw_rids[0], "currency": "vet", "amount": 10},
    )
    assert shape(withdrawal) == shape(sample("rest_withdraw_special_new")["data"])


# -- carriers of parameters ------------------------------------------------------------------------


def test_the_token_travels_in_form_query_json_and_multipart(desk: Desk) -> None:
    token = desk.token({})
    multipart = (
        b'--XX\r\nContent-Disposition: form-data; name="user_jwt"\r\n\r\n'
        + token.encode()
        + b"\r\n--XX--\r\n"
    )
    carriers: list[dict[str, Any]] = [
        {"body": f"user_jwt={token}".encode()},
        {"query": f"user_jwt={token}"},
        {
            "body": json.dumps({"user_jwt": token}).encode(),
            "headers": {"content-type": "application/json"},
        },
        {"body": multipart, "headers": {"content-type": "multipart/form-data; boundary=XX"}},
    ]
    for method in ("GET", "POST"):
        for carrier in carriers:
            status, envelope = desk.send(method, "/members/me", **carrier)
            assert envelope["code"] == 0, carrier
            assert status == (200 if method == "GET" else 201)


def test_orders_path_is_status_by_get_and_create_by_post(desk: Desk) -> None:
    created = desk.create("buy", "0.1", "1000")
    assert desk.status(created["id"])["state"] == "wait"
    assert desk.private("/orders/multi", {}, "GET")["code"] == 9003
    envelope = desk.private("/nothing")
    assert envelope["code"] == 9003
    assert "post:/v2/nothing" in envelope["message"]
    assert envelope["data"] == {}


# -- tokens ----------------------------------------------------------------------------------------


def code_of(desk: Desk, token: str) -> int:
    return desk.send("POST", "/members/me", body=f"user_jwt={token}".encode())[1]["code"]


def other_key() -> str:
    return (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def test_tokens_that_are_refused(desk: Desk) -> None:
    good = desk.token({})
    head, _, signature = good.split(".")
    changed = base64.urlsafe_b64encode(json.dumps({"uid": desk.options.uid}).encode())
    unsigned = jwt.encode({"uid": desk.options.uid, "data": {}}, None, algorithm="none")
    secret = "s" * 32
    assert code_of(desk, good) == 0
    assert code_of(desk, "abc") == 1001
    assert code_of(desk, "a.b.c") == 1001
    assert desk.send("POST", "/members/me")[1]["code"] == 1004
    assert code_of(desk, desk.token({}, "HS256", secret)) == 1003
    assert code_of(desk, unsigned) == 1003
    assert code_of(desk, jwt.encode({}, desk.key, algorithm="RS256")) == 1002
    assert code_of(desk, desk.token({}, uid=None)) == 1004
    assert code_of(desk, desk.token([])) == 9002
    assert code_of(desk, desk.token({}, uid="ID0")) == 1006
    assert code_of(desk, desk.token({}, apikey_id="KID0")) == 1007
    assert code_of(desk, desk.token({}, apikey_id=None)) == 0  # optional
    assert code_of(desk, desk.token({}, key=other_key())) == 1010
    assert code_of(desk, f"{head}.{changed.decode().rstrip('=')}.{signature}") == 1010
    assert code_of(desk, desk.token({}, "RS512")) == 1003


def test_expiry_is_optional_and_honoured(desk: Desk) -> None:
    now = T0 // 10**9
    assert code_of(desk, desk.token({}, exp=now + 5)) == 0
    token = desk.token({}, exp=now + 5)
    desk.wait(6000)
    assert code_of(desk, token) == 2001


def test_disabled_key_wrong_address_and_scopes() -> None:
    assert Desk(key_enabled=False).private("/members/me")["code"] == 1008
    elsewhere = Desk(allowed_ips=("10.0.0.1",))
    envelope = elsewhere.private("/members/me")
    assert (envelope["code"], envelope["message"]) == (1011, "This IP '127.0.0.1' is not allowed")
    elsewhere.remote = "10.0.0.1"
    assert elsewhere.private("/members/me")["code"] == 0
    reader = Desk(scopes=("query",))
    assert reader.private("/members/me")["code"] == 0
    assert reader.ok("/key")[0]["scopes"] == ["query"]
    new = {"market": "btcusdt", "side": "buy", "volume": "1", "price": "1000"}
    assert reader.private("/orders", new)["code"] == 9003
    assert reader.private("/withdraw_history")["code"] == 9003


# -- orders ----------------------------------------------------------------------------------------


def test_a_create_answers_the_order_as_it_entered(desk: Desk) -> None:
    bought = desk.create("buy", "0.02")
    assert (bought["state"], bought["executed_volume"], bought["price"]) == ("wait", "0.0", None)
    assert bought["id"] > 2**32
    done = desk.status(bought["id"])
    assert (done["state"], done["executed_volume"]) == ("done", "0.02")
    assert done["trades_count"] >= 1
    assert Decimal(done["avg_price"]) > 50_000
    matched = Desk(create_reply="matched").create("buy", "0.02")
    assert matched["state"] == "done"


def test_partly_filled_then_cancelling_then_filled_more_then_cancel(desk: Desk) -> None:
    order_id = desk.create("buy", "1", "60000.5")["id"]  # inside the spread: first in the queue
    desk.print("60000.5", "0.25")
    assert desk.status(order_id)["executed_volume"] == "0.25"
    reply = desk.ok("/order/delete", {"id": order_id})
    assert (reply["state"], reply["executed_volume"]) == ("cancelling", "0.25")
    desk.wait(50)
    desk.print("60000.5", "0.25")
    row = desk.status(order_id)
    assert (row["state"], row["executed_volume"], row["trades_count"]) == ("cancelling", "0.5", 2)
    desk.wait(200)
    row = desk.status(order_id)
    assert (row["state"], row["remaining_volume"]) == ("cancel", "0.5")
    assert desk.private("/order/delete", {"id": order_id})["code"] == 2003


def test_cancel_of_a_filled_order_answers_done_and_an_unknown_one_2004(desk: Desk) -> None:
    order_id = desk.create("buy", "0.02")["id"]
    assert desk.ok("/order/delete", {"id": order_id})["state"] == "done"
    assert desk.private("/order/delete", {"id": 1})["code"] == 2004
    assert desk.private("/order/delete", {})["code"] == 1004
    assert desk.private("/order/delete", {"id": "x"})["code"] == 9002


def test_stop_limit_states_and_visibility(desk: Desk) -> None:
    desk.print("60000")
    stop = desk.create(
        "sell", "0.1", "59000", ord_type="stop_limit", stop_price="59900", trigger_condition="lte"
    )
    assert stop["state"] == "wait_trigger"
    assert (stop["stop_price"], stop["trigger_condition"]) == ("59900.0", "lte")
    wanted = {"market": "btcusdt", "states": ["wait", "wait_trigger", "cancelling"]}
    counts = {g["state"]: g["num_of_orders"] for g in desk.ok("/orders/filter", wanted)}
    assert counts == {"wait": 0, "wait_trigger": 0, "cancelling": 0}  # hidden, as inferred
    desk.print("59900")
    row = desk.status(stop["id"])
    assert (row["state"], row["ord_type"]) == ("done", "stop_limit")

    open_desk = Desk(filter_hides_waiting=False)
    open_desk.print("60000")
    open_desk.create(
        "buy", "0.1", "61000", ord_type="stop_limit", stop_price="60500", trigger_condition="gte"
    )
    counts = {g["state"]: g["num_of_orders"] for g in open_desk.ok("/orders/filter", wanted)}
    assert counts == {"wait": 0, "wait_trigger": 1, "cancelling": 0}


def test_filter_pages_orders_by_state(desk: Desk) -> None:
    ids = [desk.create("buy", "0.01", str(price))["id"] for price in range(10_000, 10_005)]
    desk.ok("/order/delete", {"id": ids[0]})
    desk.wait(1000)
    query = {"market": "btcusdt", "states": ["wait", "cancel"], "limit": 3}
    waiting, cancelled = desk.ok("/orders/filter", query)
    assert [o["id"] for o in waiting["orders"]] == ids[:1:-1]
    assert waiting["num_of_orders"] == 4
    assert [o["id"] for o in cancelled["orders"]] == ids[:1]
    assert "price" not in waiting["orders"][0]
    assert waiting["orders"][0]["market_id"] == "btcusdt"
    second = desk.ok("/orders/filter", {**query, "page": 2})
    assert [o["id"] for o in second[0]["orders"]] == ids[1:2]
    ranged = {**query, "from": ids[2], "to": ids[3], "order_by": "asc", "need_price": "True"}
    rows = desk.ok("/orders/filter", ranged)[0]["orders"]
    assert [(o["id"], o["price"]) for o in rows] == [(ids[2], "10002.0"), (ids[3], "10003.0")]
    assert desk.ok("/orders/filter", {"market": "ethusdt"})[0]["orders"] == []


def test_multi_create_status_delete_and_clear(desk: Desk) -> None:
    orders = [
        {"side": "buy", "volume": 0.2, "price": 1001},
        {"side": "buy", "volume": 0.2, "price": 99_999_999},
        {"side": "sell", "volume": "0.2", "price": "100000"},
    ]
    rows = desk.ok("/orders/multi", {"market": "btcusdt", "orders": orders})
    assert [row["side"] for row in rows] == ["buy", "sell"]  # the refused one is left out
    ids = [row["id"] for row in rows]
    shown = desk.ok("/orders", {"ids": [*ids, 5]}, "GET")
    assert {row["id"] for row in shown} == set(ids)
    replies = desk.ok("/order/delete/multi", {"ids": [str(ids[0]), 5]})
    assert [(row["id"], row["state"]) for row in replies] == [(ids[0], "cancelling")]
    more = desk.ok(
        "/orders",
        {"market": "ethusdt", "side": "buy", "volume": "0.1", "price": "1000"},
    )
    assert [row["id"] for row in desk.ok("/orders/clear", {"side": "sell"})] == [ids[1]]
    desk.wait(1000)
    assert [row["id"] for row in desk.ok("/orders/clear", {})] == [more["id"]]  # all markets
    desk.wait(1000)
    assert all(Decimal(a["locked"]) == 0 for a in desk.ok("/members/me")["accounts"])


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"market": "xyz"}, 2002, "market does not have a valid value"),
        ({"market": None}, 2002, "market does not have a valid value"),
        ({"side": "long"}, 2002, "side does not have a valid value"),
        ({"ord_type": "stop_market"}, 2002, "ord_type does not have a valid value"),
        ({"ord_type": "stop_limit"}, 1004, "stop_price"),
        (
            {"ord_type": "stop_limit", "stop_price": "5", "trigger_condition": "eq"},
            2002,
            "trigger_condition",
        ),
        ({"price": None}, 1004, "price"),
        ({"volume": None}, 1004, "volume"),
        ({"volume": "abc"}, 2002, "volume does not have a valid value"),
        ({"volume": "NaN"}, 2002, "volume does not have a valid value"),
        ({"volume": True}, 2002, "volume does not have a valid value"),
        ({"volume": "-1"}, 2002, "volume does not have a valid value"),
        ({"price": "1000.001"}, 2002, "price has more than 2 decimals"),
        ({"volume": "0.0000001"}, 2002, "volume has more than 6 decimals"),
        ({"volume": "0.01"}, 2002, "must be greater than 10.0"),  # equal is not enough
        ({"volume": "1000"}, 1005, "Account::AccountError: Cannot lock funds"),
    ],
)
def test_creates_that_are_refused(desk: Desk, change: dict[str, Any], code: int, text: str) -> None:
    order = {"market": "btcusdt", "side": "buy", "volume": "0.5", "price": "1000", **change}
    envelope = desk.private("/orders", {k: v for k, v in order.items() if v is not None})
    assert envelope["code"] == code
    assert text in envelope["message"]
    assert envelope["data"] == {}
    assert desk.sim.exchange.orders("main") == []


def test_short_funds_can_be_told_wrapped() -> None:
    """As the live venue was seen to: -2 around a JSON text."""
    desk = Desk(funds_error="wrapped")
    order = {"market": "btcusdt", "side": "buy", "volume": "1000", "price": "1000"}
    envelope = desk.private("/orders", order)
    inner = json.loads(envelope["message"])["error"]
    assert (envelope["code"], inner["code"]) == (-2, 2002)
    assert "Account::AccountError: Cannot lock funds" in inner["message"]


def test_excess_precision_can_be_rounded() -> None:
    desk = Desk(excess_precision="round")
    row = desk.create("buy", "0.12345678", "1000.126")
    assert (row["volume"], row["price"]) == ("0.123457", "1000.13")


# -- rate limits -----------------------------------------------------------------------------------


def test_order_rate_counts_orders_and_answers_the_wrapped_shape() -> None:
    desk = Desk(orders_per_minute=3)
    desk.create("buy", "0.1", "1000")
    two = [{"side": "buy", "volume": "0.1", "price": "1000"}] * 2
    desk.ok("/orders/multi", {"market": "btcusdt", "orders": two})
    refused = desk.private(
        "/orders", {"market": "btcusdt", "side": "buy", "volume": "0.1", "price": "1000"}
    )
    expected = sample("err_rate_limit_wrapped")
    assert refused["code"] == expected["code"] == -2
    assert json.loads(refused["message"]) == json.loads(expected["message"])
    assert len(desk.sim.exchange.orders("main")) == 3
    desk.wait(60_001)
    desk.create("buy", "0.1", "1000")


def test_each_endpoint_has_its_own_rate() -> None:
    desk = Desk(requests_per_minute=2)
    for _ in range(2):
        desk.public("/timestamp")
    envelope = desk.send("GET", "/timestamp")[1]
    assert envelope["code"] == -2
    assert json.loads(envelope["message"])["error"]["message"].endswith("Exceeding request Limit")
    desk.public("/markets")


@pytest.mark.parametrize("is_executed", [False, True])
def test_a_planned_server_error_tells_nothing_of_the_order(desk: Desk, is_executed: bool) -> None:
    desk.sim.fail_next("/orders", -1, "Server error", is_executed=is_executed)
    new = {"market": "btcusdt", "side": "buy", "volume": "0.1", "price": "1000"}
    envelope = desk.private("/orders", new)
    assert (envelope["code"], envelope["data"]) == (-1, {})
    assert len(desk.sim.exchange.orders("main")) == int(is_executed)
    desk.ok("/orders", new)


# -- wallet ----------------------------------------------------------------------------------------


def test_withdrawal_locks_then_leaves_and_tid_makes_it_idempotent(desk: Desk) -> None:
    request = {
        "rid": desk.options.withdraw_rids[0],
        "currency": "vet",
        "amount": 10,
        "tid": "t-1",
        "memo": "note",
    }
    first = desk.ok("/withdraws/special/new", request)
    assert (first["state"], first["amount"], first["done_at"]) == ("fund_requesting", "10.0", None)
    assert desk.ok("/withdraws/special/new", request)["id"] == first["id"]
    locked = {a["currency"]: a["locked"] for a in desk.ok("/members/me")["accounts"]}
    assert locked["vet"] == "11.0"
    desk.wait(60_000)
    history = desk.ok("/withdraw_history", {"currency": "vet"})
    assert history["num_of_resources"] == 1
    assert history["resources"][0]["state"] == "done"
    assert history["resources"][0]["completed_on"] == desk.now_ns // 10**9
    accounts = {a["currency"]: a for a in desk.ok("/members/me")["accounts"]}
    assert (accounts["vet"]["balance"], accounts["vet"]["locked"]) == ("999989.0", "0.0")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"rid": "elsewhere"}, 3002),
        ({"amount": "0.5"}, 3001),
        ({"amount": "99999999"}, 1005),
        ({"currency": "doge"}, 9002),
        ({"rid": ""}, 1004),
        ({"tid": "x" * 65}, 9002),
    ],
)
def test_withdrawals_that_are_refused(desk: Desk, change: dict[str, Any], code: int) -> None:
    request = {"rid": desk.options.withdraw_rids[0], "currency": "vet", "amount": 10, **change}
    assert desk.private("/withdraws/special/new", request)["code"] == code
    assert desk.ok("/withdraw_history")["num_of_resources"] == 0


def test_deposits_are_the_opening_balances(desk: Desk) -> None:
    history = desk.ok("/deposit_history", {"currency": "btc"})
    assert [(d["amount"], d["state"]) for d in history["resources"]] == [("2.0", "accepted")]
    assert desk.ok("/deposit_history", {"state": "rejected"})["resources"] == []
    assert desk.ok("/deposit_history", {"limit": 1, "page": 2})["num_of_resources"] == 4
    assert desk.private("/deposit_address", {"currency": "doge"})["code"] == 2012
