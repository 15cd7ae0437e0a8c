"""The query websocket of the simulated OceanEx (the venue's document, section 7)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from fairlead.adapters.simulation.venue import Opened
from tests.simulation.oceanex_harness import Desk, shape

DATA = Path(__file__).resolve().parents[1] / "data" / "oceanex_simulator"


def sample(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())


class Query:
    """A client of one connection."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.frames: list[Any] = []
        self.is_closed = False
        self.session = desk.sim.open_session(
            Opened("/ws/v1", "", lambda frame: self.frames.append(json.loads(frame)), self._close)
        )

    def _close(self) -> None:
        self.is_closed = True

    def ask(self, handler: str, action: str, /, **args: Any) -> Any:
        return self.send(handler, action, {"args": args})["message"]

    def send(self, handler: str, action: str, more: dict[str, Any]) -> Any:
        self.frames.clear()
        data = {"action": action, "uuid": f"u-{action}", **more}
        message = {"identifier": {"handler": handler}, "command": "message", "data": data}
        self.session.received(json.dumps(message))
        return self.frames[-1]

    def login(self, nonce: int = 1583777053000, signed: str = "GET|/ws/v1|{}|", **more: Any) -> Any:
        signature = self.desk.key.sign(
            signed.format(nonce).encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        header = {
            "uid": self.desk.options.uid,
            "api_key": self.desk.options.key_id,
            "signature": base64.b64encode(signature).decode(),
            "nonce": nonce,
            "verb": "GET",
            "path": "/ws/v1",
            **more,
        }
        return self.send("AuthHandler", "login", {"args": {}, "header": header})


@pytest.fixture
def desk() -> Desk:
    return Desk(settle_ms=100)


def test_welcome_login_and_public_questions(desk: Desk) -> None:
    query = Query(desk)
    assert query.frames == [{"type": "welcome", "message": 60}]
    asked = query.ask("ToolHandler", "timestamp")
    assert (asked["data"], asked["uuid"]) == (desk.now_ns // 10**9, "u-timestamp")
    markets = query.ask("MarketsHandler", "index")["data"]
    assert markets[0]["price_precision"] == 2
    assert query.ask("FeeHandler", "trading_fee")["data"][0]["market_id"] == "btcusdt"
    book = query.ask("OrderBookHandler", "index", market_id="btcusdt", level=3)["data"]
    assert len(book["bids"]) == 3
    tickers = query.ask("TickerHandler", "index", market_ids=["btcusdt"])["data"]
    assert [t["market"] for t in tickers] == ["btcusdt"]
    bars = query.ask("KlineHandler", "index", market_id="btcusdt", limit=2, period=5)["data"]
    assert len(bars) == 2
    assert query.ask("OrderBookHandler", "index", market_id="x")["code"] == 9002
    assert query.ask("NoHandler", "index")["code"] == 9003
    assert shape(query.login()) == shape(sample("wsv1_login_response"))


def test_orders_with_their_trades(desk: Desk) -> None:
    query = Query(desk)
    query.login()
    new = {"market": "btcusdt", "side": "sell", "volume": "0.75", "price": "59000"}
    query.send("OrderHandler", "create", {"args": new})
    created = query.frames[-1]
    assert shape(created) == shape(sample("wsv1_order_create_response"))
    order_id = created["message"]["data"]["id"]
    assert created["message"]["data"]["side"] == "ask"
    assert query.ask("OrderHandler", "show", id=order_id)["code"] == 2004  # not open any more
    query.send("OrderHistoryHandler", "show", {"args": {"id": order_id}})
    shown = query.frames[-1]
    assert shape(shown) == shape(sample("wsv1_history_order_show_response"))
    fills = desk.sim.exchange.ledger.fills("main")
    trades = shown["message"]["data"]["trades"]
    assert [t["id"] for t in trades] == [f.trade_id for f in fills]
    assert [t["ask_fee"] for t in trades] == [format(f.fee.normalize(), "f") for f in fills]

    ids = [
        query.ask("OrderHandler", "create", market="btcusdt", side="buy", volume="1", price=p)[
            "data"
        ]["id"]
        for p in ("1000", "1001", "1002")
    ]
    listed = query.ask("OrderHandler", "index", market="btcusdt", per=2, order_by="asc")["data"]
    assert ([o["id"] for o in listed["resources"]], listed["resources_count"]) == (ids[:2], 3)
    assert query.ask("OrderHandler", "cancel", ids=ids[:1])["data"] == ids[:1]
    assert query.ask("OrderHandler", "show", id=ids[0])["data"]["state"] == "cancelling"
    assert set(query.ask("OrderHandler", "clear")["data"]) == set(ids)
    desk.wait(200)
    history = query.ask("OrderHistoryHandler", "index", market="btcusdt", state="cancel")["data"]
    assert [o["id"] for o in history["resources"]] == ids[::-1]
    for wrong in ({"state": "wait"}, {"state": "over"}, {"order_by": "newest"}):
        refused = query.ask("OrderHistoryHandler", "index", market="btcusdt", **wrong)
        assert refused["code"] == 9002
    accounts = query.ask("AccountHandler", "index")["data"]["accounts"]
    assert {a["locked"] for a in accounts} == {"0.0"}


@pytest.mark.parametrize(
    "change",
    [{"uid": "ID0"}, {"api_key": "KID0"}, {"signed": "GET|/ws/v1|5|"}, {"signature": "AAAA"}],
)
def test_a_wrong_login_is_disconnected(desk: Desk, change: dict[str, Any]) -> None:
    query = Query(desk)
    expected = {"type": "disconnect", "reason": "unauthorized", "reconnect": False}
    assert query.login(**change) == expected
    assert query.is_closed


def test_private_before_login_and_a_second_login_are_disconnected(desk: Desk) -> None:
    query = Query(desk)
    assert query.send("AccountHandler", "index", {})["reason"] == "unauthorized"
    assert query.is_closed
    twice = Query(desk)
    twice.login()
    assert twice.login()["type"] == "disconnect"
    assert desk.sim.query.sessions == []


def test_pings_must_be_answered(desk: Desk) -> None:
    answering, silent = Query(desk), Query(desk)
    for _ in range(5):
        desk.wait(60_000)
        answering.session.received('{"command": "pong"}')
    assert silent.is_closed
    assert [f["type"] for f in silent.frames] == ["welcome", "ping", "ping", "ping", "disconnect"]
    assert not answering.is_closed
    assert answering.frames[-1] == {"type": "ping", "message": desk.now_ns // 10**9}


def test_awkward_arguments_give_a_code(desk: Desk) -> None:
    query = Query(desk)
    query.login()
    actions = {"OrderHandler": ("create", "cancel", "clear", "index", "show")}
    actions["OrderHistoryHandler"] = ("index", "show")
    actions["OrderBookHandler"] = actions["KlineHandler"] = ("index",)
    names = ("market", "market_id", "id", "ids", "state", "per", "page", "start_time", "side")
    for handler, action in [(h, a) for h, found in actions.items() for a in found]:
        for name in names:
            for value in (None, "", "x", -1, 1e300, [], [[]], ["a"], {}, True):
                assert "code" in query.ask(handler, action, **{"market": "btcusdt", name: value})
    assert not query.is_closed


@pytest.mark.parametrize("frame", ["", "[]", "{}", '{"command": "message"}', "nonsense"])
def test_what_is_no_request_is_disconnected(desk: Desk, frame: str) -> None:
    query = Query(desk)
    query.session.received(frame)
    assert query.frames[-1]["type"] == "disconnect"
    assert query.is_closed
