"""A small market for tests: the same strategy runs in a BacktestEngine or, on paper, in a LiveNode.

The market is `steps` book snapshots around `MID` (and a trade each), 1 s apart in a backtest and a
few milliseconds apart on paper.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import Environment, LoggerConfig
from nautilus_trader.config import DataClientConfig, ExecutionClientConfig
from nautilus_trader.data import DataEngineConfig
from nautilus_trader.execution import MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.live import (
    LiveDataEngineConfig,
    LiveExecutionEngineConfig,
    LiveNode,
)
from nautilus_trader.live.clients import DataClientFactory, MarketDataClient
from nautilus_trader.model import (
    AccountType,
    AggressorSide,
    BookAction,
    BookOrder,
    BookType,
    Currency,
    CurrencyPair,
    InstrumentId,
    Money,
    OmsType,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    RecordFlag,
    StrategyId,
    TradeId,
    TraderId,
    TradeTick,
    Venue,
)
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.config.model import Risk
from fairlead.engine.guard.feeds import FeedKind
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.guard.simulated import simulate
from fairlead.engine.guard.strategy import guard
from fairlead.engine.matching.client import (
    SimulatedClientFactory,
    SimulatedExecutionClient,
    Simulation,
)
from fairlead.engine.matching.orders import Fee
from fairlead.engine.risk.gate import RiskGate
from tests.support.patience import PATIENCE_SECS

VENUE = Venue("TEST")
IID = InstrumentId.from_str("BTC_USDT.TEST")
OTHER = InstrumentId.from_str("ETH_USDT.TEST")
MID = 100.0
SECOND = 1_000_000_000
PAPER_PACE_SECS = 0.01


def px(value: float) -> Price:
    return Price(value, 2)


def qty(value: float) -> Quantity:
    return Quantity(value, 6)


def pair(instrument_id: InstrumentId = IID) -> CurrencyPair:
    return CurrencyPair(
        instrument_id=instrument_id,
        raw_symbol=instrument_id.symbol,
        base_currency=Currency.from_str("BTC"),
        quote_currency=Currency.from_str("USDT"),
        price_precision=2,
        size_precision=6,
        price_increment=Price.from_str("0.01"),
        size_increment=Quantity.from_str("0.000001"),
        min_price=Price.from_str("1.00"),
        max_price=Price.from_str("1000.00"),
        min_quantity=Quantity.from_str("0.000100"),
        max_quantity=Quantity.from_str("1000000.000000"),
        min_notional=Money.from_str("0.50 USDT"),
        ts_event=0,
        ts_init=0,
    )


def book(mid: float, ts: int, instrument_id: InstrumentId = IID, levels: int = 5) -> Any:
    """A snapshot: `levels` of 1.0 on both sides, the touch 0.01 from `mid`."""
    deltas = [OrderBookDelta.clear(instrument_id, 0, ts, ts)]
    rows = [(OrderSide.BUY, mid - 0.01 * (i + 1)) for i in range(levels)]
    rows += [(OrderSide.SELL, mid + 0.01 * (i + 1)) for i in range(levels)]
    for number, (side, price) in enumerate(rows):
        flags = RecordFlag.F_SNAPSHOT.value
        if number == len(rows) - 1:
            flags |= RecordFlag.F_LAST.value
        order = BookOrder(side, px(price), qty(1.0), 0)
        deltas.append(OrderBookDelta(instrument_id, BookAction.ADD, order, flags, 0, ts, ts))
    return OrderBookDeltas(instrument_id, deltas)


def cleared(ts: int, instrument_id: InstrumentId = IID) -> Any:
    """The book after a gap: empty."""
    return OrderBookDeltas(instrument_id, [OrderBookDelta.clear(instrument_id, 0, ts, ts)])


def trade(price: float, ts: int, instrument_id: InstrumentId = IID) -> TradeTick:
    number = TradeId(str(ts))
    return TradeTick(instrument_id, px(price), qty(0.1), AggressorSide.BUY, number, ts, ts)


def quote(mid: float, ts: int, instrument_id: InstrumentId = IID) -> QuoteTick:
    return QuoteTick(instrument_id, px(mid - 0.01), px(mid + 0.01), qty(1), qty(1), ts, ts)


def market(step: int, ts: int, mids: Sequence[float | None]) -> list[Any]:
    """What happens at a step: a book and a trade at its mid; None is a cleared book."""
    mid = mids[step] if step < len(mids) else MID
    if mid is None:
        return [cleared(ts)]
    return [book(mid, ts), trade(mid, ts)]


class Run:
    """A strategy behind its own gate, and what became of it."""

    def __init__(
        self,
        strategy_class: type,
        config: Any = None,
        *,
        risk: Risk | None = None,
        gate: RiskGate | None = None,
        feeds: FeedKind = "book",
        steps: int = 20,
        mids: Sequence[float | None] = (),
        instruments: Sequence[InstrumentId] = (IID,),
        extra: Sequence[Any] = (),
        is_cash: bool = False,
    ) -> None:
        self.gate = gate or RiskGate(risk or Risk())
        self.state = RunState(tuple(str(i) for i in instruments))
        self.strategy = guard(strategy_class)(config or strategy_config())
        self.strategy.bind(self.gate, self.state, feeds)
        self.steps, self.mids, self.instruments = steps, mids, instruments
        self.extra = extra
        self.is_cash = is_cash
        self.seen_steps = 0
        self.orders: list[tuple[str, str, str]] = []  # side, type, status

    def codes(self) -> list[str]:
        return [record.denial.code for record in self.state.denials]

    def keep(self, cache: Any) -> None:
        self.orders = [
            (o.side.name, o.order_type.name, o.status.name)
            for o in sorted(cache.orders(), key=lambda o: (o.ts_init, str(o.client_order_id)))
        ]


def strategy_config(**options: Any) -> StrategyConfig:
    return StrategyConfig(
        strategy_id=StrategyId("S-001"),
        use_uuid_client_order_ids=True,
        log_events=False,
        log_commands=False,
        **options,
    )


def exchange(
    instruments: Sequence[InstrumentId] = (IID,), latency_ms: int = 0, *, is_cash: bool = False
) -> BacktestEngine:
    """An engine with one account at `VENUE`, of margin; it has no data and no strategy yet."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggerConfig(bypass_logging=True),
            run_analysis=False,
            data_engine=DataEngineConfig(emit_quotes_from_book=True),
        )
    )
    latency = StaticLatencyModel(base_latency_nanos=latency_ms * 1_000_000) if latency_ms else None
    engine.add_venue(
        VENUE,
        OmsType.NETTING,
        AccountType.CASH if is_cash else AccountType.MARGIN,
        [Money.from_str("1000000 USDT")],
        book_type=BookType.L2_MBP,
        default_leverage=Decimal(1),
        fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)),
        latency_model=latency,
    )
    for instrument_id in instruments:
        engine.add_instrument(pair(instrument_id))
    return engine


def backtest(run: Run, latency_ms: int = 0, more: Sequence[Any] = ()) -> Run:
    """Run the market through a BacktestEngine."""
    engine = exchange(run.instruments, latency_ms, is_cash=run.is_cash)
    engine.add_actor(simulate(run.state, run.gate, latency_ms * 1_000_000))
    for strategy in (run.strategy, *more):
        engine.add_strategy(strategy)
    data = [
        event for step in range(run.steps) for event in market(step, (step + 1) * SECOND, run.mids)
    ]
    engine.add_data([*data, *run.extra])
    try:
        engine.run()
        run.seen_steps = engine.get_result().iterations
        run.keep(engine.cache)
    finally:
        engine.dispose()
    return run


class _MarketData(MarketDataClient):
    run: Run
    exchange: SimulatedExecutionClient
    started = False
    trades = False  # as a venue: what is not subscribed is not sent

    async def _connect(self) -> None:
        for instrument_id in self.run.instruments:
            self._handle_instrument(pair(instrument_id))

    async def _disconnect(self) -> None:
        pass

    async def _go(self) -> None:
        for step in range(self.run.steps):
            for event in market(step, self.clock.timestamp_ns(), self.run.mids):
                self.exchange.show(event)
                if self.trades or not isinstance(event, TradeTick):
                    self._handle_data(event)
            self.run.seen_steps += 1
            await asyncio.sleep(PAPER_PACE_SECS)

    async def _begin(self, command: Any) -> None:
        if not self.started:
            self.started = True
            self.create_task(self._go())

    async def _begin_trades(self, command: Any) -> None:
        self.trades = True
        await self._begin(command)

    async def _ignore(self, command: Any) -> None:
        pass

    _subscribe_book_deltas = _begin
    _subscribe_trades = _begin_trades
    _subscribe_quotes = _ignore
    _unsubscribe_book_deltas = _ignore
    _unsubscribe_trades = _ignore
    _unsubscribe_quotes = _ignore


class _MarketDataFactory(DataClientFactory):
    run: Run
    client: _MarketData

    @staticmethod
    def create(*, name: str, config: Any, cache: Any, clock: Any) -> _MarketData:
        client = _MarketData(name=name, config=config, cache=cache, clock=clock, venue=VENUE)
        client.run = _MarketDataFactory.run
        _MarketDataFactory.client = client
        return client


def paper(run: Run) -> Run:
    """Run the market through a LiveNode with the simulated exchange of a paper run."""
    _MarketDataFactory.run = run
    defects: list[str] = []
    simulation = Simulation(
        venue="TEST",
        account="main",
        instruments=[pair(name) for name in run.instruments],
        balances={"USDT": Decimal(1_000_000)},
        fees=lambda *_, **__: Fee(Decimal(0), "USDT"),
        is_margin=not run.is_cash,
        latency_ns=0,
        queue_position=False,
        liquidity_consumption=False,
        cancel_at_stop=False,
        now_ns=time.time_ns,
        on_defect=lambda code, message: defects.append(f"{code}: {message}"),
    )

    def connect(client: SimulatedExecutionClient) -> None:
        _MarketDataFactory.client.exchange = client

    builder = (
        LiveNode.builder("TEST", TraderId("TESTER-001"), Environment.SANDBOX)
        .with_logging(LoggerConfig(bypass_logging=True))
        .with_delay_post_stop_secs(0)
        .with_timeout_connection(60)
        .with_data_engine_config(LiveDataEngineConfig(emit_quotes_from_book=True))
        .with_exec_engine_config(LiveExecutionEngineConfig(reconciliation=False))
        .add_data_client("TEST", _MarketDataFactory(), DataClientConfig())
        .add_exec_client(
            "TEST", SimulatedClientFactory(simulation, connect), ExecutionClientConfig()
        )
    )
    gc.collect()  # a strategy that holds itself keeps its node until it is collected
    node = builder.build()
    node.add_strategy(run.strategy)
    handle = node.handle()

    async def main() -> None:
        async def stop_when_done() -> None:
            deadline = time.monotonic() + PATIENCE_SECS
            while run.seen_steps < run.steps and time.monotonic() < deadline:
                await asyncio.sleep(PAPER_PACE_SECS)
            await asyncio.sleep(5 * PAPER_PACE_SECS)
            handle.stop()

        stopper = asyncio.ensure_future(stop_when_done())
        await node.run_async()
        stopper.cancel()

    asyncio.run(main())
    assert not defects, defects
    run.keep(node.cache)
    return run


MODES = {"backtest": backtest, "paper": paper}
