"""Is all well? The reasons why not, worst first, each with what it means for the run."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from fairlead.engine.kill.bare import Bare, BareLook
from fairlead.engine.observe.page.told import LossTold, Wrong
from fairlead.engine.orders.journal_reads import JournalError
from fairlead.engine.status import BookState, StreamState, StreamStatus

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
        *(() if sources.disks is None else sources.disks.wrong),
        *_flattened(sources),
        *_bare(sources),
        *_orders(sources, unknown),
        *_streams(sources, now_ns),
        *_clocks(sources),
        *_comparisons(sources, now_ns),
        *_losses(losses),
        *_problems(sources, now_ns),
    ]
    if sources.state() != "running":
        found.append(_look("NOT-RUNNING", f"the run is {sources.state()}", "run"))
    stuck_ns = sources.loaded.config.run.stuck_secs * SECOND_NS  # from there on it is a LOOP-STUCK
    if LAG_NS < sources.loop_lag_ns < stuck_ns:
        ms = sources.loop_lag_ns // 1_000_000
        found.append(_look("LOOP-LAG", f"the engine's loop was held up for {ms} ms", "loop"))
    return sorted(found, key=lambda one: one.level)


def _bad(code: str, text: str, about: str = "") -> Wrong:
    return Wrong(level="bad", code=code, text=text[:SHOWN_CHARS], about=about)


def _look(code: str, text: str, about: str = "") -> Wrong:
    return Wrong(level="look", code=code, text=text[:SHOWN_CHARS], about=about)


def _stops(sources: Sources) -> Iterator[Wrong]:
    """What refuses new orders."""
    for kill in sources.kills.in_force() if sources.kills is not None else ():
        text = f"{kill}; nothing is created until a person clears it"
        yield _bad("KILLED", text, str(kill.scope))
    gate = sources.gate
    if gate is None:
        return
    for venue, halt in gate.halts():
        where = venue.lower() or "every venue"
        text = f"{where}: {halt.reason}; nothing new is sent until a person clears it"
        yield _bad("HALTED", text, where)
    snapshot = gate.snapshot()
    for strategy, reason in snapshot.faulted.items():
        yield _bad("FAULTED", f"{strategy} is stopped for the rest of the run: {reason}", strategy)
    why = snapshot.kill_switch
    if why is not None and (sources.kills is None or not sources.kills.in_force()):
        yield _bad("STOPPED", why)


def _flattened(sources: Sources) -> Iterator[Wrong]:
    """What a kill flattened and a person cleared since: the run does not trade on with it."""
    kills = sources.kills
    if kills is None:
        return
    in_force = {kill.scope for kill in kills.in_force()}
    for kill in kills.flattened.values():
        scope = kill.scope
        names = [
            name
            for account in sources.accounts
            if account.can_flatten
            and (
                scope.kind == "strategy"
                or scope.covers(strategy="", venue=account.venue.lower(), account=account.account)
            )
            for name in sources.loaded.config.venues[account.venue.lower()].instruments
        ]
        if names and scope not in in_force:
            what = f"strategy {scope.key}" if scope.kind == "strategy" else ", ".join(names)
            yield _bad(
                "FLATTENED",
                f"every order of {what} is refused until a new run is started: the kill of {scope} "
                "flattened it, which its clear does not undo",
                str(scope),
            )


def _bare(sources: Sources) -> Iterator[Wrong]:
    if sources.kills is None or sources.state() != "running":
        return  # a journal is closed before the run is over
    if not sources.is_real and sources.parts is not None:
        for strategy in sources.parts.strategies:
            yield from map(of_bare, strategy._guard.exits.bare())
        return
    in_force = sources.kills.in_force()
    for account in sources.accounts:
        if account.desk is None:  # it is not recovered yet
            continue
        key = account.venue.lower()
        look = sources.bare.get(key)
        if look is None:
            look = sources.bare[key] = BareLook(account.journal, key, account.account)
        try:
            yield from map(of_bare, look.now(in_force))
            problem = look.problem
        except JournalError as error:
            problem = f"{error.code}: {error.message}"
        if problem:
            yield _bad("JOURNAL", problem, key)


def of_bare(bare: Bare) -> Wrong:
    """A position that a kill has left without its stop."""
    text = f"{bare}, and no other lives; close it, or see to it that its strategy sends one"
    return _bad("NO-STOP", text, f"{bare.strategy} {bare.instrument}")


def _orders(sources: Sources, unknown: int) -> Iterator[Wrong]:
    if unknown:
        noun = "order has" if unknown == 1 else "orders have"
        text = f"{unknown} {noun} no proven outcome: the engine goes on asking"
        yield _look("UNKNOWN", text, "orders")
    for account in sources.accounts:
        missing = getattr(account.desk, "missing", None)
        if missing is not None and (lost := missing()):
            yield _bad(
                "MISSING",
                f"{account.venue.lower()} tells nothing of {len(lost)} orders that it accepted",
                account.venue.lower(),
            )


def _streams(sources: Sources, now_ns: int) -> Iterator[Wrong]:
    for name, stream in sources.status.streams.items():
        if stream.state is not StreamState.CONNECTED:
            told = f": {stream.last_error}" if stream.last_error else ""
            yield _bad("STREAM", f"{name} is {stream.state}{told}", name)
        elif stream.last_frame_ns and now_ns - stream.last_frame_ns > _silent_ns(stream):
            secs = (now_ns - stream.last_frame_ns) // SECOND_NS
            yield _look("STREAM", f"{name} has told nothing for {secs} s", name)
    for name, book in sources.status.books.items():
        if book.state is not BookState.VALID:
            text = f"the book of {name} is {book.state}: no order is checked by it"
            yield _look("BOOK", text, name)


def _silent_ns(stream: StreamStatus) -> int:
    """From there on silence is worth a word: an account's stream may be quiet for as long as its
    venue's adapter lets it."""
    own_ns = round(stream.close_secs * SECOND_NS) if stream.is_account else 0
    return max(STREAM_SILENT_NS, own_ns)


def _clocks(sources: Sources) -> Iterator[Wrong]:
    gate = sources.gate
    if gate is None or not sources.trades:
        return
    for venue, why in gate.books.clock_unknown.items():
        text = f"{venue.lower()}: {why}; orders wait for a measured offset"
        yield _look("CLOCK", text, venue.lower())
    for venue, ms in gate.books.offsets_ms.items():
        if abs(ms) > gate.limits.max_clock_offset_ms and venue not in gate.books.clock_unknown:
            yield _bad(
                "CLOCK",
                f"{venue.lower()}'s clock is {ms:+.0f} ms off, {gate.limits.max_clock_offset_ms} "
                "are allowed; no order is created",
                venue.lower(),
            )


def _comparisons(sources: Sources, now_ns: int) -> Iterator[Wrong]:
    for account in sources.accounts:
        late = now_ns - account.compared_ns
        if account.compared_ns and late > COMPARED_LATE_NS:
            yield _look(
                "COMPARED",
                f"{account.venue.lower()} was last compared {late // SECOND_NS} s ago",
                account.venue.lower(),
            )


def _losses(losses: list[LossTold]) -> Iterator[Wrong]:
    for one in losses:
        for what, used, limit in (
            ("lost today", one.lost_today, one.daily_loss_limit),
            ("below the highest equity", one.drawdown, one.drawdown_limit),
        ):
            if limit is not None and Decimal(used) >= LOSS_NEAR * Decimal(limit):
                text = f"{used} of {limit} {one.currency} {what}"
                yield _look("LOSS", text, f"{one.currency} {what}")


def _problems(sources: Sources, now_ns: int) -> Iterator[Wrong]:
    """The newest of each code, of the last minutes, and first what is bad; what is told above is
    not told twice."""
    lasting = dict(sources.status.lasting)
    for about, one in lasting.items():
        yield (_bad if one.is_bad else _look)(one.code, one.message, about)
    told = {one.code for one in lasting.values()}
    recent = [one for one in sources.status.problems if one.code not in told]
    new = [one for one in recent if now_ns - one.ts_ns < PROBLEM_NEW_NS]
    for code, one in {one.code: one for one in sorted(new, key=lambda one: one.is_bad)}.items():
        if code not in ("KILLED", "HALTED"):
            yield (_bad if one.is_bad else _look)(code, one.message, "problem")
