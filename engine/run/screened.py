"""The screen of a config's search: its strategy's signal on bars of the catalog, at its costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from nautilus_trader.model import BarType, LiquiditySide, NautilusDataType, OrderSide, PriceType
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.config.changes import plain
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.resolved import ResolvedStrategy, resolve
from fairlead.engine.config.strategy_params import ParamsError, configure
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research.catalogs import Catalog
from fairlead.engine.research.extra import need
from fairlead.engine.research.marks import SLICES
from fairlead.engine.research.pool import Task
from fairlead.engine.research.screening import (
    DAY_NS,
    Costs,
    ScreenBars,
    Screened,
    Screening,
    Signal,
    bars_of,
    positions_of,
    require_screenable,
    scored,
    with_tops,
)
from fairlead.engine.research.search import LISTED, Plan, tasks_of
from fairlead.engine.research.space import told
from fairlead.engine.run.fees import fee_rates
from fairlead.engine.run.prepared import Shared
from fairlead.engine.run.trial import placed_path

WINDOW_NS = 3_600_000_000_000  # of trades that are read at once
SCREEN = "screen"  # the strategy's function
NO_SPREAD = "nothing (0: the catalog has neither book nor quotes)"


def screening(loaded: LoadedConfig, plan: Plan) -> Screening:
    """Every variant of the plan, looked at on columns.

    Raises FairleadError SCREEN-SEARCH, SCREEN-NONE, SCREEN-CONFIG, SCREEN-DATA, and what a signal
    that is no good does; a variant whose parameters do not fit is a row with its error.
    """
    require_screenable(plan, LISTED)
    began = time.perf_counter()
    with Shared() as shared:
        lane = _Lane(loaded, plan, shared)
        variants = tuple(lane.looked_at(task) for task in tasks_of(plan))
    return Screening(
        variants=variants,
        span_ns=lane.span_ns,
        currency=str(lane.instrument.quote_currency),
        bar=", ".join(lane.bars),
        bars=max(map(len, lane.bars.values()), default=0),
        spread=lane.spread,
        secs=time.perf_counter() - began,
    )


class _Lane:
    """What the variants of one screen share."""

    def __init__(self, loaded: LoadedConfig, plan: Plan, shared: Shared) -> None:
        self._loaded = loaded
        strategy = _only_strategy(loaded)
        self._signal, self._cls = _signal_of(strategy), strategy.cls
        self._name = f"{strategy.cls.__name__}.{SCREEN}"
        self._params = {one.key: _param(loaded, one.key) for one in plan.params}
        selection = shared.prepared(loaded).selection
        (self._source,) = selection.sources
        self._root = selection.catalog
        self.span_ns, self.instrument = selection.range_ns, self._source.instrument
        self._costs = _costs(loaded, self.instrument)
        self.bars: dict[str, ScreenBars] = {}  # by the bar that a variant names
        self.spread = NO_SPREAD
        self._trades: tuple[Any, Any, Any] | None = None

    def looked_at(self, task: Task) -> Screened:
        (strategy,) = self._loaded.config.strategies
        given = {self._params[key]: value for key, value in plain(task.changes).items()}
        found = Screened(number=task.number, values=told(task.changes))
        try:
            config = configure(
                self._cls, msgspec.structs.replace(strategy, params={**strategy.params, **given})
            ).config
        except ParamsError as error:
            return msgspec.structs.replace(found, error=f"{error.code}: {error.message}")
        bars = self._bars(config)
        positions = positions_of(self._signal, self._name, bars, config)
        net, ratio, changes = scored(bars, positions, self._costs, self.span_ns, SLICES)
        return msgspec.structs.replace(found, net=net, ratio=ratio, changes=changes)

    def _bars(self, config: Any) -> ScreenBars:
        """Those that the config's `bar` names."""
        name = str(getattr(config, "bar", None))
        if name not in self.bars:
            step_ns = _step_ns(self._source.id, name)
            if self._trades is None:
                self._trades = _trades(self._root, self._source)
            made = bars_of(*self._trades, step_ns, self._source.end_ns)
            self.bars[name] = self._topped(made, step_ns)
        return self.bars[name]

    def _topped(self, bars: ScreenBars, step_ns: int) -> ScreenBars:
        """With best bids and asks: of the book, else of quotes, else none."""
        catalog, of, types = Catalog(self._root), self._source, self._source.types
        span = (of.start_ns, of.end_ns)
        if NautilusDataType.OrderBookDelta in types:
            frame = catalog.book(of.id, *span, every_secs=step_ns / 1e9, levels=1)
            names, self.spread = ("ts", "bid_1", "ask_1"), "the book's touch at each close"
        elif NautilusDataType.QuoteTick in types:
            frame = catalog.quotes(of.id, *span)
            names, self.spread = ("ts_init", "bid", "ask"), "the last quote at each close"
        else:
            return bars
        ts, bid, ask = (frame[name] for name in names)
        return with_tops(
            bars,
            ts.to_numpy(dtype="datetime64[ns]").astype("int64"),
            bid.to_numpy(dtype="float64"),
            ask.to_numpy(dtype="float64"),
        )


def _only_strategy(loaded: LoadedConfig) -> ResolvedStrategy:
    found, names = resolve(loaded, "backtest").require().strategies, loaded.config.instruments
    if len(found) != 1 or len(names) != 1:
        raise _config(f"one strategy and one instrument; came {len(found)} and {len(names)}")
    return found[0]


def _signal_of(strategy: ResolvedStrategy) -> Signal:
    cls = strategy.cls
    signal: Signal | None = getattr(cls, SCREEN, None)
    if not callable(signal):
        raise FairleadError(
            "SCREEN-NONE",
            f"{cls.__module__}:{cls.__name__} has no `{SCREEN}(bars, config)`, which --screen "
            "asks for positions; run the search without --screen, or write one",
            int(Exit.CONFIG),
        )
    return signal


def _param(loaded: LoadedConfig, key: str) -> str:
    """The parameter of the one strategy that a key of the search names."""
    match placed_path(loaded, key):
        case ("strategies", 0, "params", str(name)):
            return name
    raise _config(f"parameters of the strategy alone, which is all that a screen sees; came {key}")


def _step_ns(instrument: str, bar: str) -> int:
    """Raises FairleadError SCREEN-CONFIG for other bars than those of trades by the clock."""
    try:
        spec = BarType.from_str(f"{instrument}-{bar}-INTERNAL").spec
        step_ns = int(spec.get_interval_ns())
    except ValueError:
        step_ns = 0
    if not 0 < step_ns <= DAY_NS or DAY_NS % step_ns or spec.price_type != PriceType.LAST:
        raise _config(
            "a parameter `bar` of the strategy with the time of its bars, of trades, at most a "
            f"day: 5-SECOND-LAST; came {bar}"
        )
    return step_ns


def _config(expected: str) -> FairleadError:
    return FairleadError("SCREEN-CONFIG", f"--screen expects {expected}", int(Exit.USAGE))


def _costs(loaded: LoadedConfig, instrument: Any) -> Costs:
    """Every change as a taker's. Raises FairleadError SCREEN-CONFIG, FEES-MISSING."""
    if instrument.is_inverse:
        raise _config(f"an instrument that is worth its price; {instrument.id} is inverse")
    name, venues = str(instrument.id), loaded.config.venues
    (key,) = (key for key, venue in venues.items() if name in venue.instruments)
    rates = fee_rates(key, venues[key].fees, instrument)
    buy, sell = (rates.rate(side, LiquiditySide.TAKER) for side in (OrderSide.BUY, OrderSide.SELL))
    return Costs(
        buy=float(buy), sell=float(sell), multiplier=float(instrument.multiplier.as_decimal())
    )


def _trades(root: Any, source: Any) -> tuple[Any, Any, Any]:
    """Time of receipt, price and size of each, in the order of a backtest."""
    np = need("numpy", "a screen")
    columns = [("ts", "i8"), ("price", "f8"), ("size", "f8")]
    rows = np.fromiter(_ticks(root, source), dtype=columns)
    rows = rows[np.argsort(rows["ts"], kind="stable")]
    return rows["ts"].copy(), rows["price"].copy(), rows["size"].copy()


def _ticks(root: Any, source: Any) -> Iterator[tuple[int, float, float]]:
    if NautilusDataType.TradeTick not in source.types:
        raise FairleadError(
            "SCREEN-DATA",
            f"expected trades of {source.id} to make bars of; {root} has none",
            int(Exit.NO_DATA),
        )
    catalog, at = ParquetDataCatalog(str(root)), source.start_ns
    while at <= source.end_ns:
        last = min(at + WINDOW_NS - 1, source.end_ns)
        for one in catalog.query_trade_ticks([source.id], start=at, end=last):
            yield one.ts_init, float(one.price.as_decimal()), float(one.size.as_decimal())
        at = last + 1


def chosen(found: Screening, plan: Plan) -> Sequence[Task]:
    """The tasks of the best, by number."""
    numbers = {one.number for one in found.best(plan)[: plan.screen]}
    return [task for task in tasks_of(plan) if task.number in numbers]
