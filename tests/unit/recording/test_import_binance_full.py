"""Whole recordings of Binance, against an independent reader."""

from __future__ import annotations

import gzip
import json
from collections import deque
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.importers.binance import import_binance
from tests.support.processes import ROOT
from tests.unit.recording.test_import_binance import Book, apply, batches, events_of, expected_books

FULL = ROOT / ".." / "shared" / "data"


def full(name: str) -> Path:
    path = FULL / name
    if not path.exists():
        pytest.skip(f"{path} is absent: the twin of 400 lines was tested instead")
    return path


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "levels", "trades"),
    [
        ("binance_usdm_btcusdt_20240808.gz", 443_521, 21_313),
        ("binance_spot_btcusdt_20240809.gz", 174_021, 10_147),
    ],
)
def test_full_recording(name, levels, trades, tmp_path):
    report = import_binance(full(name), tmp_path / "cat")
    (each,) = report.instruments
    assert (each.level_updates, each.trades) == (levels, trades)
    assert report.malformed == 0
    assert each.book.crossed_levels == each.book.contradicted_levels == 0
    assert each.book.tops_agreed > 0.99 * each.book.tops_checked


def rows_of(snapshot: dict, depth: list[dict]) -> list[int]:
    """Levels of each change that are news: a price that is not in the book cannot be deleted."""
    book = {side: {p for p, q in snapshot[name]} for side, name in (("b", "bids"), ("a", "asks"))}
    rows = []
    for data in depth:
        count = 0
        for side, known in book.items():
            for price, size in data[side]:
                count += price in known or Decimal(size) != 0
                (known.add if Decimal(size) else known.discard)(price)
        rows.append(count)
    return rows


@pytest.mark.long
def test_full_recording_is_what_an_independent_reader_makes_of_it(tmp_path):
    """Plain rules on plain dicts, apart from the importer; with and without quotes folded in."""
    path = full("binance_usdm_btcusdt_20240808.gz")
    lines = gzip.decompress(path.read_bytes()).splitlines()
    ((_, last_book),) = deque(expected_books(lines), maxlen=1)
    report = import_binance(path, tmp_path / "plain", fold_tops=False)
    catalog = ParquetDataCatalog(str(tmp_path / "plain"))
    cuts = batches(catalog.query_order_book_deltas())
    depth = events_of(lines, "depthUpdate")
    (snapshot,) = [json.loads(line[20:]) for line in lines if b"lastUpdateId" in line]
    after = [d for d in depth if d["u"] >= snapshot["lastUpdateId"]]
    assert len(cuts) - 1 == len(after) == 6_547
    assert sum(len(d["b"]) + len(d["a"]) for d in after) == 443_262
    assert [cut[-1].sequence for cut in cuts[1:]] == [d["u"] for d in after]
    assert [len(cut) for cut in cuts[1:]] == rows_of(snapshot, after)
    assert (report.gaps, len(catalog.query_trade_ticks())) == (0, 21_313)
    book: Book = {"b": {}, "a": {}}
    for batch in cuts:
        apply(book, batch)
    assert book == last_book
    assert (max(book["b"]), min(book["a"])) == (Decimal("61659.70"), Decimal("61659.80"))

    assert import_binance(path, tmp_path / "folded").gaps == 0
    folded = batches(ParquetDataCatalog(str(tmp_path / "folded")).query_order_book_deltas())
    tops = {d["u"]: d for d in events_of(lines, "bookTicker")}
    book = {"b": {}, "a": {}}
    told = 0
    for batch in folded:
        apply(book, batch)
        top = tops.get(batch[-1].sequence)
        told += top is not None
        if top is not None and told % 10 == 0:  # to look for the best of a side takes its time
            assert (max(book["b"]), min(book["a"])) == (Decimal(top["b"]), Decimal(top["a"]))
            assert book["b"][max(book["b"])] == Decimal(top["B"])
            assert book["a"][min(book["a"])] == Decimal(top["A"])
    assert told > 50_000
