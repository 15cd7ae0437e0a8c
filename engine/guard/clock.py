"""The clock of a guarded strategy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class GuardedClock:
    """A strategy's clock whose timer callbacks end the run when they raise."""

    __slots__ = ("_native", "_safe", "timestamp_ns")

    def __init__(self, native: Any, safe: Callable[[str, Any], Any]) -> None:
        self._native = native
        self._safe = safe
        self.timestamp_ns = native.timestamp_ns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def set_time_alert(
        self, name: str, alert_time: Any, callback: Any = None, allow_past: bool | None = None
    ) -> None:
        self._native.set_time_alert(name, alert_time, self._wrap(name, callback), allow_past)

    def set_time_alert_ns(
        self, name: str, alert_time_ns: int, callback: Any = None, allow_past: bool | None = None
    ) -> None:
        self._native.set_time_alert_ns(name, alert_time_ns, self._wrap(name, callback), allow_past)

    def set_timer(
        self,
        name: str,
        interval: Any,
        start_time: Any = None,
        stop_time: Any = None,
        callback: Any = None,
        *rest: Any,
        **options: Any,
    ) -> None:
        safe = self._wrap(name, callback)
        self._native.set_timer(name, interval, start_time, stop_time, safe, *rest, **options)

    def set_timer_ns(
        self,
        name: str,
        interval_ns: int,
        start_time_ns: int | None = None,
        stop_time_ns: int | None = None,
        callback: Any = None,
        *rest: Any,
        **options: Any,
    ) -> None:
        safe = self._wrap(name, callback)
        self._native.set_timer_ns(
            name, interval_ns, start_time_ns, stop_time_ns, safe, *rest, **options
        )

    def set_timer_zoned(
        self,
        name: str,
        interval: str,
        start_time: Any,
        stop_time: Any = None,
        callback: Any = None,
        *rest: Any,
        **options: Any,
    ) -> None:
        safe = self._wrap(name, callback)
        self._native.set_timer_zoned(name, interval, start_time, stop_time, safe, *rest, **options)

    def register_default_handler(self, callback: Any) -> None:
        self._native.register_default_handler(self._wrap("default", callback))

    def _wrap(self, name: str, callback: Any) -> Any:
        # Without one the strategy's on_time_event is called, which is wrapped itself
        return None if callback is None else self._safe(f"callback of timer {name}", callback)
