"""A run and its clocks: after a step orders wait, a finding is kept, the recording gets a row."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from fairlead.adapters.base.clock import ClockWatch, Step
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.adapters.base.venue import VenueError
from fairlead.engine.orders.journal import JournalError
from fairlead.engine.orders.model import Finding
from fairlead.engine.recording.gaps import GapKind, GapRow
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.run.trading import TradingAccount

logger = logging.getLogger(__name__)

CLOCK_STEP = "CLOCK-STEP"


class RunClocks:
    """The clocks of one run; `findings` are what a person is told at its end."""

    def __init__(
        self,
        runtimes: Sequence[VenueRuntime],
        gate: RiskGate,
        trading: Sequence[TradingAccount],
        now_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
    ) -> None:
        self.findings: list[Finding] = []
        self._runtimes = runtimes
        self._gate = gate
        self._trading = trading
        self._watch = ClockWatch(
            [runtime.adapter for runtime in runtimes],
            now_ns=now_ns,
            monotonic_ns=monotonic_ns,
            on_step=self._stepped,
            on_offset=gate.clock_offset,
            on_failure=self._failed,
        )
        gate.books.look_at_clock = self._watch.look

    async def run(self) -> None:
        """For as long as the run."""
        for runtime in self._runtimes:
            offset_ms = runtime.adapter.clock_offset_ms
            if offset_ms is not None:
                self._gate.clock_offset(runtime.adapter.venue, offset_ms)
        await self._watch.run()

    def _stepped(self, step: Step) -> None:
        who = f"the clock of {step.venue}" if step.venue else "this machine's clock"
        text = f"{who} was set by {step.secs:+.3f} s"
        if not step.venue:
            for runtime in self._runtimes:
                self._gate.clock_unknown(runtime.adapter.venue, text)
        logger.warning("%s: %s; orders wait for a measured offset", CLOCK_STEP, text)
        finding = Finding(
            code=CLOCK_STEP,
            instrument=step.venue,
            subject="clock",
            journal=text,
            venue="measured again",
            action="no order was created until the offset was within risk.max_clock_offset_ms",
            ts_event=step.to_ns,
        )
        self.findings.append(finding)
        for trading in self._trading:
            if trading.desk is not None and step.venue in ("", trading.venue):
                try:
                    trading.journal.finding(finding)
                except JournalError as error:
                    trading.desk.fail(error)
        row = GapRow(
            kind=GapKind.CLOCK_STEP,
            instrument="",
            reason=text,
            from_ns=min(step.from_ns, step.to_ns),
            to_ns=max(step.from_ns, step.to_ns),
        )
        first = self._runtimes[0]
        first.status.problem(step.to_ns, CLOCK_STEP, text)
        first.record_gap(row)

    def _failed(self, venue: str, error: VenueError) -> None:
        logger.warning("the clock of %s can't be measured: %s", venue, error)
