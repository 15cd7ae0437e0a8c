"""Orders over changes of books and trades, and what they were filled with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nautilus_trader.model import (
    AggressorSide,
    InstrumentId,
    OrderBookDeltas,
    OrderSide,
    TriggerType,
)

from fairlead.engine.matching.closing import closing
from fairlead.engine.matching.fill_model import MarketFills
from fairlead.engine.matching.native import HeldRules
from fairlead.engine.matching.tape import Tape, ordered
from tests.kernel.bench import (
    IID,
    MS,
    OTHER,
    Script,
    Seen,
    book,
    pair,
    px,
    qty,
    run,
    trade,
)

BUY, SELL = OrderSide.BUY, OrderSide.SELL
BOUGHT, SOLD = AggressorSide.BUY, AggressorSide.SELL
QUIET = book(0, {99.5: 5, 99.4: 5, 99.3: 5}, {100.5: 5, 100.6: 5})
PAIRS = {one: pair(one) for one in (IID, OTHER)}
SETTLED = [QUIET, trade(50, 100.0, 0.1)]


class Fed:
    """A list of data as the tape of one instrument."""

    def __init__(self, data: Sequence[Any]) -> None:
        self._tapes = {one: self._tape(data, one) for one in (IID, OTHER)}

    def tape(self, instrument_id: InstrumentId) -> Tape:
        return self._tapes[instrument_id]

    def _tape(self, data: Sequence[Any], instrument_id: InstrumentId) -> Tape:
        mine = ordered([one for one in data if one.instrument_id == instrument_id])
        books = [one for one in mine if isinstance(one, OrderBookDeltas)]
        gaps = [one.is_snapshot and len(one.deltas) == 1 for one in books]
        lasts = {id(one) for one, is_gap in zip(books, gaps[1:], strict=False) if is_gap}
        sizes = {id(one): len(one.deltas) for one in books}
        return Tape(mine, sizes, lasts, 0)


def fed_by(model: MarketFills, data: Sequence[Any]) -> list[Any]:
    """What the engine of a run is fed with: one instrument's data, and what is shown besides."""
    shown = model.shown.get(IID)
    return list(data if shown is None else shown.among(data))


def fill(
    data: Sequence[Any],
    steps: Sequence[Any],
    *,
    latency_ms: float = 0,
    consumes: bool = True,
    queues: bool = True,
    held: HeldRules | None = None,
) -> Seen:
    """A backtest with our fills; `held`: what the engine holds for the venue."""
    fed, ends = Fed(data), closing(int(latency_ms * MS))
    model = MarketFills(
        PAIRS,
        fed,
        ends,
        consumes=consumes,
        queues=queues,
        held=None if held is None else {str(IID.venue): held},
    )
    seen = run(
        fed_by(model, data),
        steps,
        latency_ms=latency_ms,
        prepare=lambda engine: engine.add_strategy(ends),
        fill_model=model,
    )
    assert ends.error is None
    return seen


def stop(
    side: OrderSide,
    trigger: float,
    limit: float,
    size: float = 1.0,
    name: str = "stop",
    **more: Any,
):
    def step(script: Script) -> None:
        more.setdefault("trigger_type", TriggerType.LAST_PRICE)
        build = script.order_factory.stop_limit
        script.send(name, build(IID, side, qty(size), px(limit), px(trigger), **more))

    return step


def bare(
    side: OrderSide,
    trigger: float,
    kind: TriggerType,
    size: float = 1.0,
    order: str = "stop_market",
):
    """Without a limit."""

    def step(script: Script) -> None:
        build = getattr(script.order_factory, order)
        script.send("stop", build(IID, side, qty(size), px(trigger), trigger_type=kind))

    return step


def touched(
    side: OrderSide,
    trigger: float,
    limit: float,
    size: float = 1.0,
    name: str = "stop",
    **more: Any,
):
    def step(script: Script) -> None:
        more.setdefault("trigger_type", TriggerType.LAST_PRICE)
        build = script.order_factory.limit_if_touched
        script.send(name, build(IID, side, qty(size), px(limit), px(trigger), **more))

    return step


def buy(name: str, size: float = 1.0, **more: Any):
    return lambda script: script.market(name, BUY, size, **more)


def sell(name: str, size: float = 1.0, **more: Any):
    return lambda script: script.market(name, SELL, size, **more)


def bid(name: str, price: float, size: float = 1.0, **more: Any):
    return lambda script: script.limit(name, BUY, size, price, **more)


def offer(name: str, price: float, size: float = 1.0, **more: Any):
    return lambda script: script.limit(name, SELL, size, price, **more)


def changed(name: str, price: float):
    return lambda script: script.modify_order(script.orders[name], price=px(price))


def parts(seen: Seen, name: str) -> list[tuple[float, float, float]]:
    """Milliseconds to the nearest, price, size."""
    return [(round(ms, 3), price, size) for ms, price, size in seen.fills(name)]
