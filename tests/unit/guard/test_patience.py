"""An order that can't end keeps no position open: it is waited for 20 s, and named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Kind, Role, Side
from fairlead.engine.risk.facts import CountedOrder
from tests.unit.guard.test_way import leaves
from tests.unit.nautilus_harness import IID, OTHER, SECOND, Run, backtest, strategy_config

FALLS = [100.0] * 6 + [97.0] * 200
FLATTENS = Risk(max_daily_loss=("1 USDT",), on_breach="halt+cancel+flatten")
HOW = {
    "market_exit": lambda s: s.market_exit(),
    "close_all_positions": lambda s: s.close_all_positions(IID),
    "close_position": lambda s: s.close_position(s.cache.positions_open()[0]),
}


def own(run: Run) -> Decimal:
    return run.gate.ledger.by_strategy[run.strategy._guard.id, str(IID)]


def stuck(run: Run, side: Side, *, role: Role = Role.NONE, instrument: Any = IID) -> None:
    """One of unknown outcome, or that the venue has forgotten."""
    run.gate.adopt(
        CountedOrder(
            client_order_id="O-stuck",
            strategy="S-001",
            instrument=str(instrument),
            side=side,
            quantity=Decimal("0.2"),
            reduce_only=False,
            kind=Kind.LIMIT,
            price=Decimal(150 if side is Side.SELL else 50),
            role=role,
        )
    )


def flattened(side: Side | None, instrument: Any = IID) -> Run:
    cls = leaves(rests_at=0, leave=lambda s: None)
    run = Run(cls, strategy_config(), steps=180, mids=FALLS, risk=FLATTENS)
    if side is not None:
        stuck(run, side, instrument=instrument)
    backtest(run)
    assert run.gate.halt_in_force is not None
    return run


@pytest.mark.parametrize(("side", "left"), [(None, "0"), (Side.SELL, "0.2"), (Side.BUY, "0")])
def test_a_flatten_goes_on_and_leaves_what_the_order_may_close_still(
    side: Side | None, left: str
) -> None:
    run = flattened(side)
    assert own(run) == Decimal(left), run.strategy.says
    first = run.strategy.at[run.strategy.says[1]]
    assert (first > 26 * SECOND) == (side is not None)
    assert len(run.strategy.says) == 2, "once"


def test_an_order_in_another_instrument_is_not_waited_for() -> None:
    run = flattened(Side.BUY, OTHER)
    assert own(run) == 0
    assert run.strategy.at["SELL 1.000000"] < 10 * SECOND


@pytest.mark.parametrize("how", HOW)
def test_a_strategys_own_exit_goes_on_too(how: str) -> None:
    run = Run(leaves(rests_at=0, leave=HOW[how]), strategy_config(), steps=180)
    stuck(run, Side.SELL, role=Role.TARGET)
    backtest(run)
    assert run.state.faults == []
    assert run.strategy.says == ["BUY 1.000000", "SELL 0.800000"]
    assert 30 * SECOND <= run.strategy.at["SELL 0.800000"] <= 32 * SECOND
