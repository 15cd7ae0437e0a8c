"""How a node's run ended, what it leaves to report, and the exit codes of what can end it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from fairlead.engine.errors import MEANING, Exit
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.observe.assumptions import StrategyUsed
from fairlead.engine.observe.gone import GoneOrders
from fairlead.engine.observe.journaled import Booked
from fairlead.engine.orders.journal_reads import JournalError
from fairlead.engine.orders.model import Finding
from fairlead.engine.recording.session import Recording
from fairlead.engine.research.marks import Marks
from fairlead.engine.run.remains import NAMES_MAX, Held, counted_ids, not_flat
from fairlead.engine.run.slowly import said_if_slow
from fairlead.engine.status import RunStatus

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
    "JRN-READ": Exit.FAILED,
    "JRN-CORRUPT": Exit.FAILED,
    "JRN-CHANGED": Exit.FAILED,
    "STOP-TIMEOUT": Exit.TIMED_OUT,
    "STOP-AT-ONCE": Exit.INTERRUPTED,
    "KEY-REFUSED": Exit.VENUE,
    "RECORDING": Exit.FAILED,
    "JRN-INSTRUMENT": Exit.DRIFT,
    "JOURNAL-EMPTY": Exit.DRIFT,
    "BALANCE-DRIFT": Exit.DRIFT,
    "NATIVE-DRIFT": Exit.DRIFT,
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
    refusals: Mapping[str, str] = {}  # of their cancels, by the venue, where it told any
    seconds: float
    node: Any  # stopped; `close` ends it
    run_state: RunState
    used: Sequence[StrategyUsed] = ()
    recording: Recording | None
    is_closed: bool = False
    booked: Sequence[Booked | JournalError] = ()  # of a live run, what each journal has of it
    held: tuple[str, ...] = ()  # instruments of a journal that the config does not name
    remains: Sequence[Held] = ()  # positions at the end
    marks: Marks = msgspec.field(default_factory=Marks)
    gone: GoneOrders | None = None  # orders of a live run that the cache holds no more

    @property
    def cache(self) -> Any:
        return NoCache() if self.node is None else self.node.cache

    def close(self) -> None:
        """Drop the node, and bring the last of the recording into the catalog."""
        if self.is_closed:
            return
        self.is_closed = True
        if self.node is not None:
            with said_if_slow("NautilusTrader closes its node"):
                self.node.dispose()
        if self.gone is not None:
            self.gone.close()
        if self.recording is not None:
            with said_if_slow("the last rows of the recording are brought into its catalog"):
                self.recording.finish()


class NoCache:
    """The cache of a run that was stopped before it had one."""

    def orders(self) -> list[Any]:
        return []

    def instrument(self, instrument_id: Any) -> None:
        return None


def ending(run_state: RunState) -> tuple[Exit, str]:
    """Exit code and a line for people. A breach outweighs a fault, a fault everything else."""
    if run_state.breach is not None:
        breach = run_state.breach
        return Exit.BREACH, f"{MEANING[Exit.BREACH]}: {breach.strategy}: {breach.what}"
    if run_state.fault_count:
        return Exit.FAULTED, f"{MEANING[Exit.FAULTED]}: {run_state.faults[0]}"
    if run_state.interrupted:
        return Exit.INTERRUPTED, "interrupted"
    if run_state.stop_reason:
        return Exit.OK, f"stopped: {run_state.stop_reason}"
    return Exit.OK, MEANING[Exit.OK]


def verdict(
    run_state: RunState,
    failure: tuple[str, str] | None,
    stop_reason: str,
    *,
    unresolved: Sequence[str],
    left_open: Sequence[str],
    killed: str | None,
    halted: str | None,
    held: Sequence[Held] = (),
    refusals: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Exit, str]:
    """A strategy's end comes first, then what ended the run, then what the stop left behind.

    `refusals`: why the venue refused the cancel of those that are left open, where it did.
    `failure` is a code and a message, `killed` and `halted` what is in force, `held` what is held.
    """
    exit_code, reason = ending(run_state)
    if exit_code is not Exit.OK:
        return exit_code, reason
    if failure is not None and failure[0] not in CUT_OFF:
        code, message = failure
        return EXITS.get(code, Exit.VENUE), f"{code}: {message}"
    if unresolved:
        text = "the outcome of these orders is unknown; the next start goes on asking: "
        return Exit.UNRESOLVED, f"{text}{counted_ids(unresolved)}{_rest(unresolved)}"
    if left_open:
        return Exit.UNRESOLVED, _uncancelled(left_open, refusals)
    if failure is not None:
        code, message = failure
        stays = not_flat(held)
        more = f"; {stays}" if stays is not None else ""
        return EXITS[code], f"{code}: {message}{more}"
    reason = stop_reason or reason
    if killed is not None:
        return Exit.KILLED, f"{killed}; {reason}"
    if halted is not None:
        return Exit.KILLED, f"{halted} ({reason})"
    if (broken := not_flat(held)) is not None:
        return Exit.NOT_FLAT, f"{broken} ({reason})"
    return Exit.OK, reason


def _uncancelled(left_open: Sequence[str], refusals: Mapping[str, str]) -> str:
    """By what the venue said: its refusal is an answer, and no confirmation that is missing."""
    groups: dict[str, list[str]] = {}
    for name in left_open:
        groups.setdefault(refusals.get(name, ""), []).append(name)
    told = [
        f"the venue refused the cancel of these orders ({why}): {counted_ids(names)}"
        if why
        else f"the venue did not confirm the cancel of these orders: {counted_ids(names)}"
        for why, names in groups.items()
    ]
    return "; ".join(told) + _rest(left_open)


def _rest(names: Sequence[str]) -> str:
    return "; `fairlead orders CONFIG` lists all of them" if len(names) > NAMES_MAX else ""
