"""What the risk gate costs: one order with every check on, and one wrapped callback.

    python -m benchmarks.gate [--orders N]

Runs inside a BacktestEngine with a 40-level managed book that changes before each check and with
N live orders. Prints microseconds; the promise is at most 25 us an order with 50 live orders.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import (
    BookAction,
    BookOrder,
    BookType,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    QuoteTick,
    StrategyId,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.engine.config.model import Risk
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.guard.strategy import guard
from fairlead.engine.kill.state import FOLDER, KillState
from fairlead.engine.kill.switch import KillSwitch
from fairlead.engine.orders.model import Capabilities, Kind, Tif
from fairlead.engine.risk.checks import CHECKS, active_checks
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.state import RiskStateFile
from fairlead.engine.risk.view import order_facts
from tests.unit.nautilus_harness import IID, VENUE, exchange, px, qty

PROMISE_US = 25.0
LEVELS = 40
UPDATES = 4000


ABLE = Capabilities(
    kinds=frozenset(Kind), time_in_force=frozenset(Tif), post_only=True, replace=True
)


class Bench(Strategy):
    """Submits `resting` orders, then times the gate on each book update."""

    resting = 50
    samples: dict[str, list[float]]

    def on_start(self) -> None:
        self.samples = {"order_facts": [], "gate.check": [], "both": []}
        self.updates = 0
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        self.updates += 1
        if self.updates == 2:
            for _ in range(self.resting):
                self.submit_order(self._order(90.0))
        if self.updates > 10:
            self._time(self._order(99.5))

    def _order(self, price: float) -> Any:
        return self.order_factory.limit(IID, OrderSide.BUY, qty(0.1), px(price))

    def _time(self, order: Any) -> None:
        gate, view = self._guard.gate, self._guard.view
        start = time.perf_counter_ns()
        facts = order_facts(order)
        middle = time.perf_counter_ns()
        denial = gate.check(facts, view)
        end = time.perf_counter_ns()
        assert denial is None, denial
        self.samples["order_facts"].append((middle - start) / 1000)
        self.samples["gate.check"].append((end - middle) / 1000)
        self.samples["both"].append((end - start) / 1000)


def delta(side: OrderSide, price: float, size: float, flags: int, ts: int) -> OrderBookDelta:
    order = BookOrder(side, px(price), qty(size), 0)
    return OrderBookDelta(IID, BookAction.UPDATE, order, flags, 0, ts, ts)


def data() -> list[OrderBookDeltas]:
    levels = [delta(OrderSide.BUY, 100 - 0.01 * i, 1.0, 0, 1) for i in range(1, LEVELS + 1)]
    levels += [delta(OrderSide.SELL, 100 + 0.01 * i, 1.0, 0, 1) for i in range(1, LEVELS + 1)]
    events = [OrderBookDeltas(IID, levels)]
    for number in range(UPDATES):
        change = delta(OrderSide.BUY, 99.9, 1.0 + number % 7, 128, (number + 2) * 1_000_000)
        events.append(OrderBookDeltas(IID, [change]))
    return events


def everything_on(resting: int) -> Risk:
    """Every check of the registry, each with room for what the benchmark does."""
    much = ["100000000 USDT", "1000 BTC"]
    return Risk(
        max_order_notional="100000 USDT",
        max_order_quantity={str(IID): Decimal(1000)},
        max_position={str(IID): Decimal(1000)},
        max_instrument_exposure=much,
        max_venue_exposure=much,
        max_account_exposure=much,
        max_resting_notional=much,
        max_open_orders=resting + 1,
        max_orders_per_second=10_000,
        max_modifies_per_second=10_000,
        max_cancels_per_second=10_000,
        max_cancel_to_fill=Decimal(1000),
        cancel_to_fill_after=1,
        fat_finger_multiple=Decimal(1000),
        max_daily_loss=much,
        max_drawdown=much,
        cooldown_losses=3,
    )


def run(resting: int, state_dir: Path) -> dict[str, list[float]]:
    engine = exchange()
    risk = everything_on(resting)
    state = RiskStateFile(state_dir / "risk.json")
    kill = KillSwitch(state_dir / risk.kill_switch_file, KillState(state_dir / FOLDER))
    gate = RiskGate(risk, state=state, kill=kill, capabilities={VENUE.value: ABLE})
    gate.clock_offset(VENUE.value, 1)
    gate.traded(str(IID), Decimal(1))
    assert len(active_checks(risk)) == len(CHECKS)
    strategy = guard(Bench)(StrategyConfig(strategy_id=StrategyId("B-001"), log_events=False))
    strategy.resting = resting
    strategy.bind(gate, RunState((str(IID),)))  # type: ignore[attr-defined]
    engine.add_strategy(strategy)
    engine.add_data(data())
    engine.run()
    samples = strategy.samples
    engine.dispose()
    return samples


def wrapper_cost_us() -> float:
    """What wrapping adds to a callback, microseconds."""

    class Plain(Strategy):
        def on_quote(self, quote: Any) -> None:
            pass

    guarded = guard(Plain)(StrategyConfig(strategy_id=StrategyId("P-001")))
    guarded.bind(RiskGate(Risk()), RunState())  # type: ignore[attr-defined]
    plain = Plain()
    return best_us(guarded.on_quote) - best_us(plain.on_quote)


def best_us(call: Callable[[Any], None], times: int = 200_000) -> float:
    best = float("inf")
    tick = QuoteTick(IID, px(99.9), px(100.1), qty(1), qty(1), 1, 2)
    for _ in range(5):
        start = time.perf_counter_ns()
        for _ in range(times):
            call(tick)
        best = min(best, (time.perf_counter_ns() - start) / times / 1000)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=50, help="live orders during the checks")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = run(arguments.orders, Path(folder))
    print(f"{'us an order':14s} {'p50':>8s} {'p99':>8s}   ({arguments.orders} live orders)")
    for name, values in samples.items():
        values.sort()
        p50, p99 = values[len(values) // 2], values[len(values) * 99 // 100]
        print(f"{name:14s} {p50:8.2f} {p99:8.2f}")
    print(f"wrapped callback: +{wrapper_cost_us():.3f} us")
    middle = samples["both"][len(samples["both"]) // 2]
    print(f"promise: {PROMISE_US} us; {'kept' if middle <= PROMISE_US else 'BROKEN'}")
    return 0 if middle <= PROMISE_US else 1


if __name__ == "__main__":
    sys.exit(main())
