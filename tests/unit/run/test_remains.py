"""What is held at the end, and what is too small to be sold."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from nautilus_trader.common import Clock, OrderFactory
from nautilus_trader.model import InstrumentId, OrderSide, StrategyId, TraderId, TriggerType

from fairlead.adapters.base.spot import spot_instrument
from fairlead.engine.errors import Exit
from fairlead.engine.guard.exits import Exits
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.orders.journal_reads import Position
from fairlead.engine.orders.model import Role
from fairlead.engine.risk.facts import Reference
from fairlead.engine.risk.view import instrument_facts
from fairlead.engine.run.ended import verdict
from fairlead.engine.run.remains import Held, notes, remains
from tests.unit.nautilus_harness import IID, pair, px, qty

PRICE = Decimal(60_000)
STEP = Decimal("0.000001")
VALUED = Decimal(1)  # the least value of an order, in quote currency
DUST = Decimal("0.000016")  # 0.96 of it, and sixteen whole increments
ENOUGH = Decimal("0.000017")
BOOK = Reference("book", 0, PRICE, PRICE + 1)
GONE = Reference("book", 0, valid=False)  # cleared
MARKET = spot_instrument(
    id=str(IID),
    symbol="x",
    base="BTC",
    quote="USDT",
    price_precision=2,
    size_precision=6,
    fees=None,
    tradable=True,
    state="",
    ts_ns=0,
    min_quantity=STEP,
    min_notional=VALUED,
)


class View:
    """A market whose reference the test sets."""

    def __init__(self, *markets: Reference | None, trade: Reference | None = None) -> None:
        self.markets = list(markets)
        self.trade = trade

    def reference(self, instrument: str) -> Reference | None:
        return self.markets.pop(0) if len(self.markets) > 1 else self.markets[0]

    def last_trade(self, instrument: str) -> Reference | None:
        return self.trade

    def instrument(self, instrument: str) -> Any:
        return instrument_facts(MARKET.nautilus)


class Sent:
    """An order as NautilusTrader has it in the end; its position was opened at 1."""

    def __init__(self, kind: str, status: str) -> None:
        factory = OrderFactory(TraderId("T-1"), StrategyId("S-1"), Clock.new_test())
        if kind == "entry":
            self._order: Any = factory.market(IID, OrderSide.BUY, qty(1))
        else:
            role = [] if kind == "plain" else [Role.STOP.tag]
            last = TriggerType.LAST_PRICE
            self._order = factory.stop_limit(
                IID, OrderSide.SELL, qty(1), px(98), px(99), trigger_type=last, tags=role
            )
        self.status = SimpleNamespace(name=status)
        self.ts_init = 0 if kind == "old" else 2

    def __getattr__(self, name: str) -> Any:
        return getattr(self._order, name)


def strategy(
    view: View,
    promised: Sequence[InstrumentId] = (),
    bare: dict[str, str] | None = None,
    sent: Sequence[Sent] = (),
) -> Any:
    """`bare` is what its brackets say."""
    cache = SimpleNamespace(
        instrument=lambda _: pair(),
        positions_open=lambda **_: [SimpleNamespace(ts_opened=1)],
        orders=lambda **_: list(sent),
    )
    core: Any = SimpleNamespace(
        ready=lambda: view,
        gate=SimpleNamespace(base_held=lambda *_: None),
        strategy=SimpleNamespace(cache=cache, strategy_id="S-1"),
    )
    exits = Exits(core, cast(Any, None))
    winddown = SimpleNamespace(
        promised=lambda: frozenset(promised),
        is_held=lambda *args: exits.closable(*args) is not None,
        refusal="",
    )
    handover = SimpleNamespace(own_position=lambda _: Decimal(0))
    guard = SimpleNamespace(
        id="S-1",
        view=view,
        exits=exits,
        winddown=winddown,
        handover=handover,
        brackets=SimpleNamespace(bare=lambda *, cancels: bare or {}, open=tuple),
    )
    return SimpleNamespace(_guard=guard)


def account(quantity: Decimal, cost_price: Decimal = PRICE) -> Any:
    position = Position("S-1", str(IID), quantity, quantity * cost_price)
    journal = SimpleNamespace(positions=lambda: [position])
    return SimpleNamespace(instruments={str(IID): MARKET}, journal=journal)


MARKETS = {
    "book": View(BOOK),
    "a trade": View(GONE, trade=Reference("trade", 0, last=PRICE)),
    "the price that was paid": View(GONE),
    "no data at all": View(None),
}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("market", sorted(MARKETS))
@pytest.mark.parametrize("promised", [True, False])
def test_a_rest_below_the_least_value_of_an_order_is_not_held(
    promised: bool, market: str, sign: int
) -> None:
    ran = [strategy(MARKETS[market], [IID] if promised else [])]
    assert remains([account(sign * DUST)], ran) == []
    (held,) = remains([account(sign * ENOUGH)], ran)
    assert (held.quantity, held.broken is not None) == (sign * ENOUGH, promised)


def test_the_last_price_that_was_known_counts_before_the_one_that_was_paid() -> None:
    ran = strategy(View(BOOK, GONE))
    assert ran._guard.exits.closable(IID, ENOUGH) is not None
    assert remains([account(DUST, cost_price=PRICE * 2)], [ran]) == []


def test_a_rest_of_a_run_in_which_no_strategy_started_is_valued_at_what_it_cost() -> None:
    waiting: Any = SimpleNamespace(_guard=SimpleNamespace(view=None))
    assert remains([account(DUST)], [waiting]) == []
    assert len(remains([account(ENOUGH)], [waiting])) == 1


def test_a_stop_that_took_too_long_tells_what_is_held_too() -> None:
    held = [Held(strategy="S-1", instrument=str(IID), quantity=ENOUGH, broken="DESK-HALTED: x")]
    code, reason = verdict(
        RunState(),
        ("STOP-TIMEOUT", "the run did not stop within 10 s and was cut off"),
        "signal SIGTERM",
        unresolved=[],
        left_open=[],
        killed=None,
        halted=None,
        held=held,
    )
    assert code is Exit.TIMED_OUT
    assert reason.startswith("STOP-TIMEOUT: the run did not stop within 10 s and was cut off; ")
    assert f"NOT-FLAT: to be closed at the stop, and still held: {ENOUGH} {IID}" in reason
    assert "the last refusal: DESK-HALTED: x" in reason
    assert list(notes(held)) == [
        f"NOT-FLAT {ENOUGH} {IID} (S-1): it was to be closed at the stop; DESK-HALTED: x"
    ]


def unsettled(**told: Any) -> tuple[Exit, str]:
    plain: dict[str, Any] = {"unresolved": [], "left_open": [], "killed": None, "halted": None}
    return verdict(RunState(), None, "signal", **(plain | told))


@pytest.mark.parametrize("what", ["unresolved", "left_open"])
def test_of_many_orders_a_few_are_named(what: str) -> None:
    names = [f"order-{number}" for number in range(88)]
    code, reason = unsettled(**{what: names})
    assert code is Exit.UNRESOLVED
    assert f"88 orders ({', '.join(names[:10])} and 78 more)" in reason
    assert names[10] not in reason
    assert reason.endswith("; `fairlead orders CONFIG` lists all of them")
    assert "lists all" not in unsettled(**{what: names[:10]})[1]


def test_a_cancel_that_the_venue_refused_is_told_as_refused() -> None:
    refusals = {"A": "2003: not now", "B": "2003: not now", "X": "of another"}
    code, reason = unsettled(left_open=["A", "B", "C"], refusals=refusals)
    assert (code, reason) == (
        Exit.UNRESOLVED,
        "the venue refused the cancel of these orders (2003: not now): 2 orders (A, B); "
        "the venue did not confirm the cancel of these orders: 1 order (C)",
    )


def ended(held: Sequence[Held]) -> tuple[Exit, str]:
    return verdict(
        RunState(),
        None,
        "signal",
        unresolved=[],
        left_open=[],
        killed=None,
        halted=None,
        held=held,
    )


def test_what_its_brackets_stop_does_not_protect_is_told_and_no_success() -> None:
    bare = strategy(MARKETS["book"], bare={str(IID): ""})
    (held,) = remains([account(ENOUGH)], [bare])
    assert (held.is_bare, held.broken) == (True, None)
    code, reason = ended([held])
    assert code is Exit.NOT_FLAT
    assert f"NOT-FLAT: held without its stop at the venue: {ENOUGH}" in reason
    assert list(notes([held])) == [f"NOT-FLAT {ENOUGH} {IID} (S-1): its stop is not at the venue"]
    assert remains([account(DUST)], [bare]) == []


def test_what_the_config_took_away_is_told_and_no_failure() -> None:
    taken = strategy(MARKETS["book"], bare={str(IID): "by the config"})
    (held,) = remains([account(ENOUGH)], [taken])
    assert ended([held])[0] is Exit.OK
    assert list(notes([held])) == [f"HELD {ENOUGH} {IID} (S-1), unprotected: by the config"]


@pytest.mark.parametrize(
    ("sent", "is_bare"),
    [
        ([("stop", "REJECTED")], True),
        ([("stop", "REJECTED"), ("stop", "DENIED")], True),
        ([("entry", "REJECTED")], False),
        ([("stop", "CANCELED"), ("stop", "REJECTED")], False),
        ([("stop", "ACCEPTED")], False),
        ([("old", "REJECTED")], False),
        ([("plain", "REJECTED")], False),
        ([], False),
    ],
)
def test_a_stop_of_its_strategy_that_nobody_ever_took_protects_nothing(
    sent: list[tuple[str, str]], is_bare: bool
) -> None:
    """Whether NautilusTrader's cache has its orders still, or some, or none."""
    made = [Sent(kind, status) for kind, status in sent]
    for gone in range(len(made) + 1):
        one = strategy(MARKETS["book"], sent=made[gone:])
        for order in made[:gone]:
            one._guard.exits.forgotten(order)
        (held,) = remains([account(ENOUGH)], [one])
        assert held.is_bare is is_bare
        assert ended([held])[0] is (Exit.NOT_FLAT if is_bare else Exit.OK)
