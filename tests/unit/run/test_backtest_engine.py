"""The engine that is fed in windows against NautilusTrader's own BacktestNode."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.backtest import (
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestNode,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.common import LoggerConfig
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import (
    BookType,
    IndexPriceUpdate,
    InstrumentStatus,
    MarketStatusAction,
    MarkPriceUpdate,
    NautilusDataType,
    Price,
)
from nautilus_trader.persistence import ParquetDataCatalog
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.backtests.synthetic import START_NS, perpetual
from fairlead.engine.matching.shown import Shown
from fairlead.engine.orders.model import TriggerSource
from fairlead.engine.run.backtest_engine import Engine
from tests.unit.backtest_kit import SECOND_NS, book, cleared, trade

KINDS = (
    NautilusDataType.OrderBookDelta,
    NautilusDataType.TradeTick,
    NautilusDataType.InstrumentStatus,
    NautilusDataType.MarkPriceUpdate,
    NautilusDataType.IndexPriceUpdate,
)


class Hears(Strategy):
    """Notes everything that it is told, in order."""

    def listen(self, instrument_id: Any) -> None:
        self.instrument_id, self.heard = instrument_id, []

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.instrument_id, BookType.L2_MBP, managed=True)
        self.subscribe_trades(self.instrument_id)
        self.subscribe_instrument_status(self.instrument_id)
        self.subscribe_mark_prices(self.instrument_id)
        self.subscribe_index_prices(self.instrument_id)
        at = START_NS + SECOND_NS // 2
        self.clock.set_timer_ns(
            "timer", 777_000_000, at, None, lambda e: self._note("timer", e.ts_event)
        )

    def _note(self, *what: Any) -> None:
        self.heard.append((self.clock.timestamp_ns(), *what))

    def on_book_deltas(self, deltas: Any) -> None:
        self._note("deltas", deltas.sequence, len(deltas.deltas))

    def on_trade(self, trade: Any) -> None:
        self._note("trade", str(trade.trade_id))

    def on_instrument_status(self, status: Any) -> None:
        self._note("status", status.action.name)

    def on_mark_price(self, mark: Any) -> None:
        self._note("mark", str(mark.value))

    def on_index_price(self, index: Any) -> None:
        self._note("index", str(index.value))


def _catalog(root: Path) -> Any:
    """All kinds of rows, mostly at the same times, and a stretch of an hour with none."""
    instrument = perpetual("BTCUSDT.BINANCE")
    root.mkdir()
    catalog = ParquetDataCatalog(str(root))
    catalog.write_instruments([instrument])
    times = [START_NS + at * SECOND_NS for at in (*range(40), *range(3640, 3660))]
    iid = instrument.id
    deltas = []
    for at, ts in enumerate(times):
        deltas += book(instrument, Decimal(100) + at, ts, at)
    catalog.write_order_book_deltas(deltas)
    catalog.write_trade_ticks(
        [trade(instrument, Decimal(100), ts, at, "0.100") for at, ts in enumerate(times)]
    )
    marks = [MarkPriceUpdate(iid, Price.from_str(f"{at}.0"), t, t) for at, t in enumerate(times)]
    catalog.write_mark_price_updates(marks)
    indices = [IndexPriceUpdate(iid, Price.from_str(f"{at}.5"), t, t) for at, t in enumerate(times)]
    catalog.write_index_price_updates(indices)
    trading, halt = MarketStatusAction.TRADING, MarketStatusAction.PAUSE
    catalog.write_instrument_statuses(
        [InstrumentStatus(iid, trading if at % 2 else halt, t, t) for at, t in enumerate(times)]
    )
    return instrument


def _venue(instrument: Any) -> BacktestVenueConfig:
    return BacktestVenueConfig(
        name=str(instrument.id.venue),
        oms_type="NETTING",
        account_type="MARGIN",
        starting_balances=["1000 USDT"],
        book_type="L2_MBP",
        fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)),
    )


def _heard(root: Path, instrument: Any, chunk_size: int | None, **times: int) -> list[Any]:
    """What a strategy hears; `chunk_size` None: of a BacktestNode."""
    data = [
        BacktestDataConfig(kind, str(root), instrument_id=instrument.id, **times) for kind in KINDS
    ]
    config = BacktestEngineConfig(logging=LoggerConfig(bypass_logging=True), run_analysis=False)
    strategy = Hears(StrategyConfig())
    strategy.listen(instrument.id)
    if chunk_size is None:
        run = BacktestRunConfig([_venue(instrument)], data, engine=config, id="run")
        node = BacktestNode([run])
        node.build()
        node.add_strategy("run", strategy)
        node.run()
        node.dispose()
    else:
        engine = Engine("run", config, [_venue(instrument)], data, chunk_size)
        engine.add_strategy(strategy)
        engine.run()
        engine.dispose()
    return list(strategy.heard)


def test_the_gap_that_a_recording_ends_with_is_not_told(tmp_path: Path) -> None:
    """Strategies leave their positions at their stop, on the last book that was known."""
    instrument = _catalog(tmp_path / "catalog")
    catalog = ParquetDataCatalog(str(tmp_path / "catalog"))
    last = START_NS + 3659 * SECOND_NS
    catalog.write_order_book_deltas([cleared(instrument, 999, last + 1)])
    heard = _heard(tmp_path / "catalog", instrument, 100_000)
    deltas = [one for one in heard if one[1] == "deltas"]
    assert deltas[-1][3] > 1
    assert len(deltas) == 60


def test_a_gap_at_the_end_that_was_asked_for_is_told(tmp_path: Path) -> None:
    """The recording goes on: what is lost there is no closing of it."""
    instrument = _catalog(tmp_path / "catalog")
    catalog = ParquetDataCatalog(str(tmp_path / "catalog"))
    last = START_NS + 3659 * SECOND_NS
    later = book(instrument, Decimal(90), last + 5 * SECOND_NS, 1000)
    catalog.write_order_book_deltas([cleared(instrument, 999, last + 1), *later])
    end = last + SECOND_NS // 2
    heard = _heard(tmp_path / "catalog", instrument, 100_000, end_time=end)
    deltas = [one for one in heard if one[1] == "deltas"]
    assert deltas[-1][3] == 1


class Foresees(Strategy):
    """Notes by which batches the book was known last, as a simulated exchange is told."""

    def look(self, engine: Engine, instrument_id: Any) -> None:
        self.engine, self.instrument_id, self.lasts = engine, instrument_id, {}

    def on_start(self) -> None:
        self.subscribe_trades(self.instrument_id)

    def on_trade(self, trade: Any) -> None:
        tape = self.engine.tape(self.instrument_id)
        for event in tape.events:
            if id(event) in tape.lasts:
                self.lasts[event.ts_init] = None


def _foreseen(root: Path, instrument: Any, chunk_size: int) -> list[float]:
    """Seconds from the start at which the book was known last."""
    data = [BacktestDataConfig(kind, str(root), instrument_id=instrument.id) for kind in KINDS[:2]]
    engine = Engine("run", _quiet(), [_venue(instrument)], data, chunk_size)
    strategy = Foresees(StrategyConfig())
    strategy.look(engine, instrument.id)
    engine.add_strategy(strategy)
    engine.run()
    engine.dispose()
    return [(at - START_NS) / SECOND_NS for at in strategy.lasts]


@pytest.mark.parametrize("chunk_size", [1, 50, 100_000])
@pytest.mark.parametrize("ends", ["in a gap", "with a book", "in a gap, trades go on"])
def test_a_gap_is_foreseen_however_far_it_is(tmp_path: Path, chunk_size: int, ends: str) -> None:
    """Books to 3 s, nothing but trades until one clears them hours later."""
    instrument, gap, end = perpetual("BTCUSDT.BINANCE"), 9000.0, 9100.0
    catalog = ParquetDataCatalog(str(tmp_path))
    catalog.write_instruments([instrument])
    deltas = [
        *(row for at in range(4) for row in book(instrument, Decimal(100), _at(at), at)),
        cleared(instrument, 4, _at(gap)),
        *book(instrument, Decimal(101), _at(gap + 20), 5),
        *book(instrument, Decimal(101), _at(end - 20), 6),
    ]
    times = [*range(0, 9000, 100), *range(9001, 9090)]
    expected = [3.0]
    if ends != "with a book":
        deltas.append(cleared(instrument, 7, _at(end)))
    if ends == "in a gap, trades go on":
        times.append(9100)
        expected.append(end - 20)
    catalog.write_order_book_deltas(deltas)
    trades = [trade(instrument, Decimal(100), _at(at) + 1, at, "0.100") for at in times]
    catalog.write_trade_ticks(trades)
    assert _foreseen(tmp_path, instrument, chunk_size) == expected


def _at(second: float) -> int:
    return START_NS + int(second * SECOND_NS)


def _trades_first(heard: list[Any]) -> list[Any]:
    """In one moment trades come before the book that they led to; a node has it otherwise."""
    return sorted(heard, key=lambda one: (one[0], one[1] != "trade"))


@pytest.mark.parametrize("chunk_size", [1, 100, 100_000])
def test_a_strategy_hears_what_it_hears_of_a_node_in_the_same_order(tmp_path, chunk_size):
    instrument = _catalog(tmp_path / "catalog")
    expected = _trades_first(_heard(tmp_path / "catalog", instrument, None))
    assert len({kind for _, kind, *_ in expected}) == 6
    assert _heard(tmp_path / "catalog", instrument, chunk_size) == expected


def test_a_part_of_the_catalog_is_the_same_part(tmp_path):
    instrument = _catalog(tmp_path / "catalog")
    part = {"start_time": START_NS + 7 * SECOND_NS, "end_time": START_NS + 3641 * SECOND_NS}
    expected = _trades_first(_heard(tmp_path / "catalog", instrument, None, **part))
    assert expected
    assert _heard(tmp_path / "catalog", instrument, 50, **part) == expected


def test_runs_that_were_disposed_of_leave_their_place_to_others() -> None:
    """Their results are kept: NautilusTrader has room for 255 engines that hold a log."""
    kept = []
    for at in range(300):
        kept.append(Engine(f"run-{at}", _quiet(), [], [], 1000))
        kept[-1].dispose()
    assert len(kept) == 300


def _quiet() -> BacktestEngineConfig:
    return BacktestEngineConfig(logging=LoggerConfig(bypass_logging=True), run_analysis=False)


class _Shows:
    """As a fill model that has the exchange shown the mid."""

    def __init__(self, instrument: Any) -> None:
        self.shown = {instrument.id: Shown(instrument, {TriggerSource.MID})}

    def finish(self) -> None: ...


@pytest.mark.parametrize("chunk_size", [10, 100_000])
def test_what_the_exchange_is_shown_nobody_hears_and_nobody_counts(
    tmp_path: Path, chunk_size: int
) -> None:
    instrument = _catalog(tmp_path / "catalog")
    data = [
        BacktestDataConfig(kind, str(tmp_path / "catalog"), instrument_id=instrument.id)
        for kind in KINDS
    ]
    config = BacktestEngineConfig(logging=LoggerConfig(bypass_logging=True), run_analysis=False)

    def played(shows: Any) -> tuple[list[Any], int]:
        engine = Engine("run", config, [_venue(instrument)], data, chunk_size)
        strategy = Hears(StrategyConfig())
        strategy.listen(instrument.id)
        engine.add_strategy(strategy)
        if shows is not None:
            engine.fill_by([], shows)
        count = engine.run().iterations - engine.shown_count(engine.end_ns)
        engine.dispose()
        return list(strategy.heard), count

    shows = _Shows(instrument)
    assert played(shows) == played(None)
    assert len(shows.shown[instrument.id].times) == 60
