"""Orders that the engine holds for a venue: paper and backtest fire them as the order desk does."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.adapters.simulation.virtual_time import VirtualLoop, run_virtual
from fairlead.engine.matching.native import HeldRules
from fairlead.engine.matching.orders import Release
from fairlead.engine.orders.desk import DeskSettings, OrderDesk
from fairlead.engine.orders.held import HeldSettings
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import (
    Accepted,
    Capabilities,
    Kind,
    Side,
    Tif,
    TriggerCondition,
    TriggerSource,
)
from fairlead.engine.orders.trigger import kind_for
from tests.support.approving import approved
from tests.unit.matching.kit import BTC, BUY, SELL, Bench, new
from tests.unit.orders.conftest import ScriptedVenue, Sink, intent

QUIET = ({"99.50": 5, "99.40": 5}, {"100.50": 5, "100.60": 5})


def release(source: TriggerSource = TriggerSource.TOUCH, **more: Any) -> Release:
    plain: dict[str, Any] = dict(
        source=source, time_in_force="FOK", rearms=True, rearm_ns=1_000_000_000, most=3
    )
    return Release(**(plain | more))


def bench() -> Bench:
    made = Bench()
    made.book(0, *QUIET)
    return made


def test_by_the_touch_it_is_sent_as_a_fill_or_kill() -> None:
    b = bench()
    b.order(10, "stop", SELL, 2, "98.00", stop="99.00", release=release())
    b.trade(20, "98.00", 9)  # a trade is not what it looks at
    assert b.of("stop") == ["accepted"]
    b.book(30, {"99.00": 1, "98.90": 4}, {"99.50": 5})
    assert b.of("stop") == ["accepted", "triggered", "filled 1@99 T", "filled 1@98.9 T"]


def test_a_passed_trigger_is_no_refusal_as_no_venue_has_it_yet() -> None:
    b = bench()
    b.order(10, "stop", SELL, 1, "98.00", stop="100.00", release=release())
    b.book(20, *QUIET)
    assert b.filled_of("stop") == ["1@99.5 T"]


def test_what_is_not_whole_is_armed_again_and_triggered_once() -> None:
    b = bench()
    b.order(10, "stop", SELL, 5, "98.00", stop="99.00", release=release())
    b.book(20, {"99.00": 1}, {"99.50": 5})
    b.book(30, {"99.00": 9}, {"99.50": 5})  # within the wait
    assert b.of("stop") == ["accepted", "triggered"]
    b.book(1030, {"99.50": 9}, {"99.60": 5})  # and not met
    b.book(1040, {"98.50": 9}, {"99.50": 5})
    assert b.of("stop") == ["accepted", "triggered", "filled 5@98.5 T"]


def test_what_is_not_whole_ends_where_it_is_not_armed_again() -> None:
    b = bench()
    b.order(10, "stop", SELL, 5, "98.00", stop="99.00", release=release(rearms=False))
    b.book(20, {"99.00": 1}, {"99.50": 5})
    assert [one.partition(" ")[0] for one in b.of("stop")] == ["accepted", "triggered", "canceled"]


def test_releases_in_vain_are_counted() -> None:
    b = bench()
    b.order(10, "stop", SELL, 5, "98.00", stop="99.00", release=release(most=2))
    for ms in (20, 2000, 4000):
        b.book(ms, {"99.00": 1}, {"99.50": 5})
    assert b.at("stop", "canceled") == [2000]


@pytest.mark.parametrize("source", [one for one in TriggerSource if one is not TriggerSource.TIER])
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("is_rise", [True, False])
def test_the_desk_and_the_exchange_fire_at_the_same_price(
    tmp_path: Path, source: TriggerSource, side: Side, is_rise: bool
) -> None:
    """The same market, event by event: who fires when."""
    path = [100, 101, 99, 102, 98, 103, 97]
    prices = path if is_rise else [200 - one for one in path]
    level = 102 if is_rise else 98

    def exchange() -> float:
        b = bench()
        b.book(0, {"99.5": 99}, {"100.5": 99})
        far = {"stop": level, "condition": is_rise}
        b.exchange.submit([_new(side, source, far)], 1)
        for at, price in enumerate(prices, 1):
            b.book(at * 10, {price - 0.5: 99}, {price + 0.5: 99})
            b.trade(at * 10 + 5, price)
        return b.at("stop", "triggered")[0]

    assert exchange() == _of_desk(tmp_path, source, side, is_rise, prices, level)


def _new(side: Side, source: TriggerSource, far: dict[str, Any]) -> Any:
    made = new(
        "stop", side, 1, 500 if side is BUY else 1, stop=far["stop"], release=release(source)
    )
    trigger = msgspec.structs.replace(made.trigger, is_rise=far["condition"])
    return msgspec.structs.replace(made, trigger=trigger)


def _of_desk(
    tmp_path: Path,
    source: TriggerSource,
    side: Side,
    is_rise: bool,
    prices: list[int],
    level: int,
) -> float:
    loop = VirtualLoop()
    venue, sink = ScriptedVenue(), Sink()
    venue.answer = lambda _: Accepted("V1")
    journal = Journal(tmp_path / "journal.sqlite", fsync=False, now_ns=loop.now_ns)
    able = Capabilities(
        kinds=frozenset({Kind.LIMIT}),
        time_in_force=frozenset({Tif.FOK}),
        held=frozenset({Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED}),
        trigger_sources=(source,),
        client_order_ids=True,
    )
    desk = OrderDesk(
        venue=venue,
        journal=journal,
        sink=sink,
        capabilities=able,
        settings=DeskSettings(),
        base_currency=lambda _: "BTC",
        now_ns=loop.now_ns,
        held=HeldSettings(),
    )
    desk.held.regate = lambda held, sent: approved(sent)[0]
    condition = TriggerCondition.GTE if is_rise else TriggerCondition.LTE
    one = intent(
        "stop",
        instrument=BTC,
        side=side,
        kind=kind_for(side, condition),
        price=Decimal(500 if side is BUY else 1),
        trigger_price=Decimal(level),
        trigger_condition=condition,
    )
    fired: list[float] = []

    async def main() -> None:
        await desk.submit(approved(one))
        for at, price in enumerate(prices, 1):
            half = Decimal("0.5")
            ts = loop.now_ns()
            bids, asks = ((price - half, Decimal(99)),), ((price + half, Decimal(99)),)
            for ms, tell in (
                (at * 10, lambda: desk.held.book(BTC, bids, asks, ts, ts)),  # noqa: B023
                (at * 10 + 5, lambda: desk.held.trade(BTC, Decimal(price), ts, ts)),  # noqa: B023
            ):
                tell()
                await asyncio.sleep(0.001)
                if venue.creates and not fired:
                    fired.append(ms)

    try:
        run_virtual(main(), loop)
    finally:
        journal.close()
    return fired[0]


def test_rules_name_what_is_held() -> None:
    able = Capabilities(
        kinds=frozenset({Kind.LIMIT, Kind.STOP_LIMIT}),
        time_in_force=frozenset({Tif.FOK}),
        held=frozenset({Kind.LIMIT_IF_TOUCHED}),
        trigger_sources=(TriggerSource.MID,),
    )
    rules = HeldRules(able=able, settings=HeldSettings())
    assert rules.release_of("STOP_LIMIT", "GTC") is None
    assert rules.release_of("LIMIT", "GTC") is None
    found = rules.release_of("LIMIT_IF_TOUCHED", "GTC")
    assert found is not None
    assert (found.source, found.time_in_force) == (TriggerSource.MID, "FOK")


@pytest.mark.parametrize(
    ("traits", "source", "by_limit"),
    [
        ({"public_trades": False}, TriggerSource.TOUCH, TriggerSource.TOUCH),
        ({"trigger_sources": (TriggerSource.LAST,)}, TriggerSource.LAST, TriggerSource.TOUCH),
    ],
)
def test_rules_of_a_limit_that_waits(
    traits: dict[str, Any], source: TriggerSource, by_limit: TriggerSource
) -> None:
    able = Capabilities(
        kinds=frozenset({Kind.LIMIT}),
        time_in_force=frozenset({Tif.FOK}),
        held=frozenset({Kind.STOP_LIMIT}),
        holds_limits=True,
        **traits,
    )
    rules = HeldRules(able=able, settings=HeldSettings())
    found = [rules.release_of(kind, "GTC") for kind in ("STOP_LIMIT", "LIMIT")]
    assert [one and (one.source, one.waits_at_limit) for one in found] == [
        (source, False),
        (by_limit, True),
    ]


def test_a_limit_that_waits_is_fired_by_the_book_that_stands_and_by_its_price_as_modified() -> None:
    b = bench()
    waits = release(waits_at_limit=True)
    b.order(10, "now", SELL, 1, "99.50", touched="99.50", release=waits)
    assert b.filled_of("now") == ["1@99.5 T"]
    b.order(20, "later", SELL, 1, "100.00", touched="100.00", release=waits)
    assert b.of("later") == ["accepted"]
    b.modify(30, "later", price="99.40")
    assert b.filled_of("later") == ["1@99.5 T"]


def test_rules_of_a_stop_that_the_venue_has_but_not_where_it_is_passed() -> None:
    able = Capabilities(
        kinds=frozenset({Kind.LIMIT, Kind.STOP_LIMIT}),
        time_in_force=frozenset({Tif.GTC}),
        held=frozenset({Kind.STOP_MARKET}),
        hold_passed=True,
    )
    rules = HeldRules(able=able, settings=HeldSettings())
    found = rules.release_if_passed("STOP_LIMIT", "GTC")
    assert found is not None
    assert (found.source, found.time_in_force) == (TriggerSource.LAST, "GTC")
    assert [rules.release_of("STOP_LIMIT", "GTC"), rules.release_if_passed("LIMIT", "GTC")] == [
        None
    ] * 2
    plain = msgspec.structs.replace(able, hold_passed=False)
    assert (
        HeldRules(able=plain, settings=HeldSettings()).release_if_passed("STOP_LIMIT", "GTC")
        is None
    )


@pytest.mark.parametrize(("source", "at"), [(TriggerSource.LAST, 40), (TriggerSource.TOUCH, 20)])
def test_a_passed_stop_is_held_where_the_venue_would_take_it_for_something_else(
    source: TriggerSource, at: int
) -> None:
    """By the last trade it waits for the next that has passed it, by the book it fires at once."""
    b = bench()
    b.trade(10, "99.50", "0.1")
    how = release(source, time_in_force="GTC")
    b.order(20, "stop", SELL, 1, "98.00", stop="100.00", if_passed=how)
    b.order(20, "ahead", SELL, 1, "90.00", stop="98.50", if_passed=how)
    b.trade(30, "100.50", 1, BUY)
    b.trade(40, "99.50", "0.1")
    assert b.of("stop")[:2] == ["accepted", "triggered"]
    assert b.at("stop") == [at]
    assert b.of("ahead") == ["accepted"]
