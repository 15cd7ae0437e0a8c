"""Data of the backtest benchmarks: a real recording repeated in time, or a seeded market."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Any

from nautilus_trader.model import NautilusDataType, OrderBookDelta, TradeTick
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.backtests.synthetic import Market, perpetual, write_catalog
from fairlead.engine.recording.importers.binance import import_binance

REPOSITORY = Path(__file__).resolve().parents[1]
RECORDING = REPOSITORY / ".." / "shared" / "data" / "binance_usdm_btcusdt_20240808.gz"
SAMPLE = REPOSITORY / "tests" / "data" / "recording" / "binance_usdm_400.gz"
SAMPLE_TIMES = 60  # how often it stands in the twin of a recording
INSTRUMENT = "BTCUSDT-PERP.BINANCE"
SYNTHETIC_SECONDS = 2000
MONTH_LEVELS = 5  # of each side, each second: with trades, 30 days are 50 million rows
PIECE_ROWS = 200_000  # of a file, as recordings have
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


def stream_file(folder: Path) -> tuple[Path, str]:
    """The recording as it was received, or a smaller twin of it where it is absent; and what."""
    if RECORDING.exists():
        return RECORDING.resolve(), f"recording {RECORDING.name}"
    path = folder / "stream.gz"
    if not path.exists():
        with gzip.open(path, "wb") as file:
            file.writelines(_twin(gzip.decompress(SAMPLE.read_bytes()).splitlines()))
    return path, f"{SAMPLE.name} {SAMPLE_TIMES} times in a row (no {RECORDING.name} here)"


def _twin(lines: list[bytes]) -> Iterator[bytes]:
    """Lines again and again, later in time and in ids, the depth of one copy after another's."""
    told = [(int(stamp), json.loads(text)) for stamp, _, text in (x.partition(b" ") for x in lines)]
    begin_ns, end_ns = told[0][0], told[-1][0] + PAUSE_NS
    trades = {one["t"] for _, message in told if "t" in (one := message.get("data", message))}
    steps = dict.fromkeys(("u", "U", "lastUpdateId"), SEQUENCE_STEP)
    steps["t"] = max(trades) - min(trades) + 1  # theirs go on without a hole
    last = None
    for copy in range(SAMPLE_TIMES):
        later_ns = copy * (end_ns - begin_ns)
        for local_ns, message in told:
            data = dict(message.get("data", message))  # a snapshot is bare
            for name in ("E", "T"):
                data[name] += later_ns // 1_000_000
            for name in steps.keys() & data.keys():
                data[name] += copy * steps[name]
            if "pu" in data:
                data["pu"], last = data["pu"] if last is None else last, data["u"]
            told_again = {**message, "data": data} if "data" in message else data
            text = json.dumps(told_again, separators=(",", ":"))
            yield f"{local_ns + later_ns} {text}\n".encode()


def generated(root: Path, rows: int) -> int:
    """A seeded market of one-second books and trades until it has `rows`: changes of the book's
    levels, and trades. Written file by file, so that neither it nor its writer need memory for it.

    Gives the seconds that it covers. Fewer rows are the begin of more.
    """
    root.mkdir(parents=True)
    instrument = perpetual(INSTRUMENT)
    catalog = ParquetDataCatalog(str(root), max_row_group_size=ROW_GROUP)
    catalog.write_instruments([instrument])
    market = Market(instrument, 1, step_ns=PAUSE_NS, levels=MONTH_LEVELS)
    deltas: list[OrderBookDelta] = market.snapshot()
    trades: list[TradeTick] = []
    written = seconds = 0
    while written + len(deltas) + len(trades) < rows:
        changes, traded = market.step()
        seconds += 1
        deltas += changes
        trades += traded
        if len(deltas) >= PIECE_ROWS:
            written += _write(catalog, deltas, trades)
            deltas, trades = [], []
    _write(catalog, deltas, trades)
    return seconds


def _write(
    catalog: ParquetDataCatalog, deltas: list[OrderBookDelta], trades: list[TradeTick]
) -> int:
    if deltas:
        catalog.write_order_book_deltas(deltas)
    if trades:
        catalog.write_trade_ticks(sorted(trades, key=attrgetter("ts_init")))
    return len(deltas) + len(trades)


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
