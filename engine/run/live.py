"""Run a config live, on paper, or as a recorder, and sum the run up."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence

from engine.config.loaded import LoadedConfig, account_files
from engine.observe import journaled, summary
from engine.observe.equity import balance_changes, equity
from engine.observe.recorded import recorded
from engine.orders.journal_reads import JournalError
from engine.recording.gaps import GapKind, summary_of
from engine.run.assumed import assumptions
from engine.run.ended import Ended, Mode
from engine.run.node import NodeRun
from engine.secrets import RedactingFilter

BEFORE = frozenset({GapKind.BETWEEN_RUNS})  # told whole, in a note of its own


def run_node(loaded: LoadedConfig, mode: Mode, *, run_secs: float | None = None) -> Ended:
    """Blocks until the run has ended in order. Raises FairleadError for what prevents a start."""
    _log_to_stderr(loaded.config.run.log_level)
    return NodeRun(loaded, mode, run_secs=run_secs).run()


def _log_to_stderr(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(RedactingFilter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("fairlead").setLevel(logging.INFO)


def sum_up(loaded: LoadedConfig, mode: Mode, ended: Ended) -> summary.RunSummary:
    """The run's figures, counted like a backtest's. Closes the run."""
    names = [name for venue in loaded.config.venues.values() for name in venue.instruments]
    names += [name for name in ended.held if name not in names]
    traded, unread = _traded(mode, ended, names)
    venues = [key.upper() for key in loaded.config.venues]
    assumed, worth, moved = None, {}, {}
    if mode != "record" and ended.node is not None:
        simulated = mode == "paper"
        assumed = assumptions(loaded, ended.cache, fees_from="venue", simulated=simulated)
        worth = equity(ended.cache, venues, traded.instruments, traded.strategies)
        if simulated:
            moved = balance_changes(ended.cache, venues, loaded.config.simulated.balances)
    end_ns = time.time_ns()
    ended.close()
    start_ns = end_ns - int(ended.seconds * 1e9)
    state = ended.run_state
    files = {"state": str(loaded.state_dir)}
    for key in loaded.config.venues if mode == "live" else ():
        files[f"journal {key}"] = str(account_files(loaded, key).journal)
    gaps = told = None
    if ended.recording is not None:
        files["recording"] = str(ended.recording.root)
        told = recorded(ended.recording, ended.status, names)
        try:
            gaps = summary_of(
                ended.recording.catalog,
                start_ns=start_ns,
                end_ns=end_ns,
                instruments=names,
                leave_out=BEFORE,
            )
        except OSError as error:
            unread += [f"the recording's gaps can't be read: {error.strerror}"]
    return summary.RunSummary(
        name=loaded.config.name,
        mode=mode,
        exit_code=int(ended.exit),
        outcome=ended.reason,
        start_ns=start_ns,
        end_ns=end_ns,
        **summary.figures(traded),
        denials=summary.merged(state.denial_counts, traded.native_denials),
        equity=worth,
        balance_changes=moved,
        assumptions=assumed,
        gaps=gaps,
        recorded=told,
        events=sum(stream.frames for stream in ended.status.streams.values()),
        wall_secs=ended.seconds,
        tick_to_order_ns=ended.status.tick_to_order.snapshot(),
        faults=list(state.faults),
        notes=state.warned()
        + unread
        + [
            f"{f.code} {f.instrument} {f.subject}: journal {f.journal}, venue {f.venue}; {f.action}"
            for f in ended.findings
        ]
        + [f"UNRESOLVED {one}: the next start goes on asking" for one in ended.unresolved]
        + [f"LEFT-OPEN {one}: its cancel was not confirmed" for one in ended.left_open]
        + _of_recording(ended),
        files=files,
    )


def _traded(
    mode: Mode, ended: Ended, instruments: Sequence[str]
) -> tuple[summary.Trading, list[str]]:
    """The figures, and what a person must know of them. Live, the journals tell them."""
    if mode != "live":
        return summary.trading(ended.cache, instruments), []
    runs = [one for one in ended.booked if isinstance(one, journaled.Booked)]
    notes = [
        f"{one.code} what this account executed in the run is not summed up here: {one.message}"
        for one in ended.booked
        if isinstance(one, JournalError)
    ]
    return journaled.live_trading(ended.cache, instruments, runs), notes


def _of_recording(ended: Ended) -> list[str]:
    """What a person must know of the recording beside its gaps within the run."""
    if ended.recording is None:
        return []
    notes = [f"RECORDING {problem}" for problem in ended.recording.problems]
    holes = sorted(ended.recording.holes, key=lambda one: one.instrument)
    return notes + [
        f"GAP {row.instrument}: {row.seconds:,.3f} s before this run, {row.reason}" for row in holes
    ]
