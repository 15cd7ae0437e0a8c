"""How long the commands of a paper run really took to the simulated exchange.

The config states a latency; a machine that is busy hands a command over later than that, and it
meets the market of then. So what was measured stands beside what was stated.
"""

from __future__ import annotations

import msgspec

from fairlead.engine.observe.assumptions import Execution
from fairlead.engine.status import LatencyHistogram, RunStatus

COMMAND, LATE = "command", "command_late"  # names of what a run's status measures
MS_NS = 1_000_000
LATE_NS = MS_NS  # later than this is told; a loop's timers know no less
LATE_SHARE = 0.01  # where so many were


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """Of the commands (submit, modify, cancel) that arrived, from when they were given, in ns.

    Percentiles are within 3.2 %. `late` of them came more than 1 ms after their latency was over;
    of all, `late_p50_ns` and `late_max_ns` is what was beyond it.
    """

    count: int
    p50_ns: int
    p99_ns: int
    max_ns: int
    late: int
    late_p50_ns: int
    late_max_ns: int

    def __str__(self) -> str:
        median, p99, most = (_ms(one) for one in (self.p50_ns, self.p99_ns, self.max_ns))
        late = f"{self.late:,} more than {_ms(LATE_NS)} late" if self.late else "none late"
        return f"{self.count:,} commands: p50 {median}, p99 {p99}, max {most} ({late})"


def arrived(status: RunStatus, taken_ns: int, late_ns: int) -> None:
    """Count one."""
    status.latency(COMMAND).record(taken_ns)
    status.latency(LATE).record(late_ns)


def arrivals(status: RunStatus, execution: Execution | None) -> Arrivals | None:
    """None where no command arrived at a simulated exchange."""
    taken, late = (status.latencies.get(name) for name in (COMMAND, LATE))
    if taken is None or late is None or execution is None:
        return None
    # Each took its latency, and what was beyond it: where that is one for all, it is known to the
    # nanosecond, which the histogram's buckets are not
    base_ns = 0 if execution.latency else int(execution.latency_ms * MS_NS)
    known = taken if execution.latency else late
    return Arrivals(
        count=taken.count,
        p50_ns=base_ns + _percentile(known, 50),
        p99_ns=base_ns + _percentile(known, 99),
        max_ns=taken.max_ns,
        late=late.count - late.at_most(LATE_NS),
        late_p50_ns=_percentile(late, 50),
        late_max_ns=late.max_ns,
    )


def note(found: Arrivals | None, execution: Execution | None) -> list[str]:
    """What a person must know of them: where they differ from what was stated."""
    if found is None or execution is None or found.late < found.count * LATE_SHARE:
        return []
    if not found.late:
        return []
    return [
        f"LATENCY: {found.late:,} of {found.count:,} commands arrived more than {_ms(LATE_NS)} "
        f"later than the stated {execution.latency_told}, and met the market of then: the machine "
        "was busy"
    ]


def _percentile(histogram: LatencyHistogram, percent: float) -> int:
    return histogram.percentile(percent) or 0


def _ms(ns: int) -> str:
    return f"{ns / MS_NS:,.3f}".rstrip("0").rstrip(".") + " ms"
