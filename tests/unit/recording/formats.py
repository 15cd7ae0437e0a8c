"""Small files of the formats that `fairlead import` reads, real ones where there are, and how to
break them.

The archives' trades, aggTrades and bookTicker are those of the real stream recording in the columns
of the archive's own documentation.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model import BookAction
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.importers.events import Contract
from fairlead.engine.recording.importers.flat import Asked
from fairlead.engine.recording.importers.report import ImportReport
from fairlead.engine.recording.importers.table import IMPORTERS
from tests.unit.recording.test_import_binance import DATA, ROOT, events_of, lines_of

HERE = DATA / "formats"
SHARED = ROOT / ".." / "shared" / "data" / "formats"
HOUR = 3600
_SECONDS = re.compile(r"\b(1[4-9][0-9]{8})([0-9]{3,9})\b")
_PRICE = re.compile(r"[0-9]+\.[0-9]+|(?<=,)[0-9]{2,6}(?=,)")


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is the file; `name` its name; `id` the instrument that it gives."""

    format: str
    text: Callable[[], str]
    name: str
    id: str
    asked: dict[str, Any] = {}
    has_header: bool = True


def _of(name: str) -> Callable[[], str]:
    return lambda: (HERE / name).read_text()


def _trades() -> str:
    rows = [
        f"{e['t']},{e['p']},{e['q']},0,{e['T']},{str(e['m']).lower()}"
        for e in events_of(lines_of("usdm"), "trade")
    ]
    return "\n".join(["id,price,qty,quote_qty,time,is_buyer_maker", *rows]) + "\n"


def _spot_trades() -> str:
    """Newer spot files have microseconds, and no header."""
    rows = [
        f"{e['t']},{e['p']},{e['q']},0,{e['T'] * 1000 + 7},{e['m']},True"
        for e in events_of(lines_of("spot"), "trade")
    ]
    return "\n".join(rows) + "\n"


def _agg() -> str:
    rows = [
        f"{e['t']},{e['p']},{e['q']},{e['t']},{e['t']},{e['T']},{str(e['m']).lower()}"
        for e in events_of(lines_of("usdm"), "trade")
    ]
    head = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
    return "\n".join([head, *rows]) + "\n"


def _ticker() -> str:
    rows = [
        f"{e['u']},{e['b']},{e['B']},{e['a']},{e['A']},{e['T']},{e['E']}"
        for e in events_of(lines_of("usdm"), "bookTicker")
    ]
    head = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time"
    return "\n".join([f"{head},event_time", *rows]) + "\n"


def _depth() -> str:
    """The snapshot of the real file, and messages that follow it."""
    text = (HERE / "depth_snap.csv").read_text()
    last, ts = 2098021528332, 1667346579146
    for n in range(1, 5):
        first = last + 1
        last, previous = first + 5, last
        for side, price, size in (("b", f"20377.{n}0", f"{n}.5"), ("a", f"20380.{n}0", f"0.{n}")):
            text += f"BTCUSDT,{ts + n},{first},{last},{side},set,{price},{size},{previous}\n"
    return text


def _table_trades() -> str:
    rows = [
        f"{e['T']},{e['p']},{e['q']},{'sell' if e['m'] else 'buy'}"
        for e in events_of(lines_of("usdm"), "trade")
    ]
    return "\n".join(["when,px,amount,taker", *rows]) + "\n"


def _table_bars() -> str:
    rows = [
        f"{1637971200 + 60 * n},{10 + n}.5,{11 + n}.25,{9 + n},{10 + n}.75,{n}.125"
        for n in range(12)
    ]
    return "\n".join(["t,o,h,l,c,v", *rows]) + "\n"


_TABLE = {"id": "BTCUSDT-PERP.X", "symbol": "BTC/USDT", "contract": Contract.LINEAR}
CASES = {
    "tardis-trades": Case(
        format="tardis", text=_of("tardis_trades.csv"), name="t.csv", id="XBTUSD.BITMEX"
    ),
    "tardis-quotes": Case(
        format="tardis",
        text=_of("tardis_quotes.csv"),
        name="q.csv",
        id="BTC-USD.HUOBI-DM-SWAP",
        asked={"contract": Contract.INVERSE, "multiplier": Decimal(100)},
    ),
    "tardis-book": Case(
        format="tardis",
        text=_of("tardis_changes.csv"),
        name="b.csv",
        id="BTCUSDT.BINANCE-FUTURES",
    ),
    "tardis-wide": Case(
        format="tardis", text=_of("tardis_wide.csv"), name="w.csv", id="BTCUSDT.BINANCE-FUTURES"
    ),
    "archive-klines": Case(
        format="binance-archive",
        text=_of("ADABTC-1m-2021-11-27.csv"),
        name="ADABTC-1m-2021-11-27.csv",
        id="ADABTC.BINANCE",
        has_header=False,
    ),
    "archive-trades": Case(
        format="binance-archive",
        text=_trades,
        name="BTCUSDT-trades-2024-08-08.csv",
        id="BTCUSDT-PERP.BINANCE",
    ),
    "archive-spot": Case(
        format="binance-archive",
        text=_spot_trades,
        name="BTCUSDT-trades-2024-08-09.csv",
        id="BTCUSDT.BINANCE",
        has_header=False,
    ),
    "archive-agg": Case(
        format="binance-archive",
        text=_agg,
        name="BTCUSDT-aggTrades-2024-08-08.csv",
        id="BTCUSDT-PERP.BINANCE",
    ),
    "archive-ticker": Case(
        format="binance-archive",
        text=_ticker,
        name="BTCUSDT-bookTicker-2024-08-08.csv",
        id="BTCUSDT-PERP.BINANCE",
    ),
    "archive-depth": Case(
        format="binance-archive", text=_depth, name="depth.csv", id="BTCUSDT-PERP.BINANCE"
    ),
    "bybit-book": Case(
        format="bybit-book",
        text=_of("bybit_book.data"),
        name="ob.data",
        id="XRPUSDT-LINEAR.BYBIT",
        has_header=False,
    ),
    "table-trades": Case(
        format="table",
        text=_table_trades,
        name="any.csv",
        id="BTCUSDT-PERP.X",
        asked={**_TABLE, "mapping": "time=when,price=px,size=amount,side=taker"},
    ),
    "table-bars": Case(
        format="table",
        text=_table_bars,
        name="bars.csv",
        id="BTCUSDT-PERP.X",
        asked={
            **_TABLE,
            "mapping": "time=t,open=o,high=h,low=l,close=c,volume=v,bar=1-MINUTE,stamp=open",
        },
    ),
}


def imported(case: Case, folder: Path, text: str | bytes | None = None) -> ImportReport:
    """Of the file, or of another text in its place. Raises ImportFailed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / case.name
    content = case.text() if text is None else text
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return run(case.format, path, folder / "cat", **case.asked)


def run(format_: str, path: Path, catalog: Path, **asked: Any) -> ImportReport:
    return IMPORTERS[format_].run(path, catalog, Asked(**asked))


def zipped(text: str, name: str = "x.csv") -> bytes:
    import io

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return out.getvalue()


# -- five ways to break a file --------------------------------------------------------------------


def lines_in(case: Case) -> tuple[list[str], list[str]]:
    """Header and rows."""
    lines = case.text().splitlines()
    at = 1 if case.has_header else 0
    return lines[:at], lines[at:]


def truncated(case: Case) -> str:
    text = case.text()
    return text[: len(text) - 5]


def wrong_columns(case: Case) -> str:
    if case.format == "bybit-book":
        return case.text().replace('"data"', '"payload"')
    return "".join(line.partition(",")[2] + "\n" for line in case.text().splitlines())


def odd_line(case: Case) -> str:
    head, rows = lines_in(case)
    return "\n".join([*head, *rows[:2], 'what\0ever,"', *rows[3:]]) + "\n"


def out_of_order(case: Case) -> str:
    """The second row is an hour later than those after it."""
    head, rows = lines_in(case)
    late = _SECONDS.sub(lambda found: f"{int(found[1]) + HOUR}{found[2]}", rows[1])
    if late == rows[1]:  # seconds
        late = re.sub("^(1[4-9][0-9]{8})", lambda found: str(int(found[1]) + HOUR), rows[1])
    return "\n".join([*head, rows[0], late, *rows[2:]]) + "\n"


def bad_number(case: Case) -> str:
    head, rows = lines_in(case)
    if case.format == "bybit-book":
        return case.text().replace('"1.97"', '"1.x97"')
    bad = rows[2].replace(".", ".x", 1) if "." in rows[2] else rows[2].replace(",", ",-", 5)
    return "\n".join([*head, *rows[:2], bad, *rows[3:]]) + "\n"


BREAKS = (truncated, wrong_columns, odd_line, out_of_order, bad_number)


# -- what a catalog shows -------------------------------------------------------------------------


def rows_of(catalog: Path) -> set[tuple[Any, ...]]:
    """Trades, quotes and bars, and the whole book at the end of each message with its time."""
    store = ParquetDataCatalog(str(catalog))
    found: set[tuple[Any, ...]] = set()
    for one in store.query_trade_ticks():
        side = one.aggressor_side.name
        # A trade without an id of the file's own has one of its place
        name = "" if "-" in str(one.trade_id)[19:20] else str(one.trade_id)
        found.add(("trade", one.price, one.size, side, name, one.ts_event, one.ts_init))
    for one in store.query_quote_ticks():
        found.add(("quote", one.bid_price, one.bid_size, one.ask_price, one.ask_size, one.ts_event))
    for one in store.query_bars():
        found.add(("bar", one.open, one.high, one.low, one.close, one.volume, one.ts_event))
    return found | {("book", *one) for one in books_of(store)}


def books_of(store: ParquetDataCatalog) -> list[tuple[Any, ...]]:
    book: dict[tuple[str, Decimal], Decimal] = {}
    found = []
    for delta in store.query_order_book_deltas():
        key = (delta.order.side.name if delta.order.side else "", delta.order.price.as_decimal())
        if delta.action == BookAction.CLEAR:
            book.clear()
        elif delta.action == BookAction.DELETE:
            del book[key]
        else:
            book[key] = delta.order.size.as_decimal()
        if delta.flags & 128 and book:
            found.append((delta.ts_init, delta.ts_event, tuple(sorted(book.items()))))
    return found
