"""Seeded sessions of the order desk at the simulated gateway, on a bad wire, with deaths.

    python -m tests.venues.mudawyl.seeds 1..2000

Each draws brackets, legs that fail, market moves, market exits, and deaths of the process; some
enter again beside what they hold, as a config can have it: once an exit of their own has closed
that. The gateway's ledger says whether anything was lost, doubled or guessed, or sold unbooked.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from fairlead.adapters.mudawyl.simulator import MudawylSimulator
from fairlead.engine.orders.model import Intent, Kind, Role, Side, VenueFill
from tests.support.approving import approved
from tests.venues.mudawyl.test_desk import SYMBOL, Session, move, run, still
from tests.venues.mudawyl.trading_kit import entry, stop, target, trailing

ROUNDS = 8
CLOSINGS_MAX = 5
D = Decimal
MARK = D(60_000)


def drawn(number: int, rng: random.Random) -> list[Intent]:
    """An entry with up to three targets and perhaps a stop, around the market; or a trailing stop
    that follows from the market's next step on."""
    side = rng.choice(list(Side))
    if rng.random() < 0.2:
        begin = MARK + (-200 if side is Side.BUY else 200)
        offset = rng.choice((10, 50, 150))
        return [trailing(number * 10, str(begin), offset, side=side, quantity=D("0.06"))]
    other = Side.SELL if side is Side.BUY else Side.BUY
    sign = 1 if side is Side.BUY else -1
    ids = iter(range(number * 10, number * 10 + 9))
    first: dict[str, Any] = {"side": side, "quantity": D("0.06")}
    if rng.random() < 0.3:
        first |= {"kind": Kind.LIMIT, "price": MARK - sign * 100}
    intents = [entry(next(ids), **first)]
    count = rng.randint(0, 3)
    part = str(D("0.06") / count) if count else ""
    for step in range(count):
        price = str(MARK + sign * (500 + 100 * step))
        intents.append(target(next(ids), price, part, side=other))
    if rng.random() < 0.8:
        trigger = MARK - sign * 1_000
        wanted = stop(next(ids), str(trigger), str(trigger - sign * 100), side=other)
        wanted = msgspec.structs.replace(wanted, quantity=D("0.06"))
        if rng.random() < 0.5:
            wanted = msgspec.structs.replace(wanted, kind=Kind.STOP_MARKET, price=None)
        intents.append(wanted)
    return intents


class Play:
    """One seed's session."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        draw = self.rng
        self.again = random.Random(f"{seed}/again")
        self.opts_in = self.again.random() < 0.5
        self.counts: Counter[str] = Counter()
        self.venue = still(
            reduces_amount=draw.random() < 0.5,
            market_stop_closes=draw.random() < 0.5,
            partial=draw.choice(("short", "error")),
            flat_position=draw.choice(("zero", "nulls", "empty")),
            history_has_open=draw.random() < 0.5,
        )

    async def story(self, make: Callable[[], Session]) -> None:
        self.make = make
        session = make()
        await session.adapter.connect(trading=True)
        session.desk.start()
        for number in range(1, ROUNDS + 1):
            session = await self._round(session, number)
        assert session.desk.failure is None, session.desk.failure
        await session.end()

    async def _round(self, session: Session, number: int) -> Session:
        rng, venue = self.rng, self.venue
        move(venue, str(MARK))
        if rng.random() < 0.3:
            venue.failing.append(rng.choice(("stop", "target")))
        venue.faults.profile = "bad"
        sending = asyncio.ensure_future(session.desk.submit(approved(*drawn(number, rng))))
        if rng.random() < 0.25:
            await asyncio.sleep(rng.uniform(0.0, 3.0))
            session = await self._died(session, sending)
        await asyncio.gather(sending, return_exceptions=True)
        for step in rng.choice(((600, -1_200), (-1_200, 600), (-300, 300))):
            await asyncio.sleep(rng.uniform(0, 4))
            move(venue, str(MARK + step))
        if self.opts_in and self.again.random() < 0.7:
            await self._entered_again(session, number + 100)
        if rng.random() < 0.5:
            await self._left(session, number)
        if rng.random() < 0.15:
            session = await self._died(session, sending)
        venue.faults.clear()
        venue.failing.clear()
        await session.until(lambda: not session.desk.unresolved())
        await self._closed(session, number)
        await session.adapter.trading.flatten("BTC_USDT.MUDAWYL")
        await session.until(lambda: not session.desk.live_orders())
        return session

    async def _entered_again(self, session: Session, number: int) -> None:
        """As the guard makes room (engine/guard/room.py): never beside what is left."""
        await self._left(session, number)
        try:
            async with asyncio.timeout(60):
                await session.until(
                    lambda: not self._held(session) and not session.desk.live_orders()
                )
        except TimeoutError:
            return
        self.counts["again"] += 1
        await session.desk.submit(approved(*drawn(number, self.again)))
        await asyncio.sleep(self.again.uniform(0, 4))

    async def _died(self, session: Session, sending: asyncio.Future[None]) -> Session:
        """The process dies between two answers; the next takes over what the journal holds."""
        self.counts["deaths"] += 1
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await session.end()
        self.venue.faults.profile = "none"
        fresh = self.make()
        await fresh.adapter.connect(trading=True)
        fresh.desk.adopt_journal()
        await fresh.desk.recover(60.0)
        fresh.desk.start()
        self.venue.faults.profile = "bad"
        return fresh

    async def _closed(self, session: Session, number: int) -> None:
        """All that is held, by the desk. What the gateway's own call closes beside it could not be
        told, by a process that starts within the minute, from an exit whose answer was lost."""
        for step in range(CLOSINGS_MAX):
            self.venue.settle()  # what the market has triggered, before the gateway's next tick
            await session.until(lambda: self._held(session) == self.venue.holdings[SYMBOL].quantity)
            if not self._held(session):
                return
            await self._left(session, number * 10 + 9_000 + step * 1_000)
            await session.until(lambda: not session.desk.unresolved())
        raise AssertionError("a market exit closes nothing")

    @staticmethod
    def _held(session: Session) -> Decimal:
        return sum((one.quantity for one in session.journal.positions()), D(0))

    async def _left(self, session: Session, number: int) -> None:
        """A market exit of what the journal says is held, which may be old by now."""
        held = self._held(session)
        if not held:
            return
        self.counts["exits"] += 1
        side = Side.SELL if held > 0 else Side.BUY
        leaving = entry(number * 10 + 9, side=side, quantity=abs(held), role=Role.EXIT)
        await session.desk.submit(approved(leaving))


def problems(path: Path, venue: MudawylSimulator) -> list[str]:
    """Ids one to one, and every execution of them booked once, at its price and fee."""
    found = []
    db = sqlite3.connect(path)
    rows = db.execute("SELECT client_order_id, state, venue_order_id FROM orders").fetchall()
    fills = [
        msgspec.json.decode(body, type=VenueFill)
        for (body,) in db.execute("SELECT body FROM fills")
    ]
    db.close()
    named = [venue_id for _, state, venue_id in rows if state != "REFUSED"]
    ids = set(named)
    if unknown := [cid for cid, state, _ in rows if state == "UNKNOWN"]:
        found.append(f"UNKNOWN {unknown}")
    if len(ids) != len(named):
        found.append(f"one order at the gateway for two here: {sorted(named)}")
    ours = {str(row.id) for row in venue.rows.values()}
    if lost := ours - ids:
        found.append(f"at the gateway, and not known here: {sorted(lost)}")
    if none := ids - {str(row_id) for row_id in venue.rows}:
        found.append(f"known here, and not at the gateway: {sorted(none)}")
    booked: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        booked[fill.venue_order_id] += fill.quantity
    paid = sum((fill.fee for fill in fills), D(0))
    for row, taken in venue.fills(SYMBOL):
        if str(row.id) in ids:
            booked[str(row.id)] -= taken.quantity
            paid -= taken.fee
    if wrong := {name: left for name, left in booked.items() if left}:
        found.append(f"booked less executed: {wrong}")
    if paid:
        found.append(f"fees booked less paid: {paid}")
    return found


def play(seed: int, folder: Path) -> tuple[list[str], Counter[str]]:
    """What is wrong, and what happened."""
    one = Play(seed)
    path = folder / f"{seed}.sqlite"
    try:
        run(one.story, one.venue, path)
    except Exception as error:
        return [f"CRASH {type(error).__name__}: {error}"], one.counts
    one.counts["orders"] += len(one.venue.rows)
    one.counts["faults"] += sum(one.venue.faults.counts.values())
    return problems(path, one.venue), one.counts


def main(first: int, last: int) -> int:
    logging.disable(logging.CRITICAL)
    bad, counts = 0, Counter[str]()
    for seed in range(first, last + 1):
        with tempfile.TemporaryDirectory() as folder:
            wrong, seen = play(seed, Path(folder))
        counts += seen
        for text in wrong:
            print(f"seed {seed}: {text}", flush=True)
        bad += bool(wrong)
    print(f"{last - first + 1} sessions, {dict(counts)}: {bad} bad", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    begin, _, end = sys.argv[1].partition("..")
    sys.exit(main(int(begin), int(end or begin)))
