"""Finding a lost order, and reading states, executions and balances."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.poloniex.venue import PoloniexAdapter
from fairlead.engine.orders.model import (
    Absent,
    Found,
    Intent,
    Kind,
    OrderState,
    Unsure,
    VenueUnavailable,
)
from tests.venues.poloniex.orders_kit import (
    CID,
    NOT_FOUND,
    intent,
    order,
    ref,
    smart,
    stop,
)
from tests.venues.poloniex.support import (
    BTC,
    HTML,
    NOW_NS,
    ScriptedRest,
    http_error,
    payload,
)


def absent_everywhere(rest: ScriptedRest) -> None:
    rest.on("GET", f"/orders/cid:{CID}", NOT_FOUND)
    rest.on("GET", f"/smartorders/cid:{CID}_gte", http_error(400, 25013))
    rest.on("GET", f"/orders/cid:{CID}_gte", NOT_FOUND)
    for path in ("/orders", "/smartorders", "/orders/history", "/smartorders/history"):
        rest.on("GET", path, [])


async def test_find_by_client_id(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    rest.on("GET", f"/orders/cid:{CID}", order())
    told = await adapter.orders.find(intent(), frozenset(), NOW_NS)
    assert isinstance(told, Found)
    assert told.order.venue_order_id == "500"


async def test_find_a_stop_and_one_that_triggered(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    child = order(id="901", state="FILLED", filledQuantity="0.01", filledAmount="210")
    rest.on(
        "GET",
        f"/smartorders/cid:{CID}_gte",
        smart(),
        [smart(state="TRIGGERED", triggeredOrder=child)],
    )
    told = await adapter.orders.find(stop(), frozenset(), NOW_NS)
    assert isinstance(told, Found)
    assert (told.order.venue_order_id, told.order.state) == ("smart-900", OrderState.WAITING)
    told = await adapter.orders.find(stop(), frozenset(), NOW_NS)
    assert isinstance(told, Found)
    assert (told.order.venue_order_id, told.order.state) == ("smart-900", OrderState.FILLED)
    assert told.order.triggered


@pytest.mark.parametrize("asked", [intent(), stop()])
async def test_absent_only_when_every_list_was_read(
    adapter: PoloniexAdapter, rest: ScriptedRest, asked: Intent
) -> None:
    absent_everywhere(rest)
    assert isinstance(await adapter.orders.find(asked, frozenset(), NOW_NS), Absent)
    for path in ("/orders", "/orders/history", "/smartorders"):
        absent_everywhere(rest)
        rest.on("GET", path, HTML)
        assert isinstance(await adapter.orders.find(asked, frozenset(), NOW_NS), Unsure)
    absent_everywhere(rest)
    rest.on("GET", f"/orders/cid:{CID}", http_error(500, 500))
    if asked.kind is Kind.LIMIT:
        assert isinstance(await adapter.orders.find(asked, frozenset(), NOW_NS), Unsure)


@pytest.mark.parametrize(
    ("path", "row", "count", "code"),
    [
        ("/smartorders/history", smart(state="CANCELED"), 1000, "POLONIEX-HISTORY-FULL"),
        ("/orders/history", order(state="CANCELED"), 1000, "POLONIEX-HISTORY-FULL"),
        ("/smartorders", smart(), 2000, "POLONIEX-SMART-FULL"),
    ],
)
async def test_a_full_page_proves_no_absence(
    adapter: PoloniexAdapter,
    rest: ScriptedRest,
    path: str,
    row: dict[str, Any],
    count: int,
    code: str,
) -> None:
    """What did not fit on the page may be the order that is looked for."""
    absent_everywhere(rest)
    rest.on("GET", path, [row | {"id": str(n), "clientOrderId": ""} for n in range(count)])
    told = await adapter.orders.find(stop(), frozenset(), NOW_NS)
    assert isinstance(told, Unsure)
    assert code in told.reason


async def test_find_a_replacement_by_its_suffix(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    absent_everywhere(rest)
    rest.on("GET", f"/orders/cid:{CID}", order(id="500", state="CANCELED"))
    rest.on("GET", "/orders", [order(id="600", clientOrderId=f"{CID}_r500_f0")])
    told = await adapter.orders.find(intent(), frozenset({"500"}), NOW_NS)
    assert isinstance(told, Found)
    assert told.order.venue_order_id == "600"


async def test_two_that_fit_are_ambiguous(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    absent_everywhere(rest)
    rest.on(
        "GET",
        "/orders",
        [order(id="1", clientOrderId=f"{CID}_r5_f0"), order(id="2", clientOrderId=f"{CID}_r6_f0")],
    )
    told = await adapter.orders.find(intent(), frozenset(), NOW_NS)
    assert isinstance(told, Unsure)
    assert told.ambiguous


async def test_reads_raise_when_incomplete(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    rest.on("GET", "/orders", [order()])
    rest.on("GET", "/smartorders", HTML)
    with pytest.raises(VenueUnavailable):
        await adapter.orders.open_orders([BTC])
    rest.on("GET", "/accounts/balances", b"[")
    with pytest.raises(VenueUnavailable):
        await adapter.orders.balances()
    rest.on("GET", "/orders/500", NOT_FOUND)
    assert await adapter.orders.orders([ref()]) == []
    rest.on("GET", "/orders/500/trades", http_error(500, 500))
    with pytest.raises(VenueUnavailable):
        await adapter.orders.fills([ref()], 0)


async def test_many_orders_are_read_from_the_list_first(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    rest.on("GET", "/orders", [order(id=str(i)) for i in range(10, 14)])
    rest.on("GET", "/orders/99", order(id="99", state="FILLED"))
    refs = [ref(str(i)) for i in (10, 11, 12, 13, 99)]
    told = await adapter.orders.orders(refs)
    assert sorted(o.venue_order_id for o in told) == ["10", "11", "12", "13", "99"]
    assert len(rest.calls) == 3  # clock, list, the one that is not open


async def test_balances(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    rest.on("GET", "/accounts/balances", payload("rest_accounts_balances"))
    (told,) = await adapter.orders.balances()
    assert (told.currency, told.free, told.locked) == ("USDT", Decimal(2), Decimal(0))
