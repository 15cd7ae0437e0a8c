"""hftbacktest's event files: `.npz` with one array of 64-byte rows, `data`.

Rows that the local side saw, in order of `local_ts`: level changes, snapshots, clears of a part of
a side, trades. Numbers are float64, and become the decimals that they stand for (`floats`): its
own end-of-day snapshots have prices of ticks x tick size. The file names no symbol.

Rows have no mark of a message. Those of one `local_ts` are one: the local side saw all of them at
that moment, whatever the exchange's times are (converters keep one a row), and between them there
was no book that anybody saw. Trades of the moment are no border: they are a stream of their own.
Source: hftbacktest.readthedocs.io, "Data"; hftbacktest.types.
"""

from __future__ import annotations

import ast
import struct
import zipfile
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO

import msgspec

from fairlead.engine.recording.importers.binance_wire import Malformed, Other
from fairlead.engine.recording.importers.diffbook import Level
from fairlead.engine.recording.importers.events import (
    Contract,
    Levels,
    Market,
    Numbered,
    Refused,
    Taker,
    Told,
    Trade,
    positive,
)
from fairlead.engine.recording.importers.flat import Asked, market_of
from fairlead.engine.recording.importers.left_out import DEPTH as DEPTH_ROWS
from fairlead.engine.recording.importers.left_out import TRADE as TRADE_ROWS
from fairlead.engine.recording.importers.lines import LineReader
from fairlead.engine.recording.importers.messages import require_room

LOCAL, BUY, SELL = 1 << 30, 1 << 29, 1 << 28
DEPTH, TRADE, CLEAR, SNAPSHOT = 1, 2, 3, 4
_ROW = struct.Struct("<QqqddQqd")  # ev, exch_ts, local_ts, px, qty, order_id, ival, fval
_DESCR = [
    *(("ev", "<u8"), ("exch_ts", "<i8"), ("local_ts", "<i8"), ("px", "<f8"), ("qty", "<f8")),
    *(("order_id", "<u8"), ("ival", "<i8"), ("fval", "<f8")),
]
_MAGIC = b"\x93NUMPY"
_HEADER_BYTES_MAX = 65_536
READ_ROWS = 4_096
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, ValueError),
    *(OSError, RuntimeError),  # another place than the file has; a password
)
Sides = tuple[dict[int, int], dict[int, int]]  # raw price: size, of bids and of asks


class _Pending(msgspec.Struct):
    """Rows of a message: kind and side, price, size; `exch` is the newest of their times."""

    local: int
    exch: int = 0
    last: int = 0  # number of the last row
    rows: list[tuple[int, float, float]] = []

    def add(self, number: int, exch: int, row: tuple[int, float, float]) -> None:
        """Raises Refused."""
        self.last, self.exch = number, max(self.exch, exch)
        self.rows.append(row)
        require_room(number, len(self.rows))


class HftSource:
    """One reading of a file (`Source`). `asked.snapshot`: a file with the book at its begin."""

    def __init__(self, reader: LineReader, asked: Asked, numbers: Numbered) -> None:
        self._path = reader.path
        self._snapshot = asked.snapshot
        self.damage = ""
        symbol = asked.symbol.replace("/", "") or asked.id.rpartition(".")[0]
        market = Market(id=asked.id, symbol=symbol, contract=asked.contract or Contract.LINEAR)
        self._market = market_of(asked, market)
        self._numbers = numbers[self._market.id]
        self._texts: dict[float, str] = {}
        self._book: Sides = ({}, {})  # as it stands, for clears of a part of a side
        self._is_known = False

    def events(self) -> Iterator[Told]:
        """Raises Refused, OSError."""
        if self._snapshot is not None:
            for _, told in self._of(self._snapshot):
                if isinstance(told, Malformed):
                    raise Refused(f"{self._snapshot}: {told}")
            if self.damage or not self._is_known:
                text = self.damage or "no snapshot is in it"
                raise Refused(f"{self._snapshot}: {text}")
        is_first = self._snapshot is not None
        for number, told in self._of(self._path):
            if is_first and not isinstance(told, Exception):
                is_first = False
                yield 0, self._whole(told.ts_event, told.ts_init)
            yield number, told

    def _of(self, path: Path) -> Iterator[Told]:
        """Rows of one moment are one message."""
        pending: _Pending | None = None
        for number, (ev, exch, local, price, size, *_) in enumerate(self._rows(path), 1):
            kind = ev & 0xFF
            if not ev & LOCAL:
                yield number, Other("rows of the exchange's side alone")
                continue
            if pending is not None and pending.local != local:
                yield pending.last, self._message(pending)
                pending = None
            if kind == TRADE:
                yield number, self._trade(ev, exch, local, price, size)
            elif kind in (DEPTH, CLEAR, SNAPSHOT):
                if pending is None:
                    pending = _Pending(local)
                pending.add(number, exch, (ev, price, size))
            else:
                yield number, Other(f"event {kind}")
        if pending is not None:
            is_cut = bool(self.damage)
            told = Other("last message of a damaged file") if is_cut else self._message(pending)
            yield pending.last, told

    def _rows(self, path: Path) -> Iterator[tuple[int, int, int, float, float, int, int, float]]:
        """Raises Refused, OSError."""
        with path.open("rb") as file:
            try:
                with zipfile.ZipFile(file) as archive:
                    yield from self._of_archive(path, archive)
            except _DAMAGE as error:
                if "not a zip" in str(error):
                    raise Refused(f"{path}: expected an .npz file: {error}") from error
                self.damage = f"{path} is damaged: {error}"

    def _of_archive(
        self, path: Path, archive: zipfile.ZipFile
    ) -> Iterator[tuple[int, int, int, float, float, int, int, float]]:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        if len(names) != 1:
            found = ", ".join(archive.namelist())[:200]
            raise Refused(f"{path}: expected one array, data.npy; received {found!r}")
        with archive.open(names[0]) as member:
            rows = _header(path, member)
            while rows > 0:
                data = member.read(min(rows, READ_ROWS) * _ROW.size)
                whole = len(data) // _ROW.size
                if not whole:
                    self.damage = f"{rows} rows are missing at the end of {path}"
                    return
                yield from _ROW.iter_unpack(data[: whole * _ROW.size])
                rows -= whole

    # -- one message -------------------------------------------------------------------------------

    def _message(self, pending: _Pending) -> Levels | Malformed | Other:
        rows, exch, local = pending.rows, pending.exch, pending.local
        try:
            changes = self._changes(rows)
        except Malformed as error:
            self._is_known = False
            error.kind = DEPTH_ROWS
            return error
        has_snapshot = any(ev & 0xFF == SNAPSHOT for ev, _, _ in rows)
        if has_snapshot and not self._is_known:
            self._is_known = True
            return self._whole(exch, local)
        bids, asks = (list(side.items()) for side in changes)
        if not bids and not asks:
            return Other("clears of levels that are not there")
        return Levels(self._market, False, None, 0, bids, asks, exch, local)

    def _whole(self, exch: int, local: int) -> Levels:
        bids, asks = (list(side.items()) for side in self._book)
        return Levels(self._market, True, None, 0, bids, asks, exch, local)

    def _changes(self, rows: list[tuple[int, float, float]]) -> Sides:
        """What the rows set, also in the book. Raises Malformed."""
        changes: Sides = ({}, {})
        for ev, price, size in rows:
            is_bid = bool(ev & BUY)
            if is_bid == bool(ev & SELL):
                raise Malformed("a level of neither side, or of both")
            at = 0 if is_bid else 1
            book = self._book[at]
            if ev & 0xFF == CLEAR:
                bound = self._level(price, 0.0)[0] if price == price else 0
                gone = [one for one in book if (one >= bound if is_bid else one <= bound)]
                for one in gone:
                    del book[one]
                    changes[at][one] = 0
                continue
            raw, quantity = self._level(price, size)
            changes[at][raw] = quantity
            if quantity:
                book[raw] = quantity
            else:
                book.pop(raw, None)
        return changes

    def _trade(
        self, ev: int, exch: int, local: int, price: float, size: float
    ) -> Trade | Malformed:
        try:
            raw, quantity = self._level(price, size)
            positive(quantity, "size", str(size))
        except Malformed as error:
            error.kind = TRADE_ROWS
            return error
        taker = Taker.BUYER if ev & BUY else Taker.SELLER if ev & SELL else Taker.UNKNOWN
        return Trade(self._market, "", raw, quantity, taker, exch, local)

    def _level(self, price: float, size: float) -> Level:
        raw = self._numbers.prices[self._text(price)]
        return positive(raw, "price", str(price)), self._numbers.sizes[self._text(size)]

    def _text(self, value: float) -> str:
        found = self._texts.get(value)
        if found is None:
            if len(self._texts) > 200_000:
                self._texts.clear()
            exact = Decimal(repr(value))
            found = self._texts[value] = f"{exact:f}" if exact.is_finite() else repr(value)
        return found


def _header(path: Path, member: IO[bytes]) -> int:
    """The number of rows. Raises Refused."""
    head = member.read(8)
    size = 2 if head[6:7] == b"\x01" else 4
    length = int.from_bytes(member.read(size), "little")
    if not head.startswith(_MAGIC) or not 0 < length <= _HEADER_BYTES_MAX:
        raise Refused(f"{path}: expected a numpy array")
    try:
        told = ast.literal_eval(member.read(length).decode("latin-1").strip())
        (rows,) = told["shape"]
        names = [tuple(one[:2]) for one in told["descr"]]
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise Refused(f"{path}: expected an array of rows with named fields: {error}") from error
    if names != _DESCR or not isinstance(rows, int) or told.get("fortran_order"):
        expected = ", ".join(name for name, _ in _DESCR)
        raise Refused(f"{path}: expected rows of {expected}; received {str(names)[:200]}")
    return rows
