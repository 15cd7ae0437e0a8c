"""Plain tables of trades or bars, CSV or Parquet, by a mapping of their columns.

`time=ts,price=px,size=qty` reads trades (with `side=` and `id=` where there are such columns);
`time=ts,open=o,high=h,low=l,close=c,volume=v,bar=1-MINUTE,stamp=close` bars. `bar` and `stamp` are
values, no columns: the length of a bar, and whether its time is that of its open or of its close.
Times are UNIX seconds, milliseconds, microseconds or nanoseconds, known by their digits, or
ISO 8601 with its offset; there is no time of receipt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from fairlead.engine.recording.importers.bar_rows import bar, length_ns_of
from fairlead.engine.recording.importers.binance_wire import NS_MAX, Malformed
from fairlead.engine.recording.importers.csv_lines import Columns, CsvLines, plain
from fairlead.engine.recording.importers.events import (
    Contract,
    Event,
    Market,
    Numbered,
    Refused,
    Taker,
    Told,
    Trade,
    positive,
)
from fairlead.engine.recording.importers.flat import Asked, market_of
from fairlead.engine.recording.importers.lines import LineReader
from fairlead.engine.recording.importers.optional import package

PARQUET_MAGIC = b"PAR1"
BATCH_ROWS = 10_000
TRADE = ("time", "price", "size")
BAR = ("time", "open", "high", "low", "close", "volume")
MORE = ("side", "id")
VALUES = ("bar", "stamp")
_PAIR = re.compile(r"([a-z]+)=(.+)")
_TAKERS = {
    **dict.fromkeys(("buy", "b", "bid", "buyer", "1", "+1"), Taker.BUYER),
    **dict.fromkeys(("sell", "s", "ask", "seller", "-1"), Taker.SELLER),
}
_SCALES = ((11, 1_000_000_000), (14, 1_000_000), (17, 1_000), (20, 1))  # by digits fewer than


def read_mapping(path: Path, text: str) -> dict[str, str]:
    """Raises Refused."""
    found: dict[str, str] = {}
    for part in text.split(","):
        pair = _PAIR.fullmatch(part.strip())
        if pair is None or pair[1] in found or pair[1] not in (*TRADE, *BAR, *MORE, *VALUES):
            names = ", ".join(dict.fromkeys((*TRADE, *MORE, *BAR, *VALUES)))
            raise Refused(
                f"{path}: --map: expected NAME=COLUMN,... with the names {names}, each once; "
                f"received {part.strip()[:60]!r}"
            )
        found[pair[1]] = pair[2].strip()
    if {"price", *TRADE} <= found.keys() and not found.keys() - {*TRADE, *MORE}:
        return found
    if {*BAR, *VALUES} == found.keys():
        if found["stamp"] not in ("open", "close"):
            raise Refused(f"{path}: --map: expected stamp=open or stamp=close")
        return found
    raise Refused(
        f"{path}: --map: expected {', '.join(TRADE)} of trades (with side and id where there are), "
        f"or {', '.join((*BAR, *VALUES))} of bars; received {', '.join(found)}"
    )


class MappedSource:
    """One reading of a table (`Source`)."""

    def __init__(self, reader: LineReader, asked: Asked, numbers: Numbered) -> None:
        self._path = reader.path
        self._reader = reader
        self.damage = ""
        self._mapping = read_mapping(reader.path, asked.mapping)
        symbol = asked.symbol.replace("/", "") or asked.id.rpartition(".")[0]
        market = Market(id=asked.id, symbol=symbol, contract=asked.contract or Contract.SPOT)
        self._market = market_of(asked, market)
        self._numbers = numbers[self._market.id]
        self._is_bars = "open" in self._mapping
        if self._is_bars:
            self._length_ns = length_ns_of(self._mapping["bar"])
            if not self._length_ns:
                text = f"expected bar=1-MINUTE or the like, received {self._mapping['bar'][:40]!r}"
                raise Refused(f"{self._path}: --map: {text}")

    def events(self) -> Iterator[Told]:
        """Raises Refused, Unreadable, OSError."""
        wanted = [name for name in self._mapping if name not in VALUES]
        columns = [self._mapping[name] for name in wanted]
        with self._path.open("rb") as file:
            is_parquet = file.read(4) == PARQUET_MAGIC
        read: Callable[[Mapping[str, str]], Event] = self._bar if self._is_bars else self._trade
        rows = self._of_parquet(columns) if is_parquet else self._of_csv(columns)
        for number, fields in rows:
            try:
                if isinstance(fields, Malformed):
                    raise fields
                yield number, read(dict(zip(wanted, fields, strict=True)))
            except Malformed as error:
                yield number, error

    def _of_csv(self, wanted: Sequence[str]) -> Iterator[tuple[int, Sequence[str] | Malformed]]:
        lines = CsvLines(self._reader)
        if (head := lines.head()) is None:
            return
        _, names, rows = head
        columns = Columns(self._path, names, wanted)
        for number, fields in rows:
            try:
                yield number, fields if isinstance(fields, Malformed) else columns.of(fields)
            except Malformed as error:
                yield number, error
        self.damage = lines.damage

    def _of_parquet(self, wanted: Sequence[str]) -> Iterator[tuple[int, Sequence[str] | Malformed]]:
        """Values as text: of a float64 the shortest that is it."""
        parquet = package("pyarrow.parquet", "a Parquet table")
        try:
            file = parquet.ParquetFile(self._path)
        except (ValueError, OSError) as error:
            raise Refused(f"{self._path} is a damaged Parquet file: {error}") from error
        schema = file.schema_arrow
        Columns(self._path, schema.names, wanted)  # says which are missing
        names = ["time", *(name for name in self._mapping if name not in (*VALUES, "time"))]
        self._require_types([schema.field(self._mapping[name]) for name in names])
        number = 0
        try:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(wanted)):
                columns = [_texts(batch.column(name)) for name in wanted]
                for fields in zip(*columns, strict=True):
                    number += 1
                    yield number, fields
        except (ValueError, OSError) as error:
            raise Refused(f"{self._path} is a damaged Parquet file: {error}") from error

    def _require_types(self, fields: Sequence[Any]) -> None:
        """Of Parquet columns that can't hold what they should, the time first. Raises Refused."""
        for what, field in zip(("a time", *[""] * len(fields)), fields, strict=False):
            told = getattr(field.type, "value_type", field.type)  # of a dictionary
            kind, name, text = str(told), field.name, ""
            if kind == "halffloat" or (what and kind == "float"):
                text = f"{what or 'a price or size'} needs more digits; expected float64"
            elif what and kind.startswith("timestamp") and told.tz is None:
                text = (
                    "times without a zone may be of any; expected a timestamp with one, such as "
                    f'UTC (pandas: df["{name}"] = df["{name}"].dt.tz_localize("UTC"))'
                )
            if text:
                raise Refused(f"{self._path}: column {name}: {text}; received {kind}")

    def _trade(self, fields: Mapping[str, str]) -> Event:
        ts = time_ns(fields["time"])
        side = fields.get("side", "").strip().lower()
        if side and side not in _TAKERS:
            raise Malformed(f"side buy or sell expected, {side[:20]!r} received")
        numbers = self._numbers
        price, size = plain(fields["price"]), plain(fields["size"])
        return Trade(
            self._market,
            fields.get("id", "").strip(),
            positive(numbers.prices[price], "price", price),
            positive(numbers.sizes[size], "size", size),
            _TAKERS.get(side, Taker.UNKNOWN),
            ts,
            ts,
        )

    def _bar(self, fields: Mapping[str, str]) -> Event:
        ts = time_ns(fields["time"])
        begin = ts if self._mapping["stamp"] == "open" else ts - self._length_ns
        texts = [plain(fields[name]) for name in BAR[1:5]]
        prices = self._numbers.prices
        told = [positive(prices[text], "price", text) for text in texts]
        volume = self._numbers.sizes[plain(fields["volume"])]
        end = begin + self._length_ns
        return bar(self._market, told, volume, (begin, end), end)


def _texts(column: Any) -> list[str]:
    """A float32 as the shortest decimal that is it: as a double it has digits of its own."""
    if str(column.type).startswith("dictionary"):
        column = column.dictionary_decode()
    if str(column.type) == "float":
        return [plain(text or "") for text in column.cast("string").to_pylist()]
    return [_text(value) for value in column.to_pylist()]


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}" if value == value else ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):  # with a zone
        nanos = getattr(value, "nanosecond", 0)  # of pandas
        whole = int(value.replace(microsecond=0).timestamp())
        return str(whole * 1_000_000_000 + value.microsecond * 1000 + nanos)
    return "" if value is None else str(value)


def _part_ns(decimals: str, scale: int) -> int:
    """What stands behind the point, of `scale` nanoseconds. Raises Malformed."""
    known = decimals.rstrip("0")
    room = len(str(scale)) - 1
    if len(known) > room:
        raise Malformed(f"a time of whole nanoseconds expected, it ends in .{decimals[:40]}")
    return int(known.ljust(room, "0") or 0)


def time_ns(text: str) -> int:
    """Digits say by their number before a point which unit they are. Raises Malformed."""
    text = text.strip()
    whole_text, point, part = text.partition(".")
    if text.isascii() and whole_text.isdecimal() and part.isdecimal() == bool(point):
        for digits, scale in _SCALES:
            if len(whole_text) < digits:
                return int(whole_text) * scale + _part_ns(part, scale)
        raise Malformed(f"time {text[:40]} is beyond nanoseconds")
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise Malformed(f"time {text[:40]!r} has no offset from UTC (Z)")
        whole = int(moment.replace(microsecond=0).timestamp()) * 1_000_000_000
    except (ValueError, OverflowError) as error:
        raise Malformed(f"a time expected, {text[:40]!r} received") from error
    return min(whole + moment.microsecond * 1000, NS_MAX)
