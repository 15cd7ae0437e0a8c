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
from tests.unit.matching.fills import PAIRS, Fed, fed_by

BUY, SELL = OrderSide.BUY, OrderSide.SELL
KINDS = ("stop_market", "stop_limit", "market_if_touched", "limit_if_touched")
BEFORE = book(0, {99.5: 5, 99.4: 5}, {100.5: 5, 100.6: 5})
AFTER_ALL = book(400, {99.5: 5}, {100.5: 5})
LAST = book(3000, {99.5: 1}, {100.5: 1})
TOUCH = TriggerSource.TOUCH
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
        fed_by(model, data),
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


@pytest.mark.parametrize("side", [BUY, SELL])
@pytest.mark.parametrize("kind", ["stop_market", "stop_limit"])
def test_one_that_only_the_touch_has_passed_waits_for_the_mid(kind: str, side: OrderSide) -> None:
    is_sell = side is SELL
    level = 99.8 if is_sell else 100.2
    falls, rises = {99.2: 5}, {99.6: 5}  # the mid from 100 to 99.75
    first, then = (falls, rises) if is_sell else ({100.4: 5}, {100.8: 5})
    market = [BEFORE, book(200, {99.3: 5}, {100.7: 5}), book(300, first, then), AFTER_ALL]
    seen = held(market, [(10, order(kind, side, level))], TriggerSource.MID)
    assert [(round(ms), price) for ms, price, _ in seen.fills("held")] == [
        (300, 99.2 if is_sell else 100.8)
    ]


@pytest.mark.parametrize("side", [BUY, SELL])
def test_one_that_the_touch_passes_no_more_is_accepted_and_fires_later(side: OrderSide) -> None:
    is_sell = side is SELL
    away = ({100.2: 5}, {100.4: 5}) if is_sell else ({99.6: 5}, {99.8: 5})
    fires = ({99.2: 5}, {99.6: 5}) if is_sell else ({100.4: 5}, {100.8: 5})
    market = [BEFORE, book(200, *away), book(300, *fires), AFTER_ALL]
    step = order("stop_market", side, 99.8 if is_sell else 100.2)
    seen = held(market, [(10, step)], TriggerSource.MID)
    assert seen.kinds("held") == ["Accepted", "Filled"]
    assert seen.fills("held") == [(300.0, 99.2 if is_sell else 100.8, 1.0)]


@pytest.mark.parametrize("side", [BUY, SELL])
@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_not_whole_when_it_comes_is_armed_again(kind: str, side: OrderSide) -> None:
    market = [BEFORE, *(book(ms, {99.5: 9}, {100.5: 9}) for ms in (400, 1500, 1600)), LAST]
    seen = held(
        market, [(10, order(kind, side, passed_level(kind, side), 20.0))], TOUCH, rearm_secs=1.0
    )
    assert seen.fills("held") == []
    deep = [BEFORE, *(book(ms, {99.5: 30}, {100.5: 30}) for ms in (400, 1500, 1600)), LAST]
    seen = held(
        deep, [(10, order(kind, side, passed_level(kind, side), 20.0))], TOUCH, rearm_secs=1.0
    )
    assert [(round(ms), price) for ms, price, _ in seen.fills("held")] == [
        (1500, 99.5 if side is SELL else 100.5)
    ]


@pytest.mark.parametrize("side", [BUY, SELL])
def test_one_that_the_exchange_has_not_accepted_yet_is_cancelled(side: OrderSide) -> None:
    market = [BEFORE, book(200, {99.4: 5}, {100.6: 5}), book(300, {99.2: 5}, {100.8: 5})]
    step = order("stop_market", side, 99.8 if side is SELL else 100.2)
    cancel = [
        (100, lambda script: script.cancel_order(script.orders["held"])),
        (173, lambda _: None),
    ]
    seen = held(market, [(10, step), *cancel], TriggerSource.MID)
    assert seen.statuses["held"] == "CANCELED"
    assert seen.fills("held") == []
