"""A strategy's clock on the session's virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from nautilus_trader.common import TimeEvent
from nautilus_trader.core import UUID4


class HostClock:
    """The part of NautilusTrader's `Clock` that strategies and guard use.

    Stamps are of the machine's clock, which may be wrong; timers are not moved by its steps.
    `is_over` ends them: the process is dead, or the strategy stopped.
    """

    def __init__(self, now_ns: Callable[[], int], is_over: Callable[[], bool]) -> None:
        self._now_ns = now_ns
        self._is_over = is_over
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def timestamp_ns(self) -> int:
        return self._now_ns()

    def set_timer(
        self,
        name: str,
        interval: timedelta,
        start_time: None = None,
        stop_time: None = None,
        callback: Any = None,
    ) -> None:
        self.set_timer_ns(name, round(interval.total_seconds() * 1e9), callback=callback)

    def set_timer_ns(
        self,
        name: str,
        interval_ns: int,
        start_time_ns: None = None,
        stop_time_ns: None = None,
        callback: Any = None,
    ) -> None:
        def fire() -> None:
            if self._is_over():
                return
            self._arm(name, interval_ns, fire)
            callback(self._event(name))

        self._arm(name, interval_ns, fire)

    def set_time_alert_ns(
        self, name: str, alert_time_ns: int, callback: Any = None, allow_past: bool | None = None
    ) -> None:
        def fire() -> None:
            self._timers.pop(name, None)
            if not self._is_over():
                callback(self._event(name))

        self._arm(name, max(0, alert_time_ns - self._now_ns()), fire)

    def _arm(self, name: str, after_ns: int, fire: Callable[[], None]) -> None:
        self.cancel_timer(name)
        self._timers[name] = asyncio.get_running_loop().call_later(after_ns / 1e9, fire)

    def cancel_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def cancel_timers(self) -> None:
        for name in list(self._timers):
            self.cancel_timer(name)

    def _event(self, name: str) -> TimeEvent:
        now = self._now_ns()
        return TimeEvent(name, UUID4(), now, now)
