"""Seeded brackets on a bad wire: the ledger says whether anything was lost or doubled."""

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

from fairlead.adapters.mudawyl.simulator import MudawylSimulator
from fairlead.engine.orders.model import Intent, Kind, Side, VenueFill
from tests.support.approving import approved
from tests.venues.mudawyl.test_desk import SYMBOL, Session, move, run, still
from tests.venues.mudawyl.trading_kit import entry, stop, target

ROUNDS = 8
D = Decimal


def drawn(number: int, rng: random.Random, mark: Decimal) -> list[Intent]:
    """An entry with up to three targets and perhaps a stop, around the market."""
    side = rng.choice(list(Side))
    other = Side.SELL if side is Side.BUY else Side.BUY
    sign = 1 if side is Side.BUY else -1
    ids = iter(range(number * 10, number * 10 + 10))
    first: dict[str, Any] = {"side": side, "quantity": D("0.06")}
    if rng.random() < 0.3:
        first |= {"kind": Kind.LIMIT, "price": mark - sign * 100}
    intents = [entry(next(ids), **first)]
    count = rng.randint(0, 3)
    part = str(D("0.06") / count) if count else ""
    for step in range(count):
        price = str(mark + sign * (500 + 100 * step))
        intents.append(target(next(ids), price, part, side=other))
    if rng.random() < 0.8:
        trigger = mark - sign * 1_000
        wanted = stop(next(ids), str(trigger), str(trigger - sign * 100), side=other)
        wanted = msgspec.structs.replace(wanted, quantity=D("0.06"))
        if rng.random() < 0.5:
            wanted = msgspec.structs.replace(wanted, kind=Kind.STOP_MARKET, price=None)
        intents.append(wanted)
    return intents


def check(path: Path, venue: MudawylSimulator) -> int:
    """Ids one to one, and every execution of them booked once, at its price and fee."""
    db = sqlite3.connect(path)
    rows = db.execute("SELECT client_order_id, state, venue_order_id FROM orders").fetchall()
    ids = {venue_id: cid for cid, state, venue_id in rows if state != "REFUSED"}
    assert all(state != "UNKNOWN" for _, state, _ in rows)
    assert len(ids) == sum(state != "REFUSED" for _, state, _ in rows)
    closings = {str(r.id) for r in venue.rows.values() if r.reduce_only and r.stop_price is None}
    assert set(ids) == {str(row.id) for row in venue.rows.values()} - closings
    booked: defaultdict[str, Decimal] = defaultdict(Decimal)
    fees = D(0)
    for (body,) in db.execute("SELECT body FROM fills"):
        fill = msgspec.json.decode(body, type=VenueFill)
        booked[fill.venue_order_id] += fill.quantity
        fees += fill.fee
    db.close()
    paid = D(0)
    for row, taken in venue.fills(SYMBOL):
        if str(row.id) not in closings:
            booked[str(row.id)] -= taken.quantity
            paid += taken.fee
    assert not any(booked.values())
    assert fees == paid
    return len(ids)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_or_doubled_on_a_bad_wire(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    venue = still(
        reduces_amount=seed % 2 == 0,
        market_stop_closes=seed % 3 == 0,
        partial=("short", "error")[seed % 2],
        flat_position=("zero", "nulls", "empty")[seed % 3],
        history_has_open=seed % 2 == 1,
    )

    async def story(make: Callable[[], Session]) -> None:
        session = make()
        await session.adapter.connect(trading=True)
        session.desk.start()
        for number in range(1, ROUNDS + 1):
            mark = D(60_000)
            move(venue, str(mark))
            if rng.random() < 0.3:
                venue.failing.append(rng.choice(("stop", "target")))
            venue.faults.profile = "bad"
            await session.desk.submit(approved(*drawn(number, rng, mark)))
            for step in rng.choice(((600, -1_200), (-1_200, 600), (-300, 300))):
                await asyncio.sleep(rng.uniform(0, 4))
                move(venue, str(mark + step))
            venue.faults.clear()
            venue.failing.clear()
            await session.until(lambda: not session.desk.unresolved())
            await session.adapter.trading.flatten("BTC_USDT.MUDAWYL")
            await session.until(lambda: not session.desk.live_orders())
        assert session.desk.failure is None
        await session.end()

    run(story, venue, tmp_path / "journal.sqlite")
    assert check(tmp_path / "journal.sqlite", venue) >= ROUNDS
    assert venue.faults.counts
