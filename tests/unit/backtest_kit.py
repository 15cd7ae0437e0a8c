"""Catalogs and config files for tests of backtests: scripted and seeded markets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import (
    AggressorSide,
    BookAction,
    BookOrder,
    OrderBookDelta,
    OrderSide,
    Price,
    Quantity,
    RecordFlag,
    TradeId,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.backtests.synthetic import START_NS, perpetual, spot, write_catalog
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.run.backtest import RunResult, run_backtest
from fairlead.engine.run.config import load

SECOND_NS = 1_000_000_000
BOOK_LEVELS = 5
BOOK_SIZE = "5.000"
FEES = '{ maker = "0.0002", taker = "0.0005" }'
MAKER = "fairlead.strategies.imbalance_maker:ImbalanceMaker"
TREND = "fairlead.strategies.trend_follower:TrendFollower"
BREAKOUT = "fairlead.strategies.breakout:Breakout"
MAKER_PARAMS = {
    "order_quantity": "0.010",
    "max_inventory": "0.050",
    "half_spread_bps": "0.5",
    "requote_bps": "0.1",
    "requote_ms": 100,
}


def book(instrument: Any, mid: Decimal, ts: int, sequence: int) -> list[OrderBookDelta]:
    """A snapshot of five levels a side, 0.1 apart, the touch 0.1 from the mid."""
    found = [OrderBookDelta.clear(instrument.id, sequence, ts, ts)]
    for at in range(BOOK_LEVELS):
        away = Decimal("0.1") * (at + 1)
        for side, price in ((OrderSide.BUY, mid - away), (OrderSide.SELL, mid + away)):
            last = at == BOOK_LEVELS - 1 and side == OrderSide.SELL
            flags = RecordFlag.F_SNAPSHOT.value | (RecordFlag.F_LAST.value if last else 0)
            order = BookOrder(side, Price.from_str(f"{price:.1f}"), Quantity.from_str(BOOK_SIZE), 0)
            found.append(
                OrderBookDelta(instrument.id, BookAction.ADD, order, flags, sequence, ts, ts)
            )
    return found


def cleared(instrument: Any, sequence: int, ts: int) -> OrderBookDelta:
    """A CLEAR that stands alone: F_LAST, so that it is not held back for a later update."""
    flags = RecordFlag.F_SNAPSHOT.value | RecordFlag.F_LAST.value
    nothing = OrderBookDelta.clear(instrument.id, sequence, ts, ts).order
    return OrderBookDelta(instrument.id, BookAction.CLEAR, nothing, flags, sequence, ts, ts)


def trade(instrument: Any, price: Decimal, ts: int, number: int, size: str) -> TradeTick:
    return TradeTick(
        instrument.id,
        Price.from_str(f"{price:.1f}"),
        Quantity.from_str(size),
        AggressorSide.BUY,
        TradeId(str(number)),
        ts,
        ts,
    )


def scripted(
    root: Path,
    instrument: Any,
    mids: Sequence[Decimal | str],
    *,
    clear_at: int | None = None,
    silent_after: int | None = None,
) -> Path:
    """One snapshot and one trade at the mid a second.

    `clear_at`: at that second the book is cleared, and no later snapshot comes. `silent_after`:
    after that second only trades come.
    """
    root.mkdir(parents=True)
    catalog = ParquetDataCatalog(str(root))
    catalog.write_instruments([instrument])
    deltas: list[OrderBookDelta] = []
    trades = []
    for at, mid in enumerate(mids):
        ts = START_NS + at * SECOND_NS
        price = Decimal(mid)
        if clear_at is not None and at == clear_at:
            deltas.append(cleared(instrument, at, ts))
        ends = [end for end in (clear_at, silent_after) if end is not None]
        if all(at < end for end in ends):
            deltas += book(instrument, price, ts, at)
        trades.append(trade(instrument, price, ts + 1, at, "0.100"))
    catalog.write_order_book_deltas(deltas)
    catalog.write_trade_ticks(trades)
    return root


def toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f'"{value}"'


def config_text(
    catalog: Path,
    path: str,
    params: Mapping[str, Any],
    *,
    instrument: str = "BTCUSDT.TEST",
    adapter: str = "recorded",
    account: str = "margin",
    fees: str | None = FEES,
    balances: Sequence[str] = ("100000 USDT",),
    latency_ms: str = "1",
    risk: str = "",
    backtest: str = "",
) -> str:
    venue = instrument.rpartition(".")[2].lower()
    lines = "\n".join(f"{name} = {toml(value)}" for name, value in params.items())
    known = "" if "instrument_id" not in _names(path) else f'instrument_id = "{instrument}"'
    return f"""
name = "test"
[venues.{venue}]
adapter = "{adapter}"
instruments = ["{instrument}"]
account_type = "{account}"
{"" if fees is None else f"fees = {fees}"}
[[strategies]]
id = "Test-001"
path = "{path}"
[strategies.params]
{known}
{lines}
[risk]
max_orders_per_second = 100
{risk}
[simulated]
balances = [{", ".join(f'"{one}"' for one in balances)}]
latency_ms = "{latency_ms}"
[backtest]
catalog = "{catalog}"
{backtest}
"""


def _names(path: str) -> tuple[str, ...]:
    return ("instrument_id",) if path.startswith("fairlead.strategies.") else ()


def config(folder: Path, catalog: Path, path: str, params: Mapping[str, Any], **more: Any) -> Path:
    file = folder / "run.toml"
    file.write_text(config_text(catalog, path, params, **more))
    return file


def loaded(folder: Path, *args: Any, **more: Any) -> LoadedConfig:
    return load(config(folder, *args, **more))


def run(folder: Path, *args: Any, **more: Any) -> RunResult:
    return run_backtest(loaded(folder, *args, **more))


__all__ = [
    "BREAKOUT",
    "MAKER",
    "MAKER_PARAMS",
    "START_NS",
    "TREND",
    "config",
    "config_text",
    "loaded",
    "perpetual",
    "run",
    "scripted",
    "spot",
    "write_catalog",
]
