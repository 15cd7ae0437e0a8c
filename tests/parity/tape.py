"""What the market told, in the order in which it was received: read apart from the product.

A tape is a list of what came of one instrument: book changes, best quotes, trades. It is read from
a Binance raw stream file by its own few lines of JSON, or from a Parquet catalog. Nothing here
imports `engine`, `adapters` or `strategies`: it is what they are judged by.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

SILENT_NS, SILENT_TIMES = 10 * 10**9, 20  # and the usual distance of depth messages
Side = dict[Decimal, Decimal]  # size in base units by price in quote currency
MS_NS = 1_000_000


class Told(NamedTuple):
    """A change of the book, or all of it.

    `kind` is "snapshot" (all that there is), "levels" (size 0: none), "quote" (the best of both
    sides), "clear" (nobody knows), "silence" (nobody knows until the next levels). `ts` is when it
    was received, `at` when it happened by the venue's clock (0: not told), both ns; `update` is the
    venue's number of it.
    """

    ts: int
    kind: str
    bids: Mapping[Decimal, Decimal]
    asks: Mapping[Decimal, Decimal]
    at: int = 0
    update: int = 0


class Print(NamedTuple):
    """A trade; `taker` is the side of the order that took, "" where it is not told."""

    ts: int
    price: Decimal
    size: Decimal
    taker: str
    at: int = 0


Event = Told | Print
Tape = list[Event]


class _Symbol:
    """One symbol of a raw stream file: its book is whole from a snapshot until an update lacks."""

    def __init__(self) -> None:
        self.tape: Tape = []
        self.last: int | None = None  # the newest update in the book; None: there is no book
        self.seen = 0  # the newest update told of
        self.held: list[tuple[int, dict[str, Any]]] = []  # updates that wait for a snapshot
        self.is_without = True  # a snapshot
        self.is_perpetual = False
        self.came: list[int] = []  # when depth did
        self.is_silent = False

    def depth(self, ts: int, data: dict[str, Any]) -> None:
        self.came.append(ts)
        self.is_silent = False
        self.seen = data["u"]
        self.is_perpetual = "pu" in data
        if self.last is not None and data["u"] <= self.last:
            return
        if self.last is not None and not self._follows(data):
            if len(self.came) > 1:  # what was lost came since
                self.tape.append(Told(self.came[-2] + 1, "silence", {}, {}))
            self.tape.append(Told(ts, "clear", {}, {}))
            self.last = None
        if self.last is None:
            self.held.append((ts, data))
            return
        self.last = data["u"]
        self._told(ts, data)

    def _told(self, ts: int, data: dict[str, Any]) -> None:
        bids, asks = _side(data["b"]), _side(data["a"])
        self.tape.append(Told(ts, "levels", bids, asks, data["E"] * MS_NS, data["u"]))

    def silence(self, ts: int) -> None:
        """Where depth was away for so long, while others tell of later, nobody knows the book."""
        if len(self.came) < 2 or self.is_silent:
            return
        last, usual = self.came[-1], (self.came[-1] - self.came[0]) / (len(self.came) - 1)
        if ts - last > max(SILENT_NS, SILENT_TIMES * usual):
            self.is_silent = True
            self.tape.append(Told(last + 1, "silence", {}, {}))

    def end(self) -> None:
        """Without any snapshot the levels that were told are all that is known."""
        for ts, data in self.held if self.is_without else ():
            if self.last is not None and not self._follows(data):
                self.tape.append(Told(ts, "clear", {}, {}))
            self.last = data["u"]
            self._told(ts, data)

    def _follows(self, data: dict[str, Any]) -> bool:
        assert self.last is not None
        return data.get("pu") == self.last or data["U"] <= self.last + 1 <= data["u"] + 1

    def snapshot(self, ts: int, data: dict[str, Any]) -> None:
        number = data["lastUpdateId"]
        if self.last is not None and number <= self.last:
            return
        bids, asks = _side(data["bids"]), _side(data["asks"])
        held, self.held = self.held, []
        self.last = number
        self.is_without = False
        for _, update in held:
            if update["u"] <= self.last:
                continue
            if not self._follows(update):
                self.last = None
                self.held = held
                return
            bids |= _side(update["b"])
            asks |= _side(update["a"])
            self.last = update["u"]
        self.tape.append(Told(ts, "snapshot", _there(bids), _there(asks), 0, self.last))


def _side(levels: Iterable[tuple[str, str]]) -> Side:
    return {Decimal(price): Decimal(size) for price, size in levels}


def _there(side: Side) -> Side:
    return {price: size for price, size in side.items() if size}


def of_lines(lines: Iterable[bytes], venue: str = "BINANCE") -> dict[str, Tape]:
    """The tapes of a Binance raw stream file's lines, by instrument id."""
    symbols: dict[str, _Symbol] = {}
    early: list[tuple[int, dict[str, Any]]] = []
    ts = 0
    for line in lines:
        stamp, _, rest = line.partition(b" ")
        ts, body = int(stamp), json.loads(rest)
        if "lastUpdateId" in body:
            owner = _owner(symbols, body["lastUpdateId"])
            if owner is None:
                early.append((ts, body))
            else:
                owner.snapshot(ts, body)
            continue
        data = body["data"]
        symbol = symbols.setdefault(data["s"], _Symbol())
        kind = data.get("e", "bookTicker")
        if kind == "depthUpdate":
            for at, snapshot in early:
                if _is_near(data["u"], snapshot["lastUpdateId"]):
                    symbol.snapshot(at, snapshot)
            early = [one for one in early if not _is_near(data["u"], one[1]["lastUpdateId"])]
            symbol.depth(ts, data)
        elif kind == "trade" and data.get("X", "MARKET") == "MARKET":
            taker = "SELL" if data["m"] else "BUY"
            one = Print(ts, Decimal(data["p"]), Decimal(data["q"]), taker, data["T"] * MS_NS)
            symbol.tape.append(one)
        elif kind == "bookTicker":
            bid, ask = _side([(data["b"], data["B"])]), _side([(data["a"], data["A"])])
            at = data.get("E", 0) * MS_NS
            if data["u"] > symbol.seen:
                symbol.silence(ts)
            symbol.tape.append(Told(ts, "quote", bid, ask, at, data["u"]))
    for symbol in symbols.values():
        symbol.silence(ts)
        symbol.end()
    return {
        f"{name}{'-PERP' * one.is_perpetual}.{venue}": sorted(one.tape, key=lambda event: event.ts)
        for name, one in symbols.items()
    }


ID_REACH = 500_000  # a snapshot's number is this near to those of its symbol's updates


def _is_near(update: int, number: int) -> bool:
    return abs(update - number) < ID_REACH


def _owner(symbols: Mapping[str, _Symbol], number: int) -> _Symbol | None:
    known = [one for one in symbols.values() if one.seen and _is_near(one.seen, number)]
    return min(known, key=lambda one: abs(one.seen - number), default=None)


def of_file(path: Path) -> dict[str, Tape]:
    """The tapes of a Binance raw stream file, plain or compressed with gzip."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        return of_lines(lines)


def of_catalog(root: Path) -> dict[str, Tape]:
    """The tapes of a NautilusTrader catalog; quotes only where it has no book."""
    from nautilus_trader.persistence import ParquetDataCatalog

    catalog = ParquetDataCatalog(str(root))
    found: dict[str, Tape] = {}
    for instrument in catalog.instruments():
        name = str(instrument.id)
        tape: Tape = list(_books(catalog.query_order_book_deltas([name])))
        if not tape:
            for quote in catalog.query_quote_ticks([name]):
                bid = {_decimal(quote.bid_price): _decimal(quote.bid_size)}
                ask = {_decimal(quote.ask_price): _decimal(quote.ask_size)}
                tape.append(Told(quote.ts_init, "quote", bid, ask, quote.ts_event, quote.ts_init))
        for trade in catalog.query_trade_ticks([name]):
            taker = trade.aggressor_side.name
            tape.append(
                Print(
                    trade.ts_init,
                    _decimal(trade.price),
                    _decimal(trade.size),
                    taker if taker in ("BUY", "SELL") else "",
                    trade.ts_event,
                )
            )
        found[name] = sorted(tape, key=lambda event: event.ts)
    return found


def _books(deltas: Iterable[Any]) -> Iterable[Told]:
    """Deltas joined to the changes that they are parts of: up to F_LAST (128)."""
    bids: Side = {}
    asks: Side = {}
    kind = "levels"
    for delta in deltas:
        if delta.action.name == "CLEAR":
            bids, asks, kind = {}, {}, "snapshot"
        else:
            side = bids if delta.order.side.name == "BUY" else asks
            gone = delta.action.name == "DELETE"
            side[_decimal(delta.order.price)] = Decimal(0) if gone else _decimal(delta.order.size)
        if delta.flags & 128:
            is_empty = kind == "snapshot" and not bids and not asks
            yield Told(
                delta.ts_init,
                "clear" if is_empty else kind,
                bids,
                asks,
                delta.ts_event,
                delta.sequence,
            )
            bids, asks, kind = {}, {}, "levels"


def _decimal(value: Any) -> Decimal:
    found: Decimal = value.as_decimal()
    return found
