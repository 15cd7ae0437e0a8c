"""MET-OWN-ORDER is said of no market order that only found too little in the book."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from fairlead.engine.orders.model import Accepted, Kind, OrderState, Side
from fairlead.engine.orders.table import MET_OWN
from tests.support.approving import approved
from tests.unit.orders.conftest import Bench, intent, venue_order


@pytest.mark.parametrize(
    ("own", "filled", "is_met"), [(120, "0.2", False), (100, "0.2", True), (100, "0", True)]
)
def test_a_market_order_that_its_venue_ended(
    bench: Bench, own: int, filled: str, is_met: bool
) -> None:
    """An own SELL rests, and what the BUY took was at 100."""
    bench.venue.answer = lambda one: Accepted("V1" if one.client_order_id == "A" else "V2")
    ask, took = Decimal(own), Decimal(filled)

    async def main() -> None:
        bench.desk.start()
        sell = intent("A", side=Side.SELL, price=ask, quantity=Decimal("0.5"))
        await bench.desk.submit(approved(sell))
        bench.venue.book["V1"] = venue_order("V1", side=Side.SELL, price=ask)
        await asyncio.sleep(1.5)
        await bench.desk.submit(approved(intent("B", side=Side.BUY, kind=Kind.MARKET, price=None)))
        bench.venue.book["V2"] = venue_order(
            "V2",
            kind=Kind.MARKET,
            price=None,
            filled=took,
            avg_price=Decimal(100) if took else None,
            state=OrderState.CANCELED,
        )
        await asyncio.sleep(1.5)
        bench.venue.book.pop("V1")

    bench.run(main())
    told = [repr(event) for event in bench.sink.events if event[0] == "finding"]
    assert any(MET_OWN in one for one in told) is is_met, told


def test_a_stop_that_never_fired_met_nothing(bench: Bench) -> None:
    """An own BUY rests within its limit, and a person cancels the stop at the venue's site."""
    bench.venue.answer = lambda one: Accepted("V1" if one.client_order_id == "A" else "V2")
    limits = {"price": Decimal(90), "trigger_price": Decimal(95)}

    async def main() -> None:
        bench.desk.start()
        bench.venue.book["V1"] = venue_order("V1", price=Decimal(92))
        await bench.desk.submit(approved(intent("A", price=Decimal(92))))
        stop = intent("B", side=Side.SELL, kind=Kind.STOP_LIMIT, **limits)
        for state in (OrderState.WAITING, OrderState.CANCELED):
            told = venue_order("V2", side=Side.SELL, kind=Kind.STOP_LIMIT, state=state, **limits)
            bench.venue.book["V2"] = told
            if state is OrderState.WAITING:
                await bench.desk.submit(approved(stop))
            await asyncio.sleep(5)
        bench.venue.book.clear()

    bench.run(main())
    found = [repr(event) for event in bench.sink.events if event[0] == "finding"]
    assert not any(MET_OWN in one for one in found), found
    assert bench.journal is not None
    assert not any(MET_OWN.encode() in body for *_, body in bench.journal.story("B"))
