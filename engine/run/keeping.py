"""What is kept of a run of any mode: its record, from the cache, journals and prices it leaves."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import AccountType, InstrumentId, Venue

from fairlead.engine.config.changes import written
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.observe.assumptions import StrategyUsed, config_told
from fairlead.engine.observe.journaled import Booked, whose
from fairlead.engine.observe.orders_file import denial_rows, order_rows
from fairlead.engine.observe.summary import RunSummary
from fairlead.engine.orders.taken_over import Handed, Share
from fairlead.engine.recording.gaps import GapRow, crossing, read_gaps
from fairlead.engine.research.columns import Row
from fairlead.engine.research.kept import Record
from fairlead.engine.research.marks import Marks
from fairlead.engine.research.runs import Manifest, Stamp
from fairlead.engine.research.tables import Traded, journaled_rows, tables
from fairlead.engine.run.ended import Ended
from fairlead.engine.run.modes import MODES, NodeMode

# What the journal does not have of an order, and NautilusTrader's cache has
TIMES = ("ts_accepted", "ts_last", "reason", "changes", "asked")
MARKETS = ("market", "market_at_end")
# ... and what a strategy gave: the journal has a held order as it was released
GIVEN = ("kind", "price", "trigger_price", "trigger_type", "time_in_force", "post_only")


def traded(
    loaded: LoadedConfig,
    cache: Any,
    state: RunState,
    orders: list[Row],
    booked: Sequence[Booked] | None = None,
    held: Iterable[str] = (),
) -> Traded:
    """What a run leaves in its cache, which is there until the run is closed; `booked` by the
    journals of its accounts, of a live one; `held`: instruments of earlier runs, too."""
    paid = () if booked is None else loaded.paid
    names = dict.fromkeys([*loaded.config.instruments, *held])
    known = {name: cache.instrument(InstrumentId.from_str(name)) for name in names}
    accounts = {
        key.upper(): cache.account_for_venue(Venue(key.upper())) for key in loaded.config.venues
    }
    there = {venue: account for venue, account in accounts.items() if account is not None}
    instruments = {name: found for name, found in known.items() if found is not None}
    shares, handed = _of_kills(booked or (), instruments)
    return Traded(
        orders=orders,
        denials=denial_rows(state.denials),
        instruments=instruments,
        started={venue: _started(account) for venue, account in there.items()},
        margin=frozenset(
            venue
            for venue, one in there.items()
            if one.account_type == AccountType.MARGIN and venue not in paid
        ),
        opening=[one for run in booked or () for one in run.positions.items()],
        counted=frozenset(
            (name, fill.trade_id) for run in booked or () for name, fill in run.fills[: run.counted]
        ),
        shares=shares,
        handed=handed,
    )


def _of_kills(
    booked: Iterable[Booked], instruments: Mapping[str, Any]
) -> tuple[dict[tuple[str, str], Sequence[Share]], list[Handed]]:
    """Whose positions kills closed, by order and trade id, and what they took over for good, of the
    run's instruments."""
    bases = {name: one.base_currency.code for name, one in instruments.items()}
    shares: dict[tuple[str, str], Sequence[Share]] = {}
    kept: list[Handed] = []
    for run in booked:
        if run.handed:
            parts, handed = whose(run, bases.get)
            told = [(name, fill.trade_id) for name, fill in run.fills]
            shares.update(zip(told, parts, strict=True))
            kept += [one for one in handed if one.instrument in bases]
    return shares, kept


def _started(account: Any) -> dict[str, Decimal]:
    return {
        currency.code: amount.as_decimal()
        for currency, amount in account.starting_balances().items()
    }


def marks_at_end(marks: Marks, cache: Any, instruments: Iterable[str]) -> None:
    """The prices by which the run is summed up are its last: the cache is looked at only at times,
    and moved since."""
    ids = {name: InstrumentId.from_str(name) for name in instruments}
    marks.look(cache, ids, time.time_ns(), is_last=True)


def traded_by_node(loaded: LoadedConfig, mode: NodeMode, ended: Ended) -> Traded | None:
    """Of a node's run that is not closed yet; None: it traded nothing, or had no node."""
    if ended.node is None or not MODES[mode].trades:
        return None
    cache = ended.cache
    marks_at_end(ended.marks, cache, dict.fromkeys([*loaded.config.instruments, *ended.held]))
    if not MODES[mode].is_real:
        orders = order_rows(cache.orders(), ended.run_state.markets)
        return traded(loaded, cache, ended.run_state, orders)
    booked = [one for one in ended.booked if isinstance(one, Booked)]
    orders = [row for one in booked for row in journaled_rows(one)]
    sent = {row["client_order_id"]: row for row in orders}
    unsent: dict[str, Row] = {}
    for known in _known(ended):  # the last of an order that came back to the cache
        if (row := sent.get(name := known["client_order_id"])) is not None:
            why = known["reason"] or row["reason"]  # of one of an earlier run the cache knows none
            row |= {name: known[name] for name in (*TIMES, *MARKETS, *GIVEN)} | {"reason": why}
        elif known["status"] in ("DENIED", "REJECTED"):  # by the desk, before it was journaled
            unsent[name] = known
    rows = [*orders, *unsent.values()]
    return traded(loaded, cache, ended.run_state, rows, booked, ended.held)


def _known(ended: Ended) -> Iterator[Row]:
    """Of every order that NautilusTrader's cache had in a live run, those first that it let go."""
    for one in ended.gone or ():
        for trade, mids in one.after.items():
            ended.marks.put_back(f"{one.row['client_order_id']}/{trade}", mids)
        yield one.row
    yield from order_rows(ended.cache.orders(), ended.run_state.markets)


def gaps_of(catalog: Any, summary: RunSummary, instruments: Iterable[str]) -> list[GapRow]:
    """Those that a run crossed. Raises OSError."""
    rows, _ = read_gaps(catalog)
    span: Mapping[str, int] = {"start_ns": summary.start_ns, "end_ns": summary.end_ns}
    return list(crossing(rows, instruments=frozenset(instruments), **span))


def record(
    loaded: LoadedConfig,
    summary: RunSummary,
    left: Traded,
    marks: Marks,
    *,
    used: Iterable[StrategyUsed],
    gaps: Iterable[GapRow],
    stamp: Stamp,
    study: dict[str, Any] | None = None,
) -> Record:
    """Everything of the run, to be written or read at once."""
    assumed = summary.assumptions
    assert assumed is not None, "a run that trades has assumptions once it has a cache"
    words = ["fairlead", summary.mode, loaded.file]
    for key, value in loaded.changes.items():
        words += ["--set", f"{key}={written(value)}"]
    return Record(
        manifest=Manifest(
            name=summary.name,
            mode=summary.mode,
            command=shlex.join(words),
            config_file=loaded.sha256,
            config=assumed.config,
            data=None if assumed.data is None else assumed.data.sha256,
            inputs=assumed.inputs,
            versions=assumed.versions,
            seed=loaded.config.run.seed,
            changes={key: written(value) for key, value in loaded.changes.items()},
            start_ns=summary.start_ns,
            end_ns=summary.end_ns,
            exit_code=summary.exit_code,
            outcome=summary.outcome,
            orders_digest=summary.orders_digest,
            study=study,
        ),
        summary=summary,
        config=config_told(loaded.config, loaded.options, used),
        tables=tables(left, marks, gaps, summary.end_ns, is_read=summary.mode == "backtest"),
        stamp=msgspec.structs.replace(
            stamp, wall_secs=summary.wall_secs, config_path=str(loaded.path)
        ),
    )


def record_of_node(
    loaded: LoadedConfig, summary: RunSummary, left: Traded, ended: Ended, stamp: Stamp
) -> Record:
    """Of a node's run that was summed up, and closed; `left` is what it left before."""
    gaps: list[GapRow] = []
    if ended.recording is not None:
        with contextlib.suppress(OSError):  # told by the summary
            names = [*loaded.config.instruments, *ended.held]
            gaps = gaps_of(ended.recording.catalog, summary, names)
    marks = ended.marks
    return record(loaded, summary, left, marks, used=ended.used, gaps=gaps, stamp=stamp)
