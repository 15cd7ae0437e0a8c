"""Clock steps in virtual time: noticed at once, measured again at both venues, told once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.adapters.base.clock import LOOK_SECS, MEASURE_SECS, ClockWatch, Step, VenueClock
from fairlead.adapters.base.transport import HttpRequest, HttpResponse
from fairlead.adapters.base.venue import VenueError
from fairlead.adapters.oceanex.config import OceanexOptions
from fairlead.adapters.oceanex.venue import OceanexAdapter
from fairlead.adapters.simulation.virtual_time import VirtualLoop, run_virtual
from fairlead.engine.orders.model import Accepted
from tests.venues.base.test_reads import VENUES, Scene


class Watched(Scene):
    """A venue whose clock is true, and a machine whose clock is not."""

    def __init__(self, key: str, loop: VirtualLoop) -> None:
        self.shift_ns = 0
        super().__init__(key, loop)
        self.steps: list[Step] = []
        self.offsets: list[float] = []
        self.failures: list[VenueError] = []
        self.watch = ClockWatch(
            [self.adapter],
            now_ns=self.now_ns,
            monotonic_ns=lambda: int(loop.time() * 1e9),
            on_step=self.steps.append,
            on_offset=lambda _, ms: self.offsets.append(ms),
            on_failure=lambda _, error: self.failures.append(error),
        )

    def now_ns(self) -> int:
        return self.loop.now_ns() + self.shift_ns

    def shift(self, secs: float) -> None:
        self.shift_ns += int(secs * 1e9)


def at(key: str, work: Callable[[Watched], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        scene = Watched(key, loop)
        watching = asyncio.ensure_future(scene.watch.run())
        await work(scene)
        assert not watching.done()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    run_virtual(run())


@pytest.mark.parametrize("secs", [30.0, -60.0, 0.5])
@pytest.mark.parametrize("key", VENUES)
def test_a_step_is_noticed_and_the_offset_measured_anew(key: str, secs: float) -> None:
    async def work(scene: Watched) -> None:
        await asyncio.sleep(100)
        assert scene.steps == []
        assert len(scene.offsets) == 4, "measured all along"
        scene.shift(secs)
        await asyncio.sleep(2 * LOOK_SECS)
        (step,) = scene.steps
        assert (step.venue, round(step.secs, 3)) == ("", secs)
        assert round((step.to_ns - step.from_ns) / 1e9, 3) == secs
        assert scene.offsets[-1] == pytest.approx(-secs * 1e3, abs=1000)
        assert len(scene.offsets) == 5, "at once, not with the next turn"
        scene.shift(-secs)
        await asyncio.sleep(2 * LOOK_SECS)
        assert len(scene.steps) == 2
        assert abs(scene.offsets[-1]) < 1

    at(key, work)


def test_an_order_looks_before_the_next_turn() -> None:
    async def work(scene: Watched) -> None:
        await asyncio.sleep(100)
        scene.shift(30)
        scene.watch.look()
        assert len(scene.steps) == 1

    at("oceanex", work)


def test_a_clock_that_is_slewed_makes_no_step() -> None:
    async def work(scene: Watched) -> None:
        for _ in range(200):
            scene.shift(0.001)
            await asyncio.sleep(LOOK_SECS)
        assert scene.steps == []

    at("oceanex", work)


@pytest.mark.parametrize("key", VENUES)
def test_a_venue_whose_clock_is_set(key: str) -> None:
    async def work(scene: Watched) -> None:
        await asyncio.sleep(1)
        # The same as seen from here: wall and monotonic clock go on together, the venue's jumps.
        scene.watch._base_ns -= int(40e9)
        scene.shift(-40)
        await asyncio.sleep(MEASURE_SECS + 1)
        (step,) = scene.steps
        assert step.venue == scene.adapter.venue
        assert step.secs == pytest.approx(40, abs=1)

    at(key, work)


@pytest.mark.parametrize("key", VENUES)
def test_a_measurement_that_fails_is_tried_again_and_told_once(key: str) -> None:
    async def work(scene: Watched) -> None:
        await asyncio.sleep(1)
        path = "POST /v1/timestamp" if key == "oceanex" else "GET /timestamp"
        scene.fault(path, "unavailable", times=12)
        scene.shift(30)
        told = len(scene.offsets)
        await asyncio.sleep(MEASURE_SECS)
        assert len(scene.failures) == 1
        assert len(scene.offsets) == told + 1

    at(key, work)


@given(
    ahead=st.integers(-(10**11), 10**11),
    out_ns=st.integers(0, 10**9),
    back_ns=st.integers(0, 10**9),
    resolution_ns=st.sampled_from([1, 10**6, 10**9]),
)
def test_an_offset_lies_within_its_bounds(
    ahead: int, out_ns: int, back_ns: int, resolution_ns: int
) -> None:
    """The venue reads its clock on the way and cuts the time to what it tells."""
    ours, answered = 1_700_000_000_000_000_000, out_ns + back_ns
    told_ns = (ours + out_ns + ahead) // resolution_ns * resolution_ns

    async def ask() -> int:
        nonlocal ours
        ours += answered
        return told_ns

    clock = VenueClock(ask, code="X", now_ns=lambda: ours, resolution_ns=resolution_ns)
    found = asyncio.run(clock.measure())
    assert found.low_ns <= ahead <= found.high_ns
    assert abs(found.likely_ns - ahead) <= found.uncertainty_ns
    assert abs(found.proven_ns) <= abs(ahead)


def test_a_round_trip_across_a_step_back_measures_nothing() -> None:
    """Its bounds are the wrong way round: it looked like the quickest of all."""
    ours = true = 1_700_000_000_000_000_000
    steps = [-(40 * 10**9), 10**8]

    async def ask() -> int:
        nonlocal ours
        ours += steps.pop(0) if steps else 10**8
        return true

    clock = VenueClock(ask, code="X", now_ns=lambda: ours, resolution_ns=10**6)
    found = asyncio.run(clock.measure())
    assert found.low_ns <= true - ours + 10**8
    assert found.uncertainty_ns < 10**9
    assert found.low_ns <= found.high_ns

    steps = [-(10**9)] * 5
    with pytest.raises(VenueError, match="X-CLOCK"):
        asyncio.run(clock.measure())


class Behind(Scene):
    """A machine whose clock is 8 s behind."""

    def now_ns(self) -> int:
        return self.loop.now_ns() - 8 * 10**9


def test_tokens_that_expire_hold_the_venues_time() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        scene = Behind("oceanex", loop)
        options = OceanexOptions(http_url=scene.options.http_url, jwt_ttl_secs=5)
        adapter = OceanexAdapter(msgspec.structs.replace(scene.context, options=options))
        await adapter.connect(trading=True)
        (outcome,) = await adapter.orders.submit([scene.intent()])
        assert isinstance(outcome, Accepted)

    run_virtual(work())


@pytest.mark.parametrize("key", VENUES)
def test_an_offset_is_told_as_far_as_it_is_proven(key: str) -> None:
    """A slow answer proves no offset: half of its time was taken for one at Poloniex."""

    async def work(scene: Watched) -> None:
        inner = scene.http._inner

        class Slow:
            async def request(self, request: HttpRequest) -> HttpResponse:
                answer = await inner.request(request)
                await asyncio.sleep(0.18)  # on the way back
                return answer

        scene.http._inner = Slow()  # type: ignore[assignment]
        await scene.adapter.measure_clock()
        assert scene.adapter.clock_offset_ms == 0

    at(key, work)


def test_an_offset_is_asked_for_again_when_it_is_old_or_void() -> None:
    async def work(scene: Watched) -> None:
        asked = 0

        async def ask() -> int:
            nonlocal asked
            asked += 1
            return scene.loop.now_ns()

        clock = VenueClock(ask, code="X", now_ns=scene.now_ns, resolution_ns=10**6)
        assert (await clock.known()).likely_ns == pytest.approx(0, abs=10**6)
        assert not clock.was_set
        await clock.known()
        assert asked == 1
        scene.shift(5)
        assert clock.was_set
        assert (await clock.known()).likely_ns == pytest.approx(-5 * 10**9, abs=10**6)
        assert not clock.was_set
        assert asked == 2
        await asyncio.sleep(MEASURE_SECS + 1)
        await clock.known()
        assert asked == 3

    at("oceanex", work)
