"""What is kept of a live run: its orders as strategies gave them, the market, the last prices."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from nautilus_trader.common import Clock, OrderFactory
from nautilus_trader.model import AccountType, Currency, OrderSide, StrategyId, TraderId

from fairlead.adapters.base.execution_client import VenueExecutionClient
from fairlead.adapters.base.journaled_account import JournaledAccount
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.observe import journaled
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import Kind, OrderState, Side, Tif, VenueFill
from fairlead.engine.research import numbers
from fairlead.engine.research.marks import Marks, Top
from fairlead.engine.research.tables import journaled_rows, tables
from fairlead.engine.run.keeping import traded_by_node
from fairlead.engine.run.replayed import commands
from fairlead.engine.run.summary import _events
from tests.unit.nautilus_harness import IID, pair, px, qty
from tests.unit.orders.conftest import intent

NAME = str(IID)
LOADED: Any = SimpleNamespace(config=SimpleNamespace(instruments=[NAME], venues={}), paid=())
QUOTE = SimpleNamespace(bid_price=px(98.0), bid_size=qty(1), ask_price=px(102.0), ask_size=qty(2))


class Cache:
    """With a last quote, and with a book where `has_book`."""

    def __init__(self, orders: list[Any], *, has_book: bool) -> None:
        self._orders, self._has_book = orders, has_book

    def orders(self) -> list[Any]:
        return self._orders

    def instrument(self, instrument_id: Any) -> Any:
        return pair()

    def top_of_book(self, instrument_id: Any) -> Any:
        return (px(109.0), qty(1), px(111.0), qty(1)) if self._has_book else None

    def book_update_count(self, instrument_id: Any) -> int:
        return int(self._has_book)

    def quote(self, instrument_id: Any) -> Any:
        return QUOTE

    def trade(self, instrument_id: Any) -> Any:
        return None


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.sqlite", fsync=False, now_ns=lambda: 1)
    yield made
    made.close()


@pytest.mark.parametrize(("has_book", "mid"), [(True, "110.00"), (False, "100.00")])
def test_a_released_order_is_kept_as_it_was_given_with_the_market_and_the_last_prices(
    journal: Journal, has_book: bool, mid: str
) -> None:
    factory = OrderFactory(TraderId("T-1"), StrategyId("S-1"), Clock.new_test())
    given = factory.stop_limit(IID, OrderSide.BUY, qty(1), px(112), px(111))
    name = str(given.client_order_id)
    held = intent(name, instrument=NAME, kind=Kind.STOP_LIMIT, trigger_price=Decimal(111))
    since = journaled.opening(journal)
    journal.hold([held], {})
    sent = msgspec.structs.replace(
        held, kind=Kind.LIMIT, trigger_price=None, time_in_force=Tif.FOK, release=1
    )
    journal.release(sent, {})
    journal.accepted(name, "V1", instrument=NAME)
    execution = VenueFill(
        venue_order_id="V1",
        trade_id="T1",
        instrument=NAME,
        side=Side.BUY,
        quantity=Decimal("0.5"),
        price=Decimal(100),
        fee=Decimal(0),
        fee_currency="USDT",
        is_maker=False,
    )
    journal.fill(sent, execution, Decimal(0))
    cache, state, marks = Cache([given], has_book=has_book), RunState(), Marks()
    state.markets = {}
    state.note_market(name, cache, IID)
    marks.told(NAME, Top(1, px(1.0), px(3.0)))
    ended: Any = SimpleNamespace(
        node=object(),
        cache=cache,
        run_state=state,
        marks=marks,
        booked=[journaled.booked(journal, since)],
        gone=None,
        held=(),
    )
    left = traded_by_node(LOADED, "live", ended)
    assert left is not None
    (row,) = left.orders
    assert (row["kind"], row["trigger_price"], row["price"], row["time_in_force"]) == (
        "STOP_LIMIT",
        str(given.trigger_price),
        str(given.price),
        "GTC",
    )
    made = tables(left, marks, [], marks.samples[NAME][-1].ts)
    (fill,) = made["fills"]
    assert (fill["kind"], Decimal(fill["mid_decided"])) == ("STOP_LIMIT", Decimal(mid))
    last = made["equity"][-1]
    assert Decimal(last["pnl"]) == (Decimal(mid) - 100) / 2


def executed(
    journal: Journal,
    name: str,
    side: Side,
    quantity: str,
    price: str,
    *,
    ts: int = 5,
    fee: int = 0,
    strategy: str = "S-1",
) -> None:
    ordered = intent(name, instrument=NAME, side=side, strategy=strategy)
    journal.intend([ordered])
    journal.accepted(name, f"V{name}", instrument=NAME)
    execution = VenueFill(
        venue_order_id=f"V{name}",
        trade_id=name,
        instrument=NAME,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
        fee_currency="USDT",
        ts_event=ts,
    )
    assert journal.fill(ordered, execution, Decimal(0))


def equity(*run: Any) -> list[dict[str, Any]]:
    return made(*run)["equity"]


def made(
    booked: journaled.Booked,
    kind: AccountType,
    began: dict[str, int],
    paid: tuple[str, ...] = (),
) -> dict[str, list[dict[str, Any]]]:
    """Tables of a run at 100, and at 110 at its end, of an account that began with so much."""
    balances = {
        Currency.from_str(code): SimpleNamespace(as_decimal=lambda amount=amount: Decimal(amount))
        for code, amount in began.items()
    }
    account = SimpleNamespace(account_type=kind, starting_balances=lambda: balances)
    cache, marks = Cache([], has_book=True), Marks()
    cache.account_for_venue = lambda _: account  # type: ignore[attr-defined]
    loaded: Any = SimpleNamespace(
        config=SimpleNamespace(instruments=[NAME], venues={"test": None}), paid=paid
    )
    marks.told(NAME, Top(1, px(99.0), px(101.0)))
    ended: Any = SimpleNamespace(
        node=object(),
        cache=cache,
        run_state=RunState(),
        marks=marks,
        gone=None,
        held=(),
        booked=[booked],
    )
    left = traded_by_node(loaded, "live", ended)
    assert left is not None
    return tables(left, marks, [], marks.samples[NAME][-1].ts)


def traded(booked: journaled.Booked) -> list[tuple[str, str, float, int, bool]]:
    """Of each trade, flat to flat: whose, side, PnL, fills, whether the run began it."""
    rows = made(booked, AccountType.CASH, {"USDT": 1000})
    return [
        (one["strategy"], one["side"], one["pnl"], one["fills"], one["opened"] is not None)
        for one in numbers.trades(rows["parts"] or rows["fills"])
    ]


def test_a_trade_that_a_kill_closed_is_the_strategys_and_those_after_it_are_told(
    journal: Journal,
) -> None:
    since = journaled.opening(journal)
    executed(journal, "A", Side.BUY, "2", "100", ts=5)
    journal.hand_over("S-1", KILL_STRATEGY, NAME, Decimal(100))
    executed(journal, "K", Side.SELL, "2", "90", ts=9, strategy=KILL_STRATEGY)
    executed(journal, "B", Side.BUY, "1", "100", ts=10)
    executed(journal, "C", Side.SELL, "1", "101", ts=11)
    assert traded(journaled.booked(journal, since)) == [
        ("S-1", "long", -20.0, 2, True),
        ("S-1", "long", 1.0, 2, True),
    ]


def test_a_trade_that_an_earlier_run_began_ends_at_its_cost(journal: Journal) -> None:
    executed(journal, "A", Side.BUY, "1", "60", ts=1)
    executed(journal, "S", Side.SELL, "1", "100", ts=1, strategy="S-2")
    since = journaled.opening(journal)
    executed(journal, "B", Side.SELL, "1", "61", ts=5)
    executed(journal, "C", Side.BUY, "1", "62", ts=6)
    executed(journal, "D", Side.SELL, "1", "62.5", ts=7)
    executed(journal, "E", Side.BUY, "1", "90", ts=8, strategy="S-2")
    assert traded(journaled.booked(journal, since)) == [
        ("S-1", "long", 1.0, 1, False),
        ("S-1", "long", 0.5, 2, True),
        ("S-2", "short", 10.0, 1, False),
    ]


def test_a_run_in_which_each_fill_is_its_orders_strategys_keeps_it_once(journal: Journal) -> None:
    since = journaled.opening(journal)
    executed(journal, "A", Side.BUY, "1", "60", ts=5)
    rows = made(journaled.booked(journal, since), AccountType.CASH, {"USDT": 1000})
    assert (len(rows["fills"]), rows["parts"]) == (1, [])


def test_positions_are_whose_the_journal_says_after_a_kill(journal: Journal) -> None:
    """1.5 of 2 is closed at 90; what is left stays the kill's, until it gives it back."""
    since = journaled.opening(journal)
    executed(journal, "A", Side.BUY, "2", "80", ts=5)
    journal.hand_over("S-1", KILL_STRATEGY, NAME, Decimal(80))
    executed(journal, "K", Side.SELL, "1.5", "90", ts=9, strategy=KILL_STRATEGY)
    booked = journaled.booked(journal, since)
    rows = made(booked, AccountType.CASH, {"USDT": 1000})["positions"]
    held = [(row["ts"], row["strategy"], Decimal(row["position"])) for row in rows]
    assert held == [
        (1, "S-1", Decimal("-0.5")),  # by the journal's clock, here
        (1, KILL_STRATEGY, Decimal("0.5")),
        (5, "S-1", Decimal("1.5")),
        (9, "S-1", Decimal(0)),
    ]
    assert Decimal(rows[-1]["realized"]) == 15


@pytest.mark.parametrize(
    ("paid", "start", "end"), [((), "1040", "1040"), (("TEST",), "1200", "1200")]
)
def test_a_margin_account_begins_with_what_the_position_taken_over_had_won(
    journal: Journal, paid: tuple[str, ...], start: str, end: str
) -> None:
    """2 that had cost 160, at 100 and at 110; 1 is sold at 90. A wallet of 1000 does not have what
    is open, but one that tells its position as paid for has it as 2 of the base currency."""
    executed(journal, "A", Side.BUY, "2", "80")
    since = journaled.opening(journal)
    executed(journal, "B", Side.SELL, "1", "90")
    booked = journaled.booked(journal, since)
    rows = equity(booked, AccountType.MARGIN, {"USDT": 1000, "BTC": 2}, paid)
    assert [Decimal(one["equity"]) for one in (rows[0], rows[-1])] == [Decimal(start), Decimal(end)]
    assert Decimal(rows[-1]["pnl"]) == -20, "of the run alone, as in the summary"


@pytest.mark.parametrize(
    ("kind", "paid", "start", "end"),
    [
        (AccountType.CASH, (), 1100, 1110),
        (AccountType.MARGIN, (), 1020, 1030),
        (AccountType.MARGIN, ("TEST",), 1100, 1110),
    ],
)
def test_what_was_executed_while_nothing_ran_is_in_the_curve_once(
    journal: Journal, kind: AccountType, paid: tuple[str, ...], start: int, end: int
) -> None:
    """Of 2 that had cost 160, 1 was sold at 90 for a fee of 1 before the start that books it: the
    balances that are read then have it."""
    executed(journal, "A", Side.BUY, "2", "80", ts=0)
    runtime: Any = SimpleNamespace()
    account = JournaledAccount(runtime, journal, runtime)
    executed(journal, "B", Side.SELL, "1", "90", ts=0, fee=1)
    account.balances_begin()
    booked = account.booked()
    assert isinstance(booked, journaled.Booked)
    rows = equity(booked, kind, {"USDT": 1000, "BTC": 1}, paid)
    assert [Decimal(one["equity"]) for one in (rows[0], rows[-1])] == [start, end]
    assert [Decimal(one["pnl"]) for one in (rows[0], rows[-1])] == [-11, -21]


def test_the_end_of_an_order_is_kept_as_the_venue_answered_it(tmp_path: Path) -> None:
    """Not as it is booked; and not before what is executed last."""
    now = iter(range(100, 1_000, 100))
    with closing(Journal(tmp_path / "journal", fsync=False, now_ns=lambda: next(now))) as journal:
        since = journaled.opening(journal)
        journal.intend([intent("A", instrument=NAME), intent("B", instrument=NAME)])
        journal.note("CANCEL_UNKNOWN", "A", None)
        journal.note("CANCEL_CANCELACCEPTED", "A", None)  # the third that is written
        journal.note("CANCEL_CANCELACCEPTED", "A", None)
        for name in ("A", "B"):
            journal.state(name, OrderState.CANCELED)
        rows = journaled_rows(journaled.booked(journal, since))
    taken = 300
    assert {row["client_order_id"]: row["ts_cancelled"] for row in rows} == {"A": taken, "B": None}
    row = rows[0] | {"ts_init": 1, "ts_last": taken + 500, "changes": [], "asked": []}

    def due(**other: Any) -> list[tuple[int, int | None]]:
        return [(one.ts, one.due) for one in commands([row | other]) if one.what == "cancel"]

    assert due() == [(taken, taken)], "its run's own"
    asked = [{"what": "cancel", "ts": ts} for ts in (taken - 9, taken - 5, taken + 50)]
    first, second, third = (one["ts"] for one in asked)
    assert due(asked=asked) == [(first, None), (second, taken), (third, None)]
    fill = rows[0] | {"ts_event": taken + 60}
    assert due(asked=asked, fills=[fill])[-1] == (third, taken + 61)
    assert due(asked=asked, ts_cancelled=None)[-1] == (third, taken + 500)
    late = commands([row | {"asked": asked[:1], "status": "FILLED"}], 70)
    assert [one.due for one in late] == [None, taken + 500 + 70], "after the last execution"
    late = commands([row | {"asked": asked[:1], "status": "FILLED"}], 1, 900)
    assert [one.due for one in late] == [None, first + 900], "when the run's came"


def test_clients_that_count_no_frames_tell_no_events() -> None:
    ended: Any = SimpleNamespace(status=SimpleNamespace(streams={}))
    assert _events(ended) is None
    ended.status.streams = {"A": SimpleNamespace(frames=0)}
    assert _events(ended) == 0


def test_a_client_begins_its_balances_before_it_reads_the_first() -> None:
    """What is booked while they are read may be in them, or not."""
    told: list[str] = []

    async def connect(_: Any) -> None:
        told.append("connected")

    async def read() -> list[Any]:
        told.append("read")
        return []

    trading = SimpleNamespace(
        connect=connect,
        balances_begin=lambda: told.append("begun"),
        position_tolerance=lambda: Decimal(0),
        now_ns=lambda: 1,
        orders=SimpleNamespace(balances=read),
    )
    client: Any = SimpleNamespace(
        _trading=trading,
        _desk=SimpleNamespace(start=lambda: None),
        balances=lambda balances, ts: told.append("told"),
    )
    asyncio.run(VenueExecutionClient._connect(client))
    assert told == ["connected", "begun", "read", "told"]
