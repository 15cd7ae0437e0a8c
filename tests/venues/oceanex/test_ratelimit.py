"""Rate limits in virtual time: never over in any window, cancels pass, waits are bounded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fairlead.adapters.base.ratelimit import Priority, Rate, RateLimited, RateLimiter
from fairlead.adapters.simulation.virtual_time import run_virtual

Grants = list[tuple[float, Priority, int]]


async def take(limiter: RateLimiter, priority: Priority, weight: int, grants: Grants) -> None:
    await limiter.acquire("x", priority, weight)
    grants.append((asyncio.get_running_loop().time(), priority, weight))


def virtual(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_virtual(work())


@pytest.mark.parametrize("seed", range(20))
def test_no_window_holds_more_than_the_budget(seed: int) -> None:
    async def work() -> None:
        rng = random.Random(seed)
        rate = Rate(rng.randint(2, 12), rng.choice([0.5, 1.0, 7.0]))
        limiter = RateLimiter({"x": rate}, rng.choice([0.0, 0.2, 0.5]), max_wait_secs=1e6)
        grants: Grants = []
        tasks = []
        for _ in range(120):
            priority: Priority = rng.choice(["create", "cancel", "query"])
            tasks.append(asyncio.create_task(take(limiter, priority, 1, grants)))
            if rng.random() < 0.4:
                await asyncio.sleep(rng.expovariate(1 / rate.per_secs))
        await asyncio.gather(*tasks)
        assert len(grants) == 120
        for begin, _, _ in grants:
            inside = sum(w for t, _, w in grants if begin <= t <= begin + rate.per_secs)
            assert inside <= rate.count

    virtual(work)


def test_weights_count() -> None:
    async def work() -> None:
        limiter = RateLimiter({"x": Rate(10, 60.0)}, 0.0, max_wait_secs=100.0)
        grants: Grants = []
        await asyncio.gather(*(take(limiter, "create", 4, grants) for _ in range(3)))
        assert [round(t, 1) for t, _, _ in grants] == [0.0, 0.0, 60.0]

    virtual(work)


def test_cancels_pass_while_creates_wait() -> None:
    async def work() -> None:
        limiter = RateLimiter({"x": Rate(10, 60.0)}, 0.4, max_wait_secs=100.0)
        grants: Grants = []
        creates = [asyncio.create_task(take(limiter, "create", 1, grants)) for _ in range(8)]
        await asyncio.sleep(1.0)
        assert [p for _, p, _ in grants] == ["create"] * 6
        await take(limiter, "query", 1, grants)
        await take(limiter, "query", 1, grants)
        await take(limiter, "cancel", 1, grants)
        await take(limiter, "cancel", 1, grants)
        assert grants[-1][0] == 1.0
        await asyncio.gather(*creates)
        assert [p for _, p, _ in grants[-2:]] == ["create"] * 2

    virtual(work)


def test_waits_are_bounded_and_first_come_is_first_served() -> None:
    async def work() -> None:
        limiter = RateLimiter({"x": Rate(2, 60.0)}, 0.0, max_wait_secs=61.0)
        grants: Grants = []
        tasks = [asyncio.create_task(take(limiter, "create", 1, grants)) for _ in range(6)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(r, RateLimited) for r in results] == [False] * 4 + [True] * 2
        assert asyncio.get_running_loop().time() < 62.0
        assert limiter.refused_count == 2

    virtual(work)


def test_what_can_never_fit_is_refused_at_once() -> None:
    async def work() -> None:
        limiter = RateLimiter({"x": Rate(10, 60.0)}, 0.5)
        with pytest.raises(RateLimited, match="weight 6 is above 5"):
            await limiter.acquire("x", "create", 6)
        await limiter.acquire("x", "cancel", 10)
        assert limiter.used("x") == 10

    virtual(work)


def test_a_penalty_stops_everything_for_its_time() -> None:
    async def work() -> None:
        limiter = RateLimiter({"x": Rate(10, 60.0)})
        limiter.penalise("x", 3.0)
        grants: Grants = []
        await take(limiter, "cancel", 1, grants)
        assert round(grants[0][0], 1) == 3.0

    virtual(work)
