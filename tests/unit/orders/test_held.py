"""Orders that the engine holds: durable, fired by a fresh price, released once, never lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.engine.kill.held import end_held
from fairlead.engine.kill.sweep import Sweep
from fairlead.engine.observe.explain import explain
from fairlead.engine.orders.desk import OrderDesk
from fairlead.engine.orders.held import HeldSettings, NotNow, Passed
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    Capabilities,
    Found,
    Intent,
    Kind,
    OrderState,
    Outcome,
    Refused,
    Side,
    Tif,
    TriggerCondition,
    TriggerSource,
    Unknown,
    own_id,
)
from fairlead.engine.orders.reconcile import compare
from fairlead.engine.orders.trigger import condition_of, released, watched_price
from fairlead.engine.risk.approval import Approvals
from fairlead.engine.risk.facts import OrderFacts
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent, venue_order

STOPS = (Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED, Kind.STOP_MARKET, Kind.MARKET_IF_TOUCHED)
ABLE = Capabilities(
    kinds=frozenset({Kind.LIMIT, Kind.MARKET}),
    time_in_force=frozenset({Tif.FOK}),
    held=frozenset(STOPS),
    trigger_sources=(TriggerSource.TOUCH, TriggerSource.LAST, TriggerSource.MID),
    client_order_ids=True,
)


class HeldBench(Bench):
    """A desk that holds; `gate` is what its gate answers at a release."""

    def __init__(self, path: Path, settings: HeldSettings, **traits: Any) -> None:
        self.settings = settings
        self.able = msgspec.structs.replace(ABLE, **traits)
        self.asked: list[Intent] = []
        self.halts: list[str] = []
        self.gate: Callable[[Intent], Any] = lambda sent: approved(sent)[0]
        super().__init__(path)

    def make_desk(self, journal: Journal) -> OrderDesk:
        desk = OrderDesk(
            venue=self.venue,
            journal=journal,
            sink=self.sink,
            capabilities=self.able,
            settings=self.desk_settings,
            base_currency=lambda _: "BTC",
            now_ns=self.loop_ns,
            killed=lambda one: self.killed(one),
            held=self.settings,
        )
        desk.held.regate = self._regate
        desk.held.on_asked = lambda instrument, why: self.halts.append(why)
        return desk

    @property
    def desk_settings(self) -> Any:
        from fairlead.engine.orders.live import DeskSettings

        return DeskSettings()

    def loop_ns(self) -> int:
        return self.loop.now_ns()

    def _regate(self, held: Intent, sent: Intent) -> Any:
        self.asked.append(sent)
        return self.gate(sent)

    async def at(self, bid: str, ask: str, *, age_ns: int = 0) -> None:
        """The book is this, received so long ago; until what it fires has been sent."""
        ts = self.loop_ns() - age_ns
        levels = [((Decimal(one), Decimal(9)),) for one in (bid, ask)]
        self.desk.held.book(INSTRUMENT, levels[0], levels[1], ts, ts)
        await asyncio.sleep(0.01)

    def state(self, cid: str = "A") -> OrderState:
        order = self.desk.journal.order(cid)
        assert order is not None
        return order.state

    def kinds(self, cid: str = "A") -> list[str]:
        return [kind for _, _, kind, _ in self.desk.journal.story(cid)]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., HeldBench]]:
    made: list[HeldBench] = []

    def build(settings: HeldSettings | None = None, **traits: Any) -> HeldBench:
        path = tmp_path / f"journal-{len(made)}.sqlite"
        made.append(HeldBench(path, settings or HeldSettings(), **traits))
        return made[-1]

    yield build
    for one in made:
        assert one.journal is not None
        one.journal.close()


def stop(kind: Kind = Kind.STOP_LIMIT, side: Side = Side.SELL, **changes: Any) -> Intent:
    """Waits at 100; a limit 1 beyond it."""
    limit = {Side.BUY: Decimal(101), Side.SELL: Decimal(99)}[side]
    has_limit = kind in (Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED)
    return intent(
        side=side,
        kind=kind,
        price=limit if has_limit else None,
        trigger_price=Decimal(100),
        trigger_condition=condition_of(kind, side),
        **changes,
    )


def far_and_met(one: Intent) -> tuple[tuple[str, str], tuple[str, str]]:
    """A book on the far side of 100, and one at it, by the price that the order takes."""
    low, high = ("98", "98.5"), ("101.5", "102")
    below = ("99.8", "99.9") if one.side is Side.BUY else ("99.9", "100.1")
    above = ("99.9", "100.1") if one.side is Side.BUY else ("100.1", "100.2")
    if one.trigger_condition is TriggerCondition.GTE:
        return low, above
    return high, below


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


# -- restarts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("kind", STOPS)
@pytest.mark.parametrize("passed", Passed)
def test_a_level_passed_meanwhile_acts_as_configured(
    make: Callable[..., HeldBench], passed: Passed, kind: Kind, side: Side
) -> None:
    bench = make(HeldSettings(passed=passed))
    bench.venue.answer = lambda _: Accepted("V1")
    one = stop(kind, side)
    far, met = far_and_met(one)

    async def before() -> None:
        await bench.desk.submit(approved(one))
        await bench.at(*far)

    async def after() -> None:
        (order,) = bench.desk.adopt_journal()
        assert order.told == one
        assert bench.desk.unresolved() == []
        await bench.desk.recover(10)
        await bench.at(*met)
        await bench.at(*met)

    bench.run(before())
    bench.restart()
    bench.run(after())
    expected = {Passed.FIRE: OrderState.OPEN, Passed.CANCEL: OrderState.CANCELED}
    assert bench.state() is expected.get(passed, OrderState.HELD)
    assert len(bench.venue.creates) == (passed is Passed.FIRE)
    assert bool(bench.halts) == (passed is Passed.ASK)


def test_a_level_reached_after_the_first_look_was_not_passed_meanwhile(
    make: Callable[..., HeldBench],
) -> None:
    bench = make(HeldSettings(passed=Passed.CANCEL))
    bench.venue.answer = lambda _: Accepted("V1")
    bench.run(bench.desk.submit(approved(stop())))
    bench.restart()

    async def after() -> None:
        bench.desk.adopt_journal()
        await bench.at("102", "103")
        await bench.at("99", "100")

    bench.run(after())
    assert bench.state() is OrderState.OPEN


def test_a_death_between_release_and_send_leaves_it_held(make: Callable[..., HeldBench]) -> None:
    bench = make()

    async def before() -> None:
        await bench.desk.submit(approved(stop()))
        bench.desk.journal.release(released(stop(), ABLE, 1), {"price": "99"})

    async def after() -> None:
        bench.desk.adopt_journal()
        assert [one.intent.kind for one in bench.desk.unresolved()] == [Kind.LIMIT]
        await bench.desk.recover(60)
        assert bench.state() is OrderState.HELD
        bench.venue.answer = lambda _: Accepted("V1")
        await bench.at("99", "100")

    bench.run(before())
    bench.restart()
    assert bench.desk.journal.problems() == []
    bench.run(after())
    assert [one.sent_id for one in bench.venue.creates] == ["A-r02"]


def test_what_another_process_cancelled_in_the_journal_is_not_released(
    make: Callable[..., HeldBench],
) -> None:
    bench = make()

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        beside = Journal(bench.path, fsync=False, now_ns=bench.loop_ns)
        assert beside.cancel_held("A")
        beside.close()
        await bench.at("99", "100")

    bench.run(main())
    assert bench.venue.creates == []
    assert bench.sink.names()[-1] == "order_canceled"


def test_the_comparison_takes_no_order_of_others_for_one_that_is_held(
    make: Callable[..., HeldBench],
) -> None:
    bench = make()
    bench.venue.book["X"] = venue_order("X", side=Side.SELL, price=Decimal(99))

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        seen = await compare(bench.venue, bench.desk, [INSTRUMENT], bench.loop_ns)
        assert [one.code for one in seen.findings] == ["ORDER-EXTERNAL"]

    bench.run(main())


# -- what is held ----------------------------------------------------------------------------------


def test_a_native_stop_is_held_unless_its_trigger_is_proven_to_lie_ahead(
    make: Callable[..., HeldBench],
) -> None:
    native = frozenset({Kind.LIMIT, Kind.STOP_LIMIT})
    bench = make(kinds=native, held=frozenset({Kind.LIMIT_IF_TOUCHED}), hold_passed=True)
    bench.venue.answer = lambda one: Accepted(f"V-{one.client_order_id}")

    async def main() -> None:
        await bench.desk.submit(approved(stop()))  # nothing is known
        await bench.at("102", "103")
        await bench.desk.submit(approved(stop(client_order_id="B")))
        await bench.at("99", "100")
        await bench.desk.submit(approved(stop(client_order_id="C")))

    bench.run(main())
    assert [(one.client_order_id, one.kind) for one in bench.venue.creates] == [
        ("B", Kind.STOP_LIMIT),
        ("A", Kind.LIMIT),
        ("C", Kind.LIMIT),  # held, and fired by the book that stands
    ]
    assert bench.kinds("C")[:2] == ["INTENT", "HELD"]


def test_a_resting_limit_is_held_until_the_market_comes_where_that_is_asked_for(
    make: Callable[..., HeldBench],
) -> None:
    bench = make(holds_limits=True)
    bench.venue.answer = lambda _: Accepted("V1")

    async def main() -> None:
        await bench.desk.submit(approved(intent(price=Decimal(100))))
        await bench.at("100", "101")
        assert bench.venue.creates == []
        await bench.at("99", "100")

    bench.run(main())
    (sent,) = bench.venue.creates
    assert (sent.kind, sent.time_in_force, sent.price) == (Kind.LIMIT, Tif.FOK, Decimal(100))


def test_a_release_is_what_the_gate_approved() -> None:
    """Terms are the plain order's, whatever its number."""
    sent = released(stop(), ABLE, 3)
    facts = OrderFacts(
        client_order_id="A",
        strategy="S-1",
        instrument=INSTRUMENT,
        side=Side.SELL,
        kind="LIMIT",
        quantity=sent.quantity,
        price=sent.price,
    )
    approvals = Approvals()
    approvals.add(facts)
    answer = approvals.order(sent)
    assert answer is not None
    assert answer.intent == sent


# -- what a person sees and does -------------------------------------------------------------------


def test_a_kill_ends_held_orders_in_the_journal_of_a_run_that_hangs(
    make: Callable[..., HeldBench],
) -> None:
    bench = make()

    async def main() -> None:
        await bench.desk.submit(approved(stop(), stop(client_order_id="B", strategy="Other-1")))
        since = time.time_ns()
        ended = end_held(bench.path, lambda strategy: strategy == "S-1", since)
        assert [(one.client_order_id, one.state) for one in ended] == [("A", OrderState.CANCELED)]
        assert end_held(bench.path, lambda strategy: strategy == "S-1", time.time_ns()) == []
        sweep = Sweep(
            venue=bench.venue,
            journal=bench.journal,
            instruments=[INSTRUMENT],
            covers=lambda _: True,
            whole_account=False,
            batch_max=1,
            quarantine_secs=1.0,
            on_done=lambda _: None,
        )
        sweep.read_journal()
        assert sweep.reports() == []  # nothing of them is looked for at the venue
        await bench.at("99", "100")

    bench.run(main())
    assert [one.client_order_id for one in bench.venue.creates] == ["B"]
    assert bench.state() is OrderState.CANCELED


def test_a_kill_tells_of_held_orders_that_the_run_has_ended_before_it_looked(
    make: Callable[..., HeldBench],
) -> None:
    """They were none of the kill's: it said that no order had gone."""
    bench = make()
    bench.venue.answer = lambda one: Accepted(f"V-{one.client_order_id}")

    async def main() -> None:
        await bench.desk.submit(approved(stop(client_order_id="OLD")))
        await bench.desk.cancel(["OLD"])
        await asyncio.sleep(1)
        since = bench.loop_ns()
        others = stop(client_order_id="B", strategy="Other-1")
        await bench.desk.submit(approved(stop(), others, stop(client_order_id="C")))
        await bench.desk.cancel(["A", "B"])
        await bench.at("99", "100")  # C goes out, and is cancelled at the venue
        assert bench.state("C") is OrderState.OPEN
        bench.journal.state("C", OrderState.CANCELED)
        ended = end_held(bench.path, lambda strategy: strategy == "S-1", since)
        assert [(one.client_order_id, one.is_left) for one in ended] == [("A", False)]

    bench.run(main())


def test_its_story_is_one_with_the_order_that_it_becomes(make: Callable[..., HeldBench]) -> None:
    bench = make()
    bench.venue.answer = lambda _: Accepted("V1")

    async def main() -> None:
        await bench.desk.submit(approved(stop(ts_init=1)))
        await bench.at("99", "100")

    bench.run(main())
    story = explain("V1", [bench.path], None)
    assert (story.client_order_id, story.intent.kind) == ("A", Kind.STOP_LIMIT)
    told = " ".join(line.text for line in story.lines)
    for word in ("lte 100", "the engine holds it", "HELD", "TRIGGERED", '"price":"99"', "RELEASE"):
        assert word in told, (word, told)
