"""Data of the backtest benchmarks: a real recording repeated in time, or a seeded market."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import NautilusDataType, OrderBookDelta, TradeTick
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.backtests.synthetic import perpetual, write_catalog
from fairlead.engine.recording.importers.binance import import_binance

REPOSITORY = Path(__file__).resolve().parents[1]
RECORDING = REPOSITORY / ".." / "shared" / "data" / "binance_usdm_btcusdt_20240808.gz"
INSTRUMENT = "BTCUSDT-PERP.BINANCE"
SYNTHETIC_SECONDS = 2000
ROW_GROUP = 8192  # a reader holds whole row groups: small ones bound its memory
PAUSE_NS = 1_000_000_000
SEQUENCE_STEP = 10**12  # more than the recording's sequence numbers span

PRICE, SIZE = Decimal("61659.7"), Decimal("0.012")  # such as the recording has
PARAMS: Mapping[str, Any] = {
    "instrument_id": "BTCUSDT-PERP.BINANCE",
    "order_quantity": "0.010",
    "max_inventory": "0.100",
    "half_spread_bps": "2.5",
    "allow_short": True,
}

CONFIG = """
name = "benchmark"
[venues.binance]
adapter = "recorded"
instruments = ["BTCUSDT-PERP.BINANCE"]
account_type = "margin"
fees = {{ maker = "0.0002", taker = "0.0005" }}
[[strategies]]
id = "Maker-001"
path = "fairlead.strategies.imbalance_maker:ImbalanceMaker"
[strategies.params]
{params}
[risk]
max_order_notional = "2000 USDT"
max_position = {{ "BTCUSDT-PERP.BINANCE" = "0.120" }}
max_open_orders = 4
max_orders_per_second = {rate}
[simulated]
latency_ms = "5"
[backtest]
catalog = "{catalog}"
chunk_size = 100000
"""


def source_catalog(folder: Path) -> tuple[Path, str]:
    """A catalog of the recording, or of a seeded market where it is absent; and what it is."""
    root = folder / "source"
    if RECORDING.exists():
        import_binance(RECORDING, root)
        return root, f"recording {RECORDING.name}"
    write_catalog(root, perpetual(INSTRUMENT), seconds=SYNTHETIC_SECONDS)
    return root, f"seeded market of {SYNTHETIC_SECONDS} s (no {RECORDING.name} here)"


def repeated(source: Path, target: Path, times: int) -> Path:
    """The source's book and trades `times` in a row, each copy later by the recording's length."""
    target.mkdir(parents=True)
    reader = ParquetDataCatalog(str(source))
    writer = ParquetDataCatalog(str(target), max_row_group_size=ROW_GROUP)
    writer.write_instruments(reader.instruments([INSTRUMENT]))
    kinds = (NautilusDataType.OrderBookDelta, NautilusDataType.TradeTick)
    spans = [span for kind in kinds for span in reader.get_intervals(kind, INSTRUMENT)]
    length = max(b for _, b in spans) - min(a for a, _ in spans) + PAUSE_NS
    for copy in range(times):
        shift = copy * length
        for begin, end in reader.get_intervals(NautilusDataType.OrderBookDelta, INSTRUMENT):
            rows = reader.query_order_book_deltas([INSTRUMENT], start=begin, end=end)
            writer.write_order_book_deltas([_later_delta(row, shift, copy) for row in rows])
        for begin, end in reader.get_intervals(NautilusDataType.TradeTick, INSTRUMENT):
            ticks = reader.query_trade_ticks([INSTRUMENT], start=begin, end=end)
            writer.write_trade_ticks([_later_trade(tick, shift) for tick in ticks])
    return target


def _later_delta(row: OrderBookDelta, shift: int, copy: int) -> OrderBookDelta:
    """Later in time and in sequence: NautilusTrader warns of every number that goes back."""
    ts_event, ts_init = row.ts_event + shift, row.ts_init + shift
    sequence = row.sequence + copy * SEQUENCE_STEP
    return OrderBookDelta(
        row.instrument_id, row.action, row.order, row.flags, sequence, ts_event, ts_init
    )


def _later_trade(tick: TradeTick, shift: int) -> TradeTick:
    return TradeTick(
        tick.instrument_id,
        tick.price,
        tick.size,
        tick.aggressor_side,
        tick.trade_id,
        tick.ts_event + shift,
        tick.ts_init + shift,
    )


def write_config(
    folder: Path,
    catalog: Path,
    name: str = "benchmark.toml",
    params: Mapping[str, Any] | None = None,
    *,
    orders_per_second: int = 20,
) -> Path:
    """`params` stand in place of the maker's, or beside them."""
    given = {**PARAMS, **(params or {})}
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in given.items())
    path = folder / name
    path.write_text(CONFIG.format(catalog=catalog, params=lines, rate=orders_per_second))
    return path
