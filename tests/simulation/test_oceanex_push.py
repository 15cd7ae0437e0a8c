"""Pusher dialogues with the simulated OceanEx (the venue's document, section 3)."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.orders.model import Side
from tests.simulation.oceanex_harness import Desk, Line, shape

DATA = Path(__file__).resolve().parents[1] / "data" / "oceanex_simulator"
BOOK = "market-btcusdt-2-global"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_greeting_subscription_and_ping(desk: Desk) -> None:
    line = Line(desk)
    (greeting,) = line.take()
    assert greeting["event"] == "pusher:connection_established"
    data = json.loads(greeting["data"])
    process, _, number = data["socket_id"].partition(".")
    assert process.isdecimal()
    assert number.isdecimal()
    assert data["activity_timeout"] == 120

    line.subscribe(BOOK)
    succeeded = "pusher_internal:subscription_succeeded"
    assert line.take() == [{"event": succeeded, "data": "{}", "channel": BOOK}]
    line.send("pusher:ping")
    line.send("pusher:ping", "")
    assert line.take() == [{"event": "pusher:pong", "data": "{}"}] * 2
    line.session.received('{"event": "pusher:ping"}')
    assert len(line.take()) == 1


@pytest.mark.parametrize(
    ("key", "query", "code", "message"),
    [
        ("deadbeef", "protocol=7", 4001, "Could not find app by key deadbeef"),
        (None, "", 4007, "Unsupported protocol version"),
        (None, "protocol=2", 4007, "Unsupported protocol version"),
        (None, "protocol=8", 4007, "Unsupported protocol version"),
        (None, "protocol=x", 4007, "Unsupported protocol version"),
    ],
)
def test_refused_in_band_and_closed(
    desk: Desk, key: str | None, query: str, code: int, message: str
) -> None:
    line = Line(desk, key, query)
    (frame,) = line.take()
    assert frame["event"] == "pusher:error"
    assert json.loads(frame["data"]) == {"code": code, "message": message}
    assert line.is_closed


@pytest.mark.parametrize("protocol", range(3, 8))
def test_protocols_3_to_7_are_served(desk: Desk, protocol: int) -> None:
    line = Line(desk, query=f"client=js&protocol={protocol}")
    assert line.take()[0]["event"] == "pusher:connection_established"
    assert not line.is_closed


def test_errors_leave_the_connection_open(desk: Desk) -> None:
    line = Line(desk)
    line.subscribe(BOOK)
    line.take()
    line.subscribe(BOOK)
    line.session.received("{not json")
    line.session.received("[]")
    line.send("pusher:subscribe", {})
    line.subscribe("private-orders")
    errors = [json.loads(frame["data"]) for frame in line.take()]
    assert errors[0] == {"code": None, "message": f"Existing subscription to {BOOK}"}
    assert errors[1] == {"code": 5001, "message": "Invalid JSON"}
    assert [e["code"] for e in errors[2:4]] == [500, 500]
    assert errors[4]["message"].startswith("Invalid signature:")
    line.send("something:else")
    assert line.take() == []
    assert not line.is_closed
    assert desk.sim.push.subscriptions == {BOOK: 1}


def test_data_of_a_subscription_may_be_a_json_text(desk: Desk) -> None:
    line = Line(desk)
    line.send("pusher:subscribe", json.dumps({"channel": BOOK}))
    assert desk.sim.push.subscriptions == {BOOK: 1}


def test_no_snapshot_on_subscribe_then_full_books_conflated(desk: Desk) -> None:
    desk.wait(1000)
    line = Line(desk)
    line.subscribe(BOOK)
    line.take()
    desk.wait(1000)
    assert line.take() == []  # a quiet market sends nothing
    exchange = desk.sim.exchange
    for size in ("1", "2", "3"):
        exchange.set_level("btcusdt", Side.BUY, Decimal("59999"), Decimal(size), desk.now_ns)
    desk.wait(5)
    exchange.set_level("btcusdt", Side.BUY, Decimal("59999"), Decimal("4"), desk.now_ns)
    desk.wait(5)
    (frame,) = line.take()
    assert (frame["event"], frame["channel"]) == ("update", BOOK)
    book = json.loads(frame["data"])
    assert ["59999.0", "3.0"] in book["bids"]
    true = exchange.markets["btcusdt"].book
    assert len(book["asks"]) == len(true.asks.levels(40))
    assert [Decimal(p) for p, _ in book["asks"]] == [p for p, _ in true.asks.levels(40)]
    assert [Decimal(p) for p, _ in book["bids"]] == [p for p, _ in true.bids.levels(40)]
    desk.wait(100)
    (frame,) = line.take()
    assert ["59999.0", "4.0"] in json.loads(frame["data"])["bids"]
    sample = json.loads((DATA / "ws_order_book_update_double_encoded.json").read_text())
    assert shape(frame) == shape(sample)
    assert shape(book) == shape(json.loads(sample["data"]))


def test_coarse_precision_rounds_away_from_the_spread_and_adds_up() -> None:
    desk = Desk(push_levels=3)
    exchange, now_ns = desk.sim.exchange, desk.now_ns
    exchange.replace_background(
        "btcusdt",
        {Decimal("99.99"): Decimal(1), Decimal("99.91"): Decimal(2), Decimal("99.89"): Decimal(4)},
        {Decimal("100.01"): Decimal(1), Decimal("100.09"): Decimal(2), Decimal("101"): Decimal(4)},
        now_ns,
    )
    line = Line(desk)
    for channel in ("market-btcusdt-1-global", "market-btcusdt-global", "market-btcusdt-9-global"):
        line.subscribe(channel)
    line.take()
    desk.wait(200)
    books = {f["channel"]: json.loads(f["data"]) for f in line.take()}
    assert books["market-btcusdt-1-global"] == {
        "bids": [["99.9", "3.0"], ["99.8", "4.0"]],
        "asks": [["100.1", "3.0"], ["101.0", "4.0"]],
    }
    assert len(books["market-btcusdt-global"]["bids"]) == 3
    assert "market-btcusdt-9-global" not in books  # a typo is silence


@pytest.mark.parametrize("market", ["veteth", "shabtc", "vetusdt"])
def test_coarse_precision_shows_no_price_of_zero(market: str) -> None:
    """Bids of a cheap market round down to nothing: there is no bid at a price of 0."""
    desk = Desk()
    line = Line(desk)
    channels = [f"market-{market}-{n}-global" for n in range(1, 9)]
    for channel in channels:
        line.subscribe(channel)
    line.take()
    best = desk.sim.exchange.markets[market].book.bids.best()
    assert best is not None
    desk.sim.exchange.set_level(market, Side.BUY, best.price, Decimal(5), desk.now_ns)
    desk.wait(200)
    books = [json.loads(frame["data"]) for frame in line.take()]
    assert len(books) == len(channels)
    levels = [level for book in books for side in ("asks", "bids") for level in book[side]]
    assert levels
    assert all(Decimal(price) > 0 for price, _ in levels)


def test_trades_and_tickers(desk: Desk) -> None:
    line = Line(desk)
    line.subscribe("market-btcusdt-trade-global")
    line.subscribe("market-global")
    desk.wait(1)
    line.take()
    desk.print("60001.5", "0.25", Side.SELL)
    desk.print("60002", "0.5", Side.BUY)
    desk.wait(1100)
    trades, tickers = line.take()
    rows = json.loads(trades["data"])["trades"]
    assert [(r["type"], r["price"], r["amount"]) for r in rows] == [
        ("sell", "60001.5", "0.25"),
        ("buy", "60002.0", "0.5"),
    ]
    assert all(type(r["tid"]) is int and r["tid"] > 2**32 for r in rows)
    assert rows[0]["tid"] < rows[1]["tid"]
    row = json.loads(tickers["data"])["btcusdt"]
    assert (type(row["open"]), row["last"], type(row["at"])) == (float, "60002.0", int)
    assert not {"first", "position", "display_name"} & set(row)
    desk.wait(5000)
    assert line.take() == []


def test_unsubscribe_and_close_end_the_flow(desk: Desk) -> None:
    line, other = Line(desk), Line(desk)
    for one in (line, other):
        one.subscribe("market-btcusdt-trade-global")
        one.take()
    line.send("pusher:unsubscribe", {"channel": "market-btcusdt-trade-global"})
    assert line.take() == []  # no acknowledgement
    desk.print("60000")
    desk.wait(1)
    assert line.take() == []
    assert len(other.take()) == 1
    other.session.closed()
    assert desk.sim.push.subscriptions == {}


def test_data_can_be_an_object() -> None:
    desk = Desk(double_encoded=False)
    line = Line(desk)
    line.subscribe("market-btcusdt-trade-global")
    line.take()
    desk.print("60000")
    desk.wait(1)
    (frame,) = line.take()
    assert isinstance(frame["data"]["trades"], list)
