"""Strategies behind the gate: wrapping, faults, breaches, on a real engine and a real node."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.model import (
    BookType,
    OrderSide,
    StrategyId,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.engine.config.model import Risk
from fairlead.engine.guard.overrides import ORDER_METHODS
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.guard.strategy import GuardedStrategy, guard
from fairlead.engine.risk.gate import RiskGate
from tests.unit.nautilus_harness import (
    IID,
    MODES,
    OTHER,
    SECOND,
    Run,
    backtest,
    book,
    px,
    qty,
    strategy_config,
)

BUY, SELL = OrderSide.BUY, OrderSide.SELL
STEPS = 15


class PlainConfig(StrategyConfig):
    def __init__(self, size: float = 1.0, **native: Any) -> None:
        self.size = size


class Plain(Strategy):
    """Written without a thought of the gate: a plain NautilusTrader strategy."""

    def __init__(self, config: PlainConfig) -> None:
        self.size = config.size
        self.books = 0
        self.fills: list[str] = []
        self.stop_calls = 0

    def on_start(self) -> None:
        self.subscribe_book_deltas(IID, BookType.L2_MBP)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books == 2:
            self.submit_order(self.order_factory.market(IID, BUY, qty(self.size)))
        if self.books == 4:
            self.submit_order(self.order_factory.limit(IID, BUY, qty(self.size), px(90)))

    def on_order_filled(self, event: Any) -> None:
        self.fills.append(str(event.last_qty))

    def on_stop(self) -> None:
        self.stop_calls += 1


def plain_config(**kw: Any) -> PlainConfig:
    return PlainConfig(
        strategy_id=StrategyId("S-001"), use_uuid_client_order_ids=True, log_events=False, **kw
    )


@pytest.mark.parametrize("mode", MODES)
def test_plain_strategy_runs_unmodified_behind_the_gate(mode: str) -> None:
    run = MODES[mode](Run(Plain, plain_config(size=0.5), steps=STEPS))
    assert run.strategy.fills == ["0.500000"]
    assert run.orders == [("BUY", "MARKET", "FILLED"), ("BUY", "LIMIT", "ACCEPTED")]
    assert run.strategy.stop_calls == 1
    assert run.gate.ledger.positions == {str(IID): qty(0.5).as_decimal()}
    assert [o.quantity for o in run.gate.ledger.live.values()] == [qty(0.5).as_decimal()]
    assert (run.state.faults, run.state.breach, run.state.stop_reason) == ([], None, None)


def test_guarded_class_keeps_its_name_and_is_built_once() -> None:
    guarded = guard(Plain)
    assert (guarded.__name__, guarded.__module__) == ("Plain", __name__)
    assert issubclass(guarded, Plain)
    assert guard(guarded) is guarded
    assert guarded(plain_config(size=2.0)).size == 2.0


@pytest.mark.parametrize("method", ORDER_METHODS)
def test_overriding_an_order_method_is_refused(method: str) -> None:
    def override(self: Any, *args: Any) -> None: ...

    with pytest.raises(TypeError, match=f"overrides {method}"):
        guard(type("Mine", (Strategy,), {method: override}))
    with pytest.raises(TypeError, match=f"overrides {method}"):
        type("Mine", (GuardedStrategy,), {method: override})
    aside = type("Aside", (), {method: override})
    with pytest.raises(TypeError, match=f"overrides {method}"):
        type("Mine", (aside, GuardedStrategy), {})


def test_guard_refuses_what_is_no_strategy() -> None:
    with pytest.raises(TypeError, match="expected a NautilusTrader Strategy"):
        guard(dict)  # type: ignore[type-var]


def test_unwrapped_strategy_can_not_be_bound() -> None:
    class Mine(GuardedStrategy):
        pass

    with pytest.raises(TypeError, match=r"guard\(Mine\)"):
        Mine(strategy_config()).bind(RiskGate(Risk()), RunState())


def test_methods_of_a_plain_strategy_with_our_names_stay_its_own() -> None:
    added = {
        name
        for name in dir(GuardedStrategy)
        if not name.startswith("_") and not hasattr(Strategy, name)
    }
    added -= {"bind", "keep_brackets_in"}  # of the building of a run
    assert len(added) > 10
    for name in added:
        own = type("Own", (Strategy,), {name: lambda self: "mine"})
        assert getattr(guard(own)(strategy_config()), name)() == "mine", name


# Faults


class Faulty(Strategy):
    """Rests an order, then raises in `where`."""

    where = ""
    error: type[BaseException] = ValueError

    def on_start(self) -> None:
        self.books = 0
        self.calls: list[str] = []
        self.subscribe_book_deltas(IID, BookType.L2_MBP)
        self.subscribe_trades(IID)
        self.clock.set_timer("beat", timedelta(milliseconds=50))
        if self.where == "callback of timer own":
            self.clock.set_timer("own", timedelta(milliseconds=60), callback=self.own)
        self.subscribe_topic("mine", self.heard)
        self.check("on_start")

    def own(self, event: Any) -> None:
        if self.books > 6:
            self.check("callback of timer own")

    def heard(self, message: Any) -> None:
        self.check("handler of mine")

    def check(self, name: str) -> None:
        self.calls.append(name)
        if name == self.where:
            raise self.error("boom")

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books == 2:
            self.rest = self.order_factory.limit(IID, BUY, qty(1), px(95))
            self.submit_order(self.rest)
        if self.books == 6:
            self.submit_order(self.order_factory.market(IID, BUY, qty(1)))
            self.publish_message("mine", "x")
        if self.books == 8:
            self.cancel_order(self.order_to_cancel())
        if self.books > 6:
            self.check("on_book_deltas")

    def order_to_cancel(self) -> Any:
        return self.rest.client_order_id

    def on_trade(self, tick: Any) -> None:
        if self.books > 6:
            self.check("on_trade")

    def on_time_event(self, event: Any) -> None:
        if self.books > 6:
            self.check("on_time_event")

    def on_order_initialized(self, event: Any) -> None:
        if self.books > 2:
            self.check("on_order_initialized")

    def on_order_event(self, event: Any) -> None:
        if type(event).__name__ == "OrderPendingCancel":
            self.check("on_order_event")

    def on_order_pending_cancel(self, event: Any) -> None:
        self.check("on_order_pending_cancel")

    def on_order_filled(self, event: Any) -> None:
        self.check("on_order_filled")

    def on_order_canceled(self, event: Any) -> None:
        self.check("on_order_canceled")

    def on_position_opened(self, event: Any) -> None:
        self.check("on_position_opened")

    def on_stop(self) -> None:
        self.check("on_stop")


WHERE = (
    "on_start",
    "on_book_deltas",
    "on_trade",
    "on_time_event",
    "on_order_initialized",
    "on_order_event",
    "on_order_pending_cancel",
    "on_order_filled",
    "on_order_canceled",
    "on_position_opened",
    "on_stop",
    "callback of timer own",
    "handler of mine",
)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("callback", WHERE)
def test_exception_in_a_callback_faults_the_strategy(callback: str, mode: str) -> None:
    faulty = type("Faulty", (Faulty,), {"where": callback})
    steps = 40
    run = MODES[mode](Run(faulty, steps=steps))
    (fault,) = run.state.faults
    assert (fault.strategy, fault.callback, fault.error) == ("S-001", callback, "ValueError")
    assert "boom" in fault.traceback
    assert "raise self.error" in fault.traceback
    assert run.gate.faulted("S-001")
    assert run.state.stop_reason is not None
    assert run.state.breach is None
    assert {status for _, _, status in run.orders} <= {"FILLED", "CANCELED"}
    assert run.strategy.calls.count(callback) == 1
    assert "on_stop" in run.strategy.calls
    if callback != "on_stop":
        assert run.strategy.books < steps
        assert run.seen_steps < (2 * steps if mode == "backtest" else steps)


@pytest.mark.parametrize("mode", MODES)
def test_orders_in_flight_are_cancelled_too(mode: str) -> None:
    class InFlight(Strategy):
        books = 0

        def on_start(self) -> None:
            self.subscribe_book_deltas(IID, BookType.L2_MBP)

        def on_book_deltas(self, deltas: Any) -> None:
            self.books += 1
            if self.books == 3:
                self.submit_order(self.order_factory.limit(IID, BUY, qty(1), px(95)))
                raise ValueError("boom")

    run = MODES[mode](Run(InFlight, steps=STEPS))
    assert run.state.fault_count == 1
    assert not {status for _, _, status in run.orders} & {"ACCEPTED", "PARTIALLY_FILLED"}


@pytest.mark.parametrize("mode", MODES)
def test_keyboard_interrupt_in_a_callback_stops_without_a_fault(mode: str) -> None:
    faulty = type("Faulty", (Faulty,), {"where": "on_trade", "error": KeyboardInterrupt})
    run = MODES[mode](Run(faulty, steps=40))
    assert run.state.interrupted
    assert run.state.faults == []
    assert run.strategy.books < 40


def test_faulted_strategy_can_not_order_while_it_stops() -> None:
    class Stubborn(Faulty):
        where = "on_book_deltas"

        def on_stop(self) -> None:
            self.submit_order(self.order_factory.market(IID, SELL, qty(1)))

    run = backtest(Run(Stubborn, steps=40))
    assert run.codes() == ["STRATEGY_FAULTED"]
    assert ("SELL", "MARKET", "FILLED") not in run.orders


class Indicator:
    """Written in Python; raises at the fifth trade."""

    def __init__(self) -> None:
        self.count = 0

    @property
    def initialized(self) -> bool:
        return True

    def handle_trade_tick(self, tick: Any) -> None:
        self.count += 1
        if self.count == 5:
            raise ValueError("boom")


@pytest.mark.parametrize("mode", MODES)
def test_exception_in_an_indicator_is_a_fault(mode: str) -> None:
    class WithIndicator(Strategy):
        def on_start(self) -> None:
            self.indicator = Indicator()
            self.register_indicator_for_trade_ticks(IID, self.indicator)
            self.subscribe_trades(IID)

    run = MODES[mode](Run(WithIndicator, steps=30))
    (fault,) = run.state.faults
    assert fault.callback == "handle_trade_tick of indicator Indicator"
    assert run.strategy.indicator.count == 5


# Market data


class Watcher(Strategy):
    """Sees what it asks for, and places a stop that needs trades."""

    def on_start(self) -> None:
        self.books: set[str] = set()
        self.trades = 0
        self.subscribe_book_deltas(OTHER, BookType.L2_MBP)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books.add(str(deltas.instrument_id))
        if not self.cache.orders():
            self.stop_limit(IID, BUY, qty(1), px(101), px(102))  # type: ignore[attr-defined]

    def on_trade(self, tick: Any) -> None:
        self.trades += 1


def test_what_only_the_gate_needs_is_kept_from_the_strategy() -> None:
    extra = [book(50.0, (n + 1) * SECOND + 1, OTHER) for n in range(10)]
    mids = [100.0] * 5 + [101.5] * 10
    run = backtest(Run(Watcher, steps=15, mids=mids, instruments=(IID, OTHER), extra=extra))
    assert run.codes() == []
    assert run.strategy.books == {str(OTHER)}
    assert run.strategy.trades == 0
    assert run.orders == [("BUY", "STOP_LIMIT", "FILLED")]  # the trade at 101.50 fired it


def test_what_the_strategy_asks_for_later_it_gets() -> None:
    class Later(Watcher):
        def on_book_deltas(self, deltas: Any) -> None:
            super().on_book_deltas(deltas)
            if len(self.cache.orders()) == 1 and str(IID) not in self.books:
                self.subscribe_book_deltas(IID, BookType.L2_MBP)
                self.subscribe_trades(IID)

    extra = [book(50.0, (n + 1) * SECOND + 1, OTHER) for n in range(10)]
    run = backtest(Run(Later, steps=15, instruments=(IID, OTHER), extra=extra))
    assert run.strategy.books == {str(IID), str(OTHER)}
    assert run.strategy.trades == 14


def test_the_price_for_a_quantity_is_the_limit_that_fills_it() -> None:
    class Asking(Strategy):
        def on_start(self) -> None:
            self.found: list[Any] = []

        def on_book_deltas(self, deltas: Any) -> None:
            levels = self.cache.order_book(IID).asks()
            all_of = sum(one.size() for one in levels)
            for size in (levels[0].size(), all_of, all_of + 1):
                self.found.append((self.price_for(IID, BUY, qty(size)), levels))  # type: ignore[attr-defined]

    class Books(Asking):
        def on_start(self) -> None:
            super().on_start()
            self.subscribe_book_deltas(IID, BookType.L2_MBP)

    run = backtest(Run(Books, steps=2))
    (first, levels), (whole, _), (more, _) = run.strategy.found[:3]
    assert first == levels[0].price.as_decimal()
    assert whole == levels[-1].price.as_decimal()
    assert more is None


def test_gate_without_book_uses_trades() -> None:
    class Trades(Strategy):
        def on_start(self) -> None:
            self.subscribe_trades(IID)

        def on_trade(self, tick: Any) -> None:
            if not self.cache.orders():
                self.submit_order(self.order_factory.limit(IID, BUY, qty(1), px(106)))
                self.submit_order(self.order_factory.limit(IID, BUY, qty(1), px(99)))

    run = backtest(Run(Trades, feeds=None, steps=5))
    assert run.codes() == ["PRICE_COLLAR"]
    assert run.orders == [("BUY", "LIMIT", "ACCEPTED")]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("side", "trigger", "limit", "condition", "kind", "fires_at"),
    [
        (BUY, 101, 102, None, "STOP_LIMIT", 101.5),
        (SELL, 99, 98, None, "STOP_LIMIT", 98.5),
        (BUY, 101, 102, "gte", "STOP_LIMIT", 101.5),
        (BUY, 99, 99.5, "lte", "LIMIT_IF_TOUCHED", 98.5),
        (SELL, 101, 100.5, "gte", "LIMIT_IF_TOUCHED", 101.5),
    ],
)
def test_stop_limit_fires_on_its_condition(
    side: OrderSide,
    trigger: float,
    limit: float,
    condition: str | None,
    kind: str,
    fires_at: float,
    mode: str,
) -> None:
    class Stop(GuardedStrategy):
        def on_start(self) -> None:
            self.books = 0
            self.subscribe_book_deltas(IID, BookType.L2_MBP)

        def on_book_deltas(self, deltas: Any) -> None:
            self.books += 1
            if self.books == 3:
                self.stop_limit(IID, side, qty(1), px(trigger), px(limit), condition)

    quiet = MODES[mode](Run(Stop, steps=STEPS))
    assert quiet.orders == [(side.name, kind, "ACCEPTED")]
    fired = MODES[mode](Run(Stop, steps=STEPS, mids=[100.0] * 8 + [fires_at] * 10))
    assert fired.orders == [(side.name, kind, "FILLED")]


@pytest.mark.parametrize(
    ("side", "trigger", "limit", "condition"), [(BUY, 99, 98.5, "lte"), (SELL, 101, 102, "gte")]
)
def test_stop_limit_explains_an_impossible_limit(
    side: OrderSide, trigger: float, limit: float, condition: str
) -> None:
    class Stop(GuardedStrategy):
        def on_start(self) -> None:
            self.stop_limit(IID, side, qty(1), px(trigger), px(limit), condition)

    run = backtest(Run(Stop, steps=3))
    (fault,) = run.state.faults
    assert fault.error == "ValueError"
    assert "limit-if-touched order: expected limit" in fault.message
    assert run.orders == []


def test_shared_gate_counts_all_strategies_of_the_run() -> None:
    gate = RiskGate(Risk(max_open_orders=1))
    state = RunState((str(IID),))

    class One(Strategy):
        def on_start(self) -> None:
            self.subscribe_book_deltas(IID, BookType.L2_MBP)
            self.done = False

        def on_book_deltas(self, deltas: Any) -> None:
            if not self.done:
                self.done = True
                self.submit_order(self.order_factory.limit(IID, BUY, qty(1), px(95)))

    first = Run(One, gate=gate, steps=3)
    second = guard(One)(
        StrategyConfig(strategy_id=StrategyId("S-002"), use_uuid_client_order_ids=True)
    )
    second.bind(gate, state)  # type: ignore[attr-defined]
    run = backtest(first, more=[second])
    # NautilusTrader starts and feeds strategies in no fixed order: one of the two is refused.
    records = [*run.state.denials, *state.denials]
    assert [record.denial.code for record in records] == ["MAX_OPEN_ORDERS"]
    assert run.orders == [("BUY", "LIMIT", "ACCEPTED")]


def test_resting_orders_of_the_strategy_count_from_the_start() -> None:
    """As after a restart: the order is in the cache, the gate is new."""
    gate = RiskGate(Risk(max_open_orders=1))

    class Restarting(Plain):
        def on_book_deltas(self, deltas: Any) -> None:
            self.books += 1
            if self.books == 2:
                self.submit_order(self.order_factory.limit(IID, BUY, qty(2), px(95)))
            if self.books == 6:
                order_id = next(iter(gate.ledger.live))
                gate.closed(order_id)  # forget, as a new process has
                self._guard.start()
                self.submit_order(self.order_factory.limit(IID, BUY, qty(1), px(95)))

    run = backtest(Run(Restarting, plain_config(), gate=gate, steps=STEPS))
    assert run.codes() == ["MAX_OPEN_ORDERS"]
    assert [live.quantity for live in gate.ledger.live.values()] == [2]


def test_unbound_strategy_does_not_start() -> None:
    engine = BacktestEngine(BacktestEngineConfig(run_analysis=False))
    strategy = guard(Plain)(plain_config())
    with pytest.raises(RuntimeError, match="not bound"):
        strategy.on_start()
    engine.dispose()
