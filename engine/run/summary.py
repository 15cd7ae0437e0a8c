"""What a run did, in numbers: the same summary of a node, a backtest, and the demo's live runs."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec

from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.newest import Newest
from fairlead.engine.observe import journaled, summary
from fairlead.engine.observe.arrivals import arrivals, note
from fairlead.engine.observe.assumptions import Data, StrategyUsed
from fairlead.engine.observe.equity import balance_changes, equity
from fairlead.engine.observe.recorded import recorded
from fairlead.engine.observe.summary import RunSummary, figures, merged
from fairlead.engine.orders.journal_reads import JournalError
from fairlead.engine.recording.gaps import GapKind, summary_of
from fairlead.engine.run import remains
from fairlead.engine.run.assumed import assumptions
from fairlead.engine.run.ended import Ended
from fairlead.engine.run.latency import Latency
from fairlead.engine.run.modes import MODES, Mode, NodeMode
from fairlead.engine.screen import dropped

BEFORE = frozenset({GapKind.BETWEEN_RUNS})  # told whole, in a note of its own


def summed_up(
    loaded: LoadedConfig,
    mode: Mode,
    traded: summary.Trading,
    cache: Any,
    *,
    end: tuple[int, str],
    span_ns: tuple[int, int],
    run_state: RunState,
    used: Sequence[StrategyUsed],
    data: Data | None = None,
    latency: Latency | None = None,
    with_book: Collection[str] = (),
    **more: Any,
) -> RunSummary:
    """The one place where a RunSummary is filled; `end` is exit code and outcome.

    `cache` is NautilusTrader's (None: the run ended before it had one), `data` what a backtest
    read, `more` are fields that only some runs have.
    """
    config, traits = loaded.config, MODES[mode]
    venues = [key.upper() for key in config.venues]
    assumed, worth, moved = None, {}, {}
    if traits.trades and cache is not None:
        assumed = assumptions(
            loaded,
            cache,
            used,
            fees_from=traits.fees_from,
            data=data,
            simulated=traits.is_simulated,
            latency=latency,
            with_book=with_book,
        )
        started = config.simulated.balances if traits.is_simulated else None
        paid = () if started is not None else loaded.paid
        worth = equity(cache, venues, traded.instruments, traded.strategies, started, paid)
        if started is not None:
            moved = balance_changes(cache, venues, started, traded.strategies, worth)
    return RunSummary(
        name=config.name,
        mode=mode,
        exit_code=int(end[0]),
        outcome=end[1],
        start_ns=span_ns[0],
        end_ns=span_ns[1],
        **figures(traded),
        denials=merged(run_state.denial_counts, traded.native_denials),
        equity=worth,
        balance_changes=moved,
        assumptions=assumed,
        faults=list(run_state.faults),
        **more,
    )


def sum_up(loaded: LoadedConfig, mode: NodeMode, ended: Ended) -> RunSummary:
    """The figures of a node's run, counted like a backtest's. Closes the run."""
    names = [*loaded.config.instruments]
    names += [name for name in ended.held if name not in names]
    traded, unread = _traded(mode, ended, names)
    end_ns = time.time_ns()
    span_ns = end_ns - int(ended.seconds * 1e9), end_ns
    found = summed_up(
        loaded,
        mode,
        traded,
        None if ended.node is None else ended.cache,
        end=(ended.exit, ended.reason),
        span_ns=span_ns,
        run_state=ended.run_state,
        used=ended.used,
        with_book=ended.marks.with_book,
        events=_events(ended),
        wall_secs=ended.seconds,
        tick_to_order_ns=ended.status.tick_to_order.snapshot(),
    )
    execution = None if found.assumptions is None else found.assumptions.execution
    ended.close()
    files = {"state": str(loaded.state_dir)}
    for key in loaded.traded if MODES[mode].is_real else ():
        files[f"journal {key}"] = str(account_files(loaded, key).journal)
    gaps = told = None
    if (recording := ended.recording) is not None:
        files["recording"] = str(recording.root)
        told = recorded(recording, ended.status, names)
        try:
            gaps = summary_of(
                recording.catalog,
                start_ns=span_ns[0],
                end_ns=end_ns,
                instruments=names,
                leave_out=BEFORE,
                untold=recording.gaps.untold,
            )
        except OSError as error:
            unread += [f"the recording's gaps can't be read: {error.strerror}"]
    took = arrivals(ended.status, execution)
    notes = [
        *ended.run_state.warned(),
        *summary.unvalued(found.instruments),
        *note(took, execution),
        *unread,
        *_left(ended),
        *_of_recording(ended),
        *dropped(),
    ]
    return msgspec.structs.replace(
        found, gaps=gaps, recorded=told, arrivals=took, notes=notes, files=files
    )


def _traded(
    mode: NodeMode, ended: Ended, instruments: Sequence[str]
) -> tuple[summary.Trading, list[str]]:
    """The figures, and what a person must know of them. Of real accounts their journals tell."""
    if not MODES[mode].is_real:
        return summary.trading(ended.cache, instruments), []
    runs = [one for one in ended.booked if isinstance(one, journaled.Booked)]
    notes = [
        f"{one.code} what this account executed in the run is not summed up here: {one.message}"
        for one in ended.booked
        if isinstance(one, JournalError)
    ]
    gone = ended.gone or ()
    traded = journaled.live_trading(ended.cache, instruments, runs, gone)
    if ended.gone is not None and ended.gone.problem is not None:
        notes.append(f"ORDERS some that were over are told without details: {ended.gone.problem}")
    return traded, notes


def _events(ended: Ended) -> int | None:
    """Frames of the venues' streams; None: NautilusTrader's own clients, which count none."""
    streams = ended.status.streams.values()
    return sum(stream.frames for stream in streams) if streams else None


def _left(ended: Ended) -> Iterator[str]:
    """What the comparison with the venue found, and what the stop left behind."""
    for one in ended.findings:
        yield (
            f"{one.code} {one.instrument} {one.subject}: journal {one.journal}, "
            f"venue {one.venue}; {one.action}"
        )
    for name in ended.unresolved:
        yield f"UNRESOLVED {name}: the next start goes on asking"
    for name in ended.left_open:
        why = ended.refusals.get(name)
        said = f"the venue refused its cancel, {why}" if why else "its cancel was not confirmed"
        yield f"LEFT-OPEN {name}: {said}"
    yield from remains.notes(ended.remains)
    kept = (ended.run_state.markets, ended.marks.after)
    if dropped := sum(one.dropped for one in kept if isinstance(one, Newest)):
        yield (
            f"MARKETS: of {dropped:,} moments long ago (orders, fills, their ends) the market is "
            "not kept; orders, fills and figures are whole"
        )


def _of_recording(ended: Ended) -> list[str]:
    """What a person must know of the recording beside its gaps within the run."""
    if ended.recording is None:
        return []
    notes = [f"RECORDING {problem}" for problem in ended.recording.problems]
    by_reason: dict[str, list[str]] = {}
    for row in sorted(ended.recording.holes, key=lambda one: one.instrument):
        by_reason.setdefault(row.reason, []).append(f"{row.instrument} {row.seconds:,.3f} s")
    return notes + [
        f"GAP before this run, {reason}: {', '.join(names)}" for reason, names in by_reason.items()
    ]
