"""Bars are made of trades: where none came, there is no bar, and nobody trades on one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from tests.unit import backtest_kit as kit
from tests.unit.backtest_kit import SECOND_NS, START_NS

QUIET_SECS = 60
BEFORE_SECS = 60
# A choppy market without a trend: averages of closes part only when the range has collapsed.
CLOSES = ("999.2", "1000.8", "999.7", "1000.3")
PARAMS = {
    "order_quantity": "1.000",
    "bar": "1-SECOND-LAST",
    "fast": 3,
    "slow": 12,
    "atr": 10,
    "channel_atr": "0.3",
    "allow_short": False,
}


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A minute of trades, a minute of silence, a minute of trades."""
    root = tmp_path / "catalog"
    root.mkdir()
    instrument = kit.perpetual("BTCUSDT.TEST")
    held = ParquetDataCatalog(str(root))
    held.write_instruments([instrument])
    deltas, trades, number = [], [], 0
    for second in range(2 * BEFORE_SECS + QUIET_SECS):
        ts = START_NS + second * SECOND_NS
        if BEFORE_SECS <= second < BEFORE_SECS + QUIET_SECS:
            continue
        deltas += kit.book(instrument, Decimal(1000), ts, second)
        for part, price in enumerate(("999.0", "1001.0", CLOSES[second % 4]), 1):
            number += 1
            ts_trade = ts + part * SECOND_NS // 5
            trades.append(kit.trade(instrument, Decimal(price), ts_trade, number, "0.500"))
    held.write_order_book_deltas(deltas)
    held.write_trade_ticks(trades)
    return root


def test_nobody_trades_on_bars_made_of_nothing(tmp_path: Path, catalog: Path):
    result = kit.run(tmp_path, catalog, kit.TREND, PARAMS)
    begin = START_NS + (BEFORE_SECS + 1) * SECOND_NS
    end = START_NS + (BEFORE_SECS + QUIET_SECS) * SECOND_NS
    times = [order.ts_init for order in result.cache.orders()]
    assert [ts for ts in times if begin <= ts <= end] == []
    result.dispose()


def test_a_strategy_hears_a_bar_only_where_there_was_a_trade(tmp_path: Path, catalog: Path):
    result = kit.run(tmp_path, catalog, "tests.data.bar_listener:BarListener", {})
    (strategy,) = result.parts.strategies
    assert len(strategy.volumes) == 2 * BEFORE_SECS - 1  # the last one is still open at the end
    assert min(strategy.volumes) > 0
    result.dispose()
