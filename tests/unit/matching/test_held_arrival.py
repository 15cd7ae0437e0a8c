"""Orders that the engine holds and whose level is passed when they come, in a backtest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from nautilus_trader.model import OrderSide, TriggerType

from fairlead.engine.matching.closing import closing
from fairlead.engine.matching.fill_model import MarketFills
from fairlead.engine.matching.native import HeldRules
from fairlead.engine.orders.held import HeldSettings
from fairlead.engine.orders.model import Capabilities, Kind, Tif, TriggerSource
from tests.kernel.bench import IID, MS, Script, Seen, book, px, qty, run
from tests.unit.matching.test_fill_model import PAIRS, Fed

BUY, SELL = OrderSide.BUY, OrderSide.SELL
KINDS = ("stop_market", "stop_limit", "market_if_touched", "limit_if_touched")
BEFORE = book(0, {99.5: 5, 99.4: 5}, {100.5: 5, 100.6: 5})
AFTER = book(300, {99.3: 5, 99.2: 5}, {100.7: 5, 100.8: 5})


def best(levels: Any, quantity: Any) -> Any:
    """As a dealer's ladder: the price of the level that holds it all."""
    return next((price for price, size in levels if size >= quantity), None)


def rules(source: TriggerSource, **settings: Any) -> HeldRules:
    able = Capabilities(
        kinds=frozenset({Kind.LIMIT, Kind.MARKET}),
        time_in_force=frozenset({Tif.FOK}),
        held=frozenset(Kind(kind.upper()) for kind in KINDS),
        trigger_sources=(source,),
        tier_price=best if source is TriggerSource.TIER else None,
    )
    return HeldRules(able=able, settings=HeldSettings(**settings))


def held(data: Sequence[Any], steps: Sequence[Any], source: TriggerSource, **settings: Any) -> Seen:
    """A backtest of a venue for which the engine holds all that waits."""
    fed, ends = Fed(data), closing(73 * MS)  # the model holds it weakly
    model = MarketFills(
        PAIRS,
        fed,
        ends,
        consumes=True,
        queues=True,
        held={str(IID.venue): rules(source, **settings)},
    )
    seen = run(
        data,
        steps,
        latency_ms=73,
        timers_ms=[83],  # the guard of a run sets one: what is on its way comes in time
        prepare=lambda engine: engine.add_strategy(ends),
        fill_model=model,
        reject_stop_orders=False,
    )
    assert ends.error is None, repr(ends.error)
    return seen


def order(kind: str, side: OrderSide, level: float, size: float = 1.0) -> Any:
    far = 120.0 if side is BUY else 80.0

    def step(script: Script) -> None:
        build = getattr(script.order_factory, kind)
        prices = (px(far), px(level)) if "limit" in kind else (px(level),)
        one = build(IID, side, qty(size), *prices, trigger_type=TriggerType.BID_ASK)
        script.send("held", one)

    return step


def passed_level(kind: str, side: OrderSide) -> float:
    """One that the touch has passed, and so the price of each size: a stop's within the spread."""
    if kind.startswith("stop"):
        return 99.8 if side is SELL else 100.2
    return 99.4 if side is SELL else 100.6


@pytest.mark.parametrize("source", [TriggerSource.TIER, TriggerSource.TOUCH])
@pytest.mark.parametrize("side", [BUY, SELL])
@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_passed_when_it_comes_fires_at_once_by_the_book_that_stands(
    kind: str, side: OrderSide, source: TriggerSource
) -> None:
    seen = held([BEFORE, AFTER], [(10, order(kind, side, passed_level(kind, side)))], source)
    assert seen.fills("held") == [(83.0, 99.5 if side is SELL else 100.5, 1.0)]


@pytest.mark.parametrize("side", [BUY, SELL])
@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_passed_by_mid_and_by_touch_fires_at_once(kind: str, side: OrderSide) -> None:
    is_rise = (side is BUY) == kind.startswith("stop")
    level = 99.4 if is_rise else 100.6
    seen = held([BEFORE, AFTER], [(10, order(kind, side, level))], TriggerSource.MID)
    assert seen.fills("held") == [(83.0, 99.5 if side is SELL else 100.5, 1.0)]
