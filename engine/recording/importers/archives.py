"""Binance's daily archive files: trades, aggTrades, klines, bookTicker, depth; csv or zip.

Times are the exchange's, in milliseconds or (newer spot files) microseconds: there is no local
time, so `ts_init` is `ts_event`. A message of depth is the lines of its update ids: they say what
came together where times of whole milliseconds do not. Bars of calendar months (1mo) are refused:
they have no one length, by which a missing bar is known. Formats: the README of
github.com/binance/binance-public-data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from pathlib import Path

import msgspec

from fairlead.engine.recording.importers.bar_rows import bar
from fairlead.engine.recording.importers.binance_instruments import coin_multiplier
from fairlead.engine.recording.importers.binance_wire import Malformed, need_ns
from fairlead.engine.recording.importers.csv_lines import Columns, CsvLines
from fairlead.engine.recording.importers.diffbook import Level
from fairlead.engine.recording.importers.events import (
    Contract,
    Event,
    Levels,
    Market,
    Numbered,
    Quote,
    Refused,
    Taker,
    Told,
    Trade,
    positive,
)
from fairlead.engine.recording.importers.flat import Asked, market_of
from fairlead.engine.recording.importers.left_out import DEPTH
from fairlead.engine.recording.importers.lines import LineReader
from fairlead.engine.recording.importers.messages import Row, messages

_NAME = re.compile(
    "([A-Z0-9_]{2,30})-(trades|aggTrades|bookTicker|bookDepth|[0-9]+(?:[smhdw]|mo))-"
)
_SYMBOL = re.compile(r"[A-Z0-9]{2,30}(_PERP)?")
FEES = {  # of an account without volume or discounts, maker and taker
    Contract.SPOT: (Decimal("0.001"), Decimal("0.001")),
    Contract.LINEAR: (Decimal("0.0002"), Decimal("0.0005")),
    Contract.INVERSE: (Decimal("0.0002"), Decimal("0.0005")),
}
BOOK_DEPTH = (
    "bookDepth has sizes summed up within percents of the mid, and no prices: there is no book in "
    "it. Import bookTicker, or the depth files (snap and update) in its place"
)
MONTHLY = (
    "bars of calendar months, 28 to 31 days each, are not imported. Import the bars of a day (1d) "
    "in their place"
)
_NO_PU = ("", "-1")
MONTH_NS = 28 * 86_400 * 1_000_000_000
Line = tuple[int, list[str] | Malformed]


class Shape(msgspec.Struct, frozen=True):
    """The columns of a kind: those of files without a header, and those that are read."""

    kind: str
    orders: Mapping[int, Sequence[str]]  # by number of columns
    wanted: Sequence[str]
    marks: frozenset[str]  # a header with all of these is of this kind


_KLINE = [
    *("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume"),
    *("count", "taker_buy_volume", "taker_buy_quote_volume", "ignore"),
]
_TRADE = ["id", "price", "qty", "quote_qty", "time", "is_buyer_maker"]
_AGG = [
    *("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id"),
    *("transact_time", "is_buyer_maker"),
]
_TICKER = [
    *("update_id", "best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty"),
    *("transaction_time", "event_time"),
]
_DEPTH = [
    *("symbol", "timestamp", "first_update_id", "last_update_id", "side", "update_type"),
    *("price", "qty", "pu"),
]
SHAPES = (
    Shape(
        "trades",
        {6: _TRADE, 7: [*_TRADE, "is_best_match"]},
        ("id", "price", "qty", "time", "is_buyer_maker"),
        frozenset(("id", "qty", "is_buyer_maker")),
    ),
    Shape(
        "aggTrades",
        {7: _AGG, 8: [*_AGG, "is_best_match"]},
        ("agg_trade_id", "price", "quantity", "transact_time", "is_buyer_maker"),
        frozenset(("agg_trade_id",)),
    ),
    Shape("klines", {12: _KLINE}, _KLINE[:7], frozenset(("open_time", "close_time"))),
    Shape("bookTicker", {7: _TICKER}, _TICKER, frozenset(("best_bid_price",))),
    Shape("depth", {9: _DEPTH}, _DEPTH, frozenset(("first_update_id", "update_type"))),
    Shape("bookDepth", {4: []}, (), frozenset(("percentage", "notional"))),
)


class ArchiveSource:
    """One reading of an archive file (`Source`). `asked.snapshot`: the book before its changes."""

    def __init__(self, reader: LineReader, asked: Asked, numbers: Numbered) -> None:
        self._path = reader.path
        self._reader = reader
        self._lines = CsvLines(reader)
        self._asked = asked
        self._numbered = numbers
        self._markets: dict[str, Market] = {}

    @property
    def damage(self) -> str:
        return self._lines.damage

    def events(self) -> Iterator[Told]:
        """Raises Refused, Unreadable, OSError."""
        if (head := self._lines.head()) is None:
            return
        first, fields, lines = head
        has_header = not fields[0].strip().isdecimal()
        name = _NAME.search(self._path.name)
        if name and name[2].endswith("mo"):
            raise Refused(f"{self._path}: {MONTHLY}")
        shape = self._shape(fields, has_header, name[2] if name else "")
        if shape.kind == "bookDepth":
            raise Refused(f"{self._path}: {BOOK_DEPTH}")
        header = fields if has_header else shape.orders.get(len(fields), ())
        if not header:
            counts = " or ".join(map(str, shape.orders))
            text = f"expected {counts} columns of {shape.kind}, received {len(fields)}"
            raise Refused(f"{self._path}: {text}")
        columns = Columns(self._path, header, shape.wanted)
        symbol = name[1] if name else ""
        contract = self._contract(header, has_header, symbol, shape.kind)
        if shape.kind == "depth":
            yield from self._depth(
                chain([] if has_header else [(first, fields)], lines), columns, contract
            )
            return
        if not symbol:
            symbol = self._asked.symbol.replace("/", "").upper()
        if not symbol:
            text = "expected a file named SYMBOL-KIND-DATE, or --symbol"
            raise Refused(f"{self._path}: {text}")
        market = self._market(symbol, contract, shape.kind)
        rows = _Rows(self._path, market, self._numbered, shape.kind)
        if not has_header:
            yield first, rows.event(columns, fields)
        for number, row in lines:
            yield number, row if isinstance(row, Malformed) else rows.event(columns, row)

    def _shape(self, fields: Sequence[str], has_header: bool, kind: str) -> Shape:
        """By the header, else by the file's name. Raises Refused."""
        if has_header:
            found = [shape for shape in SHAPES if shape.marks <= {one.strip() for one in fields}]
        elif kind:
            kind = kind if kind in {shape.kind for shape in SHAPES} else "klines"
            found = [shape for shape in SHAPES if shape.kind == kind]
        else:
            found = [shape for shape in SHAPES if shape.kind == "klines" and len(fields) == 12]
        if len(found) != 1:
            kinds = ", ".join(shape.kind for shape in SHAPES)
            text = f"expected the columns of one of {kinds}, or a file named SYMBOL-KIND-DATE"
            raise Refused(f"{self._path}: {text}; received {','.join(fields)[:200]!r}")
        return found[0]

    def _contract(
        self, header: Sequence[str], has_header: bool, symbol: str, kind: str
    ) -> Contract:
        """What the columns tell; klines without a header are of spot."""
        if "_" in symbol or "base_qty" in header:
            return Contract.INVERSE
        is_spot = "is_best_match" in header or (kind == "klines" and not has_header)
        return Contract.SPOT if is_spot else Contract.LINEAR

    def _market(self, symbol: str, contract: Contract, kind: str) -> Market:
        """Raises Refused."""
        contract = self._asked.contract or contract
        if not _SYMBOL.fullmatch(symbol):
            text = (
                f"{symbol[:40]!r} is no symbol of spot or of a perpetual; deliveries are not known"
            )
            raise Refused(f"{self._path}: {text}")
        is_linear = contract is Contract.LINEAR
        base, quote, multiplier = "", "", None
        if contract is Contract.INVERSE:
            base, quote = symbol.removesuffix("_PERP").removesuffix("USD"), "USD"
            multiplier = coin_multiplier(base)
        maker, taker = FEES[contract]
        market = Market(
            id=f"{symbol}{'-PERP' if is_linear else ''}.BINANCE",
            symbol=symbol,
            contract=contract,
            base=base,
            quote=quote,
            multiplier=multiplier,
            maker_fee=maker,
            taker_fee=taker,
            counts_trades=kind in ("trades", "aggTrades"),
        )
        return market_of(self._asked, market)

    # -- depth: several lines a message ------------------------------------------------------------

    def _depth(self, lines: Iterable[Line], columns: Columns, contract: Contract) -> Iterator[Told]:
        if self._asked.snapshot is not None:
            yield from self._snapshot(self._asked.snapshot, contract)
        rows = self._levels(lines, columns, contract)
        yield from messages(rows, self._message, lambda: self.damage)

    def _snapshot(self, path: Path, contract: Contract) -> Iterator[Told]:
        """Raises Refused."""
        lines = CsvLines(LineReader(path))
        first = next(iter_lines := iter(lines), None)
        if first is None or isinstance(first[1], Malformed):
            raise Refused(f"{path}: expected a depth file with a header, received none")
        rows = self._levels(iter_lines, Columns(path, first[1], _DEPTH), contract)
        for number, told in messages(rows, self._message, lambda: lines.damage):
            if isinstance(told, Exception):
                raise Refused(f"{path}: line {number}: {told}")
            yield 0, told
        if lines.damage:
            raise Refused(f"{path}: {lines.damage}")

    def _levels(self, lines: Iterable[Line], columns: Columns, contract: Contract) -> Iterator[Row]:
        known: tuple[str, ...] | None = None
        for number, fields in lines:
            key: tuple[str, ...] | None = None
            try:
                if isinstance(fields, Malformed):
                    raise fields
                symbol, ts, first, last, side, kind, price, size, pu = columns.of(fields)
                told = (symbol, ts, first, last, kind, pu)
                if told != known:
                    self._require_key(told)
                    known = told
                if symbol not in self._markets:
                    is_coin = Contract.INVERSE if "_" in symbol else contract
                    self._markets[symbol] = self._market(symbol, is_coin, "depth")
                key, market = told, self._markets[symbol]
                if side not in ("a", "b"):
                    raise Malformed(f"side b or a expected, {side[:20]!r} received")
                numbers = self._numbered[market.id]
                level = positive(numbers.prices[price], "price", price), numbers.sizes[size]
            except Malformed as error:
                error.symbol, error.kind = "" if key is None else market.id, DEPTH
                yield number, key, False, error
                continue
            yield number, key, side == "b", level

    @staticmethod
    def _require_key(key: tuple[str, ...]) -> None:
        """Raises Malformed where it does not tell which message is its line's: a message that such
        a line parts in two would be two, the second without the levels of the first."""
        _, ts, first_id, last_id, kind, pu = key
        need_ns(_whole(ts, "timestamp"))
        _whole(last_id, "last_update_id")
        if kind not in ("snap", "set"):
            raise Malformed(f"update_type snap or set expected, {kind[:20]!r} received")
        has_pu = pu.strip() not in _NO_PU
        _whole(*((pu, "pu") if has_pu else (first_id, "first_update_id")))

    def _message(
        self, key: tuple[str, ...], bids: Sequence[Level], asks: Sequence[Level]
    ) -> Levels:
        symbol, ts, first_id, last_id, kind, pu = key
        ns = need_ns(_whole(ts, "timestamp"))
        # Spot has no `pu`: its messages follow one another by their own ids
        has_pu = pu.strip() not in _NO_PU
        previous = _whole(pu, "pu") if has_pu else _whole(first_id, "first_update_id") - 1
        is_snapshot = kind == "snap"
        return Levels(
            self._markets[symbol],
            is_snapshot,
            None if is_snapshot else previous,
            _whole(last_id, "last_update_id"),
            bids,
            asks,
            ns,
            ns,
        )


# -- one line an event ----------------------------------------------------------------------------


class _Rows:
    """Lines of one symbol. `event` tells what is wrong as a Malformed, and may raise Refused."""

    def __init__(self, path: Path, market: Market, numbered: Numbered, kind: str) -> None:
        self._path = path
        self._market = market
        self._numbers = numbered[market.id]
        read = {"klines": self._bar, "bookTicker": self._quote}
        self._read = read.get(kind, self._trade)

    def event(self, columns: Columns, fields: Sequence[str]) -> Event | Malformed:
        try:
            return self._read(columns.of(fields))
        except Malformed as error:
            return error

    def _trade(self, fields: Sequence[str]) -> Event:
        name, price, size, time, is_sold = fields
        ts = need_ns(_whole(time, "time"))
        number = _whole(name, "id")
        if is_sold.lower() not in ("true", "false"):
            raise Malformed(f"is_buyer_maker true or false expected, {is_sold[:20]!r} received")
        return Trade(
            self._market,
            str(number),
            positive(self._numbers.prices[price], "price", price),
            positive(self._numbers.sizes[size], "size", size),
            Taker.SELLER if is_sold.lower() == "true" else Taker.BUYER,
            ts,
            ts,
        )

    def _quote(self, fields: Sequence[str]) -> Event:
        _, bid, bid_size, ask, ask_size, time, _ = fields
        ts = need_ns(_whole(time, "transaction_time"))
        prices, sizes = self._numbers.prices, self._numbers.sizes
        bid_level = prices[bid], sizes[bid_size]
        return Quote(self._market, bid_level, (prices[ask], sizes[ask_size]), ts, ts)

    def _bar(self, fields: Sequence[str]) -> Event:
        opened, begin, high, low, end, volume, closed = fields
        first, last = _whole(opened, "open_time"), _whole(closed, "close_time")
        unit = need_ns(last) - need_ns(last - 1)
        begin_ns, end_ns = need_ns(first), need_ns(last) + unit
        if end_ns - begin_ns >= MONTH_NS:
            raise Refused(f"{self._path}: {MONTHLY}")
        prices = self._numbers.prices
        told = [positive(prices[text], "price", text) for text in (begin, high, low, end)]
        size = self._numbers.sizes[volume]
        return bar(self._market, told, size, (begin_ns, end_ns), end_ns)


def _whole(text: str, what: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        raise Malformed(f"{what}: a whole number expected, {text[:40]!r} received")
    return int(text)
