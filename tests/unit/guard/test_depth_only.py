"""A catalog whose book is told as whole depths alone, and in which nobody trades."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import (
    BookOrder,
    BookType,
    InstrumentId,
    OrderBookDepth,
    OrderSide,
    Price,
    Quantity,
)
from nautilus_trader.persistence import ParquetDataCatalog
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard.strategy import GuardedStrategy
from tests.unit import backtest_kit as kit

NAME = "BTCUSDT.TEST"
IID = InstrumentId.from_str(NAME)
MIDS = [Decimal(1000) + n for n in range(8)]


class Config(StrategyConfig):
    def __init__(self, *, how: str, **native: Any) -> None:
        self.how = how


class Buyer(GuardedStrategy):
    """Buys at the fourth second; `how` is the subscription that it has."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.how = config.how
        self.heard = 0
        self.quotes = 0
        self.refused: list[str] = []
        self.denied: list[str] = []

    def on_start(self) -> None:
        if self.how in ("plain", "left"):
            self.subscribe_book_depth(IID, BookType.L2_MBP)
        elif self.how == "managed":
            self.subscribe_book_depth(IID, BookType.L2_MBP, 5, managed=True)
        elif self.how == "quotes":
            self.subscribe_quotes(IID)
        self.clock.set_time_alert_ns("buy", kit.START_NS + 3_500_000_000, self.buy)

    def buy(self, event: Any) -> None:
        if self.how == "left":
            self.unsubscribe_book_depth(IID)
        quantity = self.cache.instrument(IID).make_qty(Decimal(1))
        self.submit_order(self.order_factory.market(IID, OrderSide.BUY, quantity))

    def on_book_deltas(self, deltas: Any) -> None:
        self.heard += 1

    def on_book_depth(self, depth: Any) -> None:
        self.heard += 1

    def on_quote(self, quote: Any) -> None:
        self.quotes += 1

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        self.refused.append(str(denial))

    def on_order_denied(self, event: Any) -> None:
        self.denied.append(event.reason)


def depth(mid: Decimal, ts: int) -> OrderBookDepth:
    def side(of: OrderSide, sign: int) -> list[BookOrder]:
        prices = [mid + sign * Decimal("0.1") * n for n in (1, 2)]
        size = Quantity.from_str("5.000")
        return [BookOrder(of, Price.from_str(f"{one:.1f}"), size, 0) for one in prices]

    bids, asks = side(OrderSide.BUY, -1), side(OrderSide.SELL, 1)
    return OrderBookDepth(IID, bids, asks, [1, 1], [1, 1], 0, 0, ts, ts)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("depths") / "c"
    root.mkdir()
    found = ParquetDataCatalog(str(root))
    found.write_instruments([kit.perpetual(NAME)])
    times = [kit.START_NS + at * kit.SECOND_NS for at in range(len(MIDS))]
    found.write_order_book_depths([depth(*one) for one in zip(MIDS, times, strict=True)])
    return root


@pytest.mark.parametrize(
    ("how", "heard", "quotes"),
    [("plain", 8, 0), ("managed", 8, 0), ("left", 4, 0), ("quotes", 0, 8), ("nothing", 0, 0)],
)
def test_a_market_order_has_a_price(
    catalog: Path, tmp_path: Path, how: str, heard: int, quotes: int
) -> None:
    result = kit.run(tmp_path, catalog, "tests.unit.guard.test_depth_only:Buyer", {"how": how})
    (strategy,) = result.parts.strategies
    assert (strategy.refused, strategy.denied) == ([], [])
    (order,) = result.cache.orders()
    assert (order.status.name, str(order.last_event.last_px)) == ("FILLED", "1003.1")
    assert (strategy.heard, strategy.quotes) == (heard, quotes)
    result.dispose()


@pytest.mark.parametrize("how", ["quotes", "nothing"])
def test_who_subscribes_no_book_has_the_gates(tmp_path: Path, how: str) -> None:
    """Told by changes, to a class that would hear them."""
    root = kit.scripted(tmp_path / "c", kit.perpetual(NAME), MIDS)
    result = kit.run(tmp_path, root, "tests.unit.guard.test_depth_only:Buyer", {"how": how})
    (strategy,) = result.parts.strategies
    assert (strategy.refused, strategy.denied, strategy.heard) == ([], [], 0)
    assert [one.status.name for one in result.cache.orders()] == ["FILLED"]
    result.dispose()
