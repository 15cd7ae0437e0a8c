"""What fires a held order is what the venue's data tell; a limit is fired by what it trades at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.engine.orders.held import HeldSettings
from fairlead.engine.orders.model import (
    Accepted,
    Capabilities,
    Kind,
    OrderState,
    Refused,
    Side,
    Tif,
    TriggerSource,
)
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, intent
from tests.unit.orders.held_bench import HeldBench, stop

LAST, TOUCH, MID, TIER = (
    TriggerSource.LAST,
    TriggerSource.TOUCH,
    TriggerSource.MID,
    TriggerSource.TIER,
)
PLAIN = Capabilities(kinds=frozenset({Kind.LIMIT}), time_in_force=frozenset({Tif.FOK}))


def first_size(levels: Any, quantity: Decimal) -> Decimal | None:
    return next((price for price, size in levels if size >= quantity), None)


@pytest.mark.parametrize(
    ("traits", "sources", "for_a_limit"),
    [
        ({}, (LAST, TOUCH, MID), TOUCH),
        ({"public_trades": False}, (TOUCH, MID), TOUCH),
        ({"public_trades": False, "tier_price": first_size}, (TIER, TOUCH, MID), TIER),
        ({"public_trades": False, "trigger_sources": (LAST, MID)}, (MID,), TOUCH),
        ({"public_trades": False, "trigger_sources": (LAST,)}, (TOUCH,), TOUCH),
        ({"trigger_sources": (TIER, LAST)}, (LAST,), TOUCH),
        ({"trigger_sources": (MID, TIER), "tier_price": first_size}, (MID, TIER), TIER),
        ({"trigger_sources": (TOUCH, TIER), "tier_price": first_size}, (TOUCH, TIER), TOUCH),
    ],
)
def test_no_source_is_one_that_no_data_tell(
    traits: dict[str, Any], sources: tuple[TriggerSource, ...], for_a_limit: TriggerSource
) -> None:
    able = msgspec.structs.replace(PLAIN, **traits)
    assert able.sources == sources
    assert able.trigger_source is able.source_for(Kind.STOP_LIMIT) is sources[0]
    assert able.source_for(Kind.LIMIT) is for_a_limit


@pytest.fixture
def make(tmp_path: Path) -> Any:
    made: list[HeldBench] = []

    def build(**traits: Any) -> HeldBench:
        made.append(HeldBench(tmp_path / f"{len(made)}.sqlite", HeldSettings(), **traits))
        made[-1].venue.answer = lambda _: Accepted("V1")
        return made[-1]

    yield build
    for one in made:
        assert one.journal is not None
        one.journal.close()


@pytest.mark.parametrize("source", [(), (LAST,), (MID,), (TOUCH,)])
@pytest.mark.parametrize("side", Side)
def test_a_limit_that_is_marketable_when_it_comes_fires_at_once(
    make: Callable[..., HeldBench], source: tuple[TriggerSource, ...], side: Side
) -> None:
    """By the book that stands, and no trade: at a venue that streams none it waited for ever."""
    bench = make(holds_limits=True, trigger_sources=source, public_trades=False)
    one = intent(side=side, price=Decimal(101 if side is Side.BUY else 99))

    async def main() -> None:
        await bench.at("99", "101")
        await bench.desk.submit(approved(one))
        await asyncio.sleep(0.01)

    bench.run(main())
    (sent,) = bench.venue.creates
    assert (sent.kind, sent.time_in_force, sent.price) == (Kind.LIMIT, Tif.FOK, one.price)
    assert bench.sink.names()[:2] == ["order_submitted", "order_held"]


def test_a_stop_that_is_passed_when_it_comes_fires_by_the_book_but_never_by_an_old_trade(
    make: Callable[..., HeldBench],
) -> None:
    by_book, by_trade = make(trigger_sources=(TOUCH,)), make(trigger_sources=(LAST,))

    async def main(bench: HeldBench) -> None:
        bench.desk.held.trade(INSTRUMENT, Decimal(98), bench.loop_ns(), bench.loop_ns())
        await bench.at("98", "99")
        await bench.desk.submit(approved(stop()))
        await asyncio.sleep(0.01)

    for bench in (by_book, by_trade):
        bench.run(main(bench))
    assert [len(one.venue.creates) for one in (by_book, by_trade)] == [1, 0]


def test_a_held_limit_that_is_moved_to_the_market_fires_at_once(
    make: Callable[..., HeldBench],
) -> None:
    bench = make(holds_limits=True)
    one = intent(price=Decimal(90))

    async def main() -> None:
        await bench.at("99", "101")
        await bench.desk.submit(approved(one))
        await asyncio.sleep(0.01)
        assert bench.state() is OrderState.HELD
        await bench.desk.replace(approved(msgspec.structs.replace(one, price=Decimal(101)))[0])
        await asyncio.sleep(0.01)

    bench.run(main())
    assert [sent.price for sent in bench.venue.creates] == [Decimal(101)]


def test_a_book_that_is_old_fires_nothing_when_a_limit_comes(
    make: Callable[..., HeldBench],
) -> None:
    bench = make(holds_limits=True)

    async def main() -> None:
        await bench.at("99", "101")
        await asyncio.sleep(6)
        await bench.desk.submit(approved(intent(price=Decimal(101))))
        await asyncio.sleep(0.01)

    bench.run(main())
    assert bench.venue.creates == []


@pytest.mark.parametrize("tif", [Tif.FOK, Tif.GTC])
@pytest.mark.parametrize("rearms", [True, False])
def test_a_release_that_our_own_rate_limit_keeps_back_is_held_again_however_often(
    tmp_path: Path, tif: Tif, rearms: bool
) -> None:
    """It never left this machine: neither the venue's refusal, nor a release in vain."""
    settings = HeldSettings(rearms=rearms, releases_max=2)
    bench = HeldBench(tmp_path / "held.sqlite", settings, time_in_force=frozenset({tif}))
    budget = Refused("X-RATE-BUDGET", "not sent: no room", is_sent=False)
    answers = iter([budget] * 4)
    bench.venue.answer = lambda _: next(answers, Accepted("V1"))

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        for _ in range(6):
            await bench.at("99", "100")
            await asyncio.sleep(2)

    bench.run(main())
    assert len(bench.venue.creates) == 5
    assert bench.state() is OrderState.OPEN
    assert bench.desk.journal.problems() == []
    bench.desk.journal.close()
