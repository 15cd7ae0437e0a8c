"""What is kept of a live run: its orders as strategies gave them, the market, the last prices."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from nautilus_trader.common import Clock, OrderFactory
from nautilus_trader.model import AccountType, Currency, OrderSide, StrategyId, TraderId

from fairlead.engine.guard.run_state import RunState
from fairlead.engine.observe import journaled
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Kind, Side, Tif, VenueFill
from fairlead.engine.research.marks import Marks, Top
from fairlead.engine.research.tables import tables
from fairlead.engine.run.keeping import traded_by_node
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


def executed(journal: Journal, name: str, side: Side, quantity: str, price: str) -> None:
    ordered = intent(name, instrument=NAME, side=side)
    journal.intend([ordered])
    journal.accepted(name, f"V{name}", instrument=NAME)
    execution = VenueFill(
        venue_order_id=f"V{name}",
        trade_id=name,
        instrument=NAME,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(0),
        fee_currency="USDT",
        ts_event=5,
    )
    assert journal.fill(ordered, execution, Decimal(0))


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
    balances = {
        Currency.from_str(code): SimpleNamespace(as_decimal=lambda amount=amount: amount)
        for code, amount in (("USDT", Decimal(1000)), ("BTC", Decimal(2)))
    }
    account = SimpleNamespace(account_type=AccountType.MARGIN, starting_balances=lambda: balances)
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
        booked=[journaled.booked(journal, since)],
    )
    left = traded_by_node(loaded, "live", ended)
    assert left is not None
    rows = tables(left, marks, [], marks.samples[NAME][-1].ts)["equity"]
    assert [Decimal(one["equity"]) for one in (rows[0], rows[-1])] == [Decimal(start), Decimal(end)]
    assert Decimal(rows[-1]["pnl"]) == -20, "of the run alone, as in the summary"


def test_clients_that_count_no_frames_tell_no_events() -> None:
    ended: Any = SimpleNamespace(status=SimpleNamespace(streams={}))
    assert _events(ended) is None
    ended.status.streams = {"A": SimpleNamespace(frames=0)}
    assert _events(ended) == 0
