"""What drives a simulated market: the seeded flow, and the replay of a recording."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from fairlead.adapters.simulation.exchange import Exchange
from fairlead.adapters.simulation.market import CATCH_UP_NS_MAX, SECOND_NS, MarketDriver, SeededFlow
from fairlead.adapters.simulation.orders import MarketSpec, NewOrder, SimOrder, Status
from fairlead.adapters.simulation.replay import (
    LOOP_PAUSE_NS,
    CatalogReplay,
    LevelSet,
    Print,
    ReplayFlow,
    ReplayItem,
    Snapshot,
)
from fairlead.adapters.simulation.tape import every
from fairlead.engine.orders.model import Side

D = Decimal
M = "btcusdt"
T0 = 1_800_000_000 * SECOND_NS
SPEC = MarketSpec(id=M, base="BTC", quote="USDT", price_precision=2, size_precision=6)


def seeded(seed: int) -> tuple[Exchange, MarketDriver]:
    exchange = Exchange([SPEC])
    return exchange, MarketDriver(exchange, [SeededFlow(SPEC, D(60_000), Random(seed))], T0)


def test_a_seed_gives_one_market_however_often_it_is_advanced() -> None:
    tapes = []
    for step_ns in (SECOND_NS // 50, 30 * SECOND_NS):
        exchange, driver = seeded(5)
        for now_ns in range(T0, T0 + 60 * SECOND_NS + 1, step_ns):
            driver.advance(now_ns)
        market = exchange.markets[M]
        tapes.append((list(market.tape.trades), market.book.bids.levels(99)))
    assert tapes[0] == tapes[1]
    other, driver = seeded(6)
    driver.advance(T0 + 60 * SECOND_NS)
    assert list(other.markets[M].tape.trades) != tapes[0][0]


def test_seeded_market_is_plausible_for_minutes() -> None:
    exchange, driver = seeded(1)
    market = exchange.markets[M]
    assert len(market.tape.bars(every(1), 0)) == 1440
    assert market.tape.last_price == 60_000
    prices = set()
    for second in range(1, 301):
        driver.advance(T0 + second * SECOND_NS)
        bid, ask = market.book.bids.best(), market.book.asks.best()
        assert bid is not None
        assert ask is not None
        assert bid.price < ask.price < bid.price * D("1.002")
        assert min(len(market.book.bids), len(market.book.asks)) >= 10
        prices.add(bid.price)
    trades = market.tape.trades
    assert 2 * 300 < len(trades) < 20 * 300
    assert {t.aggressor for t in trades} == {Side.BUY, Side.SELL}
    assert len(prices) > 50
    assert all(abs(t.price - 60_000) < 3_000 for t in trades)


def test_day_and_bars_sum_up_the_trades() -> None:
    exchange = Exchange([SPEC])
    tape = exchange.markets[M].tape
    assert tape.day(T0).volume == 0
    minute_ns = 60 * SECOND_NS
    start_ns = T0 - T0 % (5 * minute_ns)
    for minute, price in enumerate((100, 130, 90, 110, 120, 105)):
        for size in ("1", "2"):
            ts = start_ns + minute * minute_ns + int(size) * SECOND_NS
            exchange.print_trade(M, D(price + int(size)), D(size), Side.BUY, ts)
            day = tape.day(ts)  # asked at every trade: nothing may be counted twice
            assert day.count == len(tape.trades)
            assert day.volume == sum(t.quantity for t in tape.trades)
            assert day.funds == sum(t.quantity * t.price for t in tape.trades)
    assert (day.open, day.high, day.low, day.last) == (101, 132, 91, 107)
    first, second = tape.bars(every(5), 0)
    assert (first.ts_open, second.ts_open) == (start_ns, start_ns + 5 * minute_ns)
    assert (first.open, first.high, first.low, first.close) == (101, 132, 91, 122)
    assert (first.volume, first.count, second.volume) == (15, 10, 3)
    assert tape.bars(every(5), start_ns + 1) == [second]
    later = tape.day(start_ns + 24 * 60 * minute_ns + 2 * minute_ns)
    assert (later.open, later.count, later.last) == (91, 8, 107)
    empty = tape.day(start_ns + 48 * 60 * minute_ns)
    assert (empty.open, empty.high, empty.volume, empty.count) == (107, 107, 0, 0)


def test_users_orders_get_filled_by_the_seeded_flow() -> None:
    exchange, driver = seeded(2)
    exchange.open_account("alice")
    exchange.adjust("alice", "USDT", D(10_000), D(0), "deposit", T0)
    best = exchange.markets[M].book.bids.best()
    assert best is not None
    order = exchange.submit(
        "alice",
        NewOrder(market=M, side=Side.BUY, quantity=D("0.05"), price=best.price + D("0.01")),
        T0,
    )
    assert isinstance(order, SimOrder)
    driver.advance(T0 + 120 * SECOND_NS)
    assert order.status is Status.FILLED
    assert all(fill.is_maker for fill in exchange.ledger.fills("alice"))


def test_pause_and_long_jumps_do_not_pile_up_events() -> None:
    exchange, driver = seeded(1)
    driver.paused = True
    driver.advance(T0 + 60 * SECOND_NS)
    assert not exchange.markets[M].tape.trades
    driver.paused = False
    driver.advance(T0 + 60 * SECOND_NS + 10 * CATCH_UP_NS_MAX)
    assert len(exchange.markets[M].tape.trades) < 10
    assert exchange.now_ns == T0 + 60 * SECOND_NS + 10 * CATCH_UP_NS_MAX


class Recording:
    def __init__(self, *items: ReplayItem) -> None:
        self._items = items

    def items(self) -> Iterator[ReplayItem]:
        return iter(self._items)


def snapshot(ts_ns: int) -> Snapshot:
    return Snapshot(
        ts_ns, {D("99.5"): D("1"), D("99.4"): D("2")}, {D("100.5"): D("1"), D("100.6"): D("2")}
    )


def test_replay_maps_times_and_fills_users_in_the_queue() -> None:
    recording = Recording(
        snapshot(7_000),
        LevelSet(8_000, Side.BUY, D("99.5"), D("3")),
        Print(9_000, D("99.5"), D("1.5"), Side.SELL),
        LevelSet(9_000, Side.BUY, D("99.5"), D("1.5")),
        Print(10_000, D("99.5"), D("2"), None),
        LevelSet(11_000, Side.BUY, D("99.5"), D("0")),
    )
    exchange = Exchange([SPEC])
    exchange.open_account("alice")
    exchange.adjust("alice", "USDT", D(1000), D(0), "deposit", T0)
    flow = ReplayFlow(SPEC, recording, "stop")
    driver = MarketDriver(exchange, [flow], T0)
    market = exchange.markets[M]
    assert market.book.bids.levels(9) == [(D("99.5"), D("1")), (D("99.4"), D("2"))]
    driver.advance(T0 + 1_000)
    order = exchange.submit(
        "alice", NewOrder(market=M, side=Side.BUY, quantity=D(1), price=D("99.5")), T0 + 1_500
    )
    assert isinstance(order, SimOrder)
    driver.advance(T0 + 2_000)
    assert order.executed == 0  # 1.5 of the 3 ahead
    assert market.book.bids.levels(1) == [(D("99.5"), D("2.5"))]
    driver.advance(T0 + 3_000)
    assert order.executed == D("0.5")
    driver.advance(T0 + 9_000)
    assert [t.ts_event - T0 for t in market.tape.trades] == [2_000, 3_000, 3_000]
    assert (flow.next_ns, flow.rounds) == (None, 1)
    assert market.book.bids.levels(1) == [(D("99.5"), D("0.5"))]  # what is left of alice's


def test_replay_loops_with_a_fresh_book() -> None:
    recording = Recording(snapshot(0), LevelSet(1_000, Side.SELL, D("100.5"), D("9")))
    exchange = Exchange([SPEC])
    flow = ReplayFlow(SPEC, recording)
    driver = MarketDriver(exchange, [flow], T0)
    driver.advance(T0 + 1_000)
    assert exchange.markets[M].book.asks.levels(1) == [(D("100.5"), D("9"))]
    driver.advance(T0 + 1_000 + LOOP_PAUSE_NS)
    assert exchange.markets[M].book.asks.levels(1) == [(D("100.5"), D("1"))]
    driver.advance(T0 + 2_000 + LOOP_PAUSE_NS)
    assert flow.rounds == 2
    assert exchange.markets[M].book.asks.levels(1) == [(D("100.5"), D("9"))]


def test_replay_rounds_away_from_the_spread_and_adds_up() -> None:
    coarse = MarketSpec(id=M, base="BTC", quote="USDT", price_precision=0, size_precision=1)
    recording = Recording(
        snapshot(0),
        LevelSet(1, Side.BUY, D("99.5"), D("0.25")),
        LevelSet(2, Side.BUY, D("99.4"), D("0")),
        LevelSet(3, Side.BUY, D("99.5"), D("0")),
    )
    exchange = Exchange([coarse])
    driver = MarketDriver(exchange, [ReplayFlow(coarse, recording, "stop")], T0)
    book = exchange.markets[M].book
    shown = [book.bids.levels(9)]
    assert book.asks.levels(9) == [(D("101"), D("3"))]
    for offset in (1, 2, 3):
        driver.advance(T0 + offset)
        shown.append(book.bids.levels(9))
    assert shown == [[(D("99"), D("3"))], [(D("99"), D("2.3"))], [(D("99"), D("0.3"))], []]


def test_an_empty_recording_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        MarketDriver(Exchange([SPEC]), [ReplayFlow(SPEC, Recording())], T0)


def write_catalog(root: Path) -> str:
    from nautilus_trader.model import (
        AggressorSide,
        BookAction,
        BookOrder,
        InstrumentId,
        OrderBookDelta,
        OrderSide,
        Price,
        Quantity,
        TradeId,
        TradeTick,
    )
    from nautilus_trader.persistence import ParquetDataCatalog

    name = InstrumentId.from_str("BTCUSDT.BINANCE")
    root.mkdir(parents=True)
    catalog = ParquetDataCatalog(str(root))

    def delta(
        action: BookAction, side: OrderSide, price: str, size: str, flags: int, ts: int
    ) -> OrderBookDelta:
        level = BookOrder(side, Price.from_str(price), Quantity.from_str(size), 0)
        return OrderBookDelta(name, action, level, flags, 0, ts, ts)

    buy, sell = OrderSide.BUY, OrderSide.SELL
    catalog.write_order_book_deltas(
        [
            OrderBookDelta.clear(name, 0, T0, T0),
            delta(BookAction.ADD, buy, "99.50", "1.000000", 32, T0),
            delta(BookAction.ADD, sell, "100.50", "2.000000", 32 | 128, T0),
            delta(BookAction.UPDATE, buy, "99.50", "0.500000", 128, T0 + 2),
            delta(BookAction.DELETE, sell, "100.50", "2.000000", 128, T0 + 20 * SECOND_NS),
        ]
    )
    catalog.write_trade_ticks(
        [
            TradeTick(
                name,
                Price.from_str("99.50"),
                Quantity.from_str("0.500000"),
                AggressorSide.SELL,
                TradeId("1"),
                T0 + 2,
                T0 + 2,
            )
        ]
    )
    return str(name)


def test_catalog_replay_reads_snapshots_updates_and_trades(tmp_path: Path) -> None:
    name = write_catalog(tmp_path / "catalog")
    source = CatalogReplay(tmp_path / "catalog", name)
    expected = [
        Snapshot(T0, {D("99.5"): D("1")}, {D("100.5"): D("2")}),
        Print(T0 + 2, D("99.5"), D("0.5"), Side.SELL),
        LevelSet(T0 + 2, Side.BUY, D("99.5"), D("0.5")),
        LevelSet(T0 + 20 * SECOND_NS, Side.SELL, D("100.5"), D("0")),
    ]
    assert list(source.items()) == expected
    assert list(source.items()) == expected


def test_catalog_without_the_instrument_is_refused(tmp_path: Path) -> None:
    write_catalog(tmp_path / "catalog")
    with pytest.raises(ValueError, match=r"no order book deltas or trades of ETHUSDT\.BINANCE"):
        CatalogReplay(tmp_path / "catalog", "ETHUSDT.BINANCE")
    with pytest.raises(ValueError, match="not a directory"):
        CatalogReplay(tmp_path / "nowhere", "ETHUSDT.BINANCE")
