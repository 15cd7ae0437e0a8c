"""Every check fires with the same code wherever a strategy runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import msgspec
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

from fairlead.engine.config.model import Risk
from fairlead.engine.guard.strategy import GuardedStrategy
from fairlead.engine.kill.switch import KillSwitch
from fairlead.engine.orders.model import Capabilities, Kind, Tif
from fairlead.engine.risk.checks import CHECKS, Denial
from fairlead.engine.risk.gate import RiskGate
from tests.unit.nautilus_harness import IID, MODES, OTHER, Run, book, cleared, px, qty

BUY, SELL = OrderSide.BUY, OrderSide.SELL


PLAIN = Capabilities(kinds=frozenset({Kind.LIMIT, Kind.MARKET}), time_in_force=frozenset({Tif.GTC}))
CLEARING = msgspec.structs.replace(PLAIN, clears=True)


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
    capabilities: Mapping[str, Capabilities] = MappingProxyType({})
    mids: tuple[float | None, ...] = ()
    is_cash: bool = False


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


def cancel_all(s: Script) -> None:
    for order in s.cache.orders_open():
        s.cancel_order(order.client_order_id)


def cancel_and_submit(s: Script) -> None:
    cancel_all(s)
    s.limit(BUY, 1, 98)


def modify_twice(s: Script) -> None:
    (order,) = s.cache.orders_open()
    for price in (98.5, 98.4):
        s.modify_order(order.client_order_id, price=px(price))


def two_buys(s: Script) -> None:
    s.limit(BUY, 1, 99)
    s.limit(BUY, 0.6, 99)


DROP = (100.0,) * 5 + (90.0,) * 10  # the sixth book is the first one lower
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
        capabilities={"TEST": PLAIN},
    ),
    "time in force the venue lacks": Case(
        ["UNSUPPORTED"],
        {2: lambda s: s.limit(BUY, 1, 99, time_in_force=TimeInForce.IOC)},
        capabilities={"TEST": PLAIN},
    ),
    "post-only the venue lacks": Case(
        ["UNSUPPORTED"],
        {2: lambda s: s.limit(BUY, 1, 99, post_only=True)},
        capabilities={"TEST": PLAIN},
    ),
    "modify the venue lacks": Case(
        ["UNSUPPORTED"],
        {2: lambda s: s.limit(BUY, 1, 99), 8: modify_up},
        capabilities={"TEST": PLAIN},
    ),
    "an order beside another at a venue that clears": Case(
        ["CLEARS"],
        {2: lambda s: s.limit(BUY, 1, 99), 8: lambda s: s.limit(SELL, 1, 101)},
        capabilities={"TEST": CLEARING},
    ),
    "an order beside a position at a venue that clears": Case(
        ["CLEARS"],
        {2: lambda s: s.market(BUY, 1), 8: lambda s: s.limit(BUY, 1, 99)},
        capabilities={"TEST": CLEARING},
    ),
    "an order that clears what is there, as the config lets it": Case(
        [],
        {2: lambda s: s.limit(BUY, 1, 99), 8: lambda s: s.limit(SELL, 1, 101)},
        Risk(off=["CLEARS"]),
        capabilities={"TEST": CLEARING},
    ),
    "an order beside a position, which the config has closed first": Case(
        [],
        {2: lambda s: s.market(BUY, 1), 8: lambda s: s.limit(BUY, 1, 99)},
        Risk(off=["CLEARS"]),
        capabilities={"TEST": CLEARING},
    ),
    "an order beside a position in another market of a venue that clears": Case(
        ["CLEARS_HELD"],
        {
            2: lambda s: s._guard.gate.seed_positions({str(OTHER): Decimal(1)}, "S-001"),
            8: lambda s: s.limit(BUY, 1, 99),
        },
        Risk(off=["CLEARS"]),
        capabilities={"TEST": CLEARING},
    ),
    "an order that clears a market order on its way": Case(
        ["CLEARS_HELD"],
        {2: lambda s: (s.market(BUY, 1), s.limit(BUY, 1, 99))},
        Risk(off=["CLEARS"]),
        capabilities={"TEST": CLEARING},
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
    "exits beyond position": Case(
        ["EXIT_EXCEEDS"],
        {
            2: lambda s: s.market(BUY, 1),
            8: lambda s: (
                s.limit(SELL, 0.6, 101, reduce_only=True),
                s.limit(SELL, 0.5, 101, reduce_only=True),
                s.limit(SELL, 0.4, 101, reduce_only=True),
            ),
        },
    ),
    "below the least position": Case(
        ["MIN_POSITION"],
        {2: lambda s: (s.limit(SELL, 1, 101), s.limit(SELL, 0.5, 101), s.limit(BUY, 1, 99))},
        risk=Risk(min_position={str(IID): Decimal(-1)}),
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
    "price above the instrument's": Case(
        ["PRICE_BOUNDS"], {2: lambda s: s.limit(SELL, 1, 1000.01)}
    ),
    "price below the instrument's": Case(["PRICE_BOUNDS"], {2: lambda s: s.limit(BUY, 1, 0.99)}),
    "quantity below the instrument's": Case(
        ["QUANTITY_BOUNDS"], {2: lambda s: s.limit(BUY, 0.00001, 99)}
    ),
    "notional below the instrument's": Case(
        ["MIN_NOTIONAL"], {2: lambda s: (s.limit(BUY, 0.005, 99), s.limit(BUY, 0.006, 99))}
    ),
    "order quantity": Case(
        ["MAX_ORDER_QUANTITY"],
        {2: two_buys},
        risk=Risk(max_order_quantity={str(IID): Decimal("0.9")}),
    ),
    "fat finger": Case(
        ["FAT_FINGER"],
        {4: lambda s: (s.limit(BUY, 0.5, 99), s.limit(BUY, 0.51, 99))},
        risk=Risk(fat_finger_multiple=Decimal(5)),
    ),
    "exposure of an instrument": Case(
        ["INSTRUMENT_EXPOSURE"], {2: two_buys}, risk=Risk(max_instrument_exposure=["150 USDT"])
    ),
    "exposure with a position": Case(
        ["INSTRUMENT_EXPOSURE"],
        {2: lambda s: s.market(BUY, 1), 8: lambda s: (s.limit(BUY, 1, 99), s.limit(SELL, 1, 101))},
        risk=Risk(max_instrument_exposure=["150 USDT"]),
    ),
    "exposure in another currency": Case(
        ["INSTRUMENT_EXPOSURE"] * 2, {2: two_buys}, risk=Risk(max_instrument_exposure=["150 EUR"])
    ),
    "exposure of a venue": Case(
        ["VENUE_EXPOSURE"], {2: two_buys}, risk=Risk(max_venue_exposure=["150 USDT"])
    ),
    "exposure of an account": Case(
        ["ACCOUNT_EXPOSURE"], {2: two_buys}, risk=Risk(max_account_exposure=["150 USDT"])
    ),
    "resting notional": Case(
        ["RESTING_NOTIONAL"], {2: two_buys}, risk=Risk(max_resting_notional=["150 USDT"])
    ),
    "stop the market has passed": Case(
        ["STOP_SIDE"], {2: lambda s: s.stop_limit(IID, BUY, qty(1), px(99), px(99.5))}
    ),
    "limit into an own order": Case(
        ["SELF_CROSS"], {2: lambda s: (s.limit(SELL, 1, 100.5), s.limit(BUY, 1, 100.5))}
    ),
    "market into an own order": Case(
        ["SELF_CROSS"],
        {2: lambda s: (s.limit(SELL, 1, 100.01), s.market(BUY, 1), s.limit(BUY, 1, 100))},
    ),
    "balance": Case(["FREE_BALANCE"], {2: lambda s: s.limit(BUY, 150_000, 99)}, is_cash=True),
    "margin": Case(["MARGIN"], {2: lambda s: s.limit(BUY, 150_000, 99)}),
    "margin with open orders": Case(
        ["MARGIN"],
        {2: lambda s: [s.limit(BUY, size, 99) for size in (9_000, 1_000, 200, 50)]},
    ),
    "cancel rate": Case(
        ["CANCEL_RATE"],
        {2: lambda s: s.limit(BUY, 1, 99), 8: cancel_and_submit},
        risk=Risk(max_cancels_per_second=1),
    ),
    "modify rate": Case(
        ["MODIFY_RATE"],
        {2: lambda s: s.limit(BUY, 1, 99), 8: modify_twice},
        risk=Risk(max_modifies_per_second=1),
    ),
    "cancels for each fill": Case(
        ["CANCEL_TO_FILL"],
        {
            2: lambda s: (s.limit(BUY, 1, 99), s.limit(BUY, 1, 98)),
            6: cancel_all,
            10: lambda s: s.limit(BUY, 1, 97),
        },
        risk=Risk(max_cancel_to_fill=Decimal(1), cancel_to_fill_after=2),
    ),
    "unknown outcomes": Case(
        ["UNKNOWN_OUTCOMES"],
        {
            2: lambda s: (s._guard.gate.unknown_outcomes("test", 3), s.limit(BUY, 1, 99)),
            3: lambda s: (s._guard.gate.unknown_outcomes("test", 2), s.limit(BUY, 1, 99)),
        },
    ),
    "clock offset": Case(
        ["CLOCK_OFFSET"],
        {
            2: lambda s: (s._guard.gate.clock_offset("TEST", -2001.0), s.limit(BUY, 1, 99)),
            3: lambda s: (s._guard.gate.clock_offset("TEST", 2000.0), s.limit(BUY, 1, 99)),
        },
    ),
    "daily loss": Case(
        ["DAILY_LOSS", "HALTED"],
        {
            2: lambda s: s.market(BUY, 1),
            6: lambda s: (s.limit(BUY, 1, 89), s.limit(BUY, 1, 89)),
        },
        risk=Risk(max_daily_loss=["10 USDT"]),
        mids=DROP,
    ),
    "drawdown": Case(
        ["DRAWDOWN", "HALTED"],
        {
            2: lambda s: s.market(SELL, 1),
            6: lambda s: s.limit(BUY, 1, 80),  # the peak is seen
            7: lambda s: (s.limit(BUY, 1, 89), s.limit(BUY, 1, 89)),
        },
        risk=Risk(max_drawdown=["5 USDT"]),
        mids=(100.0,) * 4 + (90.0,) + (90.0,) + (96.0,) * 10,
    ),
    "cooldown": Case(
        ["COOLDOWN"],
        {
            2: lambda s: s.market(BUY, 1),
            5: lambda s: s.market(SELL, 1),
            10: lambda s: s.limit(BUY, 1, 99),
        },
        risk=Risk(cooldown_losses=1),
    ),
    "halted": Case(
        ["HALTED"],
        {2: lambda s: (s._guard.gate.halt("test", 1), s.limit(BUY, 1, 99))},
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
def test_check_fires_with_the_same_code(name: str, mode: str, tmp_path: Path) -> None:
    case = CASES[name]

    class Scripted(Script):
        actions = case.actions
        kill_file = tmp_path / "KILL"

    kill = KillSwitch(tmp_path / "KILL")
    gate = RiskGate(case.risk, kill=kill, capabilities=case.capabilities)
    run = MODES[mode](
        Run(
            Scripted,
            gate=gate,
            mids=case.mids,
            instruments=(IID, OTHER),
            steps=12,
            is_cash=case.is_cash,
        )
    )
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


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("on_breach", "resting", "position"),
    [("halt", 1, 1), ("halt+cancel", 0, 1), ("halt+cancel+flatten", 0, 0)],
)
def test_what_a_broken_loss_limit_does(
    on_breach: Literal["halt", "halt+cancel", "halt+cancel+flatten"],
    resting: int,
    position: int,
    mode: str,
) -> None:
    class Losing(Script):
        actions = MappingProxyType(
            {
                2: lambda s: (s.market(BUY, 1), s.limit(BUY, 1, 50)),
                50: lambda s: s.limit(BUY, 1, 89),
            }
        )

    risk = Risk(max_daily_loss=["10 USDT"], on_breach=on_breach)
    steps = 350 if mode == "paper" else 60  # the gate looks once a second
    run = MODES[mode](Run(Losing, risk=risk, steps=steps, mids=(100.0,) * 5 + (90.0,) * 400))
    halt = run.gate.halt_in_force
    assert halt is not None
    assert halt.code == "DAILY_LOSS"
    assert run.codes()[-1] in ("HALTED", "DAILY_LOSS")
    assert len(run.gate.ledger.live) == resting
    assert run.gate.ledger.positions[str(IID)] == position
    assert run.state.faults == []


LOSING = Risk(max_daily_loss=["10 USDT"], on_breach="halt+cancel+flatten")


@pytest.mark.parametrize(
    ("on_breach", "resting", "position"), [("halt+cancel", 1, 1), ("halt+cancel+flatten", 0, 0)]
)
def test_a_flatten_takes_resting_exits_away(
    on_breach: Literal["halt+cancel", "halt+cancel+flatten"], resting: int, position: int
) -> None:
    class Losing(Script):
        actions = MappingProxyType(
            {
                2: lambda s: s.market(BUY, 1),
                4: lambda s: s.limit(SELL, 1, 120, reduce_only=True),
            }
        )

    risk = Risk(max_daily_loss=["10 USDT"], on_breach=on_breach, price_collar_bps=Decimal(5000))
    run = MODES["backtest"](Run(Losing, risk=risk, steps=60, mids=(100.0,) * 5 + (80.0,) * 400))
    assert run.gate.halt_in_force is not None
    assert len(run.gate.ledger.live) == resting
    assert run.gate.ledger.positions[str(IID)] == position
    assert run.codes() == []


def test_a_flatten_closes_what_several_orders_built() -> None:
    class Losing(Script):
        actions = MappingProxyType({n: lambda s: s.market(BUY, 1) for n in (2, 3, 4)})

    risk = Risk(
        max_daily_loss=["10 USDT"],
        on_breach="halt+cancel+flatten",
        max_order_quantity={str(IID): Decimal(1)},
        max_order_notional="150 USDT",
    )
    run = MODES["backtest"](Run(Losing, risk=risk, steps=60, mids=(100.0,) * 7 + (90.0,) * 400))
    assert run.orders == [("BUY", "MARKET", "FILLED")] * 3 + [("SELL", "MARKET", "FILLED")]
    assert (run.codes(), run.gate.ledger.positions[str(IID)]) == ([], 0)


def test_a_flatten_that_is_refused_backs_off_to_a_minute() -> None:
    """The book is gone from the moment the limit is broken, so every exit is refused."""
    times: list[int] = []

    class Losing(Script):
        actions = MappingProxyType(
            {2: lambda s: s.market(BUY, 1), 6: lambda s: s.limit(BUY, 1, 79)}
        )

        def on_gate_denied(self, order: Any, denial: Denial) -> None:
            super().on_gate_denied(order, denial)
            if order.is_reduce_only:
                times.append(self.clock.timestamp_ns())

    mids = (100.0,) * 5 + (None,) * 400
    drop = [book(80.0, 5_500_000_000), cleared(5_600_000_000)]  # between two looks of the gate
    run = MODES["backtest"](Run(Losing, risk=LOSING, steps=len(mids), mids=mids, extra=drop))
    assert set(run.codes()) == {"DAILY_LOSS", "INVALID_BOOK"}
    waits = [round((b - a) / 1e9) for a, b in pairwise(times)]
    assert waits[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert set(waits[6:]) == {60}


def test_rounding_goes_toward_safety() -> None:
    found: list[str] = []

    def rounding(s: Script) -> None:
        found.extend(
            str(value)
            for value in (
                s.round_price(IID, BUY, Decimal("99.999")),
                s.round_price(IID, SELL, "99.991"),
                s.round_price(IID, SELL, 99),
                s.round_quantity(IID, Decimal("0.0123456789"), SELL),
                s.round_quantity(IID, qty(2)),
                s.round_quantity(IID, "0.0000001"),
            )
        )
        with pytest.raises(TypeError, match="float"):
            s.round_quantity(IID, 0.1)
        with pytest.raises(ValueError, match="none"):
            s.round_price(InstrumentId.from_str("XX_YY.TEST"), BUY, 1)

    class Rounding(Script):
        actions = MappingProxyType({2: rounding})

    run = MODES["backtest"](Run(Rounding, steps=4))
    assert run.state.faults == []
    assert found == ["99.99", "100.00", "99.00", "0.012345", "2.000000", "0.000000"]


def test_every_check_has_a_case() -> None:
    fired = {code for case in CASES.values() for code in case.codes}
    # A quantity of zero can't be built with NautilusTrader's factory; test_gate.py has it.
    assert {check.code for check in CHECKS} - fired == {"QUANTITY"}
