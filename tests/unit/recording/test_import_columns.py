"""Columns of an import against NautilusTrader's own writer: the same files, byte for byte."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from nautilus_trader.model import (
    AggressorSide,
    InstrumentId,
    Price,
    Quantity,
    QuoteTick,
    TradeId,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog
from nautilus_trader.serialization import quotes_to_arrow_record_batch_bytes

from fairlead.engine.recording.arrow_fill import filled
from fairlead.engine.recording.importers.binance import BinanceImport
from fairlead.engine.recording.importers.binance_instruments import build_instrument
from fairlead.engine.recording.importers.binance_wire import PRICE_MAX, SIZE_MAX, Market
from fairlead.engine.recording.importers.columns import ONE, Columns
from fairlead.engine.recording.importers.diffbook import Batch, Code
from fairlead.engine.recording.importers.listing import Listed
from fairlead.engine.recording.importers.staging import CHUNK_ROWS, ImportFailed, StagedCatalog
from fairlead.engine.recording.rows import ROW_GROUP_SIZE, span_of
from tests.support.delta_book import deltas_of

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "data" / "recording"
FULL = ROOT / ".." / "shared" / "data"
IID = InstrumentId.from_str("BTCUSDT.BINANCE")
T0 = 1_723_161_255_000_000_000
WRITERS = {
    "order_book_deltas": "write_order_book_deltas",
    "trades": "write_trade_ticks",
    "quotes": "write_quote_ticks",
}
READERS = {
    "order_book_deltas": "query_order_book_deltas",
    "trades": "query_trade_ticks",
    "quotes": "query_quote_ticks",
}


def files_of(catalog: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(catalog)): path.read_bytes()
        for path in sorted(catalog.rglob("*.parquet"))
        if path.parents[1].name in WRITERS
    }


def own(folder: Path) -> ParquetDataCatalog:
    folder.mkdir()
    return ParquetDataCatalog(str(folder), max_row_group_size=ROW_GROUP_SIZE)


def columns(precisions: tuple[int, int]) -> Columns:
    terms = Listed(base="BTC", quote="USDT")
    return Columns(build_instrument("BTCUSDT", Market.SPOT, precisions, terms, T0))


class Numbers:
    """Raw numbers of a seed, with the least and the greatest among them."""

    def __init__(self, seed: int, precisions: tuple[int, int]) -> None:
        self.rng = random.Random(seed)
        self._units = [ONE // 10**precision for precision in precisions]

    def price(self) -> int:
        return self._number(self._units[0], PRICE_MAX * ONE)

    def size(self) -> int:
        return self._number(self._units[1], SIZE_MAX * ONE)

    def _number(self, unit: int, most: int) -> int:
        kind = self.rng.randrange(4)
        return [unit, most - unit, *(unit * self.rng.randrange(1, 10**9) for _ in "ab")][kind]

    def time(self, number: int) -> int:
        return T0 + number * self.rng.randrange(1, 3) * 10**7


def batches_of(numbers: Numbers, count: int) -> list[Batch]:
    codes = list(Code)
    numbers.rng.shuffle(codes)  # which comes first is the first of NautilusTrader's dictionary
    made = []
    for number in range(count):
        rows: list[int] = []
        for _ in range(numbers.rng.randrange(1, 6)):
            code = numbers.rng.choice(codes[: 1 + number // 3])
            is_sized = not code.name.startswith(("CLEAR", "DELETE"))
            price = 0 if code is Code.CLEAR else numbers.price()
            rows += (code, price, numbers.size() if is_sized else 0)
        flags = numbers.rng.choice([0, 32])
        made.append(Batch(rows, flags, number << 40, numbers.time(number), T0 + number))
    return made


@pytest.mark.parametrize("precisions", [(2, 5), (0, 0), (16, 8)])
@pytest.mark.parametrize("seed", range(4))
def test_a_file_of_deltas_is_nautilus_traders(seed, precisions, tmp_path):
    batches = batches_of(Numbers(seed, precisions), 60)
    deltas = deltas_of(batches, IID, precisions)
    with StagedCatalog(tmp_path / "cat") as staged:
        staged.write(columns(precisions).deltas(batches))
        mine = files_of(staged.path)
        assert staged.catalog.query_order_book_deltas() == deltas
    own(tmp_path / "own").write_order_book_deltas(deltas)
    assert mine == files_of(tmp_path / "own")


@pytest.mark.parametrize("seed", range(3))
def test_files_of_trades_and_quotes_are_nautilus_traders(seed, tmp_path):
    precisions = (2, 5)
    numbers = Numbers(seed, precisions)
    rng = numbers.rng
    trades = [
        (numbers.price(), numbers.size(), rng.random() < seed / 2, str(n**5), T0 + n, T0 + 2 * n)
        for n in range(1, 100)
    ]
    quotes = [
        (numbers.price(), numbers.price(), numbers.size(), numbers.size(), T0 + n, T0 + 3 * n)
        for n in range(100)
    ]
    with StagedCatalog(tmp_path / "cat") as staged:
        staged.write(columns(precisions).trades(trades))
        staged.write(columns(precisions).quotes(quotes))
        mine = files_of(staged.path)
    price, size = (lambda raw: Price.from_raw(raw, 2)), (lambda raw: Quantity.from_raw(raw, 5))
    sides = (AggressorSide.BUY, AggressorSide.SELL)
    theirs = own(tmp_path / "own")
    theirs.write_trade_ticks(
        [
            TradeTick(IID, price(p), size(q), sides[is_sold], TradeId(name), *stamps)
            for p, q, is_sold, name, *stamps in trades
        ]
    )
    theirs.write_quote_ticks(
        [
            QuoteTick(IID, price(bid), price(ask), size(bid_size), size(ask_size), *stamps)
            for bid, ask, bid_size, ask_size, *stamps in quotes
        ]
    )
    assert mine == files_of(tmp_path / "own")


def require_rewritten(source: Path, folder: Path, chunk_rows: int) -> None:
    """What the catalog of an import holds, file by file, written anew by NautilusTrader."""
    BinanceImport(source, folder / "cat", chunk_rows=chunk_rows).run()
    catalog, theirs = ParquetDataCatalog(str(folder / "cat")), own(folder / "own")
    files = files_of(folder / "cat")
    assert {Path(name).parents[1].name for name in files} >= {"trades", "quotes"}
    for name in files:
        kind, span = Path(name).parents[1].name, span_of(Path(name))
        rows = getattr(catalog, READERS[kind])(start=span.start_ns, end=span.end_ns)
        getattr(theirs, WRITERS[kind])(rows)
    assert files == files_of(folder / "own")


@pytest.mark.parametrize("name", ["binance_usdm_400.gz", "binance_spot_400.gz"])
def test_an_import_writes_the_files_that_nautilus_trader_would(name, tmp_path):
    require_rewritten(DATA / name, tmp_path, 200)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name", ["binance_usdm_btcusdt_20240808.gz", "binance_spot_btcusdt_20240809.gz"]
)
def test_a_whole_recording_makes_the_files_that_nautilus_trader_would(name, tmp_path):
    if not (FULL / name).exists():
        pytest.skip(f"{FULL / name} is absent: its first 400 lines were tested instead")
    require_rewritten(FULL / name, tmp_path, CHUNK_ROWS)


def test_rows_that_nautilus_trader_leaves_out_fail_the_import(tmp_path):
    class Deaf:
        def convert_stream_to_data(self, *_: object) -> None:
            pass

    with StagedCatalog(tmp_path / "cat") as staged:
        staged.catalog = Deaf()
        stream = columns((2, 5)).quotes([(1, 2, 3, 4, T0, T0)])
        with pytest.raises(ImportFailed, match="wrote 0 of 1 rows of quotes"):
            staged.write(stream)


def test_an_arrow_stream_of_other_columns_is_refused():
    one, size = Price.from_str("1.0"), Quantity.from_str("1.0")
    stream = quotes_to_arrow_record_batch_bytes([QuoteTick(IID, one, one, size, size, 1, 1)])
    with pytest.raises(ValueError, match="other columns"):
        filled(stream, 1, [(b"",)])
    with pytest.raises(ValueError, match="without a record batch"):
        filled(stream[:0], 1, [])
