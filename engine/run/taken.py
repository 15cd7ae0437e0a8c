"""What took away the stop of a position that is still held at the end of a run."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from fairlead.engine.brackets.strategy import TAKEN
from fairlead.engine.kill.bare import Lost, lost_stops
from fairlead.engine.kill.records import HALT_SUBJECT, NOTES_MAX, HaltRecord
from fairlead.engine.kill.state import Kill
from fairlead.engine.observe.page.control import ASKED, AskedBy
from fairlead.engine.orders.held import PASSED
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournalError
from fairlead.engine.orders.model import OrderState
from fairlead.engine.risk.facts import LOSS_CODES
from fairlead.engine.run.trading import TradingAccount

Gone = tuple[tuple[str, str], str, bool]


def gone_stops(
    trading: Sequence[TradingAccount],
    guards: Mapping[str, Any],
    kills: Collection[Kill],
    since_ns: int,
    *,
    flattens: bool,
) -> Iterator[Gone]:
    """By strategy and instrument, why a stop is gone, and whether somebody wanted that: the config,
    its strategy, a person. What an earlier run has told is left out.

    `guards` are of the strategies that were started, `kills` in force; `flattens`: a broken loss
    limit closes.
    """
    for account in trading:
        try:
            of = account.venue.lower(), account.account
            unbooked = {name: int(account.takes_ns) for name in account.ended_unjournaled}
            for one in lost_stops(account.journal, *of, kills, unbooked):
                if one.kill is not None or one.ts_ns >= since_ns:
                    why = _why(one, account, guards.get(one.strategy), flattens=flattens)
                    yield (one.strategy, one.instrument), *why
        except JournalError:
            continue  # it is told what is wrong with it


def _why(
    lost: Lost, account: TradingAccount, guard: Any | None, *, flattens: bool
) -> tuple[str, bool]:
    """What the journal tells of its cancel comes before what the time of it tells."""
    stop = f"{lost.stop} was cancelled"
    if lost.kill is not None:
        return f"{stop} by the kill of {lost.kill.scope}", False
    journal = account.journal
    records = [(kind, body) for _, _, kind, body in journal.story(lost.stop)]
    if any(kind == "LATE" for kind, _ in records):
        return f"{stop}, as it came after it was given up (ORDER-LATE)", False
    if not lost.is_asked:
        return f"{stop}, and not as this run asked", False
    first = next((one for one in records if one[0] in (ASKED, "CANCEL")), None)
    if first is not None and first[0] == ASKED:
        return f"{stop}, as {msgspec.json.decode(first[1], type=AskedBy).by} asked", True
    if journal.refusal(lost.stop, OrderState.CANCELED).code == PASSED:
        return f"{stop}, as its level was passed while nobody looked (held.passed)", True
    if guard is not None and lost.ts_ns >= guard.stop.silent_ns:
        return f"{stop} as its strategy was stopped for a fault", False
    if lost.ts_ns >= account.takes_ns:
        return TAKEN, True
    if flattens and any(since <= lost.ts_ns <= until for since, until in _loss_halts(journal)):
        return f"{stop} to close what it protected, as a loss limit was broken", False
    who = "this run" if guard is None else "its strategy"
    return f"{stop}, as {who} asked, and no other lives", guard is not None


def _loss_halts(journal: Journal) -> Iterator[tuple[int, float]]:
    """From when until when each was in force, UNIX ns."""
    notes = journal.notes_from(HALT_SUBJECT, 0, NOTES_MAX, HaltRecord)
    cleared = {one.halt: one.cleared.ts_ns for one in notes if one.cleared is not None}
    for halt in dict.fromkeys(one.halt for one in notes if one.halt.code in LOSS_CODES):
        yield halt.ts_ns, cleared.get(halt, math.inf)
