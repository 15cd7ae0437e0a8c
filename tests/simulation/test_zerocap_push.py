"""The WebSocket of the simulated Zerocap against the venue's document, in both dialects."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.zerocap.config import Dialect
from fairlead.engine.orders.model import Side
from tests.simulation.zerocap_harness import SYMBOL, Desk, Line, shape
from tests.venues.zerocap.conftest import SAMPLES

BOTH = pytest.mark.parametrize("dialect", ["A", "C"])


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_bytes())


def subscribe(line: Line, dialect: Dialect) -> None:
    line.send(**({"symbol": SYMBOL} if dialect == "A" else {"symbols": [SYMBOL]}), type="price")


def levels(frame: Any) -> Any:
    data = frame["data"]
    data = json.loads(data) if isinstance(data, str) else data
    return data.get("data", data)


@BOTH
def test_a_ladder_comes_with_the_subscription_and_with_each_change(dialect: Dialect) -> None:
    desk = Desk(dialect, repeat_ms=3_000)
    line = Line(desk)
    assert line.take() == [sample("zc_ws_connected.json")]
    subscribe(line, dialect)
    acknowledged, first = line.take()
    assert acknowledged == sample("zc_ws_price_sub_ok.json")
    name = "A_ws_price_ladder_data_as_string" if dialect == "A" else "C_ws_price"
    assert shape(first) == shape(sample(f"zc_{name}.json"))
    desk.wait(1000)
    assert [f for f in line.take() if "data" in f] == []
    desk.sim.exchange.set_level(SYMBOL, Side.BUY, Decimal("1.4999"), Decimal(7), desk.now_ns)
    desk.wait(1000)
    assert [f for f in line.take() if "data" in f] != []
    bids, asks = desk.sim.ladders(desk.sim.markets[SYMBOL])
    told = levels(first)
    named = ("asks", "bids") if dialect == "A" else ("bids", "asks")  # A's sides change places
    assert [len(told[name]) for name in named] == [len(bids), len(asks)]
    assert told[named[0]][0][0] < told[named[1]][0][0]
    for _ in range(2):  # that it stands is told again
        desk.wait(2000)
        assert [f for f in line.take() if "data" in f] == []
        desk.wait(1000)
        assert len([f for f in line.take() if "data" in f]) == 1


def test_ladders_of_dialect_a_as_objects() -> None:
    desk = Desk("A", data_as_text=False)
    line = Line(desk)
    subscribe(line, "A")
    frame = line.take()[-1]
    assert shape(frame) == shape(sample("zc_A_ws_price_ladder_data_as_object.json"))


def test_dialect_c_unsubscribes() -> None:
    desk = Desk("C")
    line = Line(desk)
    subscribe(line, "C")
    line.send(type="price", symbols=[SYMBOL], is_subscribe=False)
    line.take()
    desk.sim.exchange.set_level(SYMBOL, Side.BUY, Decimal("1.4"), Decimal(7), desk.now_ns)
    desk.wait(1000)
    assert line.take() == []


@BOTH
def test_a_price_feed_that_is_down_says_so_and_comes_back(dialect: Dialect) -> None:
    desk = Desk(dialect)
    line = Line(desk)
    subscribe(line, dialect)
    line.take()
    assert desk.sim.control({"prices": "down"}) == {"prices": "down"}
    assert line.take() == [sample("zc_ws_price_unavailable.json")]
    desk.sim.exchange.set_level(SYMBOL, Side.BUY, Decimal("1.4"), Decimal(7), desk.now_ns)
    desk.wait(1000)
    assert line.take() == []
    desk.sim.control({"prices": "up"})
    assert len(levels(line.take()[0])["bids"]) > 0
    other = Line(desk)
    other.send(type="price", **({"symbol": "NO/NE"} if dialect == "A" else {"symbols": ["NO/NE"]}))
    assert other.said()[-1] == "Price stream unavailable."


@BOTH
@pytest.mark.parametrize("price", ["21.1", "0.1"])
def test_an_order_is_told_as_it_came_and_as_it_ended(dialect: Dialect, price: str) -> None:
    desk = Desk(dialect)
    line = Line(desk)
    for topic in ("orders",) if dialect == "A" else ("order", "trade"):
        line.send(type=topic)
    words = ["order Subscription successful.", "trade Subscription successful."]
    assert line.said()[1:] == words[: 1 if dialect == "A" else 2]
    done = desk.create("buy", "100", price)
    assert line.take() == []  # after the answer
    desk.wait(5)
    frames = line.take()
    if dialect == "A":
        kinds = [frame["channel"] for frame in frames]
        rows = [json.loads(frame["data"]) for frame in frames]
        named = "dma_order_info", "dma_trade_info", "dma_order_info"
        documented = sample("zc_A_ws_order_info_open.json"), sample("zc_A_ws_trade_info.json")
        shapes = [shape(json.loads(frame["data"])) for frame in documented]
        status = "Status"
    else:
        kinds, rows = [frame["type"] for frame in frames], [frame["data"] for frame in frames]
        named = "order", "trade", "order"
        shapes = [shape(sample(f"zc_C_ws_{name}.json")["data"]) for name in ("order_open", "trade")]
        status = "status"
    if done["status"] == "rejected":
        assert kinds == [named[0], named[2]]
        assert [row[status] for row in rows] == ["open", "rejected"]
        return
    assert kinds == list(named)
    assert [shape(row) for row in rows[:2]] == shapes
    assert [row[status] for row in rows[::2]] == ["open", "closed"]
    assert rows[1]["id"] == done["trades"][0]["id"]
    cost = "Cost" if dialect == "A" else "cost"
    assert float(rows[2][cost]) == 2110  # the limit's


@BOTH
def test_sockets_can_hear_of_an_order_before_its_answer(dialect: Dialect) -> None:
    desk = Desk(dialect, push_first=True)
    line = Line(desk)
    line.send(type="orders" if dialect == "A" else "order")
    line.take()
    desk.create("buy", "100", "2")
    assert len(line.take()) >= 2


@BOTH
@pytest.mark.parametrize("headers", [{}, {"api-key": "x"}, {"signature": "00"}])
def test_a_handshake_with_a_wrong_key_is_told_and_closed(
    dialect: Dialect, headers: dict[str, str]
) -> None:
    desk = Desk(dialect)
    given = desk.headers() | headers if headers else {}
    line = Line(desk, given)
    name = "A" if "timestamp" not in given else "C"
    assert line.take() == [sample(f"zc_{name}_ws_unauthorized.json")]
    assert line.is_closed
    line.send(type="orders")
    assert line.take() == []


def test_dialect_c_s_heartbeat() -> None:
    desk = Desk("C")
    line = Line(desk)
    line.take()
    desk.wait(4_999)
    assert line.take() == []
    desk.wait(1)
    assert line.take() == [sample("zc_C_ws_pong.json")]
    line.session.received((SAMPLES / "zc_C_ws_ping_request.json").read_text())
    desk.wait(29_999)
    assert not line.is_closed
    line.take()
    desk.wait(1)
    assert line.take() == [sample("zc_C_ws_ping_timeout.json")]
    assert line.is_closed


@pytest.mark.parametrize("is_error", [True, False])
def test_dialect_a_has_no_heartbeat(is_error: bool) -> None:
    desk = Desk("A", answers_ping_with_error=is_error)
    line = Line(desk)
    desk.wait(3_600_000)
    assert not line.is_closed
    line.take()
    line.send(type="message", message="ping")
    expected = [sample("zc_A_ws_invalid_message.json")] if is_error else []
    assert line.take() == expected


@BOTH
@pytest.mark.parametrize(
    "frame",
    ["", "{", "[]", "7", '{"type":"x"}', '{"type":["price"]}', '{"type":"price"}',
     '{"type":"price","symbols":[1],"symbol":1}', '{"type":"price","symbols":[]}', "[" * 9000],
)  # fmt: skip
def test_what_is_not_understood_is_told(dialect: Dialect, frame: str) -> None:
    line = Line(Desk(dialect))
    line.take()
    line.session.received(frame)
    (told,) = line.take()
    assert (str(told["error_code"]), told["error_message"]) == ("400", "invalid message")
    assert ("type" in told) == (dialect == "C")
