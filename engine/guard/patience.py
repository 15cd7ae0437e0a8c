"""How long a position's close waits for own orders: they are named, and in the end it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from fairlead.engine.guard.core import Core
from fairlead.engine.guard.stop import Stop

TOLD_NS = 2_000_000_000  # after that a person hears what is waited for
WAIT_NS = 20_000_000_000  # and after that it is waited for no more


class _Wait(msgspec.Struct):
    names: list[str]
    is_over: bool = False


class Patience:
    """Of one strategy, by instrument; `then` is called when a wait is over. By alerts, since a
    machine's clock may step back."""

    def __init__(self, core: Core, stop: Stop, what: str, then: Callable[[], None]) -> None:
        self._core = core
        self._stop = stop
        self._what = what
        self._then = then
        self._waits: dict[str, _Wait] = {}
        self._count = 0  # of alerts: one of a wait before may be set still

    def waits(self, instrument: str, names: Iterable[str]) -> bool:
        """Whether these orders are waited for still; none ends the wait."""
        now = list(names)
        if not now:
            self._waits.pop(instrument, None)
            return False
        wait = self._waits.get(instrument)
        if wait is None:
            wait = self._waits[instrument] = _Wait(now)
            for after_ns, is_over in ((TOLD_NS, False), (WAIT_NS, True)):
                self._alert(instrument, wait, after_ns, is_over=is_over)
        wait.names = now
        return not wait.is_over

    def is_over(self, instrument: str) -> bool:
        """Whether it was waited for long enough, and for nothing."""
        wait = self._waits.get(instrument)
        return wait is not None and wait.is_over

    def _alert(self, instrument: str, wait: _Wait, after_ns: int, *, is_over: bool) -> None:
        def tell(event: Any) -> None:
            if self._waits.get(instrument) is not wait:
                return
            wait.is_over |= is_over
            self._core.strategy.log.error(
                f"the position in {instrument} is {'closed' if is_over else 'NOT CLOSED YET'}, "
                f"though these orders are not over after {after_ns // 1_000_000_000} s: "
                f"{', '.join(wait.names)}{'; what they may close is left to them' * is_over}"
            )
            if is_over:
                self._then()

        clock = self._core.clock()
        self._count += 1
        name = f"guard-{self._what}-{self._core.id}-{self._count}"
        at_ns = self._core.ready().now_ns() + after_ns
        clock.set_time_alert_ns(name, at_ns, callback=self._stop.safe(self._what, tell))
