"""A venue that tells what an order has paid in all, and only when asked: fees sum to its word."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.engine.orders.model import Accepted, Fee, OrderState, Side, VenueOrder
from fairlead.engine.orders.table import FEE_ASSUMED, FILL_LAG_READS
from tests.support.approving import approved
from tests.unit.orders.conftest import Bench, intent, venue_order

PRICE = Decimal(100)
PART, ALL = Decimal("0.2"), Decimal("0.5")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "journal.sqlite", order_fees=True, private_stream=True)
    made.venue.answer = lambda _: Accepted("V1")
    yield made
    assert made.journal is not None
    made.journal.close()


def state(filled: Decimal, fee: str | None = None, **more: Any) -> VenueOrder:
    told = None if fee is None else Fee(Decimal(fee), "BTC")
    ended = OrderState.FILLED if filled == ALL else OrderState.OPEN
    return venue_order(
        **({"filled": filled, "avg_price": PRICE, "state": ended, "fees": told} | more)
    )


def booked(bench: Bench) -> list[tuple[Decimal, Decimal]]:
    fills = [detail[1] for name, _, detail in bench.sink.events if name == "order_filled"]
    return [(fill.quantity, fill.fee) for fill in fills]


def position(bench: Bench) -> Decimal:
    assert bench.journal is not None
    return sum((one.quantity for one in bench.journal.positions()), Decimal(0))


def pushed(bench: Bench, told: VenueOrder) -> None:
    """As the stream tells it: without the fee."""
    bench.desk.pushed_order(msgspec.structs.replace(told, fees=None), None)


def codes(bench: Bench) -> list[str]:
    return [detail[0].code for name, _, detail in bench.sink.events if name == "finding"]


def test_a_push_is_booked_with_the_fee_that_a_read_tells_at_once(bench: Bench) -> None:
    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))
        for filled, fee in ((PART, "0.0001"), (ALL, "0.00055")):
            bench.venue.book["V1"] = state(filled, fee)
            pushed(bench, bench.venue.book["V1"])
            assert (PART, Decimal(0)) not in booked(bench)
            assert bench.desk.unbooked(), "what the account holds proves nothing now"
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)  # no poll is running
        assert bench.desk.live_orders() == []

    bench.run(main())
    assert booked(bench) == [(PART, Decimal("0.0001")), (ALL - PART, Decimal("0.00045"))]
    assert position(bench) == ALL - Decimal("0.00055")


def test_a_seller_pays_in_quote_and_a_maker_is_paid_back(bench: Bench) -> None:
    async def main() -> None:
        await bench.desk.submit(approved(intent("A", side=Side.SELL)))
        for filled, fee in ((PART, "0.03"), (ALL, "0.01")):
            fees = Fee(Decimal(fee), "USDT")
            bench.venue.book["V1"] = state(filled, side=Side.SELL, fees=fees)
            await bench.desk.refresh()

    bench.run(main())
    assert booked(bench) == [(PART, Decimal("0.03")), (ALL - PART, Decimal("-0.02"))]
    assert position(bench) == -ALL


def test_what_an_earlier_process_has_booked_counts(bench: Bench) -> None:
    async def first() -> None:
        await bench.desk.submit(approved(intent("A")))
        bench.venue.book["V1"] = state(PART, "0.0001")
        await bench.desk.refresh()
        await bench.desk.abandon()

    async def second() -> None:
        bench.desk.adopt_journal()
        bench.venue.book["V1"] = state(ALL, "0.00055")
        await bench.desk.recover(1.0)

    bench.run(first())
    bench.restart()
    bench.run(second())
    assert booked(bench) == [(ALL - PART, Decimal("0.00045"))]
    assert position(bench) == ALL - Decimal("0.00055")


@pytest.mark.parametrize("end", [OrderState.FILLED, OrderState.CANCELED])
def test_an_order_is_not_over_before_its_fee_is_known(bench: Bench, end: OrderState) -> None:
    filled = ALL if end is OrderState.FILLED else PART

    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))
        bench.venue.book["V1"] = state(filled, state=end)
        await bench.desk.refresh()
        assert booked(bench) == []
        assert len(bench.desk.live_orders()) == 1
        bench.venue.book["V1"] = state(filled, "0.0003", state=end)
        await bench.desk.refresh()
        assert bench.desk.live_orders() == []

    bench.run(main())
    assert booked(bench) == [(filled, Decimal("0.0003"))]
    assert ("order_canceled" in bench.sink.names()) == (end is OrderState.CANCELED)


def test_what_is_never_told_is_booked_by_the_table_and_corrected_by_what_is(bench: Bench) -> None:
    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))
        bench.venue.book["V1"] = state(PART)
        for _ in range(FILL_LAG_READS + 2):
            await bench.desk.refresh()
        assert booked(bench) == [], "many reads within a moment are no proof"
        await asyncio.sleep(bench.traits.max_order_lag_secs)
        await bench.desk.refresh()
        assert booked(bench) == [(PART, Decimal("0.0002"))]
        assert bench.desk.unbooked() == []
        bench.venue.book["V1"] = state(ALL, "0.0001")
        await bench.desk.refresh()

    bench.run(main())
    assert codes(bench) == [FEE_ASSUMED]
    assert booked(bench)[1:] == [(ALL - PART, Decimal("-0.0001"))]
    assert position(bench) == ALL - Decimal("0.0001")


def test_a_read_that_fails_is_made_again_by_the_poll(bench: Bench) -> None:
    """The one that the push caused meets a page that is older than the push."""

    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))
        bench.desk.start()
        await asyncio.sleep(20.0)
        bench.venue.book["V1"] = state(Decimal(0))
        pushed(bench, state(ALL))
        await asyncio.sleep(0.1)
        bench.venue.book["V1"] = state(ALL, "0.0005")
        async with asyncio.timeout(5.0):
            while bench.desk.live_orders():
                await asyncio.sleep(0.1)
        await bench.desk.abandon()

    bench.run(main())
    assert booked(bench) == [(ALL, Decimal("0.0005"))]
