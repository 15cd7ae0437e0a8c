"""Promises that no other test holds: each of these notices a mutant that survived without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairlead.adapters.base.account import Account
from fairlead.adapters.base.venue import VenueInstrument
from fairlead.adapters.oceanex.orders import OceanexOrders
from fairlead.adapters.poloniex.orders import PoloniexOrders
from fairlead.engine.config import model
from fairlead.engine.errors import FairleadError
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.lock import AccountLock
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    FindResult,
    Found,
    Intent,
    OrderRef,
    OrderState,
    Side,
    Unknown,
    VenueFill,
)
from fairlead.engine.run.takeover import claims
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent, venue_order


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Bench]:
    """A desk with traits of choice on a scripted venue."""

    def build(**traits: Any) -> Bench:
        bench = Bench(tmp_path / "journal.sqlite", **traits)
        bench.venue.answer = lambda _: Accepted("V1")
        return bench

    return build


def codes(bench: Bench) -> list[str]:
    return [event[2][0].code for event in bench.sink.events if event[0] == "finding"]


def fill(trade_id: str, quantity: str, price: str = "100") -> VenueFill:
    return VenueFill(
        venue_order_id="V1",
        trade_id=trade_id,
        instrument=INSTRUMENT,
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(0),
        fee_currency="USDT",
        ts_event=1,
    )


# -- the desk -------------------------------------------------------------------------------------


def test_an_acceptance_is_journaled_before_it_is_told(make: Callable[..., Bench]) -> None:
    bench = make()
    seen: list[str | None] = []

    def told(order: Intent, *_: Any) -> None:
        journaled = bench.desk.journal.order(order.client_order_id)
        seen.append(journaled and journaled.venue_order_id)

    bench.sink.order_accepted = told  # type: ignore[method-assign]
    bench.run(bench.desk.submit(approved(intent())))
    assert seen == ["V1"]


def test_an_intent_is_journaled_before_it_is_sent(make: Callable[..., Bench]) -> None:
    bench = make()
    seen: list[OrderState | None] = []

    def answer(sent: Intent) -> Accepted:
        journaled = bench.desk.journal.order(sent.client_order_id)
        seen.append(journaled and journaled.state)
        return Accepted("V1")

    bench.venue.answer = answer
    bench.run(bench.desk.submit(approved(intent())))
    assert seen == [OrderState.INTENDED]


def test_a_page_older_than_what_is_known_moves_nothing_back(make: Callable[..., Bench]) -> None:
    bench = make()

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        for state in (OrderState.CANCELLING, OrderState.OPEN):
            bench.venue.book["V1"] = venue_order(state=state)
            await bench.desk.query("A")
            order = bench.desk.get("A")
            assert order is not None
            assert order.state is OrderState.CANCELLING

    bench.run(main())


def test_the_search_for_a_lost_order_is_told_whose_the_others_are(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    asked: list[frozenset[str]] = []

    async def find(
        lost: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        asked.append(known)
        return Found(venue_order("V2")) if len(asked) > 1 else Absent("scripted")

    bench.venue.find = find  # type: ignore[method-assign]

    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))
        bench.venue.answer = lambda _: Unknown("timeout")
        await bench.desk.submit(approved(intent("B", price=Decimal(99))))
        await asyncio.sleep(5)
        await bench.desk.abandon()

    bench.run(main())
    assert asked[:2] == [frozenset({"V1"})] * 2


@pytest.mark.parametrize(
    ("side", "average", "booked"),
    [(Side.BUY, "100.01", "100"), (Side.SELL, "99.99", "100"), (Side.SELL, "100.5", "100.5")],
)
def test_a_rounded_average_books_nothing_worse_than_the_limit(
    make: Callable[..., Bench], side: Side, average: str, booked: str
) -> None:
    bench = make()

    async def main() -> None:
        await bench.desk.submit(approved(intent(side=side)))
        bench.venue.book["V1"] = venue_order(
            side=side, filled=Decimal("0.2"), avg_price=Decimal(average)
        )
        await bench.desk.query("A")

    bench.run(main())
    (told,) = [event[2][1] for event in bench.sink.events if event[0] == "order_filled"]
    assert told.price == Decimal(booked)


def test_the_end_of_an_order_waits_for_executions_that_the_venue_lists_late(
    make: Callable[..., Bench],
) -> None:
    bench = make(reports_fills=True)
    lists = iter([[], []])

    async def fills(refs: Sequence[OrderRef], ts_from: int) -> list[VenueFill]:
        return next(lists, [fill("T1", "0.2")])

    bench.venue.fills = fills  # type: ignore[method-assign]

    async def main() -> None:
        bench.desk.start()
        await bench.desk.submit(approved(intent()))
        bench.venue.book["V1"] = venue_order(
            state=OrderState.CANCELED, filled=Decimal("0.2"), avg_price=Decimal(100)
        )
        await asyncio.sleep(10)
        await bench.desk.abandon()

    bench.run(main())
    told = [event for event in bench.sink.events if event[0] in ("order_filled", "order_canceled")]
    assert [event[0] for event in told] == ["order_filled", "order_canceled"]
    assert told[0][2][1].trade_id == "T1"
    assert "FILL-SYNTHESISED" not in codes(bench)


def test_an_execution_that_is_never_listed_is_booked_and_is_a_finding(
    make: Callable[..., Bench],
) -> None:
    bench = make(reports_fills=True)

    async def main() -> None:
        bench.desk.start()
        await bench.desk.submit(approved(intent()))
        bench.venue.book["V1"] = venue_order(
            state=OrderState.CANCELED, filled=Decimal("0.2"), avg_price=Decimal(100)
        )
        await asyncio.sleep(30)
        await bench.desk.abandon()

    bench.run(main())
    assert bench.sink.names()[-3:] == ["finding", "order_filled", "order_canceled"]
    assert codes(bench) == ["FILL-SYNTHESISED"]
    (journaled,) = bench.desk.journal.fills_of("A")
    assert journaled.synthetic
    assert journaled.quantity == Decimal("0.2")


def test_more_filled_than_ordered_is_booked_and_is_a_finding(make: Callable[..., Bench]) -> None:
    bench = make(reports_fills=True, private_stream=True)

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        for trade_id, quantity in (("T1", "0.3"), ("T2", "0.4")):
            state = venue_order(filled=Decimal("0.3"), avg_price=Decimal(100))
            bench.desk.pushed_order(state, fill(trade_id, quantity))
        await bench.desk.abandon()

    bench.run(main())
    assert codes(bench) == ["OVERFILL"]
    assert sum(one.quantity for one in bench.desk.journal.fills_of("A")) == Decimal("0.7")


def test_a_desk_that_failed_creates_nothing(make: Callable[..., Bench]) -> None:
    bench = make()
    failed: list[BaseException] = []
    bench.desk.on_failure = failed.append

    async def main() -> None:
        bench.desk.fail(RuntimeError("a bug"))
        await bench.desk.submit(approved(intent()))

    bench.run(main())
    assert len(failed) == 1
    assert bench.venue.creates == []
    assert bench.sink.names() == ["order_refused"]


def test_an_order_that_turns_up_after_it_was_given_up_is_cancelled(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    bench.venue.answer = lambda _: Unknown("timeout")

    async def main() -> None:
        bench.desk.start()
        await bench.desk.submit(approved(intent()))
        await asyncio.sleep(60)
        assert [order.intent.client_order_id for order in bench.desk.given_up()] == ["A"]
        bench.venue.look = lambda _: Found(venue_order("V9"))
        await bench.desk.look_for_late()
        await asyncio.sleep(10)
        await bench.desk.abandon()

    bench.run(main())
    assert {ref.venue_order_id for ref in bench.venue.cancels} == {"V9"}
    assert "ORDER-LATE" in codes(bench)


def test_damage_that_only_a_full_look_finds_refuses_to_open(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, fsync=False, now_ns=lambda: 1)
    for number in range(400):
        journal.intend([intent(f"A-{number}")])
    journal.close()
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 256] = b"\xff" * 256
    path.write_bytes(data)
    with pytest.raises(JournalError, match="Restore it from a copy"):
        Journal(path, fsync=False, now_ns=lambda: 1)


@pytest.mark.parametrize(
    ("side", "amount", "currency"), [(Side.BUY, "0.001", "BTC"), (Side.SELL, "60", "USDT")]
)
def test_a_buyer_pays_in_base_and_a_seller_in_quote(side: Side, amount: str, currency: str) -> None:
    facts = VenueInstrument(
        id=INSTRUMENT,
        symbol="btcusdt",
        base="BTC",
        quote="USDT",
        nautilus=None,
        price_precision=2,
        size_precision=6,
        taker_fee=Decimal("0.002"),
        buy_fee_in_base=True,
    )
    account: Any = SimpleNamespace(_instruments={INSTRUMENT: facts})
    for orders in (PoloniexOrders, OceanexOrders):
        fee = orders.fee(account, INSTRUMENT, side, Decimal("0.5"), Decimal(60_000))
        assert (fee.amount, fee.currency) == (Decimal(amount), currency)


# -- who owns what --------------------------------------------------------------------------------


def test_orders_of_others_are_not_given_to_a_strategy_that_claims_the_instrument(
    tmp_path: Path,
) -> None:
    def ignore(*_: object) -> None: ...

    with closing(Journal(tmp_path / "j.sqlite", fsync=False, now_ns=lambda: 1)) as journal:
        trading = Account(
            runtime=SimpleNamespace(),  # type: ignore[arg-type]
            account="main",
            journal=journal,
            approvals=SimpleNamespace(),  # type: ignore[arg-type]
            config=SimpleNamespace(),  # type: ignore[arg-type]
            claimed=frozenset({INSTRUMENT}),
            on_recovered=ignore,
            on_halt=ignore,
            on_sent=ignore,
            on_over=ignore,
        )
        other = venue_order("V8", instrument="ETH_USDT.TEST")
        trading._externals = (venue_order("V7"), other)
        assert list(trading.externals()) == [other]


def test_an_instrument_is_claimed_by_the_first_strategy_that_names_it() -> None:
    def strategy(name: str, instrument: object) -> model.Strategy:
        return model.Strategy(id=name, path="a:B", params={"instrument_id": instrument})

    venue = model.Venue(adapter="x", instruments=["BTC_USDT.X", "ETH_USDT.X"])
    config = model.Config(
        name="claims",
        venues={"x": venue},
        strategies=[strategy("A-1", "BTC_USDT.X"), strategy("B-1", ["BTC_USDT.X", "ETH_USDT.X"])],
    )
    found = claims(SimpleNamespace(config=config))  # type: ignore[arg-type]
    assert {name: [str(one) for one in ids] for name, ids in found.items()} == {
        "A-1": ["BTC_USDT.X"],
        "B-1": ["ETH_USDT.X"],
    }


def test_an_account_has_one_process(tmp_path: Path) -> None:
    path = tmp_path / "account.lock"
    taken = pytest.raises(FairleadError, match="already trades this account")
    with AccountLock(path), taken, AccountLock(path):
        pass
    with AccountLock(path):
        assert path.read_text().strip().isdigit()
