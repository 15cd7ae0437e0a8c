"""Backtest: a config and a catalog in, the numbers of the run out.

The engine is fed the catalog in chunks, so that memory does not grow with the length of the
recording. Strategies, parameters and the risk gate are those of a live run.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import msgspec
from nautilus_trader.backtest import (
    BacktestEngineConfig,
    BacktestResult,
    BacktestVenueConfig,
)
from nautilus_trader.common import DataActor
from nautilus_trader.data import DataEngineConfig
from nautilus_trader.execution import StaticLatencyModel
from nautilus_trader.model import (
    InstrumentId,
    NautilusDataType,
    OrderFilled,
    TraderId,
    TradeTick,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig

from fairlead.engine.config.execution import able_with, held_of
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.model import NO_FEES, Fees
from fairlead.engine.config.model import Venue as VenueConfig
from fairlead.engine.config.priced import require_priced
from fairlead.engine.config.resolved import Resolved, ResolvedStrategy, resolve
from fairlead.engine.config.rules import RECORDED
from fairlead.engine.currencies import money
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.guard.order_ids import SeededIds
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.guard.simulated import coming_anew, simulate
from fairlead.engine.matching.closing import Closing, closing
from fairlead.engine.matching.fill_model import MarketFills
from fairlead.engine.matching.native import HeldRules
from fairlead.engine.matching.shadow import Decided
from fairlead.engine.observe.orders_file import order_rows
from fairlead.engine.observe.summary import RunSummary, trading, unvalued
from fairlead.engine.orders.live import STOP_KINDS
from fairlead.engine.orders.model import Capabilities
from fairlead.engine.recording.catalog import utc
from fairlead.engine.recording.gaps import summary_of
from fairlead.engine.recording.reading import reading
from fairlead.engine.research.holdout import require_open
from fairlead.engine.research.kept import Record
from fairlead.engine.research.marks import Marks, MarksActor
from fairlead.engine.research.remote import local_catalog
from fairlead.engine.research.runs import Stamp
from fairlead.engine.risk.view import instrument_facts
from fairlead.engine.run.backtest_data import Selection, select
from fairlead.engine.run.backtest_engine import Engine
from fairlead.engine.run.build import (
    Parts,
    build_parts,
    capabilities,
    tell_idle_balances,
    tell_shut_out,
)
from fairlead.engine.run.ended import ending
from fairlead.engine.run.fees import fee_model
from fairlead.engine.run.keeping import gaps_of, record, traded
from fairlead.engine.run.kernel import NATIVE_RATE, TRADER_ID, log_path, logger_config, no_log
from fairlead.engine.run.latency import Latency, latency_of
from fairlead.engine.run.prepared import Prepared, Seen, Shared
from fairlead.engine.run.stuck import CallbackWatch
from fairlead.engine.run.summary import summed_up

RUN_ID = "backtest"
TRADES_PER_REPORT = 1000

Progress = Callable[[float], None]


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """A finished backtest. `node` is open: its cache and reports can be read until `dispose`.

    `ended` says when a strategy ended it before its data was over, and why; empty: none did."""

    summary: RunSummary
    ended: str
    node: Any
    parts: Parts
    loaded: LoadedConfig
    marks: Marks

    @property
    def exit_code(self) -> int:
        return self.summary.exit_code

    @property
    def cache(self) -> Any:
        return self.node.cache

    def record(self, stamp: Stamp | None = None, study: dict[str, Any] | None = None) -> Record:
        """The whole run, to be kept, before `dispose`: see `engine/research/runs.py`."""
        state = self.parts.run_state
        data = self.summary.assumptions.data if self.summary.assumptions else None
        return record(
            self.loaded,
            self.summary,
            traded(self.loaded, self.cache, state, order_rows(self.cache.orders(), state.markets)),
            self.marks,
            used=self.parts.used,
            gaps=[]
            if data is None
            else gaps_of(data.folder, self.summary, self.loaded.config.instruments),
            stamp=Stamp(begun_ns=time.time_ns()) if stamp is None else stamp,
            study=study,
        )

    def dispose(self) -> None:
        self.node.dispose()


class _Watch(DataActor):
    """Reports progress from the trades that go by.

    Not by a timer: a timer makes the simulated exchange look at its queue of delayed commands, so
    that a run that is watched would trade differently from one that is not.
    """

    _begin = 0
    _span = 1
    _seen = 0
    _progress: Progress | None = None
    _watched: InstrumentId | None = None

    def watch(self, selection: Selection, progress: Progress) -> None:
        """DataActor's own constructor takes nothing but its config."""
        begin, end = selection.range_ns
        self._begin, self._span = begin, max(end - begin, 1)
        self._progress = progress
        for source in selection.sources:
            if NautilusDataType.TradeTick in source.types:
                self._watched = source.instrument.id

    def on_start(self) -> None:
        if self._watched is not None:
            self.subscribe_trades(self._watched)

    def on_trade(self, trade: TradeTick) -> None:
        self._seen += 1
        if self._seen % TRADES_PER_REPORT == 0 and self._progress is not None:
            self._progress(min((trade.ts_init - self._begin) / self._span, 1.0))


def run_backtest(
    loaded: LoadedConfig,
    *,
    progress: Progress | None = None,
    monotonic: Callable[[], float] = time.perf_counter,
    marks: bool = True,
    shared: Shared | None = None,
    spends: str = "",
    latency: Latency | None = None,
    strategies: Sequence[ResolvedStrategy] | None = None,
    decided: list[Decided] | None = None,
    seen: Seen | None = None,
) -> RunResult:
    """Run every strategy of the config over the catalog's data.

    `marks`: prices by time are kept, of which equity by time and mark-outs are reckoned; a trial of
    a search needs none.
    `shared` has the data that the runs before this one have read: those of a search, one after
    another in one process, whose engines write no log.
    `latency` is that of the commands, where it is not what the config says; `strategies` stand in
    place of the config's.
    `decided` is to have every fill when the matching decided on it, in a book that is known.
    `seen` gives what the run has of rows of the data, where that is not all.
    `spends` is the study whose held-out span this is to be: of others that is refused.
    `progress` is called with the fraction done now and then. SIGINT, SIGTERM or SIGHUP end the run
    in order at the next event, and what was done until then is summed up: exit code 130 and a note.
    Raises FairleadError: what a check of the config finds, missing or empty catalogs, instruments
    or dates without data, fees missing, data that a study holds (HELD-OUT).
    """
    resolved = resolve(loaded, "backtest").require()
    if strategies is not None:
        resolved = msgspec.structs.replace(resolved, strategies=tuple(strategies))
    catalog = local_catalog(loaded)
    with reading(catalog) as notes:
        watched = [progress] if progress is not None else []
        if shared is not None:
            data = shared.prepared(loaded)
            _require_open(loaded, data, spends)
            return _run(resolved, data, notes, watched, monotonic, marks, latency, decided)
        with Prepared(select(loaded.config, catalog), seen=seen) as data:
            _require_open(loaded, data, spends)
            return _run(resolved, data, notes, watched, monotonic, marks, latency, decided)


def _require_open(loaded: LoadedConfig, data: Prepared, spends: str) -> None:
    one = data.selection
    names = [source.id for source in one.sources]
    require_open(loaded.state_dir, one.catalog, names, one.range_ns, spends)


def _run(
    resolved: Resolved,
    prepared: Prepared,
    notes: list[str],
    watched: list[Progress],
    monotonic: Callable[[], float],
    with_marks: bool,
    latency: Latency | None,
    decided: list[Decided] | None,
) -> RunResult:
    loaded, selection = resolved.loaded, prepared.selection
    latency = latency or latency_of(loaded)
    parts = build_parts(loaded, resolved.strategies, is_simulated=True)
    parts.run_state.offer = selection.offer()
    parts.run_state.markets = {}
    parts.run_state.order_ids = SeededIds(loaded.config.run.seed).next_of
    venues = venue_configs(loaded, selection, latency)
    instruments = [source.instrument for source in selection.sources]
    tell_idle_balances(loaded, parts.run_state, instruments)
    tell_shut_out(loaded, parts.run_state, instruments)
    node = _node(loaded, prepared, venues)
    for progress in watched:
        watch = _Watch()
        watch.watch(selection, progress)
        node.add_actor(watch)
    marks = Marks()
    if with_marks:
        node.add_actor(_marking(marks, parts.run_state, selection))
    arrivals = simulate(parts.run_state, parts.gate, latency.kernel_ns, latency.draws(loaded))
    node.add_actor(arrivals)
    ends = true_fills(loaded, selection, node, parts, latency, decided)
    node.add_strategy(ends)
    for strategy in parts.strategies:
        node.add_strategy(strategy)
    node.interrupts.shut_down = ends.shutdown_system
    node.interrupts.limit_secs = loaded.config.run.stop_timeout_secs
    gc.freeze()  # what is loaded stays: the collector need not look at it again and again
    began = monotonic()
    try:
        with node.interrupts, CallbackWatch():
            result: BacktestResult = node.run()
    except RuntimeError as error:
        node.dispose()
        raise FairleadError("BACKTEST-FAILED", str(error), int(Exit.FAILED)) from error
    finally:
        gc.unfreeze()
    for strategy in parts.strategies:
        strategy._guard.winddown.over()
    if decided is not None:
        node.finish_fills()
    if ends.error is not None:
        raise ends.error
    wall_secs = monotonic() - began
    summary = _summarize(
        loaded,
        selection,
        parts,
        node,
        notes,
        data=prepared.data,
        latency=latency,
        events=result.iterations - node.shown_count(node.end_ns),
        wall_secs=wall_secs,
    )
    return RunResult(
        summary=summary,
        ended=_ended(selection, parts, node),
        node=node,
        parts=parts,
        loaded=loaded,
        marks=marks,
    )


def _till(selection: Selection, node: Engine) -> int:
    """The end of what was run."""
    start_ns, end_ns = selection.range_ns
    return min(node.end_ns or start_ns, end_ns)


def _ended(selection: Selection, parts: Parts, node: Engine) -> str:
    till = _till(selection, node)
    is_whole = node.is_cut or not node.is_ended or till >= selection.range_ns[1]
    return "" if is_whole else f"{utc(till)}: {parts.run_state.stop_reason}"


def _marking(marks: Marks, state: RunState, selection: Selection) -> MarksActor:
    """Looks at the run's prices, and hears of its fills."""
    actor = MarksActor()
    actor.watch(marks, [one.id for one in selection.sources], selection.range_ns)
    state.on_fill = actor.filled
    return actor


def latency_ns(loaded: LoadedConfig) -> int:
    """From a command to the simulated venue; where latencies differ, what the kernel adds to the
    time that a command bears."""
    return latency_of(loaded).kernel_ns


def venue_configs(
    loaded: LoadedConfig, selection: Selection, latency: Latency | None = None
) -> list[BacktestVenueConfig]:
    """One simulated exchange per configured venue.

    Raises FairleadError when fees are missing, or a limit is in a currency of no instrument.
    """
    require_priced(loaded, {instrument_facts(one.instrument).currency for one in selection.sources})
    instruments = {source.id: source for source in selection.sources}
    kernel_ns = (latency or latency_of(loaded)).kernel_ns
    found = []
    for key, venue in loaded.config.venues.items():
        sources = [instruments[name] for name in venue.instruments]
        found.append(
            _venue_config(
                loaded,
                key,
                venue,
                fees=fee_model(key, _charged(venue), [one.instrument for one in sources]),
                deep=all(one.is_deep for one in sources),
                kernel_ns=kernel_ns,
                holds=venue.adapter != RECORDED and _holds(loaded.specs[key].capabilities),
            )
        )
    return found


def _charged(venue: VenueConfig) -> Fees | str | None:
    """Its fees as configured; none are asked for where the gate lets no order pass."""
    takes_none = venue.data_only and venue.adapter != RECORDED
    return NO_FEES if takes_none and venue.fees is None else venue.fees


def _holds(able: Capabilities) -> bool:
    """Whether the engine holds all that waits for a trigger, or what of it is passed: such a one is
    refused by none, and what NautilusTrader takes for passed need not be, by the price that the
    engine looks at."""
    return able.hold_passed or (bool(able.held) and not able.kinds & STOP_KINDS)


def _venue_config(
    loaded: LoadedConfig,
    key: str,
    venue: VenueConfig,
    *,
    fees: Any,
    deep: bool,
    kernel_ns: int,
    holds: bool,
) -> BacktestVenueConfig:
    simulated = loaded.config.simulated
    return BacktestVenueConfig(
        name=key.upper(),
        oms_type="NETTING",
        account_type=venue.account_type.upper(),
        starting_balances=[str(money(text)) for text in simulated.balances],
        book_type="L2_MBP" if deep else "L1_MBP",
        fee_model=fees,
        latency_model=StaticLatencyModel(base_latency_nanos=kernel_ns),
        # Where the book is known both are the fill model's
        queue_position=simulated.queue_position and not deep,
        liquidity_consumption=simulated.liquidity_consumption and not deep,
        trade_execution=True,
        reject_stop_orders=not (holds and deep),
    )


def true_fills(
    loaded: LoadedConfig,
    selection: Selection,
    node: Engine,
    parts: Parts,
    latency: Latency | None = None,
    decided: list[Decided] | None = None,
) -> Closing:
    """Give the exchanges that know a book our own fills; what is returned has to be in the run."""
    simulated = loaded.config.simulated
    by_id = {source.id: source for source in selection.sources}
    deep: list[Venue] = []
    instruments: dict[InstrumentId, Any] = {}
    for key, venue in loaded.config.venues.items():
        sources = [by_id[name] for name in venue.instruments]
        if all(source.is_deep for source in sources):
            deep.append(Venue(key.upper()))
            instruments.update((one.instrument.id, one.instrument) for one in sources)
    approvals = parts.gate.approvals
    kernel_ns = (latency or latency_of(loaded)).kernel_ns
    ends = closing(kernel_ns, partial(_anew, parts))
    held = {
        key.upper(): HeldRules(
            able=able_with(loaded.specs[key].capabilities, venue.held),
            settings=held_of(venue.held),
        )
        for key, venue in loaded.config.venues.items()
        if venue.adapter != RECORDED
    }
    if any(one.able.holds for one in held.values()):
        approvals.keep()
    fills = MarketFills(
        instruments,
        node,
        ends,
        consumes=simulated.liquidity_consumption,
        queues=simulated.queue_position,
        held=held,
        tier_prices={name: can.tier_price for name, can in capabilities(loaded).items()},
        asked=approvals.asked,
        decided=decided,
    )
    node.fill_by(deep, fills)
    return ends


def _anew(parts: Parts, order: Any) -> AbstractContextManager[None]:
    """Of the strategy whose order it is."""
    (guard,) = (one._guard for one in parts.strategies if one.strategy_id == order.strategy_id)
    return coming_anew(guard, str(order.client_order_id))


def engine_config(loaded: LoadedConfig, *, logs: bool = True) -> BacktestEngineConfig:
    """Settings of every backtest. Quotes come from the book: market orders need a price."""
    return BacktestEngineConfig(
        trader_id=TraderId(TRADER_ID),
        logging=logger_config(loaded, "backtest") if logs else no_log(),
        data_engine=DataEngineConfig(
            emit_quotes_from_book=True,
            time_bars_build_with_no_updates=False,  # nobody is to trade on bars of nothing
        ),
        risk_engine=RiskEngineConfig(
            max_order_submit_rate=NATIVE_RATE, max_order_modify_rate=NATIVE_RATE
        ),
        run_analysis=False,
    )


def _node(loaded: LoadedConfig, prepared: Prepared, venues: list[BacktestVenueConfig]) -> Engine:
    return Engine(
        RUN_ID,
        engine_config(loaded, logs=prepared.chunks is None),
        venues,
        prepared.configs,
        loaded.config.backtest.chunk_size,
        prepared.chunks,
        prepared.seen,
    )


def _summarize(
    loaded: LoadedConfig,
    selection: Selection,
    parts: Parts,
    node: Engine,
    notes: list[str],
    **more: Any,
) -> RunSummary:
    names = [source.id for source in selection.sources]
    start_ns, end_ns = selection.range_ns
    end, cut = ending(parts.run_state), []
    ended = _ended(selection, parts, node)
    if node.is_cut or ended:
        till, words = _till(selection, node), f"STRATEGY-ENDED: the run ended at {ended}"
        if node.is_cut:
            words = f"INTERRUPTED: ended by {node.interrupts.name} at {utc(till)}"
            end = end if end[0] else (Exit.INTERRUPTED, words)
        cut = [f"{words}; the data after that, until {utc(end_ns)}, is not in these figures"]
        end_ns = till
    traded = trading(node.cache, names)
    return summed_up(
        loaded,
        "backtest",
        traded,
        node.cache,
        end=end,
        span_ns=(start_ns, end_ns),
        run_state=parts.run_state,
        used=parts.used,
        # As asked for: a run may begin or end within a gap, before the first or after the last row
        gaps=summary_of(
            selection.catalog,
            start_ns=selection.start_ns or start_ns,
            end_ns=end_ns if cut else selection.end_ns or end_ns,
            instruments=names,
        ),
        notes=[
            *cut,
            *notes,
            *(
                f"HALTED, nothing was created after it: {halt.reason}"
                for _, halt in parts.gate.halts()
            ),
            *parts.run_state.warned(),
            *unvalued(traded.instruments),
            *_notes(selection),
            *_untold(node.cache, end_ns),
        ],
        files=_files(loaded, selection),
        **more,
    )


def _files(loaded: LoadedConfig, selection: Selection) -> dict[str, str]:
    log = log_path(loaded, "backtest")
    return {"catalog": str(selection.catalog), **({"log": str(log)} if log.exists() else {})}


def _notes(selection: Selection) -> list[str]:
    return [
        f"{source.id}: the recording ends within a book update; the part after "
        f"{utc(source.deltas_end_ns)} is left out"
        for source in selection.sources
        if source.deltas_end_ns is not None
    ]


def _untold(cache: Any, end_ns: int) -> list[str]:
    """What was on its way when the data ended is executed all the same, and no strategy is told."""
    moved = [order for order in cache.orders() if order.ts_last > end_ns]
    late = [
        order
        for order in moved
        if any(e.ts_event > end_ns and isinstance(e, OrderFilled) for e in order.events())
    ]
    if not late:
        return []
    return [
        f"{len(late)} orders were on their way when the data ended, and filled by the last book: "
        "they count here, but no strategy was told"
    ]
