"""Orders that were given up, and may turn up late: so many of them, the newest."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournaledOrder
from fairlead.engine.orders.late import WATCHED_MAX, GivenUp
from fairlead.engine.orders.live import LiveOrder
from fairlead.engine.orders.model import Intent, Kind, OrderState, Side, Tif, TriggerCondition
from fairlead.engine.orders.reconcile import compare
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent, venue_order


class Kept:
    """What a journal says was given up, oldest first."""

    def __init__(self, orders: list[JournaledOrder]) -> None:
        self.orders = orders

    def given_up_since(self, ts_ns: int, most: int) -> list[tuple[JournaledOrder, int]]:
        return [(order, order.ts_sent) for order in self.orders if order.ts_sent >= ts_ns][-most:]

    def releases_given_up_since(self, ts_ns: int, most: int) -> list[tuple[Intent, int, int]]:
        return []


def order(number: int) -> JournaledOrder:
    intent = Intent(
        client_order_id=f"X-{number}",
        instrument="BTC_USDT.STUBEX",
        strategy="S-1",
        side=Side.BUY,
        kind=Kind.LIMIT,
        quantity=Decimal(1),
        price=Decimal(100),
        time_in_force=Tif.GTC,
    )
    return JournaledOrder(
        intent=intent,
        state=OrderState.REFUSED,
        venue_order_id=None,
        filled=Decimal(0),
        cost=Decimal(0),
        cancel_requested=False,
        ts_sent=number,
    )


def given_up(journaled: list[JournaledOrder]) -> GivenUp:
    return GivenUp(cast(Journal, Kept(journaled)), lambda: 1_000)


def names(watched: GivenUp) -> list[Any]:
    return [one.intent.client_order_id for one in watched.orders()]


def test_of_too_many_the_oldest_are_forgotten() -> None:
    watched = given_up([])
    for number in range(3 * WATCHED_MAX):
        watched.add(LiveOrder(order(number)))
    assert names(watched) == [f"X-{number}" for number in range(2 * WATCHED_MAX, 3 * WATCHED_MAX)]


def test_those_of_the_journal_are_older_than_what_was_given_up_since() -> None:
    before = [order(number) for number in range(10)]
    watched = given_up(before)
    for number in range(10, WATCHED_MAX):
        watched.add(LiveOrder(order(number)))
    watched.recall()
    assert names(watched) == [f"X-{number}" for number in range(WATCHED_MAX)]
    watched.add(LiveOrder(order(WATCHED_MAX)))
    assert names(watched) == [f"X-{number}" for number in range(1, WATCHED_MAX + 1)]


def test_one_that_is_watched_stays_where_it_is() -> None:
    watched = given_up([order(1), order(2)])
    watched.add(LiveOrder(order(2)))
    watched.recall()
    watched.recall()
    assert names(watched) == ["X-1", "X-2"]


@pytest.mark.parametrize("kind", [Kind.LIMIT, Kind.STOP_LIMIT])
@pytest.mark.parametrize("keeps_ids", [True, False])
def test_a_look_alike_of_an_order_that_was_given_up_is_named_where_ids_tell_them_apart(
    tmp_path: Path, keeps_ids: bool, kind: Kind
) -> None:
    """Where the venue keeps our id, it would show it; but not on what a stop becomes."""
    bench = Bench(tmp_path / "journal.sqlite", client_order_ids=keeps_ids)
    sent = intent(
        kind=kind,
        trigger_price=None if kind is Kind.LIMIT else Decimal(99),
        trigger_condition=None if kind is Kind.LIMIT else TriggerCondition.GTE,
    )

    async def main() -> None:
        await bench.desk.submit(approved(sent))
        while not bench.desk.given_up():
            await asyncio.sleep(1)
        bench.venue.book["V-1"] = venue_order("V-1", client_order_id="")
        seen = await compare(bench.venue, bench.desk, [INSTRUMENT], bench.loop.now_ns)
        named = ["ORDER-EXTERNAL"] if keeps_ids and kind is Kind.LIMIT else []
        assert [one.code for one in seen.findings] == named

    bench.run(main())
    assert bench.journal is not None
    bench.journal.close()
