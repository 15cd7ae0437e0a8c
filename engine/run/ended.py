"""How a node's run ended, what it leaves to report, and the exit codes of what can end it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from adapters.base.runtime import VenueRuntime
from engine.errors import Exit
from engine.guard.run_state import RunState
from engine.observe.journaled import Booked
from engine.orders.journal_reads import JournalError
from engine.orders.model import Finding
from engine.recording.session import Recording
from engine.status import RunStatus

Mode = Literal["live", "paper", "record"]

CUT_OFF = frozenset({"STOP-TIMEOUT", "STOP-AT-ONCE"})
EXITS: Mapping[str, Exit] = {
    "DESK-FAILED": Exit.FAILED,
    "TRADING-DEFECT": Exit.FAILED,
    "CONNECT-DEFECT": Exit.FAILED,
    "STREAM-DEFECT": Exit.FAILED,
    "DATA-DEFECT": Exit.FAILED,
    "PAPER-DEFECT": Exit.FAILED,
    "NODE": Exit.FAILED,
    "JRN-WRITE": Exit.FAILED,
    "JRN-CORRUPT": Exit.FAILED,
    "JRN-CHANGED": Exit.FAILED,
    "STOP-TIMEOUT": Exit.TIMED_OUT,
    "STOP-AT-ONCE": Exit.FAILED,
    "KEY-REFUSED": Exit.VENUE,
    "RECORDING": Exit.FAILED,
    "JRN-INSTRUMENT": Exit.DRIFT,
    "JOURNAL-EMPTY": Exit.DRIFT,
    "BALANCE-DRIFT": Exit.DRIFT,
}


class Ended(msgspec.Struct, kw_only=True):
    """How a node's run ended, and what it leaves to report.

    `node` is None when the run was stopped before there was one. `unresolved` are the client order
    ids whose outcome is unknown, `left_open` those that could not be cancelled.
    """

    exit: Exit
    reason: str
    status: RunStatus
    findings: list[Finding]
    unresolved: list[str]
    left_open: list[str]
    seconds: float
    node: Any  # stopped; `close` ends it
    gate: Any
    run_state: RunState
    recording: Recording | None
    is_closed: bool = False
    booked: Sequence[Booked | JournalError] = ()  # of a live run, what each journal has of it
    held: tuple[str, ...] = ()  # instruments of a journal that the config does not name

    @property
    def cache(self) -> Any:
        return NoCache() if self.node is None else self.node.cache

    def close(self) -> None:
        """Drop the node, and bring the last of the recording into the catalog."""
        if self.is_closed:
            return
        self.is_closed = True
        if self.node is not None:
            self.node.dispose()
        if self.recording is not None:
            self.recording.finish()


class NoCache:
    """The cache of a run that was stopped before it had one."""

    def orders(self) -> list[Any]:
        return []

    def instrument(self, instrument_id: Any) -> None:
        return None


def connect_exit(runtime: VenueRuntime) -> Exit:
    """A venue that answers, but lacks an instrument of the config: the config is wrong."""
    known = runtime.adapter.instruments
    lacks = [name for name in runtime.instruments if name not in known]
    return Exit.CONFIG if known and lacks else Exit.VENUE
