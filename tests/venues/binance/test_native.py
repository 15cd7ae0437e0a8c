"""NautilusTrader's own Binance client, unmodified, on the simulated venue.

Its USD-M client as it is; its spot client as Binance US' (`us=True`), which asks for JSON: the
other one's REST is SBE, which is not simulated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nautilus_trader.adapters.binance import (
    BinanceDataClientConfig,
    BinanceDataClientFactory,
    BinanceExecutionClientConfig,
    BinanceExecutionClientFactory,
    BinanceInstrumentProviderConfig,
    BinanceProductType,
    BinanceSpotMarketDataMode,
)
from nautilus_trader.common import Environment, LoggerConfig, LogLevel
from nautilus_trader.live import LiveExecutionEngineConfig, LiveNode
from nautilus_trader.model import (
    AccountId,
    BookType,
    InstrumentId,
    OrderSide,
    Price,
    Quantity,
    StrategyId,
    TimeInForce,
    TraderId,
    TriggerType,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.adapters.binance.simulator import BinanceSimulator
from fairlead.adapters.simulation.server import Served, serve
from fairlead.engine.orders.model import Side
from tests.support.patience import PATIENCE_SECS


class Product(msgspec.Struct, frozen=True):
    """One of the venue's products as the client and the ledger name it."""

    account: str
    market: str
    words: tuple[str, str, str]  # of the addresses in what the venue describes
    quantity: str
    decimals: int
    options: dict[str, Any]

    @property
    def instrument(self) -> InstrumentId:
        return InstrumentId.from_str(f"{self.market}.BINANCE")


USDM = Product(
    "usdm",
    "BTCUSDT-PERP",
    ("usdm_rest", "usdm_ws", "usdm_ws_api"),
    "0.010",
    1,
    {"product_type": BinanceProductType.USD_M},
)
SPOT = Product(
    "spot",
    "BTCUSDT",
    ("rest", "ws", "ws_api"),
    "0.01000",
    2,
    {"product_type": BinanceProductType.SPOT, "us": True},
)
BOTH = pytest.mark.parametrize("product", [USDM, SPOT], ids=["usdm", "spot"])
SPOT_LATER = pytest.param(SPOT, marks=pytest.mark.long)  # its book is told once a second


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    running = await serve(BinanceSimulator(now_ns=time.time_ns(), seed=7))
    yield running
    await running.stop()


class Player(Strategy):
    """Keeps what it hears; does `play` once it has a book and a trade; stops when `is_over`."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig(strategy_id=StrategyId("P-001")))
        self.names: list[str] = []  # of order events, with the number of their order
        self.orders: list[Any] = []
        self.deltas = self.trades = 0
        self.is_played = self.is_done = False
        self.stop_node: Callable[[], None] = lambda: None
        self.product = USDM
        self.play: Callable[[Player], None] = lambda player: None
        self.is_over: Callable[[Player], bool] = lambda player: False

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.product.instrument, BookType.L2_MBP, managed=True)
        self.subscribe_trades(self.product.instrument)

    def on_book_deltas(self, deltas: Any) -> None:
        self.deltas += 1
        self._step()

    def on_trade(self, trade: Any) -> None:
        self.trades += 1
        self._step()

    def on_order_event(self, event: Any) -> None:
        known = [str(order.client_order_id) for order in self.orders]
        number = (
            known.index(str(event.client_order_id)) if str(event.client_order_id) in known else -1
        )
        self.names.append(f"{number} {type(event).__name__.removeprefix('Order')}")
        self._step()

    def heard(self, *wanted: str) -> bool:
        return all(one in self.names for one in wanted)

    def place(self, order: Any) -> None:
        self.orders.append(order)
        self.submit_order(order)

    def _step(self) -> None:
        if not self.is_played and self.deltas > 2 and self.trades:
            self.is_played = True
            self.play(self)
        elif self.is_played and self.is_over(self):
            self.stop_node()


def player_of(
    product: Product, play: Callable[[Player], None], is_over: Callable[[Player], bool]
) -> Player:
    made = Player()
    made.product, made.play, made.is_over = product, play, is_over
    return made


async def run_node(served: Served, player: Player, *, trading: bool) -> None:
    line: Any = served.describe()
    product = player.product
    rest, ws, ws_api = (line[word] for word in product.words)
    provider = BinanceInstrumentProviderConfig(load_all=False, load_ids=[str(product.instrument)])
    common: dict[str, Any] = {
        **product.options,
        "base_url_http": rest,
        "base_url_ws": ws,
        "instrument_provider": provider,
    }
    mode = BinanceSpotMarketDataMode.Json
    data = BinanceDataClientConfig(**common, spot_market_data_mode=mode)
    builder = (
        LiveNode.builder("SIM", TraderId("T-001"), Environment.LIVE)
        .with_logging(LoggerConfig(stdout_level=LogLevel.OFF))
        .with_delay_post_stop_secs(0)
        .with_exec_engine_config(LiveExecutionEngineConfig(reconciliation_startup_delay_secs=0.0))
        .add_data_client(None, BinanceDataClientFactory(), data)
    )
    if trading:
        config = BinanceExecutionClientConfig(
            AccountId("BINANCE-001"),
            base_url_ws_trading=ws_api,
            api_key=line["credentials"]["api_key"],
            api_secret=line["credentials"]["api_secret"],
            **common,
        )
        builder = builder.add_exec_client(None, BinanceExecutionClientFactory(), config)
    node = builder.build()
    node.add_strategy(player)
    player.stop_node = node.handle().stop
    async with asyncio.timeout(PATIENCE_SECS):
        await node.run_async()


def mid(player: Player) -> float:
    book = player.cache.order_book(player.product.instrument)
    return (float(book.best_bid_price()) + float(book.best_ask_price())) / 2


def price(player: Player, share: float) -> Price:
    """So much of the middle of the book."""
    decimals = player.product.decimals
    return Price(round(mid(player) * share, decimals), decimals)


def told(levels: Any) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(str(one.price)), Decimal(str(one.size()))) for one in levels][:20]


@BOTH
async def test_its_book_is_the_venues(served: Served, product: Product) -> None:
    truth: Any = served.venue.exchange.markets[product.market].book

    def is_over(player: Player) -> bool:
        """At some event nothing is on its way: then they are the same."""
        book = player.cache.order_book(product.instrument)
        mine = told(book.bids()), told(book.asks())
        player.is_done |= mine == (truth.bids.levels(20), truth.asks.levels(20))
        return player.is_done

    player = player_of(product, lambda player: None, is_over)
    await run_node(served, player, trading=False)
    assert player.is_done


@BOTH
async def test_it_trades_and_the_ledger_agrees(served: Served, product: Product) -> None:
    def play(player: Player) -> None:
        make, quantity = player.order_factory, Quantity.from_str(product.quantity)
        at, low, high = product.instrument, price(player, 0.98), price(player, 1.02)
        player.place(make.limit(at, OrderSide.BUY, quantity, low, post_only=True))
        player.place(make.market(at, OrderSide.BUY, quantity))
        tif = TimeInForce.IOC
        player.place(make.limit(at, OrderSide.BUY, quantity, low, time_in_force=tif))
        player.place(make.limit(at, OrderSide.BUY, quantity, high, post_only=True))
        last = TriggerType.LAST_PRICE
        player.place(make.stop_limit(at, OrderSide.BUY, quantity, high, high, trigger_type=last))
        touched = make.limit_if_touched(at, OrderSide.SELL, quantity, high, high, trigger_type=last)
        player.place(touched)

    placed = ("0 Accepted", "1 Filled", "2 Expired", "3 Rejected", "4 Accepted", "5 Accepted")

    def is_over(player: Player) -> bool:
        if player.heard(*placed) and not player.is_done:
            player.is_done = True
            player.cancel_all_orders(product.instrument)
        return player.heard("0 Canceled", "4 Canceled", "5 Canceled")

    player = player_of(product, play, is_over)
    await run_node(served, player, trading=True)
    venue: Any = served.venue
    (fill,) = venue.exchange.ledger.fills(product.account)
    assert (fill.quantity, fill.side.value) == (Decimal(product.quantity), "BUY")
    assert venue.exchange.open_orders(product.account) == []
    assert venue.algos.open() == []
    (position,) = player.cache.positions_open()
    received = fill.quantity - (fill.fee if product is SPOT else 0)  # spot's fee is in BTC
    assert Decimal(str(position.quantity)) == received
    assert Decimal(str(position.avg_px_open)) == fill.price


@BOTH
async def test_a_stop_that_fires_fills(served: Served, product: Product) -> None:
    exchange: Any = served.venue.exchange

    def play(player: Player) -> None:
        served.venue.driver.paused = True
        quantity, last = Quantity.from_str(product.quantity), TriggerType.LAST_PRICE
        trigger, limit = price(player, 1.001), price(player, 1.01)
        stop = player.order_factory.stop_limit(
            product.instrument, OrderSide.BUY, quantity, limit, trigger, trigger_type=last
        )
        player.place(stop)

    def is_over(player: Player) -> bool:
        if "0 Accepted" in player.names and not player.is_done:
            player.is_done = True
            trigger = Decimal(str(player.orders[0].trigger_price))
            now_ns = exchange.now_ns
            exchange.print_trade(product.market, trigger, Decimal("0.001"), Side.BUY, now_ns)
            served.venue.driver.paused = False
        return player.heard("0 Filled")

    player = player_of(product, play, is_over)
    await run_node(served, player, trading=True)
    fills = exchange.ledger.fills(product.account)
    assert sum(fill.quantity for fill in fills) == Decimal(product.quantity)
    assert player.names.index("0 Accepted") < player.names.index("0 Filled")


@pytest.mark.parametrize("product", [USDM, SPOT_LATER], ids=["usdm", "spot"])
async def test_a_lost_frame_is_a_gap_and_its_book_is_whole_again(
    served: Served, product: Product
) -> None:
    truth: Any = served.venue.exchange.markets[product.market].book
    faults, lost = served.venue.faults, 40 if product is USDM else 12

    def play(player: Player) -> None:
        faults.next("WS", "/", "lose", times=lost)

    def is_over(player: Player) -> bool:
        book = player.cache.order_book(product.instrument)
        mine = told(book.bids()), told(book.asks())
        player.is_done |= faults.waiting == 0 and mine == (
            truth.bids.levels(20),
            truth.asks.levels(20),
        )
        return player.is_done

    player = player_of(product, play, is_over)
    await run_node(served, player, trading=False)
    assert player.is_done
    assert faults.counts == {"lose": lost}
