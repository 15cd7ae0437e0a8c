"""The way to the simulated exchange: commands arrive after the latency, to the nanosecond.

The event loop's timers are coarse, and late under load. So what is due is carried out before any
event of the market that came after it, and bears the time when it was due.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from engine.matching.exchange import Exchange

MS_NS = 1_000_000


class Line:
    """Commands in the order in which they were sent, and the market, in the order of time.

    `now_ns` is the run's clock, `on_error` hears of a defect in what a timer carried out.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        latency_ns: int,
        now_ns: Callable[[], int],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._exchange = exchange
        self._latency_ns = latency_ns
        self._now_ns = now_ns
        self._on_error = on_error
        self._due: deque[tuple[int, Callable[[int], None]]] = deque()
        self._last_due_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0

    @property
    def last_due_ns(self) -> int:
        """When the last command arrives that is on its way; 0: none is."""
        return self._due[-1][0] if self._due else 0

    def send(self, sent_ns: int, command: Callable[[int], None]) -> None:
        """Carry out `command(due_ns)` the latency after it was sent, and not before now.

        Call from the event loop.
        """
        due_ns = max(sent_ns + self._latency_ns, self._now_ns(), self._last_due_ns)
        self._last_due_ns = due_ns
        self._due.append((due_ns, command))
        self.arm()

    def market(self, ts_ns: int, event: Callable[[int], None]) -> None:
        """Show the exchange an event that was received at `ts_ns`, after what was due before."""
        self._carry_out(ts_ns - 1)
        event(ts_ns)
        self.arm()

    def arm(self) -> None:
        """Set the timer for what is next: a command, or an order that expires."""
        expiry_ns = self._exchange.next_expiry_ns()
        times = [due for due in (self._due[0][0] if self._due else None, expiry_ns) if due]
        next_ns = min(times, default=0)
        if self._timer is not None and (not next_ns or next_ns != self._timer_ns):
            self._timer.cancel()
            self._timer = None
        if next_ns and self._timer is None:
            # In whole milliseconds, upwards: a timer that rings early would ring again and again.
            wait_secs = -(min(0, self._now_ns() - next_ns) // MS_NS) / 1000
            self._timer_ns = next_ns
            self._timer = asyncio.get_running_loop().call_later(wait_secs, self._rung)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rung(self) -> None:
        self._timer = None
        try:
            self._carry_out(self._now_ns())
        except Exception as error:
            self._on_error(error)
        else:
            self.arm()

    def _carry_out(self, until_ns: int) -> None:
        while self._due and self._due[0][0] <= until_ns:
            due_ns, command = self._due.popleft()
            command(due_ns)
        self._exchange.advance(until_ns)
