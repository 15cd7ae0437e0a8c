"""Seeded sessions of the order desk on the adapter and a faulty venue; its ledger is the judge."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.adapters.base.account import PrivateItems
from fairlead.adapters.base.venue import Ready
from fairlead.adapters.poloniex.simulator import PoloniexSimOptions, PoloniexSimulator
from fairlead.adapters.poloniex.symbols import parse_wire_id
from fairlead.adapters.poloniex.venue import CAPABILITIES
from fairlead.adapters.simulation.control import control
from fairlead.adapters.simulation.venue import SimRequest
from fairlead.adapters.simulation.virtual_time import START_NS
from fairlead.engine.orders.desk import DeskSettings, OrderDesk
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Intent, Kind, Side, TriggerCondition, VenueFill
from tests.support.approving import approved
from tests.unit.orders.conftest import Sink
from tests.venues.poloniex.simulator_kit import Memory, in_memory, intent, stop

ORDERS = 60


class Session:
    """A desk that hears the private stream, as in a live run."""

    def __init__(self, memory: Memory, path: Path) -> None:
        self.memory = memory
        self.sink = Sink()
        self.journal = Journal(path, fsync=False, now_ns=memory.now_ns)
        self.desk = OrderDesk(
            venue=memory.adapter.orders,
            journal=self.journal,
            sink=self.sink,
            capabilities=CAPABILITIES,
            settings=DeskSettings(poll_secs=1.0, settle_timeout_secs=120.0),
            base_currency=lambda _: "BTC",
            now_ns=memory.now_ns,
        )
        self.stream = memory.private()
        self.pushes = PrivateItems(self.desk, on_fault=lambda _: None, on_error=self.desk.fail)
        self.stream.supervisor._on_item = self.heard
        attach = getattr(self.stream.supervisor.protocol, "attach", None)
        assert attach is not None
        attach(self.stream.supervisor.send)

    def heard(self, item: Any) -> None:
        self.stream.items.append(item)
        self.pushes(item)

    async def start(self, *, polls: bool = True) -> None:
        await self.memory.adapter.connect(trading=True)
        self.stream.supervisor.start()
        await self.stream.until(lambda: self.stream.of(Ready))
        if polls:
            self.desk.start()

    async def stop(self) -> None:
        await self.desk.stop(cancel_open=True)
        self.journal.close()
        await self.memory.stop(self.stream)

    def findings(self) -> list[Any]:
        return [detail[0] for name, _, detail in self.sink.events if name == "finding"]


def wanted(number: int, rng: random.Random, price: Decimal) -> Intent:
    side = rng.choice(list(Side))
    away = Decimal(rng.randint(-3, 20)) / 10_000
    limit = (price * (1 - away if side is Side.BUY else 1 + away)).quantize(Decimal("0.01"))
    kind = rng.random()
    if kind < 0.25:
        return intent(number, kind=Kind.MARKET, price=None, side=side)
    if kind < 0.5:
        condition = rng.choice(list(TriggerCondition))
        step = Decimal(rng.randint(1, 8)) / 10_000
        trigger = price * (1 + step if condition is TriggerCondition.GTE else 1 - step)
        far = "70000" if side is Side.BUY else "50000"
        return stop(number, side, condition, f"{trigger:.2f}", far)
    return intent(number, side=side, price=limit)


async def replace_one(session: Session, rng: random.Random) -> None:
    """Move a resting limit order now and then."""
    live = session.desk.live_orders()
    resting = [o for o in live if o.is_proven and o.intent.kind is Kind.LIMIT]
    if not resting or rng.random() < 0.8:
        return
    order = rng.choice(resting)
    assert order.intent.price is not None
    moved = msgspec.structs.replace(order.intent, price=order.intent.price + Decimal("0.5"))
    await session.desk.replace(*approved(moved))


def ledger_of(venue: PoloniexSimulator) -> Any:
    path = "/_sim/ledger"
    request = SimRequest(method="GET", path=path, query="", headers={}, body=b"")
    return json.loads(control(venue, request).body)


def check(path: Path, ledger: Any) -> dict[str, int]:
    """Each client order's venue orders (replacements too) and executions, against the journal."""
    db = sqlite3.connect(path)
    states = dict(db.execute("SELECT client_order_id, state FROM orders").fetchall())
    booked: defaultdict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for owner, body in db.execute("SELECT client_order_id, body FROM fills"):
        fill = msgspec.json.decode(body, type=VenueFill)
        assert not fill.synthetic
        booked[owner][0] += fill.quantity
        booked[owner][1] += fill.quantity * fill.price
    db.close()
    owners: dict[int, str] = {}
    true: defaultdict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for entry in ledger["entries"]:
        if entry["type"] == "order":
            wire = parse_wire_id(entry["order"]["client_order_id"])
            owners[entry["order"]["id"]] = wire.client_order_id
        elif entry["type"] == "fill":
            quantity = Decimal(entry["quantity"])
            true[owners[entry["order_id"]]][0] += quantity
            true[owners[entry["order_id"]]][1] += quantity * Decimal(entry["price"])
    at_venue = set(owners.values())
    refused = {owner for owner, state in states.items() if state == "REFUSED"}
    assert at_venue == states.keys() - refused
    assert set(states.values()) <= {"FILLED", "CANCELED", "REFUSED"}
    assert dict(booked) == dict(true)
    return {"orders": len(states), "fills": len(true), "replaced": len(owners) - len(at_venue)}


@pytest.mark.parametrize("transport", ["rest", "websocket"])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_or_doubled_on_a_bad_wire(
    seed: int, transport: str, tmp_path: Path
) -> None:
    path = tmp_path / "journal.sqlite"
    rng = random.Random(f"{seed} {transport}")
    venue = PoloniexSimulator(now_ns=START_NS, seed=seed)

    async def main(memory: Memory) -> None:
        session = Session(memory, path)
        await session.start()
        venue.faults.profile = "bad"
        tape = venue.exchange.markets["BTC_USDT"].tape
        for number in range(ORDERS):
            assert tape.last_price is not None
            await session.desk.submit(approved(wanted(number, rng, tape.last_price)))
            live = session.desk.live_orders()
            if live and rng.random() < 0.3:
                await session.desk.cancel([rng.choice(live).intent.client_order_id])
            await replace_one(session, rng)
            await asyncio.sleep(rng.uniform(0, 1))
        venue.faults.clear()
        assert await session.desk.stop(cancel_open=True) == []
        assert session.desk.failure is None
        assert session.desk.live_orders() == []
        codes = {finding.code for finding in session.findings()}
        assert codes <= {"ORDER-NOT-LISTED", "MET-OWN-ORDER"}, session.findings()
        session.journal.close()
        await memory.stop(session.stream)

    in_memory(main, venue, order_transport=transport)
    counts = check(path, ledger_of(venue))
    assert counts["orders"] > ORDERS / 2
    assert counts["fills"] > 5
    assert counts["replaced"] > 0
    assert any(o.ts_triggered for o in venue.exchange.orders("spot"))
    assert sum(venue.faults.counts.values()) > 20


def test_the_same_execution_by_push_and_by_read_is_booked_once(tmp_path: Path) -> None:
    options = PoloniexSimOptions(is_market_live=False)
    venue = PoloniexSimulator(now_ns=START_NS, seed=1, options=options)

    async def main(memory: Memory) -> None:
        session = Session(memory, tmp_path / "journal.sqlite")
        await session.start()
        one = intent(1, price=Decimal(59000), quantity=Decimal("0.003"))
        await session.desk.submit(approved(one))
        order = session.desk.get(one.client_order_id)
        assert order is not None
        for size in ("0.002", "0.0005"):  # the first read again would exceed the whole
            exchange = venue.exchange
            exchange.print_trade(
                "BTC_USDT", Decimal(59000), Decimal(size), Side.SELL, exchange.now_ns
            )
            await asyncio.sleep(0.1)
            await session.desk._table.read_fills(order)
        assert order.filled == Decimal("0.0025")
        assert session.sink.names().count("order_filled") == 2
        assert session.findings() == []
        await session.desk.stop(cancel_open=True)
        session.journal.close()
        await memory.stop(session.stream)

    in_memory(main, venue)


# -- a stop that triggers before its create is answered -------------------------------------------


def still(child_client_id: Any = "parent") -> PoloniexSimulator:
    options = PoloniexSimOptions(is_market_live=False, child_client_id=child_client_id)
    return PoloniexSimulator(now_ns=START_NS, seed=1, options=options)


def trade(venue: PoloniexSimulator, price: str, size: str, side: Side) -> None:
    exchange = venue.exchange
    exchange.print_trade("BTC_USDT", Decimal(price), Decimal(size), side, exchange.now_ns)


@pytest.mark.parametrize("child_client_id", ["parent", "none"])
@pytest.mark.parametrize("answer", ["delay", "lose_answer"])
def test_a_stop_that_triggers_before_its_answer_keeps_one_id(
    answer: str, child_client_id: str, tmp_path: Path
) -> None:
    venue = still(child_client_id)

    async def main(memory: Memory) -> None:
        session = Session(memory, tmp_path / "journal.sqlite")
        await session.start()
        trade(venue, "60000", "0.001", Side.BUY)
        venue.faults.next("POST", "/smartorders", answer, secs=2.0)
        one = stop(1, Side.SELL, TriggerCondition.LTE, "59500", "50000")
        sending = asyncio.ensure_future(session.desk.submit(approved(one)))
        await session.stream.until(lambda: venue.exchange.open_orders("spot"))
        trade(venue, "59500", "0.001", Side.SELL)
        await asyncio.sleep(0.5)
        pushed = [o for o in venue.exchange.orders("spot") if o.ts_triggered]
        assert len(pushed) == 1, "the child is out while the create is unanswered"
        if answer == "delay":
            assert session.sink.names() == ["order_submitted"]
        await sending
        await session.stream.until(lambda: "order_filled" in session.sink.names())
        told = session.sink.names()
        assert [n for n in told if n != "finding"] == [
            "order_submitted",
            "order_accepted",
            "order_triggered",
            "order_filled",
        ]
        ids = {detail[1] for name, _, detail in session.sink.events if name == "order_accepted"} | {
            detail[1].venue_order_id
            for name, _, detail in session.sink.events
            if name == "order_filled"
        }
        assert ids == {f"smart-{pushed[0].id}"}
        await session.stop()

    in_memory(main, venue)
    db = sqlite3.connect(tmp_path / "journal.sqlite")
    ((state, venue_id),) = db.execute("SELECT state, venue_order_id FROM orders").fetchall()
    db.close()
    assert state == "FILLED"
    assert venue_id.startswith("smart-")


# -- the private stream comes back ----------------------------------------------------------------


def spied(memory: Memory, wire: list[str]) -> None:
    """Writes every frame and request that leaves the adapter into `wire`."""
    http: Any = memory.adapter.http
    ask, connect = http._transport.request, memory.ws.connect

    async def request(call: Any) -> Any:
        wire.append(f"{call.method} {call.url.partition('venue')[2]}")
        return await ask(call)

    async def connected(url: str) -> Any:
        connection = await connect(url)
        send = connection.send

        async def spied_send(frame: str) -> None:
            told = json.loads(frame)
            wire.append(f"{told['event']} {','.join(told.get('channel', []))}")
            await send(frame)

        connection.send = spied_send  # type: ignore[method-assign]
        return connection

    http._transport.request = request
    memory.ws.connect = connected  # type: ignore[method-assign]


def test_a_reconnect_logs_in_subscribes_and_reads_while_pushes_wait(tmp_path: Path) -> None:
    venue = still()

    async def main(memory: Memory) -> None:
        wire: list[str] = []
        spied(memory, wire)
        session = Session(memory, tmp_path / "journal.sqlite")
        await session.start(polls=False)
        one = intent(1, price=Decimal(59000), quantity=Decimal("0.003"))
        two = intent(2, price=Decimal(58000), quantity=Decimal("0.001"))
        await session.desk.submit(approved(one, two))
        first = session.desk.get(one.client_order_id)
        assert first is not None
        wire.clear()
        venue.push.drop_all()
        trade(venue, "59000", "0.001", Side.SELL)  # nobody hears this one
        venue.faults.next("GET", "/orders", "delay", secs=3.0)
        await session.stream.until(lambda: any(w.startswith("GET /orders") for w in wire))
        assert first.filled == 0
        trade(venue, "59000", "0.0005", Side.SELL)  # pushed while the read is under way
        await session.stream.until(lambda: session.pushes._waiting)
        assert first.filled == 0, "a push overtook the read"
        await session.stream.until(lambda: first.filled == Decimal("0.0015"))
        assert wire[:3] == ["subscribe auth", "subscribe orders", "subscribe balances"]
        assert [w for w in wire[3:] if not w.startswith("GET /orders")] == []
        fills = [d[1].quantity for n, _, d in session.sink.events if n == "order_filled"]
        assert sorted(fills) == [Decimal("0.0005"), Decimal("0.001")]
        assert session.findings() == []
        assert session.pushes._waiting == []
        await session.stop()

    in_memory(main, venue)


def test_reconnects_while_orders_fill_lose_and_double_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    venue = PoloniexSimulator(now_ns=START_NS, seed=4)
    rng = random.Random(4)

    async def main(memory: Memory) -> None:
        session = Session(memory, path)
        await session.start()
        tape = venue.exchange.markets["BTC_USDT"].tape
        for number in range(ORDERS):
            assert tape.last_price is not None
            await session.desk.submit(approved(wanted(number, rng, tape.last_price)))
            if number % 3 == 0:
                venue.push.drop_all()
            await asyncio.sleep(rng.uniform(0, 0.7))
        assert len(session.stream.of(Ready)) > 5  # the waits between them grow
        assert await session.desk.stop(cancel_open=True) == []
        assert session.findings() == []
        session.journal.close()
        await memory.stop(session.stream)

    in_memory(main, venue, order_transport="websocket")
    assert check(path, ledger_of(venue))["fills"] > 10


def test_a_read_that_is_not_answered_holds_nothing_back(tmp_path: Path) -> None:
    venue = still()

    async def main(memory: Memory) -> None:
        session = Session(memory, tmp_path / "journal.sqlite")
        await session.start(polls=False)
        one = intent(1, price=Decimal(59000), quantity=Decimal("0.003"))
        await session.desk.submit(approved(one))
        first = session.desk.get(one.client_order_id)
        assert first is not None
        venue.faults.next("GET", "/orders", "hang_request", times=20)
        venue.push.drop_all()
        await session.stream.until(lambda: len(session.stream.of(Ready)) == 2)
        trade(venue, "59000", "0.001", Side.SELL)
        await session.stream.until(lambda: first.filled == Decimal("0.001"))
        venue.faults.clear()
        await session.stop()

    in_memory(main, venue)
