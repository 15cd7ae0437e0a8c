"""The way to the simulated exchange: commands arrive after the latency, to the nanosecond.

The event loop's timers are coarse, and late under load. So what is due is carried out before any
event of the market that came after it, and bears the time when it was due. The loop's own clock
sees to it that a command arrives also when the machine's clock is set.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from fairlead.engine.matching.exchange import Exchange

MS_NS = 1_000_000


class _OnItsWay(msgspec.Struct, frozen=True):
    due_ns: int
    due_secs: float  # by the loop's clock
    taken_ns: int  # from when it was given
    late_ns: int  # of that, beyond its latency
    command: Callable[[int], None]


class Line:
    """Commands in the order in which they were sent, and the market, in the order of time.

    `now_ns` is the run's clock, `on_error` hears of a defect in what a timer carried out. Where
    latencies differ, `delay_ns` draws that of each command, and `latency_ns` is the longest.
    `on_arrival(taken_ns, late_ns)` hears how long each command took since it was given, and how
    much of that is beyond its latency: a busy machine hands over what was due already.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        latency_ns: int,
        now_ns: Callable[[], int],
        on_error: Callable[[Exception], None],
        delay_ns: Callable[[], int] | None = None,
        on_arrival: Callable[[int, int], None] | None = None,
    ) -> None:
        self._exchange = exchange
        self._latency_ns = latency_ns
        self._now_ns = now_ns
        self._on_error = on_error
        self._delay_ns = delay_ns
        self._on_arrival = on_arrival
        self._sent: deque[_OnItsWay] = deque()
        self._last_due_ns = self._last_wanted_ns = 0
        self._timer: asyncio.TimerHandle | None = None

    def send(self, sent_ns: int, command: Callable[[int], None]) -> None:
        """Carry out `command(due_ns)` the latency after it was sent, and not before now.

        Call from the event loop.
        """
        now_ns, latency_ns = self._now_ns(), self._latency_ns
        if self._last_due_ns > now_ns + latency_ns:
            self._last_due_ns = self._last_wanted_ns = 0  # the clock was set back
        if self._delay_ns is not None:
            latency_ns = self._delay_ns()
        sent_ns = min(sent_ns, now_ns)
        # None overtakes the one before it: that is no lateness, but where the other's was
        self._last_wanted_ns = max(sent_ns + latency_ns, self._last_wanted_ns)
        due_ns = max(sent_ns, now_ns - latency_ns) + latency_ns
        due_ns = max(due_ns, self._last_due_ns)
        self._last_due_ns = due_ns
        late_ns = due_ns - self._last_wanted_ns
        due_secs = asyncio.get_running_loop().time() + (due_ns - now_ns) / 1e9
        self._sent.append(_OnItsWay(due_ns, due_secs, due_ns - sent_ns, late_ns, command))
        self.arm()

    def market(self, ts_ns: int, event: Callable[[int], None]) -> None:
        """Show the exchange an event that was received at `ts_ns`, after what was due before."""
        self._carry_out(ts_ns - 1)
        event(ts_ns)
        self.arm()

    def arm(self) -> None:
        """Set the timer for what is next: a command, or an order that expires."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop, waits = asyncio.get_running_loop(), []
        if self._sent:
            waits.append(self._sent[0].due_secs - loop.time())
        expiry_ns = self._exchange.next_expiry_ns()
        if expiry_ns is not None:
            waits.append((expiry_ns - self._now_ns()) / 1e9)
        if waits:
            self._timer = loop.call_later(_in_whole_ms(min(waits)), self._rung)

    def finish(self) -> None:
        """The run ends: what is on its way is carried out now, and no timer is set any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_ns = self._now_ns()
        try:
            while self._sent:
                self._sent.popleft().command(now_ns)
        except Exception as error:
            self._on_error(error)

    def _rung(self) -> None:
        self._timer = None
        now_secs = asyncio.get_running_loop().time()
        try:
            while self._sent and self._sent[0].due_secs <= now_secs:
                self._next()
            self._carry_out(self._now_ns())
        except Exception as error:
            self._on_error(error)
        else:
            self.arm()

    def _carry_out(self, until_ns: int) -> None:
        while self._sent and self._sent[0].due_ns <= until_ns:
            self._next()
        self._exchange.advance(until_ns)

    def _next(self) -> None:
        sent = self._sent.popleft()
        if self._on_arrival is not None:
            self._on_arrival(sent.taken_ns, sent.late_ns)
        sent.command(sent.due_ns)


def _in_whole_ms(secs: float) -> float:
    """Upwards: the loop's timers know no less, and one that rings early would ring again."""
    return max(0, -int(-secs * 1e9 // MS_NS)) / 1000
