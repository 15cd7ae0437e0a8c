"""Rate limits: never over a venue's budget in any window, with room kept for cancels.

A budget is `count` per `per_secs`, measured over a sliding window, so that no window of that
length, wherever it begins, holds more than `count`. Only the event loop's clock is used.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import msgspec

from fairlead.engine.orders import permit

MAX_WAITING = 1_000  # callers waiting at once, per scope and priority
MAX_WAIT_SECS = 10.0
MAX_PENALTY_SECS = 3 * 86_400.0  # the longest ban that venues of this kind are known to impose
DEFAULT_PENALTY_SECS = 2.0  # after a refusal for rate that names no wait
LIMITED_STATUSES = (418, 429)  # too many requests; 418 is the ban of a client that went on
_LEAST_WAIT_SECS = 0.000_001
_HEADER_CHARS_MAX = 64
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{0,9})?")

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


def retry_after_secs(headers: Mapping[str, str], now_ns: int) -> float:
    """The wait that the `Retry-After` of an answer asks for; 0 where none is readable.

    Seconds, whole or decimal, or an HTTP date (RFC 9110, 10.2.3). A date is compared with the
    answer's own `Date`, where it has one: our clock may be off. At most MAX_PENALTY_SECS.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    text = lowered.get("retry-after", "").strip()[:_HEADER_CHARS_MAX]
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_PENALTY_SECS)
    until = _http_date(text)
    if until is None:
        return 0.0
    now = _http_date(lowered.get("date", "").strip()[:_HEADER_CHARS_MAX])
    if now is None:
        now = datetime.fromtimestamp(now_ns / 1e9, UTC)
    return min(max((until - now).total_seconds(), 0.0), MAX_PENALTY_SECS)


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


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

    async def acquire(
        self, scope: str, priority: Priority, weight: int = 1, *, goes_out: bool = True
    ) -> None:
        """Wait until `weight` units fit the budget of `scope`, and take them.

        `goes_out` is False where the request needs another budget before it is sent.

        Raises RateLimited after `max_wait_secs`, at once where waiting can't help, when too many
        wait already, and when what is being created is not wanted any more (the kill switch, the
        stop of the run). A KeyError is a bug: an unknown scope.
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
        created = permit.current() if priority == "create" else None
        if created is not None:
            created.hold()
        try:
            async with self._turns.setdefault(key, asyncio.Lock()):
                await self._take(scope, window, priority, weight, deadline)
            self._ask(scope)
        finally:
            self._waiting[key] -= 1
        if created is not None and goes_out:
            created.let_out()

    def _ask(self, scope: str) -> None:
        """Asked anew: the wait may have been long."""
        if (why := permit.refusal()) is not None:
            raise self._refusal(scope, why, 0.0)

    async def _take(
        self, scope: str, window: _Window, priority: Priority, weight: int, deadline: float
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._ask(scope)
            now = loop.time()
            wait = window.wait_secs(priority, weight, now)
            if wait <= 0.0:
                window.grant(weight, now)
                return
            if now + wait > deadline:
                raise self._refusal(scope, f"no room for {wait:.1f} s", wait)
            # Past the edge, so that the oldest grant has left the window when this one enters.
            await permit.pause(wait + 0.001)

    def _refusal(self, scope: str, reason: str, retry_after_secs: float) -> RateLimited:
        self.refused_count += 1
        return RateLimited(scope, reason, retry_after_secs)

    def penalise(self, scope: str, secs: float, *, is_banned: bool = False) -> None:
        """The venue said that the limit is reached: give nothing of `scope` for `secs`.

        Of no scope at all when we are banned.
        """
        until = asyncio.get_running_loop().time() + min(max(secs, 0.0), MAX_PENALTY_SECS)
        windows = self._windows.values() if is_banned else (self._windows[scope],)
        for window in windows:
            window.blocked_until = max(window.blocked_until, until)

    def limited(self, scope: str, status: int, wait_secs: float) -> None:
        """Heed a refusal for rate that asks for `wait_secs` (0: it names none).

        By its HTTP status, or by the venue's own code in the answer.
        """
        secs = wait_secs or DEFAULT_PENALTY_SECS
        self.penalise(scope, secs, is_banned=status == 418)

    def budgets(self) -> dict[str, tuple[Rate, int, float]]:
        """By scope: its rate, units taken within the last window, seconds that nothing is given."""
        now = asyncio.get_running_loop().time()
        return {
            scope: (window.rate, self.used(scope), max(0.0, window.blocked_until - now))
            for scope, window in self._windows.items()
        }

    def used(self, scope: str) -> int:
        """Units taken within the last window, for the status line."""
        window = self._windows[scope]
        window._expire(asyncio.get_running_loop().time())
        return window.used
