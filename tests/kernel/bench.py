"""A bare NautilusTrader backtest, nothing of ours in it: a market by script, orders by script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.data import DataEngineConfig
from nautilus_trader.execution import MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.model import (
    AccountType,
    AggressorSide,
    BarType,
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
    TradeTick,
    Venue,
)
from nautilus_trader.trading import Strategy, StrategyConfig

VENUE = Venue("TEST")
IID = InstrumentId.from_str("BTC_USDT.TEST")
OTHER = InstrumentId.from_str("ETH_USDT.TEST")
MS = 1_000_000
BEGIN = 1_700_000_000_000_000_000
Levels = Mapping[float, float]


def px(value: float) -> Price:
    return Price(value, 2)


def qty(value: float) -> Quantity:
    return Quantity(value, 3)


def at(ms: float) -> int:
    return BEGIN + int(ms * MS)


def pair(instrument_id: InstrumentId) -> CurrencyPair:
    return CurrencyPair(
        instrument_id=instrument_id,
        raw_symbol=instrument_id.symbol,
        base_currency=Currency.from_str("BTC" if instrument_id == IID else "ETH"),
        quote_currency=Currency.from_str("USDT"),
        price_precision=2,
        size_precision=3,
        price_increment=Price.from_str("0.01"),
        size_increment=Quantity.from_str("0.001"),
        ts_event=0,
        ts_init=0,
    )


def book(
    ms: float, bids: Levels, asks: Levels, *, sequence: int = 0, instrument: InstrumentId = IID
) -> OrderBookDeltas:
    """A snapshot."""
    ts = at(ms)
    rows = [(OrderSide.BUY, *one) for one in bids.items()]
    rows += [(OrderSide.SELL, *one) for one in asks.items()]
    deltas = [OrderBookDelta.clear(instrument, sequence, ts, ts)]
    for number, (side, price, size) in enumerate(rows, 1):
        flags = RecordFlag.F_SNAPSHOT.value
        if number == len(rows):
            flags |= RecordFlag.F_LAST.value
        order = BookOrder(side, px(price), qty(size), 0)
        deltas.append(OrderBookDelta(instrument, BookAction.ADD, order, flags, sequence, ts, ts))
    return OrderBookDeltas(instrument, deltas)


def cleared(ms: float) -> OrderBookDeltas:
    """A gap: the book is known no more."""
    ts, flags = at(ms), RecordFlag.F_SNAPSHOT.value | RecordFlag.F_LAST.value
    nothing = OrderBookDelta.clear(IID, 0, ts, ts).order
    one = OrderBookDelta(IID, BookAction.CLEAR, nothing, flags, 0, ts, ts)
    return OrderBookDeltas(IID, [one])


def level(ms: float, side: OrderSide, price: float, size: float) -> OrderBookDeltas:
    """One level's new size; 0 deletes it."""
    ts, order = at(ms), BookOrder(side, px(price), qty(size), 0)
    action = BookAction.UPDATE if size else BookAction.DELETE
    return OrderBookDeltas(
        IID, [OrderBookDelta(IID, action, order, RecordFlag.F_LAST.value, 0, ts, ts)]
    )


def top(ms: float, side: OrderSide, price: float, size: float, *gone: float) -> OrderBookDeltas:
    """A best quote alone: one side's best, and the better levels that are `gone`."""
    ts, flags, deltas = at(ms), RecordFlag.F_TOB.value, []
    for one, each in [*((one, 0.0) for one in gone), (price, size)]:
        flags |= RecordFlag.F_LAST.value if each else 0
        action = BookAction.UPDATE if each else BookAction.DELETE
        order = BookOrder(side, px(one), qty(each), 0)
        deltas.append(OrderBookDelta(IID, action, order, flags, 0, ts, ts))
    return OrderBookDeltas(IID, deltas)


def trade(
    ms: float,
    price: float,
    size: float = 1.0,
    side: AggressorSide = AggressorSide.SELL,
    instrument: InstrumentId = IID,
) -> TradeTick:
    ts = at(ms)
    return TradeTick(instrument, px(price), qty(size), side, TradeId(str(ts)), ts, ts)


def quote(ms: float, bid: float, ask: float, size: float = 1.0) -> QuoteTick:
    return QuoteTick(IID, px(bid), px(ask), qty(size), qty(size), at(ms), at(ms))


class Event(msgspec.Struct, frozen=True):
    """An order event as a strategy heard it; `ms` is the time of the clock then."""

    kind: str
    ms: float
    order: str
    price: float = 0.0
    size: float = 0.0
    liquidity: str = ""
    reason: str = ""


class Script(Strategy):
    """Does what `steps` say, each at its time; keeps what it hears."""

    steps: Sequence[tuple[float, Callable[[Any], None]]] = ()
    bars: str = ""

    def begin(self, steps: Sequence[tuple[float, Callable[[Any], None]]], bars: str) -> None:
        self.steps, self.bars = steps, bars
        self.events: list[Event] = []
        self.callbacks: list[str] = []
        self.seen_bars: list[Any] = []
        self.orders: dict[str, Any] = {}

    def on_start(self) -> None:
        for instrument_id in (IID, OTHER):
            self.subscribe_book_deltas(instrument_id, BookType.L2_MBP, managed=True)
            self.subscribe_trades(instrument_id)
        if self.bars:
            self.subscribe_bars(BarType.from_str(f"{IID}-{self.bars}-INTERNAL"))
        for number, (ms, step) in enumerate(self.steps):
            self.clock.set_time_alert_ns(f"step-{number}", at(ms), lambda _, step=step: step(self))

    def send(self, name: str, order: Any) -> None:
        self.orders[name] = order.client_order_id
        self.submit_order(order)

    def limit(self, name: str, side: OrderSide, size: float, price: float, **more: Any) -> None:
        self.send(name, self.order_factory.limit(IID, side, qty(size), px(price), **more))

    def market(self, name: str, side: OrderSide, size: float, **more: Any) -> None:
        self.send(name, self.order_factory.market(IID, side, qty(size), **more))

    def on_bar(self, bar: Any) -> None:
        self.seen_bars.append(bar)

    def on_order_event(self, event: Any) -> None:
        kind = type(event).__name__.removeprefix("Order")
        names = {str(order_id): name for name, order_id in self.orders.items()}
        if kind in ("Initialized", "Submitted"):
            return
        fill = kind == "Filled"
        self.events.append(
            Event(
                kind,
                (self.clock.timestamp_ns() - BEGIN) / MS,
                names.get(str(event.client_order_id), str(event.client_order_id)),
                float(event.last_px) if fill else 0.0,
                float(event.last_qty) if fill else 0.0,
                event.liquidity_side.name if fill else "",
                str(getattr(event, "reason", "")),
            )
        )


class Seen(msgspec.Struct):
    """What came of a run; statuses and quantities by the names of the script's orders."""

    events: list[Event]
    statuses: dict[str, str]
    quantities: dict[str, float]
    bars: list[Any]

    def fills(self, order: str) -> list[tuple[float, float, float]]:
        """Milliseconds, price, size."""
        return [
            (e.ms, e.price, e.size) for e in self.events if (e.order, e.kind) == (order, "Filled")
        ]

    def kinds(self, order: str) -> list[str]:
        return [e.kind for e in self.events if e.order == order]


def run(
    data: Sequence[Any],
    steps: Sequence[tuple[float, Callable[[Any], None]]],
    *,
    latency_ms: float = 0,
    bars: str = "",
    timers_ms: Sequence[float] = (),
    emit_quotes: bool = True,
    prepare: Callable[[BacktestEngine], None] = lambda _: None,
    **venue: Any,
) -> Seen:
    """A backtest of one margin account. `timers_ms` are alerts that do nothing; `prepare` may do
    more to the engine; `venue` are options of NautilusTrader's `add_venue`."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggerConfig(bypass_logging=True),
            run_analysis=False,
            data_engine=DataEngineConfig(emit_quotes_from_book=emit_quotes),
        )
    )
    latency = StaticLatencyModel(base_latency_nanos=int(latency_ms * MS)) if latency_ms else None
    engine.add_venue(
        VENUE,
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money.from_str("10000000 USDT")],
        book_type=BookType.L2_MBP,
        default_leverage=Decimal(1),
        fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)),
        latency_model=latency,
        **venue,
    )
    for instrument_id in (IID, OTHER):
        engine.add_instrument(pair(instrument_id))
    config = StrategyConfig(strategy_id=StrategyId("S-001"), use_uuid_client_order_ids=True)
    script = Script(config)
    nothing: list[tuple[float, Callable[[Any], None]]] = [(ms, lambda _: None) for ms in timers_ms]
    script.begin([*steps, *nothing], bars)
    prepare(engine)
    engine.add_strategy(script)
    engine.add_data(list(data))
    engine.run()
    orders = {name: engine.cache.order(order_id) for name, order_id in script.orders.items()}
    seen = Seen(
        script.events,
        {name: order.status.name for name, order in orders.items()},
        {name: float(order.quantity) for name, order in orders.items()},
        script.seen_bars,
    )
    engine.dispose()
    return seen
