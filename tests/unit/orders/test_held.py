"""Orders that the engine holds: durable, fired by a fresh price, released once, never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.engine.orders.held import HeldSettings, NotNow
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    Found,
    Kind,
    OrderState,
    Outcome,
    Refused,
    Side,
    Tif,
    TriggerSource,
    Unknown,
    own_id,
)
from fairlead.engine.orders.trigger import released, watched_price
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, venue_order
from tests.unit.orders.held_bench import ABLE, STOPS, HeldBench, benches, far_and_met, stop


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., HeldBench]]:
    yield from benches(tmp_path)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("kind", STOPS)
def test_a_held_order_is_durable_and_released_by_the_price_that_it_would_take(
    make: Callable[..., HeldBench], kind: Kind, side: Side
) -> None:
    bench = make()
    bench.venue.answer = lambda _: Accepted("V1", venue_order("V1", state=OrderState.OPEN))
    one = stop(kind, side)
    far, met = far_and_met(one)

    async def main() -> None:
        await bench.desk.submit(approved(one))
        assert bench.state() is OrderState.HELD
        await bench.at(*far)
        assert bench.venue.creates == []
        await bench.at(*met)
        await bench.at(*met)

    bench.run(main())
    (sent,) = bench.venue.creates
    assert sent == released(one, ABLE, 1)
    assert (sent.kind, sent.time_in_force) == (
        Kind.LIMIT if one.price else Kind.MARKET,
        Tif.FOK,
    )
    assert bench.sink.names() == [
        "order_submitted",
        "order_held",
        "order_triggered",
        "order_released",
    ]
    assert bench.kinds() == ["INTENT", "HELD", "TRIGGERED", "RELEASE", "ACCEPTED"]
    assert bench.desk.journal.problems() == []


def test_a_stale_a_crossed_and_an_unknown_book_fire_nothing(
    make: Callable[..., HeldBench],
) -> None:
    bench = make(HeldSettings(stale_after_ns=1_000_000_000))

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        await asyncio.sleep(5)
        await bench.at("90", "91", age_ns=2_000_000_000)
        await bench.at("91", "90")
        bench.desk.held.book(INSTRUMENT, (), (), bench.loop_ns(), bench.loop_ns())
        one_sided = ((Decimal(90), Decimal(1)),)
        bench.desk.held.book(INSTRUMENT, one_sided, (), bench.loop_ns(), bench.loop_ns())
        bench.desk.held.trade(INSTRUMENT, Decimal(90), bench.loop_ns(), bench.loop_ns())
        await asyncio.sleep(1)

    bench.run(main())
    assert bench.venue.creates == []
    assert bench.state() is OrderState.HELD


def test_the_named_source_alone_fires(make: Callable[..., HeldBench]) -> None:
    bench = make(trigger_sources=(TriggerSource.LAST,))
    bench.venue.answer = lambda _: Accepted("V1")

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        await bench.at("90", "91")
        assert bench.venue.creates == []
        bench.desk.held.trade(INSTRUMENT, Decimal(100), bench.loop_ns(), bench.loop_ns())
        await asyncio.sleep(0.01)

    bench.run(main())
    assert len(bench.venue.creates) == 1


def test_the_price_of_each_source() -> None:
    bids = ((Decimal(99), Decimal(1)), (Decimal(98), Decimal(5)))
    asks = ((Decimal(101), Decimal(1)), (Decimal(102), Decimal(5)))

    def tier(levels: Any, quantity: Decimal) -> Decimal | None:
        return next((price for price, size in levels if size >= quantity), None)

    def price(source: TriggerSource, side: Side, quantity: int = 1) -> Decimal | None:
        return watched_price(source, side, Decimal(quantity), bids, asks, tier)

    assert price(TriggerSource.TOUCH, Side.BUY) == 101
    assert price(TriggerSource.TOUCH, Side.SELL) == 99
    assert price(TriggerSource.MID, Side.BUY) == 100
    assert price(TriggerSource.TIER, Side.BUY, 3) == 102
    assert price(TriggerSource.TIER, Side.SELL, 3) == 98
    assert price(TriggerSource.TIER, Side.SELL, 6) is None
    assert price(TriggerSource.LAST, Side.BUY) is None


def test_a_held_order_is_cancelled_and_changed_without_the_venue(
    make: Callable[..., HeldBench],
) -> None:
    bench = make()

    async def main() -> None:
        await bench.desk.submit(approved(stop(), stop(client_order_id="B")))
        await bench.desk.cancel(["A"])
        await bench.desk.cancel(["A"])
        changed = msgspec.structs.replace(stop(client_order_id="B"), trigger_price=Decimal(95))
        await bench.desk.replace(approved(changed)[0])
        await bench.at("98", "99")
        await bench.desk.stop(cancel_open=True)

    bench.run(main())
    assert (bench.venue.creates, bench.venue.cancels) == ([], [])
    names = [(name, cid) for name, cid, _ in bench.sink.events if name != "balances"]
    assert names[4:] == [
        ("order_canceled", "A"),
        ("cancel_refused", "A"),
        ("order_replaced", "B"),
        ("order_canceled", "B"),
    ]
    assert bench.kinds("B") == ["INTENT", "HELD", "CHANGED", "CANCEL", "CANCELED"]
    assert bench.desk.journal.problems() == []


def test_a_stop_that_keeps_orders_keeps_held_ones_and_a_kill_lets_none_go(
    make: Callable[..., HeldBench],
) -> None:
    bench = make()

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        bench.killed = lambda _: "killed"
        await bench.at("90", "91")
        bench.killed = lambda _: None
        await bench.desk.stop(cancel_open=False)
        await bench.at("90", "91")

    bench.run(main())
    assert bench.venue.creates == []
    assert bench.state() is OrderState.HELD


@pytest.mark.parametrize("rearms", [True, False])
@pytest.mark.parametrize("how", ["refused", "unfilled"])
def test_a_refused_release_is_armed_again_or_ends_as_configured(
    make: Callable[..., HeldBench], rearms: bool, how: str
) -> None:
    bench = make(HeldSettings(rearms=rearms))
    gone = venue_order("V1", state=OrderState.CANCELED)
    refusal: Outcome = Refused("FOK", "not filled")
    answers = iter([refusal if how == "refused" else Accepted("V1", gone)])
    bench.venue.answer = lambda _: next(answers, Accepted("V2"))

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        await bench.at("99.5", "100")
        await bench.at("99.5", "100")  # it waits a moment
        assert len(bench.venue.creates) == 1
        await asyncio.sleep(2)
        await bench.at("99.5", "100")

    bench.run(main())
    assert bench.desk.journal.problems() == []
    if not rearms:
        assert len(bench.venue.creates) == 1
        ended = OrderState.REFUSED if how == "refused" else OrderState.CANCELED
        assert bench.state() is ended
        return
    assert [one.sent_id for one in bench.venue.creates] == ["A", "A-r02"]
    assert [own_id(one.sent_id) for one in bench.venue.creates] == ["A", "A"]
    assert bench.state() is OrderState.OPEN
    assert bench.sink.names().count("order_triggered") == 1


def test_a_release_in_vain_is_not_repeated_for_ever(make: Callable[..., HeldBench]) -> None:
    bench = make(HeldSettings(releases_max=3))
    bench.venue.answer = lambda _: Refused("FOK", "not filled")

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        for _ in range(9):
            await bench.at("99.5", "100")
            await asyncio.sleep(2)

    bench.run(main())
    assert len(bench.venue.creates) == 3
    assert bench.state() is OrderState.REFUSED


def test_a_gate_that_refuses_ends_it_and_one_that_waits_keeps_it(
    make: Callable[..., HeldBench],
) -> None:
    bench = make()
    bench.venue.answer = lambda _: Accepted("V1")
    bench.gate = lambda _: NotNow("INVALID_BOOK", "empty")

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        await bench.at("99", "100")
        await bench.at("99", "100")
        assert bench.state() is OrderState.HELD
        bench.gate = lambda _: Refused("MAX_POSITION", "too much")
        await bench.at("99", "100")

    bench.run(main())
    assert bench.venue.creates == []
    assert bench.state() is OrderState.REFUSED
    assert bench.kinds() == ["INTENT", "HELD", "NOT_NOW", "REFUSED"]


def test_a_lost_release_is_looked_for_and_absence_leaves_it_held(
    make: Callable[..., HeldBench],
) -> None:
    bench = make()
    bench.venue.answer = lambda _: Unknown("timeout")
    bench.venue.look = lambda _: Absent("nowhere")

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        await bench.at("99", "100")
        await bench.at("99", "100")
        assert len(bench.venue.creates) == 1
        assert bench.state() is OrderState.UNKNOWN
        await asyncio.sleep(30)
        assert bench.state() is OrderState.HELD
        bench.venue.answer = lambda _: Accepted("V2")
        await bench.at("99", "100")

    bench.run(main())
    assert [one.sent_id for one in bench.venue.creates] == ["A", "A-r02"]
    assert bench.state() is OrderState.OPEN
    assert "RELEASE_ABSENT" in bench.kinds()


def test_what_was_given_up_and_comes_is_booked_and_not_sent_again(
    make: Callable[..., HeldBench],
) -> None:
    bench = make()
    bench.venue.answer = lambda _: Unknown("timeout")
    filled = venue_order(
        "V1",
        client_order_id="A",
        side=Side.SELL,
        state=OrderState.FILLED,
        filled=Decimal("0.5"),
        avg_price=Decimal("99.5"),
    )

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        await bench.at("99", "100")
        await asyncio.sleep(30)
        assert bench.state() is OrderState.HELD
        bench.desk.pushed_order(filled, None)
        await bench.at("99", "100")

    bench.run(main())
    assert len(bench.venue.creates) == 1
    assert bench.state() is OrderState.FILLED
    assert bench.desk.journal.positions()[0].quantity == Decimal("-0.5")


def test_a_push_of_a_release_that_is_over_moves_nothing(make: Callable[..., HeldBench]) -> None:
    bench = make()
    answers = iter([Refused("FOK", "not filled")])
    bench.venue.answer = lambda _: next(answers, Accepted("V2"))
    over = venue_order("V1", client_order_id="A", state=OrderState.REFUSED)

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        await bench.at("99", "100")
        bench.desk.pushed_order(over, None)
        assert bench.state() is OrderState.HELD
        await asyncio.sleep(2)
        await bench.at("99", "100")
        bench.desk.pushed_order(over, None)

    bench.run(main())
    assert bench.state() is OrderState.OPEN
    assert bench.desk.journal.order("A").venue_order_id == "V2"  # type: ignore[union-attr]


@pytest.mark.parametrize("when", ["held", "released again", "after a restart"])
def test_a_push_that_is_older_than_the_end_of_its_release_moves_nothing(
    make: Callable[..., HeldBench], when: str
) -> None:
    """The answer told that it was killed, and only then the push comes that tells it as open."""
    bench = make()
    gone = venue_order("V1", state=OrderState.CANCELED)
    answers = iter([Accepted("V1", gone)])
    bench.venue.answer = lambda _: next(answers, Accepted("V2"))
    older = venue_order("V1", client_order_id="A", side=Side.SELL, state=OrderState.OPEN)

    async def released() -> None:
        await bench.desk.submit(approved(stop()))
        await bench.at("99", "100")
        assert bench.state() is OrderState.HELD
        if when == "released again":
            await asyncio.sleep(2)
            await bench.at("99", "100")

    async def pushed() -> None:
        bench.desk.pushed_order(older, None)
        await asyncio.sleep(0.01)

    bench.run(released())
    if when == "after a restart":
        bench.restart()
        bench.desk.adopt_journal()
    bench.run(pushed())
    assert bench.state() is (OrderState.OPEN if when == "released again" else OrderState.HELD)
    assert bench.venue.cancels == []
    assert "finding" not in bench.sink.names()


@pytest.mark.parametrize("since", ["held", "cancelled"])
def test_a_release_that_comes_late_and_to_nothing_ends_nothing(
    make: Callable[..., HeldBench], since: str
) -> None:
    """It was given up, and the order went on without it: held, or ended in its own way."""
    bench = make()
    bench.venue.answer = lambda _: Unknown("timeout")
    bench.venue.look = lambda _: Absent("nowhere")
    killed = venue_order("V1", client_order_id="A", side=Side.SELL, state=OrderState.CANCELED)

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        await bench.at("99", "100")
        await asyncio.sleep(30)
        assert bench.state() is OrderState.HELD
        if since == "cancelled":
            await bench.desk.cancel(["A"])
        bench.venue.look = lambda _: Found(killed)
        await bench.desk.look_for_late()

    bench.run(main())
    assert bench.state() is (OrderState.HELD if since == "held" else OrderState.CANCELED)
    assert bench.sink.names().count("order_canceled") == (since == "cancelled")
    assert "LATE" not in bench.kinds()


def test_a_release_that_fills_late_beside_another_is_told_and_ends_nothing_twice(
    make: Callable[..., HeldBench],
) -> None:
    """The order was released again, and is filled: what the first did is told, and not booked."""
    bench = make()
    answers = iter([Unknown("timeout")])
    done = venue_order("V2", side=Side.SELL, state=OrderState.FILLED, filled=Decimal("0.5"))
    done = msgspec.structs.replace(done, avg_price=Decimal("99.5"))
    bench.venue.answer = lambda _: next(answers, Accepted("V2", done))
    bench.venue.look = lambda _: Absent("nowhere")
    late = msgspec.structs.replace(done, venue_order_id="V1", client_order_id="A")

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        await bench.at("99", "100")
        await asyncio.sleep(30)
        await bench.at("99", "100")
        assert bench.state() is OrderState.FILLED
        bench.venue.look = lambda _: Found(late)
        await bench.desk.look_for_late()

    bench.run(main())
    assert bench.kinds().count("FILLED") == 1
    assert bench.desk.journal.positions()[0].quantity == Decimal("-0.5")
    told = [detail[0].code for name, _, detail in bench.sink.events if name == "finding"]
    assert told == ["ORDER-LATE"]
