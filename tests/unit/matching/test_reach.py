"""Events that no order hears of are passed over together: nothing may differ from telling each."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import AggressorSide, OrderBookDelta, OrderBookDeltas, OrderSide

from fairlead.engine.matching.orders import Release, Watched
from fairlead.engine.matching.reach import NOWHERE, RAW_DECIMALS, raw_of, reach_of
from fairlead.engine.matching.shadow import Shadow
from fairlead.engine.orders.model import Side, TriggerSource
from tests.kernel.bench import IID, at, level, pair, px, trade
from tests.unit.matching.kit import BUY, SELL, new

_KINDS = ("limit", "limit", "limit", "stop", "touched", "market", "held")


def shadow(*, queues: bool, consumes: bool) -> Shadow:
    return Shadow(pair(IID), lambda _: Decimal(3), consumes=consumes, queues=queues)


def market(draw: random.Random, first: int, count: int) -> list[Any]:
    """A random walk of small books, with trades, and now and then a book that is cleared."""
    found: list[Any] = []
    for ms in range(first, first + count):
        middle = 10_000 + round(8 * random.Random(ms // 9).uniform(-1, 1))
        kind = draw.random()
        if kind < 0.25:
            who = draw.choice((AggressorSide.BUY, AggressorSide.SELL, AggressorSide.NO_AGGRESSOR))
            price = (middle + draw.randrange(-6, 7)) / 100
            found.append(trade(ms, price, draw.randrange(1, 9), who))
        elif kind < 0.27:
            found.append(OrderBookDeltas(IID, [OrderBookDelta.clear(IID, 0, at(ms), at(ms))]))
        else:
            rows: list[Any] = []
            for _ in range(draw.randrange(1, 6)):
                off = draw.randrange(1, 12)
                is_bid = draw.random() < 0.5
                price = (middle - off if is_bid else middle + off) / 100
                size = draw.choice((0, 0, 1, 4, 8))
                side = OrderSide.BUY if is_bid else OrderSide.SELL
                rows += level(ms, side, price, size).deltas
            found.append(OrderBookDeltas(IID, rows))
    return found


def some_order(draw: random.Random, number: int) -> Any:
    kind, side = draw.choice(_KINDS), draw.choice((BUY, SELL))
    price = Decimal(10_000 + draw.randrange(-9, 10)) / 100
    level_ = Decimal(10_000 + draw.randrange(-9, 10)) / 100
    more: dict[str, Any] = {"instrument": str(IID), "watched": draw.choice(list(Watched))}
    if kind == "limit":
        more |= {"post_only": draw.random() < 0.3, "reduce_only": draw.random() < 0.2}
    elif kind in ("stop", "touched"):
        more[kind] = level_
    elif kind == "held":
        more |= {
            "stop": level_,
            "release": Release(
                source=draw.choice((TriggerSource.LAST, TriggerSource.TOUCH, TriggerSource.MID)),
                time_in_force=draw.choice(("GTC", "IOC", "FOK")),
                rearms=draw.random() < 0.5,
                rearm_ns=5_000_000,
                most=3,
            ),
        }
    limit = None if kind == "market" else price
    return new(f"{kind}-{number}", side, draw.randrange(1, 5), limit, **more)


def seen(one: Shadow, orders: list[str]) -> Any:
    """All that the rest of a run depends on."""
    working, book = one._working, one.market
    return (
        {name: msgspec.structs.astuple(order)[1:] for name, order in working.orders.items()},
        {name: one._due.get(name) for name in orders},
        one.in_vain,
        {side: list(levels) for side, levels in book.sides.items()},
        {side: (taken.taken, taken.traded, taken._late) for side, taken in book.taken.items()},
        (book.newer, book.last_price),
    )


@pytest.mark.parametrize("queues", [True, False])
@pytest.mark.parametrize("consumes", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_what_is_passed_over_leaves_orders_and_market_as_if_each_event_was_told(
    seed: int, queues: bool, consumes: bool
) -> None:
    draw = random.Random(seed)
    told, heard = (shadow(queues=queues, consumes=consumes) for _ in range(2))
    names: list[str] = []
    first = 0
    for number in range(14):
        events = market(draw, first, draw.choice((0, 1, 7, 30)))
        lasts = {id(one) for one in events if draw.random() < 0.03}
        first += len(events) + 1
        for event in events:
            told.tell(event, lasts)
        done = 0
        while done < len(events):
            end = draw.randrange(done + 1, len(events) + 1)
            done = heard.hear(events, done, end, lasts)
        assert seen(heard, names) == seen(told, names)
        order = some_order(draw, number)
        names.append(order.id)
        gone = draw.choice(names) if draw.random() < 0.3 else None
        price = Decimal(10_000 + draw.randrange(-9, 10)) / 100
        for one in (told, heard):
            one.accept(order, at(first))
            if gone is not None:
                one.drop(gone)
            elif number % 3 == 0:
                one.change(names[number // 2], Decimal(3), price, price)
        assert seen(heard, names) == seen(told, names)


def resting(side: Side, price: str) -> Shadow:
    one = shadow(queues=True, consumes=True)
    one.tell(level(0, OrderSide.BUY, 99.5, 5), ())
    one.tell(level(0, OrderSide.SELL, 100.5, 5), ())
    one.accept(new("a", side, 1, price, instrument=str(IID)), 0)
    return one


def test_most_of_a_market_is_not_told_to_an_order_that_rests() -> None:
    """What makes a backtest with orders that rest about as fast as one without."""
    one = resting(BUY, "99.40")
    events = [level(ms, OrderSide.SELL, 100.5 + ms % 7 / 100, 4) for ms in range(1, 50)]
    events += [trade(ms, 99.9, 1, AggressorSide.SELL) for ms in range(50, 60)]
    assert one.market.pass_over(events, (), one._working.reach) == len(events)
    last = trade(60, 99.4, 1, AggressorSide.SELL)
    assert one.market.pass_over([last], (), one._working.reach) == 0


@pytest.mark.parametrize(
    ("side", "price", "through"), [(BUY, "99.4", 99.39), (SELL, "100.6", 100.7)]
)
def test_a_book_at_its_price_and_a_trade_through_it_are_heard(side, price, through) -> None:
    one = resting(side, price)
    crossing = OrderSide.SELL if side is BUY else OrderSide.BUY
    book = level(1, crossing, float(price), 2)
    assert one.hear([trade(1, through, 1, AggressorSide.NO_AGGRESSOR)], 0, 1, ()) == 1
    assert one.take("a")
    one = resting(side, price)
    assert one.hear([book], 0, 1, ()) == 1
    assert one.take("a") == [(Decimal(price), Decimal(1))]


def test_raw_prices_are_those_of_the_exchange() -> None:
    assert raw_of(Decimal("100.25")) == px(100.25).raw
    assert raw_of(Decimal("17014118346045.12")) == 1701411834604512 * 10 ** (RAW_DECIMALS - 2)
    nobody = reach_of(())
    assert nobody is not None
    assert nobody.low == nobody.ask_low == NOWHERE
