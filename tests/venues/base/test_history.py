"""Histories mean the same at every venue: bounds, limits, bars that are still open, refusals."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model import BarType

from fairlead.adapters.base.history import LATEST_ROWS_MAX, ROWS_MAX, Histories, Window
from fairlead.adapters.base.venue import VenueError
from tests.venues.base.test_reads import VENUES, Scene, at

MINUTE = 60 * 10**9
LACKING = ("1-SECOND-LAST", "3-MINUTE-LAST", "1-MINUTE-BID", "1-MONTH-LAST", "5-TICK-LAST")


@pytest.mark.parametrize(
    ("window", "closed_ns", "expected"),
    [
        (Window(None, None, 0), None, [1, 2, 3, 4]),
        (Window(None, None, 2), None, [3, 4]),
        (Window(2, 3, 0), None, [2, 3]),
        (Window(2, None, 1), None, [4]),
        (Window(None, 3, 2), None, [2, 3]),
        (Window(None, None, 2), 3, [2, 3]),
        (Window(None, 2, 9), 3, [1, 2]),
        (Window(5, None, 9), None, []),
    ],
)
def test_a_window(window: Window, closed_ns: int | None, expected: list[int]) -> None:
    items = [SimpleNamespace(ts_event=ts) for ts in (1, 2, 3, 4)]
    assert [item.ts_event for item in window.of(items, closed_ns)] == expected


def test_a_window_has_a_largest_size() -> None:
    assert Window(None, None, 0).wanted == LATEST_ROWS_MAX
    assert Window(1, None, 0).wanted == ROWS_MAX
    assert Window(None, None, 10**9).wanted == ROWS_MAX


def bar_type(scene: Scene, spec: str = "1-MINUTE-LAST") -> BarType:
    return BarType.from_str(f"{scene.instrument}-{spec}-EXTERNAL")


@pytest.mark.parametrize("key", VENUES)
def test_bars_are_closed_and_within_their_bounds(key: str) -> None:
    async def work(scene: Scene) -> None:
        await scene.adapter.connect(trading=False)
        bars = scene.adapter.market_data.history_bars
        few = [bar.ts_event for bar in await bars(bar_type(scene), None, None, 4)]
        assert len(few) == 4
        assert [b - a for a, b in pairwise(few)] == [MINUTE] * 3
        assert scene.loop.now_ns() - MINUTE < few[-1] <= scene.loop.now_ns()
        within = await bars(bar_type(scene), few[1], few[2], 0)
        assert [bar.ts_event for bar in within] == few[1:3], "both bounds are included"
        latest = await bars(bar_type(scene), few[0], None, 2)
        assert [bar.ts_event for bar in latest] == few[2:]
        whole = await bars(bar_type(scene), None, None, 0)
        assert len(whole) > 4, "0 is no limit"
        assert [bar.ts_event for bar in whole[-4:]] == few

    at(key, work)


@pytest.mark.parametrize("key", VENUES)
def test_what_the_venue_has_not_is_refused(key: str) -> None:
    async def work(scene: Scene) -> None:
        await scene.adapter.connect(trading=False)
        data: Any = scene.adapter.market_data
        for spec in LACKING:
            with pytest.raises(VenueError, match=f"{key.upper()}-NO-BARS"):
                await data.history_bars(bar_type(scene, spec), None, None, 1)
        scene.instrument = f"NO_SUCH.{key.upper()}"
        for asking in (
            data.history_bars(bar_type(scene), None, None, 1),
            data.history_trades(scene.instrument, None, None, 1),
            data.book_snapshot(scene.instrument, 5),
        ):
            with pytest.raises(VenueError, match=f"{key.upper()}-UNKNOWN-MARKET"):
                await asking

    at(key, work)


@pytest.mark.parametrize("key", VENUES)
def test_a_book_without_a_depth_is_the_venues_default(key: str) -> None:
    async def work(scene: Scene) -> None:
        await scene.adapter.connect(trading=False)
        least = await scene.adapter.market_data.book_snapshot(scene.instrument, 5)
        whole = await scene.adapter.market_data.book_snapshot(scene.instrument, 0)
        assert len(whole.deltas) > len(least.deltas) > 10

    at(key, work)


async def test_a_window_of_too_many_pages_is_said() -> None:
    error = Histories("X", {}, ()).too_long()
    assert error.code == "X-PAGES"
