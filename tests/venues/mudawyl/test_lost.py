"""What becomes of orders whose answer was lost, in the same process and after a restart."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    Found,
    Intent,
    Kind,
    Lost,
    Unknown,
    Unsure,
    VenueUnavailable,
)
from tests.venues.mudawyl.trading_kit import (
    BTC,
    World,
    bracket,
    entry,
    leaving,
    ref,
    world,
)

NONE: frozenset[str] = frozenset()
D = Decimal


def lost(made: World, *intents: Intent, known: frozenset[str] = NONE) -> list[Lost]:
    return [Lost(intent, known, made.desk.now_ns) for intent in intents]


async def test_a_bracket_whose_answer_is_lost_is_found_leg_by_leg_and_never_sent_again() -> None:
    made = await world()
    made.wire.loses = "answer"
    intents = bracket()
    outcomes = await made.submit(*intents)
    assert all(isinstance(outcome, Unknown) for outcome in outcomes)
    found = await made.orders.find_all(lost(made, *intents))
    orders = [each.order for each in found if isinstance(each, Found)]
    assert [order.client_order_id for order in orders] == ["C-1", "C-2", "C-3", "C-4"]
    assert [order.kind for order in orders] == [intent.kind for intent in intents]
    assert len(made.wire.changes()) == 1


async def test_a_request_that_never_arrived_is_absent() -> None:
    made = await world()
    made.wire.loses = "request"
    intents = bracket()
    assert all(isinstance(outcome, Unknown) for outcome in await made.submit(*intents))
    found = await made.orders.find_all(lost(made, *intents))
    assert all(isinstance(each, Absent) for each in found)


@pytest.mark.parametrize("kind", [Kind.MARKET, Kind.LIMIT])
async def test_an_older_order_with_the_same_fields_is_not_it(kind: Kind) -> None:
    price = D(50000) if kind is Kind.LIMIT else None
    made = await world(clearing="allow")
    one, two = entry(1, kind=kind, price=price), entry(2, kind=kind, price=price)
    (first,) = await made.accepted(one)
    if kind is Kind.MARKET:
        await made.orders.flatten(BTC)
    made.wire.loses = "request"
    await made.submit(two)
    (found,) = await made.orders.find_all(lost(made, two))
    assert isinstance(found, Absent)
    made.wire.loses = "answer"
    await made.submit(msgspec.structs.replace(two, client_order_id="C-3"))
    three = msgspec.structs.replace(two, client_order_id="C-3")
    (found,) = await made.orders.find_all(lost(made, three))
    assert isinstance(found, Found)
    assert found.order.venue_order_id != first.venue_order_id


async def test_after_a_restart_what_the_journal_knows_and_what_is_older_is_not_it() -> None:
    made = await world()
    (first,) = await made.accepted(entry(1))
    made.desk.wait(120_000)
    made.orders._before.clear()
    (found,) = await made.orders.find_all(lost(made, entry(2)))
    assert isinstance(found, Absent)
    (found,) = await made.orders.find_all([Lost(entry(2), NONE, made.desk.now_ns - 12 * 10**10)])
    assert isinstance(found, Found)
    (found,) = await made.orders.find_all([Lost(entry(2), NONE, made.desk.now_ns - 10**11)])
    assert isinstance(found, Unsure)
    assert found.ambiguous
    known = frozenset({first.venue_order_id})
    (found,) = await made.orders.find_all([Lost(entry(2), known, made.desk.now_ns - 10**11)])
    assert isinstance(found, Absent)


async def test_what_another_closed_within_the_minute_leaves_an_exit_that_was_lost_ambiguous() -> (
    None
):
    """After a restart: the exchange's clock is not known better. Before it the snapshot tells."""
    made = await world()
    await made.accepted(entry(1))
    await made.orders.flatten(BTC)
    await made.accepted(entry(2))
    made.wire.loses = "answer"
    (outcome,) = await made.submit(leaving())
    assert isinstance(outcome, Unknown)
    (found,) = await made.orders.find_all(lost(made, leaving()))
    assert isinstance(found, Found)
    made.orders._before.clear()
    (found,) = await made.orders.find_all(lost(made, leaving()))
    assert isinstance(found, Unsure)
    assert (found.ambiguous, len(found.candidates)) == (True, 2)


@pytest.mark.parametrize("loses", ["answer", "request"])
@pytest.mark.parametrize("newer", [True, False])
async def test_after_a_restart_what_was_closed_before_is_never_an_exit_that_was_lost(
    loses: str, newer: bool
) -> None:
    """A `flatten` of the same size, seconds before: of the position before its entry where that is
    newer; else the exchange's clock would have to be known."""
    made = await world()
    (first,) = await made.accepted(entry(1))
    known = {first.venue_order_id}
    if newer:
        await made.orders.flatten(BTC)
        made.desk.wait(16_000)
        (second,) = await made.accepted(entry(2))
        known |= {second.venue_order_id}
        made.desk.wait(5_000)
    sent_ns = made.desk.now_ns
    made.wire.loses = loses
    (outcome,) = await made.submit(leaving())
    assert isinstance(outcome, Unknown)
    if not newer:  # what is there is 20 s older than the request, by the clocks as they stand
        sent_ns += 20 * 10**9
    made.orders._before.clear()
    (found,) = await made.orders.find_all([Lost(leaving(), frozenset(known), sent_ns)])
    if loses == "request":
        assert isinstance(found, Absent)
    elif newer:
        assert isinstance(found, Found)
        assert found.order.ts_created >= sent_ns
    else:
        assert isinstance(found, Unsure)
        assert found.ambiguous


@pytest.mark.parametrize("loses", ["answer", "request"])
async def test_an_exit_at_once_after_its_entry_is_told_by_what_the_journal_had_before_it(
    loses: str,
) -> None:
    """After a restart; a `flatten` of the same size is younger than two seconds, too."""
    made = await world()
    (first,) = await made.accepted(entry(1))
    await made.orders.flatten(BTC)
    made.desk.wait(300)
    (second,) = await made.accepted(entry(2))
    made.desk.wait(300)
    made.wire.loses = loses
    (outcome,) = await made.submit(leaving())
    assert isinstance(outcome, Unknown)
    known = frozenset({first.venue_order_id, second.venue_order_id})
    made.orders._before.clear()
    sent_ns = made.desk.now_ns
    (found,) = await made.orders.find_all([Lost(leaving(), known, sent_ns, before=known)])
    if loses == "request":
        assert isinstance(found, Absent)
    else:
        assert isinstance(found, Found)
        (told,) = await made.orders.orders([ref(second.venue_order_id)])
        assert found.order.ts_created > told.ts_created
        earlier = frozenset({first.venue_order_id})
        (found,) = await made.orders.find_all([Lost(leaving(), known, sent_ns, before=earlier)])
        assert isinstance(found, Unsure)  # the entry that it closes was not known before it
        assert found.ambiguous


async def test_a_position_that_changed_without_an_order_is_no_absence() -> None:
    made = await world()
    made.wire.loses = "request"
    await made.submit(entry(1))
    made.desk.create(amount="0.02")  # somebody else, by hand
    (found,) = await made.orders.find_all(lost(made, entry(1)))
    assert isinstance(found, Unsure)


async def test_what_can_not_be_read_is_unsure() -> None:
    made = await world()
    made.wire.fails_reads = True
    (found,) = await made.orders.find_all(lost(made, entry(1)))
    assert isinstance(found, Unsure)
    with pytest.raises(VenueUnavailable):
        await made.orders.open_orders([BTC])


async def test_an_answer_whose_lists_can_not_be_read_tells_what_it_holds() -> None:
    made = await world()
    made.sim.control({"fail": "stop"})
    reads = made.orders._rows

    async def broken(facts: Any) -> Any:
        raise VenueUnavailable("TEST", "no lists")

    made.orders._rows = broken  # type: ignore[method-assign]
    *others, stopping = await made.submit(*bracket())
    assert isinstance(stopping, Unknown)
    assert all(isinstance(each, Accepted) for each in others)
    assert made.held() == D("0.05")  # nothing is concluded, nothing closed
    made.orders._rows = reads  # type: ignore[method-assign]
