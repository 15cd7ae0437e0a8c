"""Orders that go through NautilusTrader's own clients are journaled before they go, as they report,
and at a start by what the venue tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace as Event
from typing import Any

import msgspec
import pytest
from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    LimitOrder,
    Money,
    OrderSide,
    Price,
    Quantity,
    StrategyId,
    TimeInForce,
    TraderId,
)

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.orders import balance_check
from fairlead.engine.orders.balance_check import BALANCE_DRIFT
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.live import UNASKED
from fairlead.engine.orders.model import (
    Finding,
    Kind,
    OrderState,
    Side,
    VenueBalance,
    VenueOrder,
)
from fairlead.engine.run.ended import verdict
from fairlead.engine.run.native import account as native_account
from fairlead.engine.run.native import adapter as native_adapter
from fairlead.engine.run.native.account import DRIFT, NativeAccount
from fairlead.engine.run.native.adapter import NativeAdapter
from fairlead.engine.run.native.desk import NativeDesk, fill_of
from fairlead.engine.run.native.look import Seen, may_have_moved

PERP = "BTCUSDT-PERP.BINANCE"
CID = "6f0d1c50-7c5e-4f0a-9a53-000000000001"
NO_FEE = Money.from_str("0.00 USDT")


class Kept:
    """A desk with its journal, and what it told."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path, fsync=False, now_ns=lambda: 7)
        self.findings: list[Finding] = []
        self.failed: list[str] = []
        self.desk = self.again()

    def again(self) -> NativeDesk:
        """As the next start makes it."""
        desk = NativeDesk(
            self.journal,
            {},
            lambda: 7,
            lambda code, _: self.failed.append(code),
            self.findings.append,
        )
        desk.is_hearing = True
        return desk

    def state(self, name: str = CID) -> OrderState:
        order = self.journal.order(name)
        assert order is not None
        return order.state

    def held(self) -> dict[str, Decimal]:
        return {one.strategy: one.quantity for one in self.journal.positions()}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path / "j.sqlite")
    with closing(made.journal):
        yield made


def limit(name: str = CID, side: OrderSide = OrderSide.BUY) -> LimitOrder:
    return LimitOrder(
        trader_id=TraderId("T-001"),
        strategy_id=StrategyId("Maker-001"),
        instrument_id=InstrumentId.from_str(PERP),
        client_order_id=ClientOrderId(name),
        order_side=side,
        quantity=Quantity.from_str("0.020"),
        price=Price.from_str("50000.00"),
        time_in_force=TimeInForce.GTC,
        post_only=False,
        reduce_only=False,
        quote_quantity=False,
        init_id=UUID4(),
        ts_init=0,
    )


class _Told(Event):
    """An event of NautilusTrader by its class's name."""


def event(name: str, order_id: str = CID, **fields: Any) -> Any:
    made = type(name, (_Told,), {})
    return made(client_order_id=order_id, venue_order_id="77", **fields)


def filled(
    quantity: str,
    trade_id: str,
    order_id: str = CID,
    side: str = "BUY",
    price: str = "50000.00",
    commission: Any = NO_FEE,
    **more: Any,
) -> Any:
    return event(
        "OrderFilled",
        order_id,
        trade_id=trade_id,
        instrument_id=PERP,
        strategy_id="Maker-001",
        order_side=Event(name=side),
        order_type=Event(name="LIMIT"),
        last_qty=Quantity.from_str(quantity),
        last_px=Price.from_str(price),
        commission=commission,
        currency=Event(code="USDT"),
        liquidity_side=Event(name="MAKER"),
        reconciliation=False,
        ts_event=9,
        **more,
    )


def told(**changes: Any) -> VenueOrder:
    made = VenueOrder(
        venue_order_id="77",
        instrument=PERP,
        side=Side.BUY,
        kind=Kind.LIMIT,
        state=OrderState.OPEN,
        quantity=Decimal("0.020"),
        filled=Decimal(0),
        client_order_id=CID,
        price=Decimal("50000.00"),
    )
    return msgspec.structs.replace(made, **changes)


def test_an_order_is_in_the_journal_before_nautilustrader_is_handed_it(kept: Kept) -> None:
    kept.desk.intend([limit()])
    order = kept.journal.order(CID)
    assert order is not None
    assert (order.state, order.intent.price) == (OrderState.INTENDED, Decimal("50000.00"))
    assert [one.is_proven for one in kept.desk.live_orders()] == [False]


def test_what_nautilustrader_reports_is_journaled_as_it_comes(kept: Kept) -> None:
    kept.desk.intend([limit()])
    kept.desk.told(event("OrderAccepted"))
    assert kept.state() is OrderState.OPEN
    kept.desk.told(filled("0.005", "1"))
    kept.desk.told(filled("0.005", "1"))  # told again
    assert kept.held() == {"Maker-001": Decimal("0.005")}
    kept.desk.told(event("OrderPendingCancel"))
    kept.desk.told(event("OrderCanceled", reason=None))
    assert kept.state() is OrderState.CANCELED
    assert kept.desk.live_orders() == []


def test_the_last_execution_ends_an_order(kept: Kept) -> None:
    kept.desk.intend([limit()])
    kept.desk.told(filled("0.020", "1"))  # before it was told that it was accepted
    assert kept.state() is OrderState.FILLED
    assert kept.desk.live_orders() == []


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("OrderRejected", OrderState.REFUSED),
        ("OrderDenied", OrderState.REFUSED),
        ("OrderExpired", OrderState.EXPIRED),
    ],
)
def test_each_end_is_journaled(kept: Kept, name: str, state: OrderState) -> None:
    kept.desk.intend([limit()])
    kept.desk.told(event(name, reason="no"))
    assert kept.state() is state


def test_a_modify_is_journaled_when_it_is_done(kept: Kept) -> None:
    kept.desk.intend([limit()])
    kept.desk.told(event("OrderAccepted"))
    price = Price.from_str("49000.00")
    more = {"quantity": Quantity.from_str("0.010"), "price": price, "trigger_price": None}
    kept.desk.told(event("OrderUpdated", **more))
    order = kept.journal.order(CID)
    assert order is not None
    assert (order.intent.quantity, order.intent.price) == (Decimal("0.010"), Decimal("49000.00"))
    kept.desk.told(filled("0.010", "1"))
    assert kept.state() is OrderState.FILLED


def test_what_nautilustrader_did_not_take_never_left(kept: Kept) -> None:
    order = limit()
    kept.desk.intend([order])
    kept.desk.refused([order], "RuntimeError")
    assert kept.state() is OrderState.REFUSED


def test_nothing_is_booked_before_the_start_is_over(kept: Kept) -> None:
    kept.desk.intend([limit()])
    kept.desk.is_hearing = False
    kept.desk.told(filled("0.020", "1"))
    assert kept.held() == {}


def test_an_execution_of_an_order_that_is_not_ours_is_booked_and_told(kept: Kept) -> None:
    kept.desk.told(filled("0.010", "1", "made-up"))
    assert kept.held() == {"Maker-001": Decimal("0.010")}
    assert kept.state("made-up") is OrderState.FILLED
    assert [one.code for one in kept.findings] == [UNASKED]


def test_a_contract_holds_no_fee_and_an_inverse_one_has_its_harmonic_mean(kept: Kept) -> None:
    """The fee is in the coin, which is the base of the contract and in no position."""
    coin = Event(
        base="BTC",
        quote="USD",
        nautilus=Event(settlement_currency=Event(code="BTC"), is_inverse=True),
    )
    desk = NativeDesk(
        kept.journal, {PERP: coin}, lambda: 7, lambda code, _: None, kept.findings.append
    )
    desk.is_hearing = True
    desk.intend([limit()])
    fee = Money.from_str("0.00001000 BTC")
    desk.told(filled("0.005", "1", price="40000.00", commission=fee))
    desk.told(filled("0.005", "2", price="60000.00", commission=fee))
    (held,) = kept.journal.positions()
    assert held.quantity == Decimal("0.010")
    assert held.avg_price is not None
    assert round(held.avg_price, 9) == 48000


def test_an_execution_after_the_end_moves_the_position_once(kept: Kept) -> None:
    kept.desk.intend([limit()])
    kept.desk.told(event("OrderCanceled", reason=None))
    kept.desk.told(filled("0.005", "1"))
    kept.desk.told(filled("0.005", "1"))
    assert kept.held() == {"Maker-001": Decimal("0.005")}
    assert kept.state() is OrderState.CANCELED


def test_a_journal_that_can_not_be_written_stops_the_order(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "j.sqlite").unlink()
    with pytest.raises(JournalError):
        kept.desk.intend([limit()])
    assert kept.failed == ["JRN-CHANGED"]


# -- at a start --------------------------------------------------------------------------------


def test_what_was_filled_while_no_run_lived_is_booked_once(kept: Kept) -> None:
    kept.desk.intend([limit()])
    kept.desk.told(event("OrderAccepted"))
    kept.desk.told(filled("0.005", "1"))
    desk = kept.again()
    (order,) = desk.live_orders()
    seen = told(state=OrderState.CANCELED, filled=Decimal("0.015"), avg_price=Decimal(50100))
    desk.book(order, seen)
    assert kept.held() == {"Maker-001": Decimal("0.015")}
    assert kept.state() is OrderState.CANCELED
    fills = kept.journal.fills_of(CID)
    assert sum(one.quantity * one.price for one in fills) == Decimal("0.015") * 50100
    assert [one.code for one in kept.findings] == ["FEE-UNKNOWN"]
    assert kept.again().live_orders() == []


def test_executions_that_the_venue_reports_are_booked_with_their_fees(kept: Kept) -> None:
    """Of 0.015 that were filled by then the venue's reports of trades tell 0.010."""
    kept.desk.intend([limit()])
    kept.desk.told(filled("0.005", "1"))
    seen = told(filled=Decimal("0.015"), avg_price=Decimal(50000))
    fee = Money.from_str("0.25 USDT")
    trades = [fill_of(filled("0.005", name, commission=fee)) for name in ("1", "2")]
    desk = kept.again()
    (order,) = desk.live_orders()
    desk.book(order, seen, trades)
    fills = kept.journal.fills_of(CID)
    assert sorted((one.trade_id[:3], one.fee) for one in fills) == [
        ("1", Decimal(0)),
        ("2", Decimal("0.25")),
        ("sum", Decimal(0)),
    ]
    assert [one.code for one in kept.findings] == ["FEE-UNKNOWN"]
    (order,) = kept.again().live_orders()
    kept.again().book(order, seen, [*trades, fill_of(filled("0.005", "3", commission=fee))])
    assert kept.held() == {"Maker-001": Decimal("0.015")}  # the third is in the sum


def test_an_order_that_is_open_still_stays_open(kept: Kept) -> None:
    kept.desk.intend([limit()])
    desk = kept.again()
    (order,) = desk.live_orders()
    desk.book(order, told(price=Decimal("49000.00")))  # a modify whose answer was lost
    (again,) = kept.again().live_orders()
    assert again.is_proven
    assert again.intent.price == Decimal("49000.00")


INSTRUMENTS = {
    PERP: Event(
        base="BTC",
        quote="USDT",
        nautilus=Event(
            settlement_currency=Event(code="USDT"),
            multiplier=Quantity.from_int(1),
            is_inverse=False,
        ),
    )
}


def account(
    kept: Kept,
    *,
    kind: str = "margin",
    accept: bool = False,
    failed: list[str] | None = None,
    **more: Any,
) -> NativeAccount:
    adapter = Event(venue="BINANCE", instruments=INSTRUMENTS, orders=None)
    runtime: Any = Event(
        adapter=adapter,
        instruments=tuple(INSTRUMENTS),
        now_ns=lambda: 7,
        fatal=lambda code, _: (failed if failed is not None else []).append(code),
    )
    venue = Event(account="main", account_type=kind)
    config: Any = Event(
        venues={"binance": venue},
        run=Event(on_stop="cancel"),
        execution=Event(accept_drift=accept, max_drift=["1 USDT"], max_drift_share=Decimal("0.05")),
    )
    return NativeAccount(runtime=runtime, config=config, journal=kept.journal, **more)


def test_an_order_that_nobody_knows_was_never_there_where_positions_agree(kept: Kept) -> None:
    kept.desk.intend([limit()])
    made = account(kept)
    made.recover(Seen())
    assert kept.state() is OrderState.REFUSED
    assert made.live() == []


def test_an_order_that_the_venue_had_and_forgot_was_cancelled(kept: Kept) -> None:
    """A conditional order that was cancelled at the venue: no question finds it there."""
    kept.desk.intend([limit()])
    kept.desk.told(event("OrderAccepted"))
    account(kept).recover(Seen())
    assert kept.state() is OrderState.CANCELED


def test_without_positions_nothing_proves_an_absence(kept: Kept) -> None:
    kept.desk.intend([limit()])
    with pytest.raises(FairleadError, match="never filled") as raised:
        account(kept, kind="cash").recover(Seen())
    assert raised.value.exit_code == Exit.DRIFT
    assert kept.state() is OrderState.INTENDED
    account(kept, kind="cash", accept=True).recover(Seen())
    assert kept.state() is OrderState.REFUSED


def test_positions_that_differ_refuse_the_start(kept: Kept) -> None:
    kept.desk.intend([limit()])
    made = account(kept)
    with pytest.raises(FairleadError) as raised:
        made.recover(Seen(positions={PERP: Decimal("0.020")}))
    assert (raised.value.code, raised.value.exit_code) == (DRIFT, Exit.DRIFT)
    assert kept.state() is OrderState.INTENDED  # it may be what was filled
    assert [one.code for one in made.findings] == [DRIFT]


def test_an_order_that_ended_while_the_run_started_is_named_and_nothing_concluded(
    kept: Kept,
) -> None:
    kept.desk.intend([limit()])
    made = account(kept)
    assert made.taken_over(Event(order=lambda name: None)) == made.live()[0]
    assert (kept.state(), made.desk.is_hearing) == (OrderState.INTENDED, False)
    told = {"unresolved": [], "left_open": [], "killed": None, "halted": None}
    assert verdict(RunState(), (DRIFT, "it ended"), "", **told)[0] is Exit.DRIFT


@pytest.mark.parametrize(
    ("filled_there", "held_there", "moved"),
    [
        ("0", "0", False),
        ("0.008", "0.008", False),
        ("0", "0.008", True),  # filled after what was told of the order
        ("0.020", "0.008", True),
    ],
)
def test_a_look_that_moved_under_its_orders_is_to_be_done_again(
    kept: Kept, filled_there: str, held_there: str, moved: bool
) -> None:
    kept.desk.intend([limit()])
    seen = Seen({CID: told(filled=Decimal(filled_there))}, {PERP: Decimal(held_there)})
    assert may_have_moved(seen, kept.journal) is moved


def test_a_difference_without_an_open_order_is_no_move(kept: Kept) -> None:
    assert not may_have_moved(Seen(positions={PERP: Decimal(1)}), kept.journal)


@pytest.mark.parametrize(("agrees_at", "looks"), [(1, 1), (3, 3), (9, 3)])
async def test_it_is_looked_again_until_it_agrees_and_a_few_times_at_the_most(
    monkeypatch: pytest.MonkeyPatch, agrees_at: int, looks: int
) -> None:
    clients: Any = Event(builtin=Event(name="x"), venue="BINANCE", account_id="BINANCE-main")
    done: list[int] = []

    @asynccontextmanager
    async def session(*_: Any, **__: Any) -> AsyncIterator[Any]:
        yield Event(wanted=())

    async def look(*_: Any) -> Seen:
        done.append(len(done) + 1)
        return Seen(positions={PERP: Decimal(len(done))})

    monkeypatch.setattr(native_adapter, "session", session)
    monkeypatch.setattr(native_adapter, "look", look)
    made = NativeAdapter(clients, Event, (), may_have_moved=lambda _: len(done) < agrees_at)
    await made.connect(trading=True)
    assert (len(done), made.seen.positions[PERP]) == (looks, looks)


def test_a_person_can_accept_the_difference(kept: Kept) -> None:
    made = account(kept, accept=True)
    made.recover(Seen(positions={PERP: Decimal("0.020")}))
    assert [one.code for one in made.findings] == [DRIFT]


def holding(usdt: str, positions: dict[str, Decimal] | None = None) -> Seen:
    told = VenueBalance(currency="USDT", free=Decimal(usdt), locked=Decimal(0))
    return Seen(positions=positions or {}, balances=(told,))


def test_a_wallet_that_differs_refuses_the_start_above_its_limit(kept: Kept) -> None:
    account(kept).recover(holding("1000"))  # the first start agrees on it
    made = account(kept)
    made.recover(holding("1000.50"))
    assert [one.code for one in made.findings] == [BALANCE_DRIFT]
    account(kept).recover(holding("1000.50"))  # counted from then on
    with pytest.raises(FairleadError) as raised:
        account(kept).recover(holding("990"))
    assert (raised.value.code, raised.value.exit_code) == (BALANCE_DRIFT, Exit.DRIFT)
    account(kept, accept=True).recover(holding("990"))


@pytest.mark.parametrize(
    ("usdt", "sides", "proven"),
    [
        ("1000", ("BUY", "SELL"), True),
        ("999.9", ("BUY", "SELL"), False),  # each was filled, and the venue failed to tell
        ("999.9", ("BUY", "BUY"), True),  # a difference of something else
        (None, ("BUY", "SELL"), False),
        (None, ("SELL", "SELL"), True),
    ],
)
def test_orders_of_two_sides_are_gone_where_the_wallet_agrees_too(
    kept: Kept, usdt: str | None, sides: tuple[str, str], proven: bool
) -> None:
    account(kept).recover(holding("1000"))
    names = [f"{number}-{side}" for number, side in enumerate(sides)]
    for name, side in zip(names, sides, strict=True):
        kept.desk.intend([limit(name, getattr(OrderSide, side))])
    seen = Seen() if usdt is None else holding(usdt)
    if not proven:
        with pytest.raises(FairleadError, match="start again") as raised:
            account(kept).recover(seen)
        assert (raised.value.code, raised.value.exit_code) == (DRIFT, Exit.DRIFT)
        assert len(kept.again().live_orders()) == 2
        account(kept, accept=True).recover(seen)
    else:
        account(kept).recover(seen)
    assert kept.again().live_orders() == []


def test_results_and_fees_are_no_difference_of_a_wallet(kept: Kept) -> None:
    account(kept).recover(holding("1000"))
    kept.desk.intend([limit()])
    kept.desk.told(filled("0.020", "1"))
    made = account(kept)
    made.recover(holding("1150", {PERP: Decimal("0.020")}))  # with what is open, or without it
    assert made.findings == []
    kept.desk.told(filled("0.020", "2", "closing", side="SELL", price="51000.00"))
    made = account(kept)
    made.recover(holding("1020"))
    assert made.findings == []


async def test_what_differs_in_the_run_halts_its_instruments(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_account, "COMPARE_EVERY_SECS", 0)
    monkeypatch.setattr(balance_check, "BALANCE_LOOK_SECS", 0)
    halted: list[str] = []
    made = account(kept, on_halt=lambda name, why: halted.append(name))
    made.recover(holding("1000"))
    made.desk.is_hearing = True

    async def balances() -> list[VenueBalance]:
        return [VenueBalance(currency="USDT", free=Decimal(900), locked=Decimal(0))]

    made.teller.balances = balances  # type: ignore[method-assign]
    compare = asyncio.create_task(made.compare())
    while not halted:
        await asyncio.sleep(0)
    compare.cancel()
    assert halted == [PERP]
    assert [one.code for one in made.findings] == [BALANCE_DRIFT]


def test_what_is_open_at_the_stop_is_told_apart(kept: Kept) -> None:
    made = account(kept)
    made.desk.intend([limit(), limit(f"{CID}2")])
    made.desk.is_hearing = True
    made.desk.told(event("OrderAccepted"))
    assert made.left_open() == [CID]
    assert made.unresolved() == [f"{CID}2"]


async def test_an_order_without_an_answer_for_long_counts_as_unknown(
    kept: Kept,
) -> None:
    counted: list[int] = []
    made = account(kept, on_unknown=counted.append)
    made.desk.intend([limit()])  # at 7 ns by the journal's clock
    made.runtime.now_ns = lambda: 10_000_000_000
    watch = asyncio.create_task(made.watch_orders())
    while counted != [1]:
        await asyncio.sleep(0)
    made.desk.is_hearing = True
    made.desk.told(event("OrderAccepted"))
    while counted != [1, 0]:
        await asyncio.sleep(0)
    watch.cancel()


async def test_a_journal_that_was_taken_away_ends_the_run(kept: Kept, tmp_path: Path) -> None:
    made = account(kept, failed=kept.failed)
    (tmp_path / "j.sqlite").unlink()
    await made.watch_orders()
    assert kept.failed == ["JRN-CHANGED"]


async def test_a_stop_asks_for_cancels_and_hears_the_end(kept: Kept) -> None:
    made = account(kept)
    made.desk.intend([limit()])
    made.desk.is_hearing = True
    asked: list[str] = []

    def cancel(name: str) -> bool:
        asked.append(name)
        made.desk.told(event("OrderCanceled", name, reason=None))
        return True

    made.desk.cancels = cancel
    await made.settle(5.0)
    assert asked == [CID]
    assert made.live() == []
