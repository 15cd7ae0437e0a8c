"""WebSocket dialogues with the simulated Poloniex (the venue's document, sections 3 to 5)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fairlead.engine.orders.model import Side
from tests.simulation.poloniex_harness import BTC, Desk, Line, private_line, sample, shape


@pytest.fixture
def desk() -> Desk:
    return Desk()


def live_desk(**options: Any) -> Desk:
    return Desk(is_market_live=True, **options)


# -- public ---------------------------------------------------------------------------------------


def test_ack_then_snapshot_then_chained_updates() -> None:
    desk = live_desk(id_jump=0.3)
    line = Line(desk)
    line.subscribe("book_lv2", BTC)
    ack, snapshot = line.take()
    assert ack == {"event": "subscribe", "channel": "book_lv2", "symbols": [BTC]}
    assert [*snapshot] == ["channel", "data", "action"]  # as the venue orders them
    assert shape(snapshot) == shape(sample("ws_book_lv2_snapshot"))
    for _ in range(2000):
        desk.wait(10)
    updates = line.take()
    assert len(updates) > 100
    asks, bids = ladder(snapshot, "asks"), ladder(snapshot, "bids")
    last = snapshot["data"][0]["id"]
    jumps = 0
    for frame in updates:
        (row,) = frame["data"]
        assert frame["action"] == "update"
        assert row["lastId"] == last
        jumps += row["id"] != last + 1
        last = row["id"]
        for side, told in ((asks, row["asks"]), (bids, row["bids"])):
            for price, quantity in told:
                if quantity == "0":
                    del side[Decimal(price)]  # a delete of an unknown level would raise
                else:
                    side[Decimal(price)] = Decimal(quantity)
        assert len(asks) <= 20
        assert len(bids) <= 20
        assert max(bids) < min(asks)
    assert jumps > 10
    book = desk.sim.exchange.markets[BTC].book
    assert asks == dict(book.asks.levels(20))
    assert bids == dict(book.bids.levels(20))


def ladder(frame: dict[str, Any], side: str) -> dict[Decimal, Decimal]:
    return {Decimal(p): Decimal(q) for p, q in frame["data"][0][side]}


def test_a_second_subscriber_joins_the_same_chain() -> None:
    desk = live_desk()
    first, second = Line(desk), Line(desk)
    first.subscribe("book_lv2", BTC)
    desk.wait(500)
    second.subscribe("book_lv2", BTC)
    _, snapshot = second.take()
    first.take()
    desk.wait(500)
    assert second.frames == first.frames
    assert second.frames[0]["data"][0]["lastId"] == snapshot["data"][0]["id"]


def test_trades_are_lower_case_and_agree_with_rest(desk: Desk) -> None:
    line = Line(desk)
    line.subscribe("trades", BTC)
    line.take()
    desk.print("60000", "0.01", Side.SELL)
    desk.wait(1)
    (frame,) = line.take()
    assert shape(frame) == shape(sample("ws_trade"))
    (row,) = frame["data"]
    assert (row["takerSide"], row["quantity"], row["amount"]) == ("sell", "0.01", "600")
    assert desk.public(f"/markets/{BTC}/trades", limit="1")[0]["id"] == row["id"]


def test_ticker_candles_and_book(desk: Desk) -> None:
    line = Line(desk)
    for channel in ("ticker", "candles_minute_1", "candles_day_1"):
        line.subscribe(channel, BTC)
    line.subscribe("book", BTC, depth=10)
    first = {f["channel"] for f in line.take() if "data" in f}
    assert first == {"ticker", "book"}
    desk.print("60005", "0.5")
    desk.sim.exchange.set_level(BTC, Side.BUY, Decimal("59000"), Decimal(1), desk.now_ns)
    desk.wait(1000)
    told = {f["channel"]: f for f in line.take()}
    assert shape(told["ticker"]) == shape(sample("ws_ticker"))
    assert shape(told["candles_minute_1"]) == shape(
        sample("ws_candles") | {"channel": "candles_minute_1"}
    )
    candle = told["candles_day_1"]["data"][0]
    assert candle["closeTime"] - candle["startTime"] == 86_400_000 - 1
    book = told["book"]["data"][0]
    assert len(book["asks"]) == len(book["bids"]) == 10


def test_reference_channels_tell_changes(desk: Desk) -> None:
    line = Line(desk)
    line.subscribe("symbols", BTC)
    line.subscribe("exchange")
    line.subscribe("currencies", currencies=["BTC"])
    snapshots = {f["channel"]: f["data"][0] for f in line.take() if "data" in f}
    assert snapshots["symbols"]["state"] == "NORMAL"
    assert snapshots["exchange"] == {"MM": "OFF", "POM": "OFF"}
    assert snapshots["currencies"]["name"] == "BTC"
    desk.sim.control({"symbol": BTC, "state": "PAUSE"})
    desk.sim.control({"symbol": "ETH_USDT", "state": "PAUSE"})
    desk.sim.control({"maintenance": True})
    desk.wait(1)
    changes = {f["channel"]: f["data"] for f in line.take()}
    assert [row["state"] for row in changes["symbols"]] == ["PAUSE"]
    assert changes["exchange"] == [{"MM": "ON", "POM": "OFF"}]
    line.subscribe("trades", BTC)
    assert line.take() == [sample("ws_error_maintenance")]


@pytest.mark.parametrize(
    ("path", "channel", "symbols", "message"),
    [
        ("/ws/public", "ordersss", ["all"], 'Invalid channel value ["ordersss"]'),
        ("/ws/public", "orders", ["all"], 'Invalid channel value ["orders"]'),
        ("/ws/private", "trades", [BTC], 'Invalid channel value ["trades"]'),
        ("/ws/private", "orders", ["all"], "User must be authenticated!"),
        ("/ws/public", "trades", ["NO_SUCH"], 'Invalid symbol value ["NO_SUCH"]'),
        ("/ws/public", "trades", [], "Invalid symbol value []"),
    ],
)
def test_errors_leave_the_connection_open(
    desk: Desk, path: str, channel: str, symbols: list[str], message: str
) -> None:
    line = Line(desk, path)
    line.subscribe(channel, *symbols)
    assert line.take() == [{"message": message, "event": "error"}]
    for frame in ("{not json", "[]", '"{\\"event\\":\\"ping\\"}"', '{"event":"dance"}'):
        line.session.received(frame)
        assert line.take()[0]["event"] == "error"
    line.send(event="ping")
    assert line.take() == [sample("ws_pong")]
    assert not line.is_closed


def test_unsubscribing(desk: Desk) -> None:
    line = Line(desk)
    for symbol in (BTC, "ETH_USDT"):
        line.subscribe("trades", symbol)
    line.take()
    line.send(event="unsubscribe", channel=["trades"], symbols=[BTC])
    assert line.take() == [{"event": "unsubscribe", "channel": "trades", "symbols": [BTC]}]
    line.send(event="list_subscriptions")
    (told,) = line.take()
    assert told["subscriptions"] == [{"channel": "trades", "symbols": ["ETH_USDT"]}]
    desk.print("60000", "0.01")
    desk.wait(1)
    assert line.take() == []
    line.send(event="unsubscribe_all")
    line.take()
    assert not line.session.wants("trades", "ETH_USDT")


def test_thirty_seconds_of_silence_close(desk: Desk) -> None:
    silent, talking = Line(desk), Line(desk)
    for _ in range(4):
        desk.wait(7_500)
        talking.send(event="ping")
    assert not silent.is_closed
    desk.wait(1)
    assert silent.is_closed
    assert silent.frames == []  # without a word
    assert not talking.is_closed


def test_an_unknown_path_is_closed(desk: Desk) -> None:
    assert Line(desk, "/ws/other").is_closed


# -- private --------------------------------------------------------------------------------------


def test_authentication(desk: Desk) -> None:
    line = Line(desk, "/ws/private")
    line.send(event="ping")  # before auth, as a public client does
    assert line.take() == [sample("ws_pong")]
    for arguments in ({"secret": "wrong"}, {"ahead_ms": 1001}, {"ahead_ms": -1001}):
        line.authenticate(**arguments)  # type: ignore[arg-type]
        (answer,) = line.take()
        assert shape(answer) == shape(sample("ws_auth_fail"))
        assert answer["data"]["success"] is False
    line.send(event="subscribe", channel=["auth"])
    assert line.take()[0]["data"]["success"] is False
    line.authenticate()
    (answer,) = line.take()
    assert shape(answer) == shape(sample("ws_auth_ok"))
    line.subscribe("orders", "all")
    line.subscribe("orders")
    line.subscribe("balances", "all")
    assert line.take() == [
        sample("ws_orders_ack_symbols_all"),
        sample("ws_orders_ack_no_symbols"),
        sample("ws_balances_ack"),
    ]


def test_orders_and_balances_of_one_life(desk: Desk) -> None:
    line = private_line(desk)
    order_id = desk.create(price="59000", clientOrderId="4436176")
    desk.wait(1)
    place, balance = line.take()
    assert shape(place) == shape(sample("ws_orders_place_no_matchRole"))
    assert (place["data"][0]["orderId"], place["data"][0]["state"]) == (order_id, "NEW")
    assert shape(balance) == shape(sample("ws_balances_with_accountType"))
    row = balance["data"][0]
    assert (row["currency"], row["available"], row["hold"]) == ("USDT", "99410", "590")
    assert row["eventType"] == "place_order"

    desk.print("59000", "0.004", Side.SELL)
    desk.wait(1)
    frames = line.take()
    trade = frames[0]["data"][0]
    assert shape(trade) == shape(sample("ws_orders_trade_record"))
    assert (trade["eventType"], trade["state"]) == ("trade", "PARTIALLY_FILLED")
    assert (trade["tradeQty"], trade["tradePrice"], trade["filledQuantity"]) == (
        "0.004",
        "59000",
        "0.004",
    )
    assert (trade["feeCurrency"], trade["matchRole"]) == ("BTC", "MAKER")
    assert {f["data"][0]["eventType"] for f in frames[1:]} == {"match_order"}

    desk.ok("DELETE", f"/orders/{order_id}")
    desk.wait(1)
    ended, balance = line.take()
    row = ended["data"][0]
    assert (row["eventType"], row["state"]) == ("canceled", "PARTIALLY_CANCELED")
    assert balance["data"][0]["eventType"] == "canceled_order"
    assert balance["data"][0]["hold"] == "0"


def test_a_market_buy_is_told_by_its_amount(desk: Desk) -> None:
    line = private_line(desk)
    desk.create(type="MARKET", price=None, quantity=None, amount="600")
    desk.wait(1)
    records = [f["data"][0] for f in line.take("orders")]
    assert [r["eventType"] for r in records[:1]] == ["place"]
    assert {r["orderAmount"] for r in records} == {"600"}
    assert {(r["quantity"], r["price"]) for r in records} == {("0", "0")}
    assert records[-1]["state"] == "FILLED"


def test_the_balances_of_a_market_order_are_told_step_by_step(desk: Desk) -> None:
    """Placed, then matched; the little that an amount could not buy is no cancel."""
    line = private_line(desk)
    levels = {Decimal(60_000): Decimal("0.004"), Decimal(60_010): Decimal(1)}
    desk.sim.exchange.replace_background(BTC, {}, levels, desk.now_ns)
    desk.create(type="MARKET", price=None, quantity=None, amount="600")
    desk.wait(1)
    rows = [f["data"][0] for f in line.take("balances")]
    assert (rows[0]["eventType"], rows[0]["available"], rows[0]["hold"]) == (
        "place_order",
        "99400",
        "600",
    )
    assert {row["eventType"] for row in rows[1:]} == {"match_order"}
    assert [r["hold"] for r in rows if r["currency"] == "USDT"][:2] == ["600", "360"]
    assert len([row for row in rows if row["currency"] == "BTC"]) == 2  # one for each trade
    last = {row["currency"]: (Decimal(row["available"]), Decimal(row["hold"])) for row in rows}
    assert last == {currency: desk.balance(currency) for currency in ("USDT", "BTC")}
    numbers = [row["id"] for row in rows]
    assert numbers == sorted(set(numbers))


def test_symbols_of_the_balances_channel_are_ignored(desk: Desk) -> None:
    line = Line(desk, "/ws/private")
    line.authenticate()
    line.take()
    line.subscribe("balances", "USDT", "NO_SUCH")
    assert line.take() == [sample("ws_balances_ack")]
    desk.create()
    desk.wait(1)
    assert [f["data"][0]["currency"] for f in line.take("balances")] == ["USDT"]


def test_orders_of_named_symbols_only(desk: Desk) -> None:
    line = Line(desk, "/ws/private")
    line.authenticate()
    line.subscribe("orders", "ETH_USDT")
    line.take()
    desk.create()
    desk.create(symbol="ETH_USDT", price="1000", quantity="1")
    desk.wait(1)
    assert [f["data"][0]["symbol"] for f in line.take()] == ["ETH_USDT"]


# -- trade requests -------------------------------------------------------------------------------


def test_trade_requests(desk: Desk) -> None:
    line = private_line(desk)
    line.send(id="1", event="createOrder", params=desk.order(clientOrderId="w1"))
    (made,) = line.take()
    assert shape(made) == shape(sample("ws_createOrder_response"))
    (row,) = made["data"]
    assert (made["id"], row["clientOrderId"], row["code"]) == ("1", "w1", 200)
    assert desk.get(str(row["orderId"]))["state"] == "NEW"
    line.take()
    line.send(id="2", event="createOrder", params=desk.order(quantity="100"))
    (short,) = line.take()
    assert short == sample("ws_trade_request_error") | {"id": "2"}
    params = {"orderIds": [str(row["orderId"])], "clientOrderIds": ["none"]}
    line.send(id="3", event="cancelOrders", params=params)
    (cancelled, *_) = line.take()
    told = [(r["orderId"], r["code"]) for r in cancelled["data"]]
    assert told == [(row["orderId"], 200), (0, 21301)]
    desk.create()
    line.send(id="4", event="cancelAllOrders", params={})
    assert [len(f["data"]) for f in line.take() if f.get("id") == "4"] == [1]
    assert desk.ok("GET", "/orders") == []


def test_trade_requests_need_authentication(desk: Desk) -> None:
    line = Line(desk, "/ws/private")
    line.send(id="1", event="createOrder", params=desk.order())
    assert line.take()[0]["event"] == "error"
    assert desk.sim.exchange.orders("spot") == []
