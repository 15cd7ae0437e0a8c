"""Rate limits: never over a venue's budget in any window, with room kept for cancels.

A budget is `count` per `per_secs`, measured over a sliding window, so that no window of that
length, wherever it begins, holds more than `count`. Only the event loop's clock is used.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Literal

import msgspec

from engine.orders import permit

MAX_WAITING = 1_000  # callers waiting at once, per scope and priority
MAX_WAIT_SECS = 10.0
MAX_PENALTY_SECS = 60.0
_LEAST_WAIT_SECS = 0.000_001

Priority = Literal["create", "cancel", "query"]


class Rate(msgspec.Struct, frozen=True):
    """At most `count` units in any `per_secs` seconds."""

    count: int
    per_secs: float


class RateLimited(Exception):
    """Not sent: the budget of `scope` gives no room within the longest wait."""

    def __init__(self, scope: str, reason: str, retry_after_secs: float) -> None:
        super().__init__(f"rate limit {scope}: {reason}")
        self.scope = scope
        self.reason = reason
        self.retry_after_secs = retry_after_secs


class _Window:
    """Grants of one scope within the last `per_secs`, as (time, weight), oldest first."""

    def __init__(self, rate: Rate, reserve: float) -> None:
        self.rate = rate
        self.blocked_until = 0.0
        kept = min(rate.count - 1, int(rate.count * reserve))
        self.ceilings: dict[Priority, int] = {
            "create": rate.count - kept,
            "query": rate.count - kept // 2,
            "cancel": rate.count,
        }
        self._grants: deque[tuple[float, int]] = deque()
        self._used = 0

    def wait_secs(self, priority: Priority, weight: int, now: float) -> float:
        """Seconds until `weight` fits below the priority's ceiling; 0 if it fits now."""
        self._expire(now)
        wait = max(0.0, self.blocked_until - now)
        excess = self._used + weight - self.ceilings[priority]
        if excess <= 0:
            return wait
        for granted_at, granted in self._grants:
            excess -= granted
            if excess <= 0:
                return max(wait, granted_at + self.rate.per_secs - now, _LEAST_WAIT_SECS)
        return max(wait, self.rate.per_secs)

    def grant(self, weight: int, now: float) -> None:
        self._grants.append((now, weight))
        self._used += weight

    def _expire(self, now: float) -> None:
        # A grant exactly `per_secs` old still shares a closed window with one made now.
        while self._grants and now - self._grants[0][0] > self.rate.per_secs:
            self._used -= self._grants.popleft()[1]

    @property
    def used(self) -> int:
        return self._used


class RateLimiter:
    """Budgets by scope.

    `reserve` is the share of each budget that creates can't use; queries can use half of it, and
    cancels all. Callers of one scope and priority are served in the order they came.
    """

    def __init__(
        self,
        rules: Mapping[str, Rate],
        reserve: float = 0.2,
        max_wait_secs: float = MAX_WAIT_SECS,
    ) -> None:
        if not 0.0 <= reserve < 1.0:
            raise ValueError(f"expected a reserve from 0 to below 1, received {reserve}")
        self._windows = {scope: _Window(rate, reserve) for scope, rate in rules.items()}
        self._max_wait_secs = max_wait_secs
        self._turns: dict[tuple[str, Priority], asyncio.Lock] = {}
        self._waiting: dict[tuple[str, Priority], int] = {}
        self.refused_count = 0
        self.waited_count = 0

    async def acquire(self, scope: str, priority: Priority, weight: int = 1) -> None:
        """Wait until `weight` units fit the budget of `scope`, and take them.

        Raises RateLimited after `max_wait_secs`, at once where waiting can't help, when too many
        wait already, and when the kill switch stops what is being created. A KeyError is a bug: an
        unknown scope.
        """
        window = self._windows[scope]
        if weight > window.ceilings[priority]:
            raise self._refusal(
                scope, f"weight {weight} is above {window.ceilings[priority]}", window.rate.per_secs
            )
        key = (scope, priority)
        waiting = self._waiting.get(key, 0)
        if waiting >= MAX_WAITING:
            raise self._refusal(scope, f"{waiting} callers wait already", self._max_wait_secs)
        deadline = asyncio.get_running_loop().time() + self._max_wait_secs
        self._waiting[key] = waiting + 1
        try:
            async with self._turns.setdefault(key, asyncio.Lock()):
                await self._take(scope, window, priority, weight, deadline)
            if (why := permit.refusal()) is not None:  # asked anew: the wait may have been long
                raise self._refusal(scope, why, 0.0)
        finally:
            self._waiting[key] -= 1

    async def _take(
        self, scope: str, window: _Window, priority: Priority, weight: int, deadline: float
    ) -> None:
        loop = asyncio.get_running_loop()
        has_waited = False
        while True:
            now = loop.time()
            wait = window.wait_secs(priority, weight, now)
            if wait <= 0.0:
                window.grant(weight, now)
                self.waited_count += has_waited
                return
            if now + wait > deadline:
                raise self._refusal(scope, f"no room for {wait:.1f} s", wait)
            has_waited = True
            # Past the edge, so that the oldest grant has left the window when this one enters.
            await asyncio.sleep(wait + 0.001)

    def _refusal(self, scope: str, reason: str, retry_after_secs: float) -> RateLimited:
        self.refused_count += 1
        return RateLimited(scope, reason, retry_after_secs)

    def penalise(self, scope: str, secs: float) -> None:
        """The venue said that the limit is reached: give nothing of `scope` for `secs`."""
        until = asyncio.get_running_loop().time() + min(max(secs, 0.0), MAX_PENALTY_SECS)
        window = self._windows[scope]
        window.blocked_until = max(window.blocked_until, until)

    def used(self, scope: str) -> int:
        """Units taken within the last window, for the status line."""
        window = self._windows[scope]
        window._expire(asyncio.get_running_loop().time())
        return window.used
