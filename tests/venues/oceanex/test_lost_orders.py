"""Orders whose answer was lost, looked for at the simulated venue."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.oceanex.simulator import OceanexSimOptions, OceanexSimulator
from fairlead.adapters.oceanex.venue import OceanexAdapter
from fairlead.adapters.simulation.server import Served, serve
from fairlead.engine.orders.model import (
    Absent,
    Found,
    Intent,
    Kind,
    Lost,
    OrderState,
    Refused,
    Side,
    TriggerCondition,
    Unknown,
    Unsure,
)
from tests.venues.oceanex.conftest import context_of
from tests.venues.oceanex.test_against_simulator import (
    BTC,
    NONE,
    accepted,
    intent,
    stop,
)


async def lose(adapter: OceanexAdapter, served: Served, fault: str, wanted: Intent) -> int:
    """Submit under a fault; the outcome must be Unknown. Returns the time of sending."""
    simulator: Any = served.venue
    simulator.faults.next("POST", "/v1/orders", fault)
    ts_sent = time.time_ns()
    (outcome,) = await adapter.orders.submit([wanted])
    assert isinstance(outcome, Unknown), outcome
    return ts_sent


@pytest.mark.parametrize("fault", ["lose_answer", "bad_gateway", "truncated"])
@pytest.mark.parametrize("kind", [Kind.LIMIT, Kind.MARKET])
async def test_a_lost_answer_is_found(
    adapter: OceanexAdapter, served: Served, fault: str, kind: Kind
) -> None:
    wanted = intent() if kind is Kind.LIMIT else intent(kind=kind, price=None)
    earlier = await accepted(adapter, wanted)
    ts_sent = await lose(adapter, served, fault, wanted)
    result = await adapter.orders.find(wanted, frozenset({earlier.venue_order_id}), ts_sent)
    assert isinstance(result, Found)
    assert result.order.venue_order_id != earlier.venue_order_id
    ambiguous = await adapter.orders.find(wanted, NONE, ts_sent)
    assert isinstance(ambiguous, Unsure)
    assert ambiguous.ambiguous


@pytest.mark.parametrize("fault", ["lose_request", "unavailable"])
async def test_a_lost_request_is_absent(
    adapter: OceanexAdapter, served: Served, fault: str
) -> None:
    await accepted(adapter, intent(price=Decimal(40000)))
    ts_sent = await lose(adapter, served, fault, intent())
    result = await adapter.orders.find(intent(), NONE, ts_sent)
    assert isinstance(result, Absent)
    assert "has these fields" in result.evidence


async def test_a_failed_look_is_unsure(adapter: OceanexAdapter, served: Served) -> None:
    ts_sent = await lose(adapter, served, "lose_answer", intent())
    simulator: Any = served.venue
    simulator.faults.next("POST", "/v1/orders/filter", "unavailable", times=5)
    result = await adapter.orders.find(intent(), NONE, ts_sent)
    assert isinstance(result, Unsure)
    assert not result.ambiguous


WAITING = stop(Side.BUY, TriggerCondition.GTE, "90000", "91000")


async def test_a_lost_stop_is_never_called_absent_while_triggers_are_hidden(
    adapter: OceanexAdapter, served: Served
) -> None:
    ts_sent = await lose(adapter, served, "lose_answer", WAITING)
    assert isinstance(await adapter.orders.find(WAITING, NONE, ts_sent), Unsure)


async def test_a_lost_stop_is_found_by_the_ids_around_our_newest_order(
    adapter: OceanexAdapter, served: Served
) -> None:
    earlier = await accepted(adapter, WAITING)
    ts_sent = await lose(adapter, served, "lose_answer", WAITING)
    known = frozenset({earlier.venue_order_id})
    result = await adapter.orders.find(WAITING, known, ts_sent)
    assert isinstance(result, Found)
    assert result.order.state is OrderState.WAITING
    assert result.order.venue_order_id != earlier.venue_order_id
    unsent = stop(Side.BUY, TriggerCondition.GTE, "90001", "91000")
    assert isinstance(await adapter.orders.find(unsent, known, ts_sent), Unsure)


async def test_a_lost_stop_is_found_where_triggers_are_listed() -> None:
    options = OceanexSimOptions(filter_hides_waiting=False)
    served = await serve(OceanexSimulator(now_ns=time.time_ns(), options=options))
    adapter = OceanexAdapter(context_of(served))
    await adapter.connect(trading=True)
    unlisted = await adapter.orders.find(WAITING, NONE, time.time_ns())
    ts_sent = await lose(adapter, served, "lose_answer", WAITING)
    found = await adapter.orders.find(WAITING, NONE, ts_sent)
    other = stop(Side.BUY, TriggerCondition.GTE, "90001", "91000")
    absent = await adapter.orders.find(other, NONE, ts_sent)
    waiting = await adapter.orders.open_orders([BTC])
    await adapter.close()
    await served.stop()
    assert isinstance(unlisted, Unsure)
    assert isinstance(found, Found)
    assert found.order.state is OrderState.WAITING
    assert isinstance(absent, Absent)
    assert [o.kind for o in waiting] == [Kind.STOP_LIMIT]


async def test_a_lost_batch_is_unknown_and_found_one_by_one(
    adapter: OceanexAdapter, served: Served
) -> None:
    orders = [intent(n, price=Decimal(40000 + n)) for n in range(3)]
    simulator: Any = served.venue
    simulator.faults.next("POST", "/v1/orders/multi", "lose_answer")
    ts_sent = time.time_ns()
    outcomes = await adapter.orders.submit(orders)
    assert {type(o) for o in outcomes} == {Unknown}
    for wanted in orders:
        found = await adapter.orders.find(wanted, NONE, ts_sent)
        assert isinstance(found, Found)
        assert found.order.price == wanted.price


async def test_a_refused_batch_is_unknown(adapter: OceanexAdapter) -> None:
    """How a batch fails in part is not documented, so a refusal of it proves nothing."""
    outcomes = await adapter.orders.submit([intent(1), intent(2, price=Decimal("50000.001"))])
    assert not any(isinstance(o, Refused) for o in outcomes)


async def test_many_are_found_in_one_reading_of_the_lists(
    adapter: OceanexAdapter, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is over already is found as well, and the venue is asked as often as for one."""
    simulator: Any = served.venue
    asked: list[str] = []
    answer = simulator.http
    monkeypatch.setattr(
        simulator, "http", lambda request: (asked.append(request.path), answer(request))[1]
    )
    rests = intent("rests", price=Decimal(40000))
    fills = intent("fills", kind=Kind.MARKET, price=None)
    never = intent("never", price=Decimal(41000))
    faults = {"c-rests": "lose_answer", "c-fills": "lose_answer", "c-never": "lose_request"}
    lost = [
        Lost(one, NONE, await lose(adapter, served, faults[one.client_order_id], one))
        for one in (rests, fills, never)
    ]
    asked.clear()
    assert isinstance(await adapter.orders.find(rests, NONE, lost[0].ts_sent), Found)
    for_one = len(asked)
    asked.clear()
    found, over, absent = await adapter.orders.find_all(lost)
    assert len(asked) == for_one
    assert isinstance(found, Found)
    assert found.order.state is OrderState.OPEN
    assert isinstance(over, Found)
    assert over.order.state is OrderState.FILLED
    assert isinstance(absent, Absent)
    simulator.faults.next("POST", "/v1/orders/filter", "unavailable", times=5)
    results = await adapter.orders.find_all(lost)
    assert [type(one) for one in results] == [Unsure] * 3


@pytest.mark.parametrize("kind", [Kind.LIMIT, Kind.MARKET])
async def test_an_order_by_hand_of_before_is_not_the_lost_one(
    adapter: OceanexAdapter, served: Served, kind: Kind
) -> None:
    """The same fields, four seconds before the send whose request never came."""
    wanted = intent() if kind is Kind.LIMIT else intent(kind=kind, price=None)
    by_hand = await accepted(adapter, wanted)
    simulator: Any = served.venue
    simulator.faults.next("POST", "/v1/orders", "lose_request")
    (outcome,) = await adapter.orders.submit([intent()])
    assert isinstance(outcome, Unknown)
    ts_sent = by_hand.ts_created + 5_000_000_000
    assert isinstance(await adapter.orders.find(wanted, NONE, ts_sent), Absent)
    after_a_restart = await adapter.orders.find(wanted, NONE, ts_sent, 120_000_000_000)
    assert isinstance(after_a_restart, Unsure)
    assert after_a_restart.ambiguous
