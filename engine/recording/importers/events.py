"""What files of trades, quotes, books and bars say, whoever wrote them, one event at a time.

Prices and sizes are raw: integers in units of 10 ** -DECIMALS_MAX; times UNIX nanoseconds.
`ts_init` is the local time of receipt where a file has one, else the exchange's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Protocol

import msgspec

from fairlead.engine.recording.importers.binance_wire import Malformed, Other, SymbolNumbers
from fairlead.engine.recording.importers.diffbook import Level
from fairlead.engine.recording.importers.floats import FloatNumbers


class Taker(IntEnum):
    """Who took: the index of NautilusTrader's aggressor side in `columns`."""

    BUYER = 0
    SELLER = 1
    UNKNOWN = 2


class Contract(StrEnum):
    """What is traded. Sizes of an inverse one are contracts, worth quote currency."""

    SPOT = "spot"
    LINEAR = "linear"
    INVERSE = "inverse"


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument, as far as a file or its name tells; empty and None where it does not.

    `maker_fee` and `taker_fee`: the venue's own for an account without volume, where it is known.
    """

    id: str
    symbol: str
    contract: Contract
    base: str = ""
    quote: str = ""
    multiplier: Decimal | None = None
    maker_fee: Decimal | None = None
    taker_fee: Decimal | None = None
    counts_trades: bool = False  # trade ids are numbers without holes


class Trade(msgspec.Struct, frozen=True, gc=False):
    market: Market
    id: str
    price: int
    size: int
    taker: Taker
    ts_event: int
    ts_init: int


class Quote(msgspec.Struct, frozen=True, gc=False):
    market: Market
    bid: Level
    ask: Level
    ts_event: int
    ts_init: int


class Levels(msgspec.Struct, frozen=True, gc=False):
    """One message of a book: sizes are absolute, 0 removes a level.

    `previous` and `last` are update ids where there are some, else None and 0. `is_whole`: every
    message is the whole book, so that one after another is no sign of a loss.
    """

    market: Market
    is_snapshot: bool
    previous: int | None
    last: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    ts_event: int
    ts_init: int
    is_whole: bool = False


class BarRow(msgspec.Struct, frozen=True, gc=False):
    """Closed at `ts_event`; `length` is NautilusTrader's, such as "1-MINUTE"."""

    market: Market
    length: str
    length_ns: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    ts_event: int
    ts_init: int


Event = Trade | Quote | Levels | BarRow
Told = tuple[int, Event | Malformed | Other]  # number of the line or row, from 1


class Refused(Exception):
    """The file is another one than was said; the text says what was expected and what came."""


class Source(Protocol):
    """One reading of one file. `events` may raise Refused, Unreadable and OSError."""

    @property
    def damage(self) -> str:
        """Not empty once the file turned out to end early."""
        ...

    def events(self) -> Iterator[Told]: ...


class Numbered(dict[str, SymbolNumbers]):
    """The numbers of each market by its id, which outlive one reading."""

    def __missing__(self, name: str) -> SymbolNumbers:
        made = self[name] = SymbolNumbers(FloatNumbers)
        return made


def positive(raw: int, what: str, text: str) -> int:
    """Raises Malformed."""
    if raw <= 0:
        raise Malformed(f"{what} {text[:40]!r} is not above 0")
    return raw
