"""What a session gives the orders that the engine holds: prices, and the gate's word."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from fairlead.engine.orders.approved import Approved
from fairlead.engine.orders.held import NotNow
from fairlead.engine.orders.model import Intent, Refused
from fairlead.engine.risk.release import refused, regate
from fairlead.engine.risk.verdict import Denial

PRICE_SECS = 0.25  # between the prices
AMPLE = Decimal(1_000_000_000)  # the size of a level, base units


def released(process: Any, held: Intent, sent: Intent) -> Approved | Refused | NotNow:
    answer = regate(process.gate, process.view, sent)
    if not isinstance(answer, Denial):
        if isinstance(answer, Approved):
            process.world.trace.count("released")
        return answer
    process.world.trace.count(f"release:{answer.code}")
    return refused(answer)


async def show_prices(process: Any) -> None:
    """The market as the gate sees it; within a gap there is none."""
    held, name = process.desk.held, process.world.instrument
    while not process.is_stopping:
        seen = process.view.reference(name)
        if seen is None or not seen.valid or seen.bid is None or seen.ask is None:
            held.book(name, (), (), process.now_ns(), process.now_ns())
        else:
            bids, asks = ((seen.bid, AMPLE),), ((seen.ask, AMPLE),)
            held.book(name, bids, asks, seen.ts_ns, seen.ts_ns)
            held.trade(name, (seen.bid + seen.ask) / 2, seen.ts_ns, seen.ts_ns)
        await asyncio.sleep(PRICE_SECS)
