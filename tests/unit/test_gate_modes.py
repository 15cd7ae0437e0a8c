"""Every check fires with the same code wherever a strategy runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from nautilus_trader.model import (
    BookType,
    ClientOrderId,
    ExecAlgorithmId,
    InstrumentId,
    OrderSide,
    Price,
    Quantity,
    TimeInForce,
    TriggerType,
)

from engine.config.model import Risk
from engine.orders.model import Kind, Tif
from engine.risk.checks import CHECKS, Denial
from engine.risk.gate import RiskGate
from engine.strategy import GuardedStrategy
from tests.unit.nautilus_harness import IID, MODES, OTHER, Run, px, qty

BUY, SELL = OrderSide.BUY, OrderSide.SELL


class Abilities:
    kinds = frozenset({Kind.LIMIT, Kind.MARKET})
    time_in_force = frozenset({Tif.GTC})
    post_only = False
    replace = False


class Script(GuardedStrategy):
    """Does `actions[n]` at the n-th book."""

    actions: dict[int, Callable[[Any], None]]
    kill_file: Path

    def on_start(self) -> None:
        self.books = 0
        self.refused: list[tuple[Any, Denial]] = []
        self.subscribe_book_deltas(IID, BookType.L2_MBP)
        self.actions.get(0, lambda _: None)(self)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        action = self.actions.get(self.books)
        if action is not None:
            action(self)

    def on_gate_denied(self, order: Any, denial: Denial) -> None:
        self.refused.append((order, denial))

    def limit(self, side: OrderSide, size: float, price: float, **kw: Any) -> Any:
        order = self.order_factory.limit(IID, side, qty(size), px(price), **kw)
        self.submit_order(order)
        return order

    def market(self, side: OrderSide, size: float, **kw: Any) -> None:
        self.submit_order(self.order_factory.market(IID, side, qty(size), **kw))


class Case(NamedTuple):
    codes: list[str]
    actions: dict[int, Callable[[Any], None]]
    risk: Risk = Risk()
    abilities: Mapping[str, Any] = MappingProxyType({})
    mids: tuple[float | None, ...] = ()


def duplicate(s: Script) -> None:
    for _ in range(2):
        s.limit(BUY, 1, 99.0, client_order_id=ClientOrderId("DUP"))


def duplicate_later(s: Script) -> None:
    s.limit(BUY, 1, 98.0, client_order_id=ClientOrderId("DUP"))


def unknown_instrument(s: Script) -> None:
    stranger = InstrumentId.from_str("XX_YY.TEST")
    s.submit_order(s.order_factory.limit(stranger, BUY, qty(1), px(99)))


def modify_up(s: Script) -> None:
    (order,) = s.cache.orders_open()
    s.modify_order(order.client_order_id, quantity=qty(3))


def modify_many(s: Script) -> None:
    (order,) = s.cache.orders_open()
    s.modify_orders([(order.client_order_id, qty(3), None, None)])


def algorithm(s: Script) -> None:
    s.market(BUY, 1, exec_algorithm_id=ExecAlgorithmId("TWAP"))


def list_of_two(s: Script) -> None:
    f = s.order_factory
    good = f.limit(IID, BUY, qty(1), px(99))
    bad = f.limit(IID, BUY, qty(1), px(199))
    s.submit_order_list([good, bad])


def five_at_once(s: Script) -> None:
    for number in range(5):
        s.limit(BUY, 0.1, 90.0 + number)


CASES = {
    "kill switch": Case(
        ["KILL_SWITCH"],
        {
            2: lambda s: s.limit(BUY, 1, 90),
            3: lambda s: (s.kill_file.touch(), s.limit(BUY, 1, 99)),
            4: lambda s: (s.kill_file.unlink(), s.limit(BUY, 1, 98)),
        },
    ),
    "duplicate id": Case(["DUPLICATE_ORDER_ID"] * 2, {2: duplicate, 6: duplicate_later}),
    "unknown instrument": Case(["INSTRUMENT_UNKNOWN"], {2: unknown_instrument}),
    "execution algorithm": Case(["EXEC_ALGORITHM"], {2: algorithm}),
    "emulated": Case(
        ["EMULATION"],
        {2: lambda s: s.limit(BUY, 1, 99, emulation_trigger=TriggerType.BID_ASK)},
    ),
    "kind the venue lacks": Case(
        ["UNSUPPORTED"],
        {2: lambda s: s.stop_limit(IID, BUY, qty(1), px(101), px(102))},
        abilities={"TEST": Abilities()},
    ),
    "time in force the venue lacks": Case(
        ["UNSUPPORTED"],
        {2: lambda s: s.limit(BUY, 1, 99, time_in_force=TimeInForce.IOC)},
        abilities={"TEST": Abilities()},
    ),
    "post-only the venue lacks": Case(
        ["UNSUPPORTED"],
        {2: lambda s: s.limit(BUY, 1, 99, post_only=True)},
        abilities={"TEST": Abilities()},
    ),
    "modify the venue lacks": Case(
        ["UNSUPPORTED"],
        {2: lambda s: s.limit(BUY, 1, 99), 8: modify_up},
        abilities={"TEST": Abilities()},
    ),
    "quote quantity": Case(["UNSUPPORTED"], {2: lambda s: s.market(BUY, 1, quote_quantity=True)}),
    "price off the grid": Case(
        ["PRECISION"],
        {
            2: lambda s: s.submit_order(
                s.order_factory.limit(IID, BUY, qty(1), Price.from_str("99.005"))
            )
        },
    ),
    "quantity off the grid": Case(
        ["PRECISION"],
        {
            2: lambda s: s.submit_order(
                s.order_factory.limit(IID, BUY, Quantity.from_str("0.0000001"), px(99))
            )
        },
    ),
    "reduce-only without position": Case(
        ["REDUCE_ONLY"], {2: lambda s: s.market(SELL, 1, reduce_only=True)}
    ),
    "reduce-only beyond position": Case(
        ["REDUCE_ONLY"],
        {2: lambda s: s.market(BUY, 1), 8: lambda s: s.limit(SELL, 1.5, 101, reduce_only=True)},
    ),
    "no market data": Case(["STALE_REFERENCE"], {0: lambda s: s.limit(BUY, 1, 99)}),
    "cleared book": Case(
        ["INVALID_BOOK"] * 2,
        {3: lambda s: (s.limit(BUY, 1, 99), s.market(BUY, 1))},
        mids=(100.0, 100.0, None),
    ),
    "notional of a limit order": Case(
        ["MAX_ORDER_NOTIONAL"],
        {2: lambda s: (s.limit(BUY, 5, 100), s.limit(BUY, 5.01, 100))},
        risk=Risk(max_order_notional="500 USDT"),
    ),
    "notional of a market order": Case(
        ["MAX_ORDER_NOTIONAL"],
        {2: lambda s: s.market(BUY, 1)},
        risk=Risk(max_order_notional="100 USDT"),
    ),
    "notional in another currency": Case(
        ["MAX_ORDER_NOTIONAL"],
        {2: lambda s: s.market(BUY, 1)},
        risk=Risk(max_order_notional="100 EUR"),
    ),
    "position with open orders": Case(
        ["MAX_POSITION"],
        {
            2: lambda s: s.market(BUY, 1),
            8: lambda s: (s.limit(BUY, 1, 99), s.limit(BUY, 0.5, 99), s.limit(SELL, 1, 101)),
        },
        risk=Risk(max_position={str(IID): Decimal(2)}),
    ),
    "position by a modify": Case(
        ["MAX_POSITION"],
        {2: lambda s: s.limit(BUY, 1, 99), 8: modify_up},
        risk=Risk(max_position={str(IID): Decimal(2)}),
    ),
    "position by modifies": Case(
        ["MAX_POSITION"],
        {2: lambda s: s.limit(BUY, 1, 99), 8: modify_many},
        risk=Risk(max_position={str(IID): Decimal(2)}),
    ),
    "open orders": Case(["MAX_OPEN_ORDERS"] * 3, {2: five_at_once}, risk=Risk(max_open_orders=2)),
    "price through the collar": Case(
        ["PRICE_COLLAR"] * 2,
        {2: lambda s: (s.limit(BUY, 1, 105.01), s.limit(SELL, 1, 94.99), s.limit(SELL, 1, 150))},
    ),
    "order rate": Case(["ORDER_RATE"] * 2, {2: five_at_once}, risk=Risk(max_orders_per_second=3)),
    "list with one bad order": Case(["PRICE_COLLAR", "LIST_DENIED"], {2: list_of_two}),
    "halted": Case(
        ["HALTED"],
        {2: lambda s: (s._guard_gate.halt("test", 1), s.limit(BUY, 1, 99))},
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
def test_check_fires_with_the_same_code(name: str, mode: str, tmp_path: Path) -> None:
    case = CASES[name]

    class Scripted(Script):
        actions = case.actions
        kill_file = tmp_path / "KILL"

    gate = RiskGate(case.risk, state_dir=tmp_path, abilities=case.abilities)
    run = MODES[mode](Run(Scripted, gate=gate, mids=case.mids, instruments=(IID, OTHER), steps=12))
    assert [fault.traceback for fault in run.state.faults] == []
    assert run.codes() == case.codes
    assert [denial.code for _, denial in run.strategy.refused] == case.codes
    assert run.state.breach is None
    statuses = {status for _, _, status in run.orders}
    assert not statuses & {"INITIALIZED", "DENIED", "REJECTED"}, run.orders


@pytest.mark.parametrize("mode", MODES)
def test_a_cleared_book_is_named_as_such(mode: str) -> None:
    class Cleared(Script):
        actions = CASES["cleared book"].actions

    run = MODES[mode](Run(Cleared, mids=(100.0, 100.0, None), steps=6))
    assert "empty, one-sided or crossed" in run.state.denials[0].denial.message


def test_every_check_has_a_case() -> None:
    fired = {code for case in CASES.values() for code in case.codes}
    # A quantity of zero can't be built with NautilusTrader's factory; test_gate.py has it.
    assert {check.code for check in CHECKS} - fired == {"QUANTITY"}
