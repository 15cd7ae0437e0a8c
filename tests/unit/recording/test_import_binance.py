"""The Binance importer, on the first 400 lines of two real recordings and on damaged versions."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.model import BookAction, InstrumentId, OrderBookDelta
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.gaps import GapKind, read_gaps
from fairlead.engine.recording.importers import binance
from fairlead.engine.recording.importers.binance import BinanceImport, import_binance
from fairlead.engine.recording.importers.binance_wire import Malformed, Other, parse_line
from fairlead.engine.recording.importers.report import MALFORMED_KEPT_MAX, ImportReport
from fairlead.engine.recording.importers.staging import ImportFailed
from fairlead.engine.risk.view import instrument_facts
from tests.support.patience import PATIENCE_SECS

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "data" / "recording"
USDM, SPOT = "BTCUSDT-PERP.BINANCE", "BTCUSDT.BINANCE"
F_LAST = 128
T0 = 1_723_161_255_000_000_000

Book = dict[str, dict[Decimal, Decimal]]


def lines_of(market: str) -> list[bytes]:
    return gzip.decompress((DATA / f"binance_{market}_400.gz").read_bytes()).splitlines()


def write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", mtime=0))
    return path


def events_of(lines: list[bytes], kind: str) -> list[dict]:
    found = []
    for line in lines:
        data = json.loads(line.split(b" ", 1)[1]).get("data")
        if data is not None and data.get("e", "bookTicker") == kind:
            found.append(data)
    return found


def batches(deltas: list[OrderBookDelta]) -> list[list[OrderBookDelta]]:
    """Deltas cut after each F_LAST; the last batch must be whole."""
    out: list[list[OrderBookDelta]] = [[]]
    for delta in deltas:
        out[-1].append(delta)
        if delta.flags & F_LAST:
            out.append([])
    assert out.pop() == []
    return out


def apply(book: Book, batch: list[OrderBookDelta]) -> None:
    for delta in batch:
        side = "b" if str(delta.order.side) == "BUY" else "a"
        price = delta.order.price.as_decimal()
        if delta.action == BookAction.CLEAR:
            book["b"].clear()
            book["a"].clear()
        elif delta.action == BookAction.DELETE:
            del book[side][price]  # a delete of an unknown level must not have been written
        elif delta.action == BookAction.ADD:
            assert price not in book[side]
            book[side][price] = delta.order.size.as_decimal()
        else:
            assert price in book[side]
            book[side][price] = delta.order.size.as_decimal()


def expected_books(lines: list[bytes]) -> Iterator[tuple[int, Book]]:
    """By plain rules: last update id and book after each depth message and snapshot; the same
    book each time, for a copy of each takes a minute of a whole file."""
    book: Book = {"b": {}, "a": {}}
    seen: list[dict] = []
    for line in lines:
        event = json.loads(line.split(b" ", 1)[1])
        if "lastUpdateId" in event:
            book = {"b": {}, "a": {}}
            for side, levels in (("b", event["bids"]), ("a", event["asks"])):
                book[side] = {Decimal(p): Decimal(q) for p, q in levels}
            later = [d for d in seen if d["u"] > event["lastUpdateId"]]
        elif event["data"].get("e") == "depthUpdate":
            later = [event["data"]]
            seen += later
        else:
            continue
        for data in later:
            for side in ("b", "a"):
                for p, q in data[side]:
                    book[side][Decimal(p)] = Decimal(q)
                    if not Decimal(q):
                        del book[side][Decimal(p)]
        if seen:
            yield seen[-1]["u"], book


@pytest.fixture
def usdm(tmp_path: Path) -> tuple[ImportReport, ParquetDataCatalog]:
    report = import_binance(DATA / "binance_usdm_400.gz", tmp_path / "cat")
    return report, ParquetDataCatalog(str(tmp_path / "cat"))


@pytest.fixture
def spot(tmp_path: Path) -> tuple[ImportReport, ParquetDataCatalog]:
    report = import_binance(DATA / "binance_spot_400.gz", tmp_path / "cat")
    return report, ParquetDataCatalog(str(tmp_path / "cat"))


def test_usdm_report_counts_what_the_file_holds(usdm):
    report, catalog = usdm
    lines = lines_of("usdm")
    (each,) = report.instruments
    depth = events_of(lines, "depthUpdate")
    assert report.lines == 400
    assert (report.malformed, report.gaps, report.damage) == (0, 0, "")
    assert each.id == USDM
    assert each.level_updates == sum(len(d["b"]) + len(d["a"]) for d in depth)
    assert each.trades == len(events_of(lines, "trade")) == len(catalog.query_trade_ticks())
    assert each.quotes == len(events_of(lines, "bookTicker")) == len(catalog.query_quote_ticks())
    assert each.delta_rows == len(catalog.query_order_book_deltas())
    assert each.book.snapshots == 1
    assert each.book.crossed_levels == each.book.contradicted_levels == 0
    assert report.start_ns == int(lines[0].split()[0])
    assert report.end_ns == int(lines[-1].split()[0])


@pytest.mark.parametrize("market", ["usdm", "spot"])
def test_each_book_is_the_one_that_the_messages_give(market, tmp_path):
    import_binance(DATA / f"binance_{market}_400.gz", tmp_path / "cat", depth=1, fold_tops=False)
    catalog = ParquetDataCatalog(str(tmp_path / "cat"))
    want = expected_books(lines_of(market))
    tops = {d["u"]: d for d in events_of(lines_of(market), "bookTicker")}
    book: Book = {"b": {}, "a": {}}
    seeded: set[tuple[str, Decimal]] = set()
    checked = 0
    for batch in batches(catalog.query_order_book_deltas()):
        apply(book, batch)
        assert max(book["b"]) < min(book["a"])
        rebuilt = next(each for last, each in want if last == batch[-1].sequence)
        for side in ("b", "a"):
            extra = {p: q for p, q in book[side].items() if rebuilt[side].get(p) != q}
            for price, size in extra.items():  # only levels that a bookTicker proved
                key = {"b": ("b", "B"), "a": ("a", "A")}[side]
                assert any(
                    (Decimal(t[key[0]]), Decimal(t[key[1]])) == (price, size) for t in tops.values()
                )
                seeded.add((side, price))
            assert set(rebuilt[side]) <= set(book[side])
        checked += 1
    assert checked > 10
    assert len(seeded) <= 2


def test_trades_keep_exact_prices_sides_and_times(usdm):
    _, catalog = usdm
    stamps = {}
    for line in lines_of("usdm"):
        stamp, text = line.split(b" ", 1)
        data = json.loads(text).get("data", {})
        if data.get("e") == "trade":
            stamps[str(data["t"])] = (int(stamp), data)
    for tick in catalog.query_trade_ticks():
        local_ns, data = stamps.pop(str(tick.trade_id))
        assert tick.price.as_decimal() == Decimal(data["p"])
        assert tick.size.as_decimal() == Decimal(data["q"])
        assert str(tick.aggressor_side) == ("SELL" if data["m"] else "BUY")
        assert (tick.ts_init, tick.ts_event) == (local_ns, data["T"] * 1_000_000)
    assert not stamps


def test_instruments_say_what_they_are(usdm, spot, tmp_path):
    _, catalog = usdm
    (perp,) = catalog.instruments(instrument_ids=[USDM])
    assert type(perp).__name__ == "CryptoPerpetual"
    assert (perp.price_precision, perp.size_precision) == (1, 3)
    assert str(perp.price_increment) == "0.1"
    assert perp.info["maker_fee"] == "0.0002"
    assert perp.info["taker_fee"] == "0.0005"
    assert perp.margin_init > perp.margin_maint > 0
    # `spot` went into the same catalog: one catalog holds both markets
    (pair,) = catalog.instruments(instrument_ids=[SPOT])
    assert type(pair).__name__ == "CurrencyPair"
    assert instrument_facts(perp).is_contract
    assert not instrument_facts(pair).is_contract
    assert (pair.price_precision, pair.size_precision) == (2, 5)
    assert pair.id == InstrumentId.from_str(SPOT)


def test_fees_can_be_set(tmp_path):
    import_binance(
        DATA / "binance_spot_400.gz",
        tmp_path / "cat",
        maker_fee=Decimal("-0.00005"),
        taker_fee=Decimal("0.0003"),
    )
    (pair,) = ParquetDataCatalog(str(tmp_path / "cat")).instruments()
    assert (pair.info["maker_fee"], pair.info["taker_fee"]) == ("-0.00005", "0.0003")


def test_lost_depth_message_clears_the_book_and_leaves_a_gap_row(tmp_path):
    lines = lines_of("usdm")
    depth_at = [i for i, line in enumerate(lines) if b"depthUpdate" in line]
    gone = depth_at[len(depth_at) // 2]
    before, after = depth_at[len(depth_at) // 2 - 1], depth_at[len(depth_at) // 2 + 1]
    path = write(tmp_path / "gap.gz", lines[:gone] + lines[gone + 1 :])
    report = import_binance(path, tmp_path / "cat", depth=1)
    catalog = ParquetDataCatalog(str(tmp_path / "cat"))
    since, until = (int(lines[i].split()[0]) for i in (before, after))

    assert report.gaps == 1
    cuts = batches(catalog.query_order_book_deltas())
    lone = [b[0] for b in cuts if len(b) == 1 and b[0].action == BookAction.CLEAR]
    assert [delta.ts_init for delta in lone] == [until]  # nobody could have known before
    rows, unreadable = read_gaps(tmp_path / "cat")
    assert unreadable == 0
    (row,) = rows
    assert (row.kind, row.instrument, row.from_ns) == (GapKind.GAP, USDM, since)
    assert row.to_ns >= until
    following = next(b for b in cuts if b[0].ts_init >= until and len(b) > 1)
    assert following[0].action == BookAction.CLEAR
    assert row.to_ns == following[0].ts_init  # the book is whole at the top from here on
    book: Book = {"b": {}, "a": {}}
    for batch in cuts:
        apply(book, batch)
        if book["b"] and book["a"]:
            assert max(book["b"]) < min(book["a"])


def test_spot_sequence_is_first_id_after_the_last(tmp_path):
    lines = lines_of("spot")
    depth_at = [i for i, line in enumerate(lines) if b"depthUpdate" in line]
    path = write(tmp_path / "gap.gz", lines[: depth_at[3]] + lines[depth_at[3] + 1 :])
    assert import_binance(path, tmp_path / "cat").gaps == 1


MALFORMED = [
    b"",
    b"garbage",
    b"1723161255030314667",
    b"12 {}",
    b'1723161255030314667 {"stream":"btcusdt@trade","data":',
    b'1723161255030314667 {"data":{"e":"trade"}}',
    b'1723161255030314667 {"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT"}}',
    b'1723161255030314667 {"stream":"btcusdt@trade","data":{"e":"trade","E":1,"T":1723161256322,'
    b'"s":"BTCUSDT","t":1,"p":"1e5","q":"1","m":true}}',
    b'1723161255030314667 {"stream":"btcusdt@trade","data":{"e":"trade","T":1723161256322,'
    b'"s":"BTCUSDT","t":1,"p":"-5","q":"1","m":true}}',
    b'1723161255030314667 {"stream":"btcusdt@depth","data":{"e":"depthUpdate","T":1723161256322,'
    b'"s":"BTCUSDT","U":9,"u":3,"b":[],"a":[]}}',
    b'1723161255030314667 {"stream":"btcusdt@depth","data":{"e":"depthUpdate","T":1723161256322,'
    b'"s":"BTCUSDT","U":1,"u":3,"b":[["1"]],"a":[]}}',
    b"\xff\xfe\x00 {}",
    b"1723161255030314667 " + b"[" * 5000,
]


def test_malformed_lines_are_named_and_do_not_stop_the_rest(tmp_path):
    lines = lines_of("usdm")
    mixed = []
    for index, bad in enumerate(MALFORMED):
        mixed += [*lines[index * 10 : index * 10 + 10], bad]
    mixed += lines[len(MALFORMED) * 10 :]
    report = import_binance(write(tmp_path / "bad.gz", mixed), tmp_path / "bad")
    clean = import_binance(DATA / "binance_usdm_400.gz", tmp_path / "clean")
    assert report.malformed == len(MALFORMED)
    assert [bad.line for bad in report.malformed_first] == [
        (index + 1) * 11 for index in range(len(MALFORMED))
    ]
    assert all(bad.reason for bad in report.malformed_first)
    mine, theirs = (ParquetDataCatalog(str(tmp_path / name)) for name in ("bad", "clean"))
    assert mine.query_order_book_deltas() == theirs.query_order_book_deltas()
    assert mine.query_trade_ticks() == theirs.query_trade_ticks()
    assert mine.query_quote_ticks() == theirs.query_quote_ticks()
    assert clean.gaps == 0
    rows, _ = read_gaps(tmp_path / "bad")
    assert {row.kind for row in rows} == {GapKind.MISSING}
    assert report.gaps == len(rows) == sum(row.count for row in rows)
    assert report.gaps == len(MALFORMED) - 1  # a line with nothing in it is no loss


def test_any_bytes_are_an_event_or_malformed():
    rng = random.Random(11)
    lines = [line[:1500] for line in lines_of("usdm") + lines_of("spot")]
    outcomes = {"event": 0, "malformed": 0, "other": 0}
    for _ in range(20_000):
        line = bytearray(rng.choice(lines))
        for _ in range(rng.randrange(0, 4)):
            at = rng.randrange(len(line))
            cut = rng.random()
            if cut < 0.5:
                line[at] = rng.choice(b'0123456789.-"{}[],:eE \\\xff\x00')
            elif cut < 0.8:
                del line[at : at + rng.randrange(1, 30)]
            else:
                line[at:at] = line[at : at + rng.randrange(1, 30)]
        try:
            parse_line(bytes(line))
            outcomes["event"] += 1
        except Malformed:
            outcomes["malformed"] += 1
        except Other:
            outcomes["other"] += 1
    assert min(outcomes.values()) > 0


def test_only_the_first_malformed_lines_are_kept(tmp_path):
    lines = lines_of("usdm") + [b"x"] * 1000
    report = import_binance(write(tmp_path / "bad.gz", lines), tmp_path / "cat")
    assert report.malformed == 1000
    assert len(report.malformed_first) == MALFORMED_KEPT_MAX


def test_a_wild_local_time_is_malformed_and_does_not_move_the_clock(tmp_path):
    lines = lines_of("usdm")
    lines[200] = b"9" + lines[200][1:19] + lines[200][19:]
    report = import_binance(write(tmp_path / "wild.gz", lines), tmp_path / "cat")
    assert [bad.line for bad in report.malformed_first] == [201]
    assert report.end_ns == int(lines[-1].split()[0])


def test_truncated_gzip_keeps_what_is_readable(tmp_path):
    data = (DATA / "binance_usdm_400.gz").read_bytes()
    path = tmp_path / "cut.gz"
    path.write_bytes(data[: len(data) * 2 // 3])
    report = import_binance(path, tmp_path / "cat")
    assert "truncated" in report.damage
    assert 100 < report.lines < 400
    assert report.malformed == 0  # the torn last line is not one
    catalog = ParquetDataCatalog(str(tmp_path / "cat"))
    assert report.instruments[0].trades == len(catalog.query_trade_ticks())
    assert report.end_ns == int(lines_of("usdm")[report.lines - 1].split()[0])


def test_corrupt_gzip_keeps_what_is_readable(tmp_path):
    lines = lines_of("usdm")
    good = gzip.compress(b"\n".join(lines) + b"\n", mtime=0)
    path = tmp_path / "corrupt.gz"
    path.write_bytes(good + b"\x1f\x8bnot gzip at all" * 10)
    report = import_binance(path, tmp_path / "cat")
    assert report.lines == 400
    assert "corrupt" in report.damage


def test_a_corrupt_middle_keeps_what_is_before_it(tmp_path):
    data = bytearray(gzip.compress(b"\n".join(lines_of("usdm")) + b"\n", mtime=0))
    middle = len(data) // 2
    data[middle : middle + 400] = b"\xff" * 400
    path = tmp_path / "corrupt.gz"
    path.write_bytes(data)
    report = import_binance(path, tmp_path / "cat")
    readable = zlib.decompressobj(31).decompress(bytes(data[: middle - 64])).count(b"\n")
    assert "corrupt" in report.damage
    assert 90 < readable <= report.lines < 400


def test_plain_text_and_joined_gzip_members_are_read(tmp_path):
    lines = lines_of("usdm")
    plain = tmp_path / "plain.txt"
    plain.write_bytes(b"\n".join(lines))  # no newline at the end
    joined = tmp_path / "joined.gz"
    joined.write_bytes(
        gzip.compress(b"\n".join(lines[:150]) + b"\n")
        + gzip.compress(b"\n".join(lines[150:]) + b"\n")
    )
    for number, path in enumerate((plain, joined)):
        report = import_binance(path, tmp_path / f"cat{number}")
        assert (report.lines, report.damage, report.malformed) == (400, "", 0)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\x01\x02" * 1000, b"a,b,c\n1,2,3\n"])
def test_a_file_of_another_kind_is_refused_and_leaves_nothing(content, tmp_path):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(ImportFailed, match="IMPORT-FORMAT") as caught:
        import_binance(path, tmp_path / "cat")
    assert caught.value.exit_code == 9
    assert sorted(each.name for each in tmp_path.iterdir()) == ["other"]


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ImportFailed, match=r"IMPORT-FILE.*nowhere\.gz") as caught:
        import_binance(tmp_path / "nowhere.gz", tmp_path / "cat")
    assert caught.value.exit_code == 4
    assert caught.value.message.endswith("may read, came no such file or directory")
    with pytest.raises(ImportFailed, match="came is a directory"):
        import_binance(tmp_path, tmp_path / "cat")


def test_a_catalog_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "cat").write_text("x")
    with pytest.raises(ImportFailed, match="IMPORT-CATALOG"):
        import_binance(DATA / "binance_usdm_400.gz", tmp_path / "cat")
    assert (tmp_path / "cat").read_text() == "x"


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_second_import_is_refused_and_changes_nothing(usdm, tmp_path):
    before = tree(tmp_path)
    with pytest.raises(ImportFailed, match="IMPORT-OVERLAP"):
        import_binance(DATA / "binance_usdm_400.gz", tmp_path / "cat")
    assert tree(tmp_path) == before


def test_the_next_part_of_a_recording_joins_the_catalog(tmp_path):
    lines = lines_of("usdm")
    import_binance(write(tmp_path / "1.gz", lines[:250]), tmp_path / "cat")
    import_binance(write(tmp_path / "2.gz", lines[250:]), tmp_path / "cat")
    catalog = ParquetDataCatalog(str(tmp_path / "cat"))
    assert len(catalog.query_trade_ticks()) == len(events_of(lines, "trade"))
    assert len(catalog.instruments()) == 1


def test_a_finer_file_than_the_catalog_is_refused(usdm, tmp_path):
    line = (
        b'1723161355030314667 {"stream":"btcusdt@trade","data":{"e":"trade","T":1723161356322,'
        b'"s":"BTCUSDT","t":1,"p":"61800.125","q":"1","X":"MARKET","m":true}}'
    )
    with pytest.raises(ImportFailed, match="IMPORT-PRECISION"):
        import_binance(write(tmp_path / "fine.gz", [line]), tmp_path / "cat")


def test_failure_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def full(self) -> list[Path]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(binance.StagedCatalog, "commit", full)
    with pytest.raises(ImportFailed, match="No space left"):
        import_binance(DATA / "binance_usdm_400.gz", tmp_path / "cat")
    assert list(tmp_path.iterdir()) == []


def test_remains_of_a_killed_import_are_removed(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f".importing-{dead.pid}-x" / "data").mkdir(parents=True)
    import_binance(DATA / "binance_usdm_400.gz", tmp_path / "cat")
    assert [each.name for each in tmp_path.iterdir()] == ["cat"]


def test_wanted_instruments_only(tmp_path):
    path = write(tmp_path / "both.gz", [*lines_of("usdm"), *lines_of("spot")])
    with pytest.raises(ImportFailed, match="IMPORT-MIXED"):
        import_binance(path, tmp_path / "cat")
    with pytest.raises(ImportFailed, match=rf"has no ETHUSDT\.BINANCE; it has {USDM}"):
        import_binance(
            DATA / "binance_usdm_400.gz", tmp_path / "cat", instruments=["ETHUSDT.BINANCE"]
        )
    other = [
        line.replace(b'"BTCUSDT"', b'"ETHUSDT"').replace(b"btcusdt@", b"ethusdt@")
        for line in lines_of("usdm")
        if b"lastUpdateId" not in line
    ]
    two = write(tmp_path / "two.gz", sorted([*lines_of("usdm"), *other]))
    report = import_binance(two, tmp_path / "cat", instruments=["ETHUSDT-PERP.BINANCE"])
    assert [each.id for each in report.instruments] == ["ETHUSDT-PERP.BINANCE"]
    assert report.skipped["instrument not wanted"] == 399
    assert report.skipped["snapshot without symbol"] == 1


def test_other_streams_are_counted_by_name(tmp_path):
    extra = [
        b'1723161255030314668 {"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","p":1}}',
        b'1723161255030314669 {"result":null,"id":1}',
    ]
    lines = lines_of("usdm")
    report = import_binance(
        write(tmp_path / "x.gz", lines[:1] + extra + lines[1:]), tmp_path / "cat"
    )
    assert report.skipped == {"aggTrade": 1, "control": 1}
    assert report.malformed == 0


def test_backward_clock_keeps_order_and_leaves_a_row(tmp_path):
    lines = lines_of("usdm")
    moved = []
    for number, line in enumerate(lines):
        stamp, text = line.split(b" ", 1)
        shift = 40_000_000 if number >= 300 else 0
        moved.append(b"%d %s" % (int(stamp) - shift, text))
    report = import_binance(write(tmp_path / "step.gz", moved), tmp_path / "cat")
    assert report.clock_steps == 1
    rows, _ = read_gaps(tmp_path / "cat")
    assert [row.kind for row in rows] == [GapKind.CLOCK_STEP]
    quotes = ParquetDataCatalog(str(tmp_path / "cat")).query_quote_ticks()
    assert len(quotes) == len(events_of(lines, "bookTicker"))
    times = [quote.ts_init for quote in quotes]
    assert times == sorted(times)


def test_digits_beyond_a_float_survive(tmp_path):
    line = (
        b'%d {"stream":"xbtc@trade","data":{"e":"trade","T":1723161256322,"s":"XBTC","t":%d,'
        b'"p":"%s","q":"%s","m":false,"M":true}}'
    )
    values = [(b"0.1234567891234567", b"123456789.12345678"), (b"0.0000000000000001", b"7")]
    lines = [line % (T0 + i, i, p, q) for i, (p, q) in enumerate(values)]
    import_binance(write(tmp_path / "x.gz", lines), tmp_path / "cat")
    ticks = ParquetDataCatalog(str(tmp_path / "cat")).query_trade_ticks()
    got = [(tick.price.as_decimal(), tick.size.as_decimal()) for tick in ticks]
    assert got == [(Decimal(p.decode()), Decimal(q.decode())) for p, q in values]


def test_insurance_fund_trades_and_crossed_quotes_are_left_out(tmp_path):
    lines = lines_of("usdm")
    trade = next(line for line in lines if b'"e":"trade"' in line)
    ticker = next(line for line in lines if b'"e":"bookTicker"' in line)
    lines += [
        lines[-1][:19] + trade[19:].replace(b'"MARKET"', b'"INSURANCE_FUND"'),
        lines[-1][:19] + ticker[19:].replace(b'"b":"618', b'"b":"628'),
    ]
    report = import_binance(write(tmp_path / "x.gz", lines), tmp_path / "cat")
    assert report.instruments[0].trades_off_book == 1
    assert report.instruments[0].quotes_unusable == 1
    assert report.instruments[0].trades == len(events_of(lines_of("usdm"), "trade"))


def test_many_small_files_hold_the_same_rows(tmp_path):
    source = DATA / "binance_usdm_400.gz"
    small = BinanceImport(source, tmp_path / "small", chunk_rows=50).run()
    large = import_binance(source, tmp_path / "large")
    assert small.files > large.files
    mine, theirs = (ParquetDataCatalog(str(tmp_path / name)) for name in ("small", "large"))
    assert mine.query_order_book_deltas() == theirs.query_order_book_deltas()
    assert mine.query_quote_ticks() == theirs.query_quote_ticks()
    assert mine.query_trade_ticks() == theirs.query_trade_ticks()


MEMORY = """
import resource, sys
from pathlib import Path
from fairlead.engine.recording.importers.binance import BinanceImport
run = BinanceImport(Path(sys.argv[1]), Path(sys.argv[2]), chunk_rows=5000)
print(run.run().instruments[0].quotes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    def peak_kb(name: str, count: int) -> int:
        path = tmp_path / f"{name}.gz"
        with gzip.open(path, "wb", compresslevel=1) as file:
            for i in range(count):
                file.write(
                    b'%d {"stream":"btcusdt@bookTicker","data":{"u":%d,"s":"BTCUSDT","b":"%d.5",'
                    b'"B":"1.%06d","a":"70000.5","A":"2"}}\n'
                    % (T0 + i * 1000, i, 50_000 + i % 10_000, i % 100_000 + 1)
                )
        run = [sys.executable, "-c", MEMORY, str(path), str(tmp_path / name)]
        out = subprocess.run(
            run, cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE_SECS
        )
        quotes, kilobytes = out.stdout.split()
        assert int(quotes) == count
        return int(kilobytes)

    one, ten = peak_kb("one", 15_000), peak_kb("ten", 150_000)
    # ten times the rows as objects would take 50 MB more
    assert ten - one < 30_000
