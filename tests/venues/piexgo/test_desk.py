"""Seeded sessions of the order desk on the adapter and a faulty venue; its ledger is the judge."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import TradeTick

from fairlead.adapters.base.account import PrivateItems
from fairlead.adapters.base.connection import StreamSupervisor
from fairlead.adapters.base.venue import AdapterContext, Feed, FeedKind
from fairlead.adapters.piexgo.config import PiexgoOptions
from fairlead.adapters.piexgo.simulator import PiexgoSimOptions, PiexgoSimulator
from fairlead.adapters.piexgo.venue import CAPABILITIES, PiexgoAdapter
from fairlead.adapters.simulation.memory import InMemoryHttp, InMemoryWs, tick
from fairlead.adapters.simulation.orders import FillEntry
from fairlead.adapters.simulation.virtual_time import START_NS, VirtualLoop, run_virtual
from fairlead.engine.orders.desk import DeskSettings, OrderDesk
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Intent, Kind, Side, TriggerCondition, VenueFill
from fairlead.engine.secrets import Secret
from fairlead.engine.status import StreamStatus
from tests.support.approving import approved
from tests.unit.orders.conftest import Sink
from tests.venues.piexgo.test_orders import BTC, intent

ORDERS = 50
TRIGGERS = {Side.BUY: TriggerCondition.GTE, Side.SELL: TriggerCondition.LTE}


class Session:
    """A desk that hears the private stream, as in a live run, in virtual time."""

    def __init__(self, loop: VirtualLoop, venue: PiexgoSimulator, path: Path, **more: Any) -> None:
        self.venue = venue
        self.sink = Sink()
        self.trades = 0
        facts: Any = venue.describe("http://venue", "ws://venue")
        secrets = {name: Secret(text, "test") for name, text in facts["credentials"].items()}
        options = PiexgoOptions(http_url=facts["rest"], ws_url=facts["ws"], **more)
        self.adapter = PiexgoAdapter(
            AdapterContext(
                venue="PIEXGO",
                options=options,
                secrets=secrets,
                http=InMemoryHttp(venue, loop.now_ns, latency_secs=0.005),
                now_ns=loop.now_ns,
                instruments=(),
            )
        )
        self.journal = Journal(path, fsync=False, now_ns=loop.now_ns)
        self.desk = OrderDesk(
            venue=self.adapter.orders,
            journal=self.journal,
            sink=self.sink,
            capabilities=CAPABILITIES,
            settings=DeskSettings(poll_secs=1.0, settle_timeout_secs=120.0),
            base_currency=lambda _: "BTC",
            now_ns=loop.now_ns,
        )
        self.pushes = PrivateItems(self.desk, on_fault=lambda _: None, on_error=self.desk.fail)
        protocol = self.adapter.private_stream()
        assert protocol is not None
        self.stream = StreamSupervisor(
            status=StreamStatus(name="private"),
            protocol=protocol,
            transport=InMemoryWs(venue, loop.now_ns, latency_secs=0.005),
            on_item=self.pushes,
            on_fatal=lambda code, message: self.desk.fail(RuntimeError(f"{code} {message}")),
            now_ns=loop.now_ns,
            rng=random.Random(1),
        )
        self.desk.held.regate = lambda held, sent: approved(sent)[0]
        self.market = StreamSupervisor(
            status=StreamStatus(name="public"),
            protocol=self.adapter.market_data.public_stream(),
            transport=InMemoryWs(venue, loop.now_ns, latency_secs=0.005),
            on_item=self._traded,
            on_fatal=lambda code, message: self.desk.fail(RuntimeError(f"{code} {message}")),
            now_ns=loop.now_ns,
            rng=random.Random(2),
        )
        self._tick = asyncio.ensure_future(tick(venue, loop.now_ns))

    def _traded(self, item: object) -> None:
        """What the desk proves by that a trigger lies ahead."""
        if isinstance(item, TradeTick):
            price = item.price.as_decimal()
            self.desk.held.trade(str(item.instrument_id), price, item.ts_event, item.ts_init)
            self.trades += 1

    async def start(self, *, polls: bool = True) -> None:
        await self.adapter.connect(trading=True)
        self.stream.start()
        self.market.start()
        self.market.add_feed(Feed(FeedKind.TRADES, BTC))
        if polls:
            self.desk.start()

    async def stop(self) -> None:
        assert await self.desk.stop(cancel_open=True) == []
        assert self.desk.failure is None
        assert self.desk.live_orders() == []
        self.journal.close()
        await self.stream.stop()
        await self.market.stop()
        self._tick.cancel()
        await asyncio.gather(self._tick, return_exceptions=True)

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(600.0):
            while not done():
                await asyncio.sleep(0.005)

    def codes(self) -> set[str]:
        return {detail[0].code for name, _, detail in self.sink.events if name == "finding"}


def run(session: Callable[[Session], Any], venue: PiexgoSimulator, path: Path, **more: Any) -> None:
    loop = VirtualLoop()

    async def main() -> None:
        await session(Session(loop, venue, path, **more))

    run_virtual(main(), loop)


def wanted(number: int, rng: random.Random, price: Decimal) -> Intent:
    side = rng.choice(list(Side))
    away = Decimal(rng.randint(-3, 20)) / 10_000
    limit = (price * (1 - away if side is Side.BUY else 1 + away)).quantize(Decimal("0.01"))
    quantity = Decimal(rng.randint(2, 60)) / 10_000
    fields: dict[str, Any] = {"side": side, "price": limit, "quantity": quantity}
    kind = rng.random()
    if kind < 0.25:
        fields |= {"kind": Kind.MARKET, "price": None}
    elif kind < 0.5:
        step = Decimal(rng.randint(1, 8)) / 10_000
        trigger = (price * (1 + step if side is Side.BUY else 1 - step)).quantize(Decimal("0.01"))
        far = Decimal(70000) if side is Side.BUY else Decimal(50000)
        fields |= {"kind": Kind.STOP_LIMIT, "trigger_price": trigger, "price": far}
        fields |= {"trigger_condition": TRIGGERS[side]}
    return intent(number, **fields)


def check(path: Path, venue: PiexgoSimulator) -> dict[str, int]:
    """Every order of the journal against the venue's: ids one to one, quantity and value equal."""
    db = sqlite3.connect(path)
    rows = db.execute("SELECT client_order_id, state, venue_order_id FROM orders").fetchall()
    booked: defaultdict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    count = 0
    for owner, body in db.execute("SELECT client_order_id, body FROM fills"):
        fill = msgspec.json.decode(body, type=VenueFill)
        booked[owner][0] += fill.quantity
        booked[owner][1] += fill.quantity * fill.price
        count += 1
    db.close()
    sent = [row for row in rows if row[1] != "REFUSED" and row[2] is not None]
    assert {row[1] for row in rows if row not in sent} <= {"REFUSED", "CANCELED"}  # never released
    ids = {owner: venue_id for owner, _, venue_id in sent}
    assert set(ids.values()) == {str(order.id) for order in venue.exchange.orders("main")}
    assert len(set(ids.values())) == len(ids)
    for order in venue.exchange.orders("main"):
        (owner,) = [cid for cid, venue_id in ids.items() if venue_id == str(order.id)]
        state = next(state for cid, state, _ in rows if cid == owner)
        assert state == order.status.name
        quantity, value = booked[owner]
        assert quantity == order.executed
        assert abs(value - order.funds) <= Decimal("1e-18"), owner
    fills = [entry for entry in venue.exchange.ledger.entries if isinstance(entry, FillEntry)]
    return {"orders": len(rows), "fills": count, "executions": len(fills)}


@pytest.mark.parametrize("pinfo", ["signed", "unsigned"])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_or_doubled_on_a_bad_wire(seed: int, pinfo: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    rng = random.Random(f"{seed} {pinfo}")
    options = PiexgoSimOptions(
        unsigned_pinfo=pinfo == "unsigned", acks=seed % 2 == 0, error_status=(200, 400)[seed % 2]
    )
    venue = PiexgoSimulator(options, now_ns=START_NS, seed=seed)

    async def main(session: Session) -> None:
        await session.start()
        venue.faults.profile = "bad"
        tape = venue.exchange.markets["BTC_USDT"].tape
        for number in range(ORDERS):
            assert tape.last_price is not None
            await session.desk.submit(approved(wanted(number, rng, tape.last_price)))
            live = session.desk.live_orders()
            if live and rng.random() < 0.3:
                await session.desk.cancel([rng.choice(live).intent.client_order_id])
            await asyncio.sleep(rng.uniform(0, 1))
        venue.faults.clear()
        await session.stop()
        assert session.codes() <= {"ORDER-NOT-LISTED"}

    run(main, venue, path, pinfo=pinfo)
    counts = check(path, venue)
    assert counts["orders"] > ORDERS / 2
    assert counts["fills"] > 5
    assert any(order.ts_triggered for order in venue.exchange.orders("main"))
    assert sum(venue.faults.counts.values()) > 20


def still(**options: Any) -> PiexgoSimulator:
    made = PiexgoSimOptions(is_market_live=False, settle_ms=0, **options)
    return PiexgoSimulator(made, now_ns=START_NS, seed=1)


def trade(venue: PiexgoSimulator, price: str, size: str, side: Side = Side.SELL) -> None:
    exchange = venue.exchange
    exchange.print_trade("BTC_USDT", Decimal(price), Decimal(size), side, exchange.now_ns)


@pytest.mark.parametrize("answer", ["delay", "lose_answer"])
def test_events_that_come_before_the_answer_wait_for_it(answer: Any, tmp_path: Path) -> None:
    venue = still()

    async def main(session: Session) -> None:
        await session.start()
        await session.until(lambda: venue.push._topics)
        venue.faults.next("POST", "/api/v1/order", answer, secs=2.0)
        one = intent(1, price=Decimal(50000), quantity=Decimal("0.01"))
        sending = asyncio.ensure_future(session.desk.submit(approved(one)))
        await session.until(lambda: venue.exchange.open_orders("main"))
        trade(venue, "49999", "0.004")
        await asyncio.sleep(0.2)
        assert session.sink.names() == ["order_submitted"]
        await sending
        trade(venue, "49999", "9")
        await session.until(lambda: not session.desk.live_orders())
        names = [name for name in session.sink.names() if name != "finding"]
        assert names[:2] == ["order_submitted", "order_accepted"]
        assert set(names[2:]) == {"order_filled"}
        await session.stop()

    run(main, venue, tmp_path / "journal.sqlite")
    assert check(tmp_path / "journal.sqlite", venue)["orders"] == 1


def test_events_alone_tell_every_fill_in_order(tmp_path: Path) -> None:
    """Without a poll: what is pushed is enough once the answer has named the order."""
    venue = still()

    async def main(session: Session) -> None:
        await session.start(polls=False)
        await session.until(lambda: venue.push._topics)
        one = intent(1, price=Decimal(50000), quantity=Decimal("0.01"))
        await session.desk.submit(approved(one))
        for size in ("0.002", "0.003", "0.005"):
            trade(venue, "49999", size)
            await asyncio.sleep(0.1)
        fills = [d[1] for name, _, d in session.sink.events if name == "order_filled"]
        assert [fill.quantity for fill in fills] == [
            Decimal("0.002"),
            Decimal("0.003"),
            Decimal("0.005"),
        ]
        assert {fill.price for fill in fills} == {50000}
        session.desk.start()
        await session.stop()

    run(main, venue, tmp_path / "journal.sqlite")


@pytest.mark.parametrize("side", list(Side))
def test_a_stop_waits_fires_and_fills(side: Side, tmp_path: Path) -> None:
    venue = still()

    async def main(session: Session) -> None:
        await session.start()
        await session.until(lambda: len(venue.push._topics) > 1)
        trade(venue, "60000", "0.001")
        await session.until(lambda: session.trades)  # proof that the trigger lies ahead
        trigger = Decimal(60500 if side is Side.BUY else 59500)
        limit = Decimal(70000 if side is Side.BUY else 50000)
        one = intent(
            1, side=side, kind=Kind.STOP_LIMIT, price=limit, trigger_price=trigger,
            trigger_condition=TRIGGERS[side],
        )  # fmt: skip
        await session.desk.submit(approved(one))
        await asyncio.sleep(1.0)
        trade(venue, str(trigger), "0.001")
        await session.until(lambda: not session.desk.live_orders())
        names = [name for name in session.sink.names() if name != "finding"]
        assert names[:3] == ["order_submitted", "order_accepted", "order_triggered"]
        assert set(names[3:]) == {"order_filled"}
        await session.stop()

    run(main, venue, tmp_path / "journal.sqlite")
    check(tmp_path / "journal.sqlite", venue)
