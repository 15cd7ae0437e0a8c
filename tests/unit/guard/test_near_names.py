"""A callback that is misspelled, or of NautilusTrader 1.x, is told: Python calls it no error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead import GuardedStrategy
from fairlead.engine.guard.callback_names import CALLBACKS
from fairlead.engine.guard.near_names import OURS, WAS, misnamed
from fairlead.strategies.breakout import Breakout
from fairlead.strategies.imbalance_maker import ImbalanceMaker
from tests.support.processes import run
from tests.unit.backtest_kit import config, perpetual, write_catalog


class Deaf(GuardedStrategy):
    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)

    def on_start(self) -> None:
        self.is_up = True

    def on_quote_tick(self, quote: Any) -> None: ...
    def on_trades(self, trade: Any) -> None: ...
    def on_order_cancelled(self, event: Any) -> None: ...
    def On_Bar(self, bar: Any) -> None: ...  # as Java has it
    def on_gate_denial(self, order: Any, denial: Any) -> None: ...


class Old(Strategy):
    def on_start(self) -> None:
        self.subscribe_quote_ticks(None)


class Own(Strategy):
    """Names of its own: it uses them, or they are near nothing."""

    def on_start(self) -> None:
        self.on_book_delta()
        self.clock.set_timer("t", callback=lambda _: self.on_bars())

    def on_book_delta(self) -> None: ...
    def on_bars(self) -> None: ...
    def on_fast_cross(self) -> None: ...
    def on_book_deltas(self, deltas: Any) -> None: ...
    def on_recovered(self, orders: Any, positions: Any) -> None: ...
    def on_quotes(self) -> None: ...


class Helper:
    def __init__(self, of: Own) -> None:
        of.on_quotes()


def test_a_callback_that_is_none_is_told_with_the_near_name() -> None:
    told = misnamed(Deaf)
    names = ["on_quote", "on_trade", "on_order_canceled", "on_bar", "on_gate_denied"]
    assert [line.partition("did you mean ")[2] for line in told] == [f"{one}?" for one in names]
    assert all(line.startswith("Deaf.") and f"({__file__}:" in line for line in told)


class PutOff(GuardedStrategy):
    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)

    async def on_start(self) -> None: ...
    def on_trade(self, trade: Any) -> Any:
        yield trade

    def on_stop(self) -> None: ...


def test_a_callback_that_nobody_awaits_is_told() -> None:
    told = misnamed(PutOff)
    assert [line.partition(" ")[0] for line in told] == ["PutOff.on_start", "PutOff.on_trade"]
    assert all("never runs" in line and "write a plain def" in line for line in told)


def test_a_call_of_1_x_is_told() -> None:
    assert misnamed(Old) == [
        "Old calls subscribe_quote_ticks, which is no method here; it is subscribe_quotes"
    ]


@pytest.mark.parametrize("cls", [Own, Breakout, ImbalanceMaker])
def test_names_of_a_strategys_own_are_not_told(cls: type[Any]) -> None:
    assert misnamed(cls) == []


def test_the_names_of_1_x_are_gone_and_the_new_ones_there() -> None:
    for old, new in WAS.items():
        assert not hasattr(Strategy, old), old
        assert hasattr(Strategy, new), new
    assert all(hasattr(GuardedStrategy, name) for name in CALLBACKS | OURS)


def test_check_notes_it_and_a_run_warns(tmp_path: Path) -> None:
    catalog = write_catalog(tmp_path / "catalog", perpetual("BTCUSDT.TEST"), seconds=5)
    file = config(tmp_path, catalog, f"{__name__}:Deaf", {})
    checked = run("check", file)
    assert checked.returncode == 0, checked.stdout
    assert "note: Deaf.on_quote_tick is never called" in checked.stdout
    ran = run("backtest", file)
    assert ran.returncode == 0, ran.stderr
    assert "CALLBACK-NAME" in ran.stderr + ran.stdout
    assert "on_quote_tick" in ran.stderr + ran.stdout
