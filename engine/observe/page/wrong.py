"""Is all well? The reasons why not, worst first, each with what it means for the run."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from fairlead.engine.observe.page.told import LossTold, Wrong
from fairlead.engine.status import BookState, StreamState

if TYPE_CHECKING:
    from fairlead.engine.observe.page.sources import Sources

SECOND_NS = 1_000_000_000
COMPARED_LATE_NS = 180 * SECOND_NS  # several comparisons have failed by then
STREAM_SILENT_NS = 60 * SECOND_NS
PROBLEM_NEW_NS = 300 * SECOND_NS
LOSS_NEAR = Decimal("0.8")  # of a limit
LAG_NS = 500_000_000
SHOWN_CHARS = 300


def wrong_of(sources: Sources, now_ns: int, losses: list[LossTold], unknown: int) -> list[Wrong]:
    """Empty: all is well."""
    found = [
        *_stops(sources),
        *_orders(sources, unknown),
        *_streams(sources, now_ns),
        *_clocks(sources),
        *_comparisons(sources, now_ns),
        *_losses(losses),
        *_problems(sources, now_ns),
    ]
    if sources.state() != "running":
        found.append(_look("NOT-RUNNING", f"the run is {sources.state()}"))
    if sources.loop_lag_ns > LAG_NS:
        ms = sources.loop_lag_ns // 1_000_000
        found.append(_look("LOOP-LAG", f"the engine's loop was held up for {ms} ms"))
    return sorted(found, key=lambda one: one.level)


def _bad(code: str, text: str) -> Wrong:
    return Wrong(level="bad", code=code, text=text[:SHOWN_CHARS])


def _look(code: str, text: str) -> Wrong:
    return Wrong(level="look", code=code, text=text[:SHOWN_CHARS])


def _stops(sources: Sources) -> Iterator[Wrong]:
    """What refuses new orders."""
    for kill in sources.kills.in_force() if sources.kills is not None else ():
        yield _bad("KILLED", f"{kill}; nothing is created until a person clears it")
    gate = sources.gate
    if gate is None:
        return
    for venue, halt in gate.halts():
        where = venue.lower() or "every venue"
        yield _bad(
            "HALTED", f"{where}: {halt.reason}; nothing new is sent until a person clears it"
        )
    snapshot = gate.snapshot()
    for strategy, reason in snapshot.faulted.items():
        yield _bad("FAULTED", f"{strategy} is stopped for the rest of the run: {reason}")
    why = snapshot.kill_switch
    if why is not None and (sources.kills is None or not sources.kills.in_force()):
        yield _bad("STOPPED", why)


def _orders(sources: Sources, unknown: int) -> Iterator[Wrong]:
    if unknown:
        noun = "order has" if unknown == 1 else "orders have"
        yield _look("UNKNOWN", f"{unknown} {noun} no proven outcome: the engine goes on asking")
    for account in sources.accounts:
        missing = getattr(account.desk, "missing", None)
        if missing is not None and (lost := missing()):
            yield _bad(
                "MISSING",
                f"{account.venue.lower()} tells nothing of {len(lost)} orders that it accepted",
            )


def _streams(sources: Sources, now_ns: int) -> Iterator[Wrong]:
    for name, stream in sources.status.streams.items():
        if stream.state is not StreamState.CONNECTED:
            told = f": {stream.last_error}" if stream.last_error else ""
            yield _bad("STREAM", f"{name} is {stream.state}{told}")
        elif stream.last_frame_ns and now_ns - stream.last_frame_ns > STREAM_SILENT_NS:
            secs = (now_ns - stream.last_frame_ns) // SECOND_NS
            yield _look("STREAM", f"{name} has told nothing for {secs} s")
    for name, book in sources.status.books.items():
        if book.state is not BookState.VALID:
            yield _look("BOOK", f"the book of {name} is {book.state}: no order is checked by it")


def _clocks(sources: Sources) -> Iterator[Wrong]:
    gate = sources.gate
    if gate is None or not sources.trades:
        return
    for venue, why in gate.books.clock_unknown.items():
        yield _look("CLOCK", f"{venue.lower()}: {why}; orders wait for a measured offset")
    for venue, ms in gate.books.offsets_ms.items():
        if abs(ms) > gate.limits.max_clock_offset_ms and venue not in gate.books.clock_unknown:
            yield _bad(
                "CLOCK",
                f"{venue.lower()}'s clock is {ms:+.0f} ms off, {gate.limits.max_clock_offset_ms} "
                "are allowed; no order is created",
            )


def _comparisons(sources: Sources, now_ns: int) -> Iterator[Wrong]:
    for account in sources.accounts:
        late = now_ns - account.compared_ns
        if account.compared_ns and late > COMPARED_LATE_NS:
            yield _look(
                "COMPARED",
                f"{account.venue.lower()} was last compared {late // SECOND_NS} s ago",
            )


def _losses(losses: list[LossTold]) -> Iterator[Wrong]:
    for one in losses:
        for what, used, limit in (
            ("lost today", one.lost_today, one.daily_loss_limit),
            ("below the highest equity", one.drawdown, one.drawdown_limit),
        ):
            if limit is not None and Decimal(used) >= LOSS_NEAR * Decimal(limit):
                yield _look("LOSS", f"{used} of {limit} {one.currency} {what}")


def _problems(sources: Sources, now_ns: int) -> Iterator[Wrong]:
    """The newest of each code, of the last minutes; what is told above is not told twice."""
    newest = {one.code: one for one in sources.status.problems}
    for code, one in newest.items():
        if code not in ("KILLED", "HALTED") and now_ns - one.ts_ns < PROBLEM_NEW_NS:
            yield _look(code, one.message)
