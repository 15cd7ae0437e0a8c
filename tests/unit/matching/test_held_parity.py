"""Orders that the engine holds fire on paper and in a backtest at the same moment and price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import AggressorSide, OrderSide, TriggerType

from fairlead.engine.matching.closing import closing
from fairlead.engine.matching.fill_model import MarketFills
from fairlead.engine.matching.native import HeldRules
from fairlead.engine.matching.orders import Trigger, Watched
from fairlead.engine.orders.held import HeldSettings
from fairlead.engine.orders.model import Capabilities, Kind, Tif, TriggerSource
from tests.kernel.bench import IID, MS, Script, Seen, book, level, px, qty, run, trade
from tests.unit.matching import kit
from tests.unit.matching.fills import PAIRS, Fed, fed_by, parts
from tests.unit.matching.test_held_arrival import KINDS, rules

BUY, SELL = OrderSide.BUY, OrderSide.SELL
ARRIVAL = 83  # sent at 10, with a latency of 73 ms
NEXT = 120.0  # the book after that
LEVELS = [98.6, 99.0, 99.3, 99.6, 99.8, 99.9, 100.0, 100.1, 100.2, 100.4, 100.7, 101.0, 101.4]
SIZE = 3.0
STEPS = ((0, 2), (0.2, 2), (0.5, 90))  # from the touch, and the size there
Event = tuple[Any, ...]
Fill = tuple[float, float, float]  # milliseconds, price, size
BID_ASK, LAST_PRICE = TriggerType.BID_ASK, TriggerType.LAST_PRICE


def recording(*, whole: bool) -> list[Event]:
    """A walk: books of three levels a side, and trades between; spreads come and go."""
    chance, found = Random(7), list[Event]()
    bid, ask = 99.8, 100.2
    before: dict[OrderSide, dict[float, float]] = {BUY: {}, SELL: {}}
    for number in range(60):
        ms = number * 40.0
        move = chance.choice([-0.3, -0.1, 0.0, 0.1, 0.3])
        bid, ask = bid + move, max(ask + move + chance.choice([-0.4, 0.0, 0.4]), bid + move + 0.1)
        if ask - bid > 1.5:
            bid, ask = bid + 0.5, ask - 0.5
        now = {
            side: {round(top + sign * step, 2): size for step, size in STEPS}
            for side, top, sign in ((BUY, bid, -1), (SELL, ask, 1))
        }
        if whole or not number:
            found.append(("book", ms, now))
        else:
            gone = [(s, p, 0.0) for s in before for p in before[s] if p not in now[s]]
            told = [(s, p, z) for s in now for p, z in now[s].items() if before[s].get(p) != z]
            found += [("level", ms, *one) for one in [*gone, *told]]
        before = now
        if number % 3 == 2:
            found.append(("trade", ms + 15, round(chance.choice([bid, ask]), 2)))
    return found


def in_backtest(
    events: Sequence[Event], kind: str, side: OrderSide, held: HeldRules, by: TriggerType
) -> Seen:
    data: list[Any] = []
    for what, ms, *rest in events:
        if what == "book":
            data.append(book(ms, rest[0][BUY], rest[0][SELL]))
        elif what == "level":
            data.append(level(ms, *rest))
        else:
            data.append(trade(ms, *rest, 1.0, AggressorSide.NO_AGGRESSOR))
    fed, ends = Fed(data), closing(73 * MS)
    model = MarketFills(PAIRS, fed, ends, consumes=True, queues=True, held={str(IID.venue): held})

    def send(script: Script) -> None:
        for one in LEVELS:
            far = 120.0 if side is BUY else 80.0
            prices = (px(far), px(one)) if "limit" in kind else (px(one),)
            build = getattr(script.order_factory, kind)
            script.send(str(one), build(IID, side, qty(SIZE), *prices, trigger_type=by))

    seen = run(
        fed_by(model, data),
        [(10, send)],
        latency_ms=73,
        timers_ms=[ARRIVAL],
        prepare=lambda engine: engine.add_strategy(ends),
        fill_model=model,
        reject_stop_orders=False,
    )
    assert ends.error is None, repr(ends.error)
    return seen


def on_paper(
    events: Sequence[Event], kind: str, side: OrderSide, held: HeldRules, by: TriggerType
) -> kit.Bench:
    bench = kit.Bench(margin=True, balances={"USDT": 10_000_000})
    mine = kit.BUY if side is BUY else kit.SELL
    release = held.release_of(kind.upper(), "GTC")
    if_passed = held.release_if_passed(kind.upper(), "GTC")
    watched = Watched.LAST if by is LAST_PRICE else Watched.TOUCH
    is_rise = (side is BUY) == kind.startswith("stop")

    def arrive() -> None:
        for one in LEVELS:
            far = None if "market" in kind else ("120" if side is BUY else "80")
            new = kit.new(str(one), mine, SIZE, far, release=release, if_passed=if_passed)
            trigger = Trigger(Decimal(str(one)), is_rise, watched)
            bench.exchange.submit(
                [msgspec.structs.replace(new, trigger=trigger)], int(ARRIVAL * kit.MS)
            )

    for what, ms, *rest in _with(events, arrive):
        if what == "arrive":
            rest[0]()
        elif what == "book":
            bench.book(ms, rest[0][BUY], rest[0][SELL])
        elif what == "level":
            bench.level(ms, kit.BUY if rest[0] is BUY else kit.SELL, *rest[1:])
        else:
            bench.trade(ms, *rest, 1, None)
    return bench


def _with(events: Sequence[Event], arrive: Any) -> Iterator[Event]:
    has_arrived = False
    for event in events:
        if event[1] > ARRIVAL and not has_arrived:
            has_arrived = True
            yield ("arrive", ARRIVAL, arrive)
        yield event


def fills_of(bench: kit.Bench, name: str) -> list[Fill]:
    found = []
    for one in bench.told:
        if (one.order, one.kind) == (name, "filled"):
            size, _, price = one.detail.partition(" ")[0].partition("@")
            found.append((one.ms, float(price), float(size)))
    return found


WHOLE = pytest.mark.parametrize("whole", [True, False])
SIDES = pytest.mark.parametrize("side", [BUY, SELL])


@WHOLE
@SIDES
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", list(TriggerSource))
def test_the_moment_and_the_price_are_the_same(
    source: TriggerSource, kind: str, side: OrderSide, whole: bool
) -> None:
    played, paper = both(recording(whole=whole), kind, side, rules(source), BID_ASK)
    assert sum(map(bool, paper.values())) >= 5
    if source is TriggerSource.TIER:  # passed when it came, by its own price alone: the next book
        played, paper = _from(NEXT, played), _from(NEXT, paper)
    assert played == paper


@WHOLE
@SIDES
@pytest.mark.parametrize(
    ("source", "by"),
    [
        (TriggerSource.LAST, LAST_PRICE),
        (TriggerSource.LAST, BID_ASK),
        (TriggerSource.TOUCH, BID_ASK),
        (TriggerSource.MID, BID_ASK),
    ],
)
def test_so_they_are_where_the_venue_has_stops_but_none_that_is_passed(
    source: TriggerSource, by: TriggerType, side: OrderSide, whole: bool
) -> None:
    held = HeldRules(able=has_stops(source), settings=HeldSettings())
    played, paper = both(recording(whole=whole), "stop_limit", side, held, by)
    assert sum(map(bool, paper.values())) >= 5
    assert played == paper


def has_stops(source: TriggerSource) -> Capabilities:
    return Capabilities(
        kinds=frozenset({Kind.LIMIT, Kind.MARKET, Kind.STOP_LIMIT}),
        time_in_force=frozenset({Tif.GTC}),
        held=frozenset({Kind.STOP_MARKET, Kind.LIMIT_IF_TOUCHED, Kind.MARKET_IF_TOUCHED}),
        trigger_sources=(source,),
        hold_passed=True,
    )


def both(
    events: Sequence[Event], kind: str, side: OrderSide, held: HeldRules, by: TriggerType
) -> tuple[dict[str, list[Fill]], dict[str, list[Fill]]]:
    """Fills by an order's name: in a backtest, on paper."""
    seen, bench = in_backtest(events, kind, side, held, by), on_paper(events, kind, side, held, by)
    names = [str(one) for one in LEVELS]
    assert set(seen.statuses.values()) <= {"FILLED", "ACCEPTED", "TRIGGERED", "SUBMITTED"}
    assert not [one for one in bench.told if one.kind == "rejected"]
    return (
        {name: parts(seen, name) for name in names},
        {name: fills_of(bench, name) for name in names},
    )


def _from(ms: float, fills: dict[str, list[Fill]]) -> dict[str, list[Fill]]:
    return {name: [(max(at, ms), *rest) for at, *rest in one] for name, one in fills.items()}
