"""Replacing: one order here, a chain of orders at the venue."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import msgspec

from engine.orders.model import Accepted, OrderRef, OrderState, Outcome, Side, VenueFill
from tests.unit.orders.conftest import INSTRUMENT, Bench, Intent, intent, venue_order

SMALLER = Decimal("0.2")


def test_what_was_filled_beyond_a_smaller_replacement_is_told_and_the_rest_cancelled(
    tmp_path: Path,
) -> None:
    """The venue replaces in two steps: 0.3 is filled between them, where 0.2 is wanted."""
    bench = Bench(
        tmp_path / "journal.sqlite",
        replace=True,
        private_stream=True,
        reports_fills=True,
        client_order_ids=True,
    )
    bench.venue.answer = lambda _: Accepted("V1")

    async def slow(ref: OrderRef, changed: Intent) -> Outcome:
        trade = VenueFill(
            venue_order_id="V1",
            trade_id="t1",
            instrument=INSTRUMENT,
            side=Side.BUY,
            quantity=Decimal("0.3"),
            price=Decimal(100),
            fee=Decimal(0),
            fee_currency="USDT",
        )
        state = venue_order(filled=Decimal("0.3"), avg_price=Decimal(100))
        bench.desk.pushed_order(state, trade)
        return Accepted("V2")

    bench.venue.replace = slow  # type: ignore[method-assign]

    async def main() -> None:
        order = intent()
        await bench.desk.submit([order])
        await bench.desk.replace("A", msgspec.structs.replace(order, quantity=SMALLER))
        await asyncio.sleep(0.5)
        await bench.desk.abandon()

    bench.run(main())
    codes = [event[2][0].code for event in bench.sink.events if event[0] == "finding"]
    assert codes == ["OVERFILL"]
    assert [ref.venue_order_id for ref in bench.venue.cancels] == ["V2"]
    assert bench.desk.journal.positions()[0].quantity == Decimal("0.3")
    order = bench.desk.get("A")
    assert order is not None
    assert order.state in (OrderState.OPEN, OrderState.CANCELLING)
    bench.desk.journal.close()
