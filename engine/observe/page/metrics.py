"""The run's figures for Prometheus, by its client library: `/metrics`, made when it is asked for.

Names begin with `fairlead_`; times are seconds. The optional extra `observe` has the library.
"""

from __future__ import annotations

from asyncio import all_tasks
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fairlead.engine.observe.arrivals import COMMAND, LATE
from fairlead.engine.observe.page.status import status_of
from fairlead.engine.status import BookState, LatencyHistogram, StreamState

if TYPE_CHECKING:
    from fairlead.engine.observe.page.snapshot import Snapshot
    from fairlead.engine.observe.page.sources import Sources
    from fairlead.engine.observe.page.told import Status

HOW = "pip install 'fairlead[observe]'"
KIND = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)  # seconds
LATENCIES = {
    "tick_to_order": "From the receipt of what a strategy answered to, to the order's send",
    "answer": "From a submission's turn to be sent to the venue's answers",
    "journal": "Of the journal's transactions",
    COMMAND: "On paper, from a command to its arrival at the simulated exchange",
    LATE: "Of that, what was beyond the latency that the config states",
}
Family = Any  # of prometheus_client, which need not be installed


class Metrics:
    """Of one run. Raises ImportError where the library is not installed."""

    def __init__(self, sources: Sources, snapshot: Snapshot) -> None:
        self._sources = sources
        self._snapshot = snapshot
        self._core = import_module("prometheus_client.core")
        self._registry = self._core.CollectorRegistry()
        self._registry.register(self)
        self._written = import_module("prometheus_client").generate_latest

    def text(self) -> bytes:
        """Raises RuntimeError where NautilusTrader lends its cache."""
        found: bytes = self._written(self._registry)
        return found

    def describe(self) -> list[Family]:
        """The library asks at the registration: nothing is collected for that."""
        return []

    def collect(self) -> Iterator[Family]:
        """What the library asks for."""
        status = status_of(
            self._sources,
            open_orders=self._snapshot.open_orders(),
            fills=self._snapshot.fill_count,
            worth=self._snapshot.worth(),
            is_controlled=False,
        )
        yield from self._run(status)
        yield from self._streams()
        yield from self._orders(status)
        yield from self._money(status)
        yield from self._times(status)
        yield from self._told()
        for name, text in LATENCIES.items():
            if (histogram := self._sources.status.latencies.get(name)) is not None:
                yield self._histogram(f"fairlead_{name}_seconds", text, histogram)

    # -- forms ---------------------------------------------------------------------------------

    def _gauge(self, name: str, text: str, labels: str = "", rows: Any = ()) -> Family:
        names = labels.split()
        family = self._core.GaugeMetricFamily(f"fairlead_{name}", text, labels=names)
        for *values, number in rows:
            family.add_metric([str(value) for value in values], float(number))
        return family

    def _counter(self, name: str, text: str, labels: str = "", rows: Any = ()) -> Family:
        names = labels.split()
        family = self._core.CounterMetricFamily(f"fairlead_{name}", text, labels=names)
        for *values, number in rows:
            family.add_metric([str(value) for value in values], float(number))
        return family

    def _histogram(self, name: str, text: str, found: LatencyHistogram) -> Family:
        buckets = [(str(secs), found.at_most(round(secs * 1e9))) for secs in BUCKETS]
        buckets.append(("+Inf", found.count))
        family = self._core.HistogramMetricFamily(name, text)
        family.add_metric([], buckets, sum_value=found.sum_ns / 1e9)
        return family

    # -- what is told --------------------------------------------------------------------------

    def _run(self, status: Status) -> Iterator[Family]:
        yield self._gauge(
            "info",
            "The run: 1",
            "name mode version state",
            [(status.name, status.mode, status.version, status.state, 1)],
        )
        started = self._sources.started_ns / 1e9
        yield self._gauge("start_time_seconds", "When it began, UNIX", rows=[(started,)])
        bad = sum(one.level == "bad" for one in status.wrong)
        yield self._gauge(
            "wrong",
            "Reasons why not all is well",
            "level",
            [("bad", bad), ("look", len(status.wrong) - bad)],
        )
        yield self._gauge("kills", "Kills in force", rows=[(len(status.kills),)])
        yield self._gauge("halts", "Halts in force", rows=[(len(status.halts),)])
        lag_secs = (status.loop_lag_ms or 0) / 1e3
        yield self._gauge("loop_lag_seconds", "Of the loop", rows=[(lag_secs,)])
        yield self._gauge("loop_tasks", "Of the loop, unfinished", rows=[(len(all_tasks()),)])
        problems = self._sources.status.problem_count
        yield self._counter("problems", "What an operator should know", rows=[(problems,)])

    def _streams(self) -> Iterator[Family]:
        state, now_ns = self._sources.status, self._sources.now_ns()
        streams = list(state.streams.values())
        rows = [(one.name, int(one.state is StreamState.CONNECTED)) for one in streams]
        yield self._gauge("stream_connected", "Whether it is up", "stream", rows)
        ages = [
            (one.name, (now_ns - one.last_frame_ns) / 1e9) for one in streams if one.last_frame_ns
        ]
        yield self._gauge("stream_age_seconds", "Since its last frame", "stream", ages)
        for name, field, text in (
            ("events", "frames", "Frames received"),
            ("bytes", "bytes", "Bytes received"),
            ("reconnects", "reconnects", "Connections after the first"),
            ("parse_errors", "parse_errors", "Frames that are not the venue's document's"),
        ):
            rows = [(one.name, getattr(one, field)) for one in streams]
            yield self._counter(name, text, "stream", rows)
        books = list(state.books.values())
        states = [
            (one.instrument, kind.value, one.state is kind) for one in books for kind in BookState
        ]
        yield self._gauge("book_state", "1 of the state it is in", "instrument state", states)
        rows = [(one.instrument, one.resyncs) for one in books]
        yield self._counter("book_resyncs", "Books that were made whole anew", "instrument", rows)
        rows = [(one.instrument, one.gaps) for one in books]
        yield self._counter("book_gaps", "Gaps in a book", "instrument", rows)

    def _orders(self, status: Status) -> Iterator[Family]:
        parts = self._sources.parts
        denied = {} if parts is None else parts.run_state.denial_counts
        yield self._gauge("open_orders", "Orders that are not over", rows=[(status.open_orders,)])
        yield self._gauge(
            "unknown_orders",
            "Orders whose outcome nothing proves",
            rows=[(status.unknown_orders,)],
        )
        yield self._counter("fills", "Executions told to strategies", rows=[(status.fills or 0,)])
        rows = sorted(denied.items())
        yield self._counter("denials", "Orders that the gate refused", "code", rows)
        waiting = [
            (one.venue.lower(), getattr(commands, "count", 0))
            for one in self._sources.accounts
            if (commands := getattr(one, "commands", None)) is not None
        ]
        yield self._gauge("commands_waiting", "For the venue's answers", "venue", waiting)

    def _money(self, status: Status) -> Iterator[Family]:
        worth = [(one.venue, one.currency, one.worth) for one in status.worth]
        yield self._gauge("worth", "Of an account, at the marks", "venue currency", worth)
        for name, field, text in (
            ("result", "result", "Since the risk state began"),
            ("lost_today", "lost_today", "Since 00:00 UTC; negative is a gain"),
            ("daily_loss_limit", "daily_loss_limit", "risk.max_daily_loss"),
            ("drawdown", "drawdown", "Below the highest result"),
            ("drawdown_limit", "drawdown_limit", "risk.max_drawdown"),
        ):
            rows = [
                (one.currency, value)
                for one in status.losses
                if (value := getattr(one, field)) is not None
            ]
            yield self._gauge(name, text, "currency", rows)
        gate = self._sources.gate
        held = {} if gate is None else gate.ledger.positions
        rows = sorted(held.items())
        yield self._gauge("position", "As the gate counts it, base units", "instrument", rows)

    def _times(self, status: Status) -> Iterator[Family]:
        clocks = [
            (one.venue, one.offset_ms / 1e3) for one in status.clocks if one.offset_ms is not None
        ]
        yield self._gauge("clock_offset_seconds", "The venue's less ours", "venue", clocks)
        compared = [
            (one.venue, (status.now_ns - one.ts_ns) / 1e9) for one in status.compared if one.ts_ns
        ]
        yield self._gauge("compared_age_seconds", "Since the last comparison", "venue", compared)
        budgets = status.budgets
        rows = [(one.venue or "gate", one.scope, one.used) for one in budgets]
        yield self._gauge("budget_used", "Of a budget of requests", "venue scope", rows)
        rows = [(one.venue or "gate", one.scope, one.count) for one in budgets]
        yield self._gauge("budget_size", "Of a budget of requests", "venue scope", rows)

    def _told(self) -> Iterator[Family]:
        """Alerts, and who asks the Telegram bot."""
        alerts, counters = self._sources.alerts, self._sources.status.counters
        told = [] if alerts is None else list(alerts.deliveries.items())
        for name, text in (
            ("sent", "Alerts that arrived"),
            ("failed", "Tries to send one that failed"),
            ("lost", "Alerts that were given up"),
        ):
            rows = [(endpoint, getattr(one, name)) for endpoint, one in told]
            yield self._counter(f"alerts_{name}", text, "endpoint", rows)
        rows = [(endpoint, one.waiting) for endpoint, one in told]
        yield self._gauge("alerts_waiting", "To be sent", "endpoint", rows)
        held = 0 if alerts is None else alerts.held
        yield self._counter("alerts_held", "Held back: too many in an hour", rows=[(held,)])
        strangers = counters.get("telegram_strangers", 0)
        text = "Messages of chats that are not allowed"
        yield self._counter("telegram_strangers", text, rows=[(strangers,)])
