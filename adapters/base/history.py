"""Histories of a venue: what is asked for, and which of the rows that came it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import msgspec
from nautilus_trader.model import BarType, PriceType

from fairlead.adapters.base.venue import ParseError, VenueError, VenueErrorKind, VenueInstrument
from fairlead.engine.bars import bar_minutes

ROWS_MAX = 200_000  # of one answer to a strategy
LATEST_ROWS_MAX = 10_000  # where no start is named, and no limit
PAGES_MAX = 500
MINUTE_NS = 60_000_000_000


class Window(msgspec.Struct, frozen=True):
    """The last `limit` items (0: all, bounded) from `start_ns` to `end_ns`, both included."""

    start_ns: int | None
    end_ns: int | None
    limit: int

    @property
    def wanted(self) -> int:
        most = LATEST_ROWS_MAX if self.start_ns is None else ROWS_MAX
        return min(self.limit, ROWS_MAX) if self.limit > 0 else most

    def of(self, items: list[Any], closed_ns: int | None = None) -> list[Any]:
        """Those within it that are wanted, of items that come oldest first.

        `closed_ns` leaves out what ends later: a bar that is still open.
        """
        ends = [end for end in (self.end_ns, closed_ns) if end is not None]
        start_ns = 0 if self.start_ns is None else self.start_ns
        end_ns = min(ends, default=None)
        inside = [
            item
            for item in items
            if start_ns <= item.ts_event and (end_ns is None or item.ts_event <= end_ns)
        ]
        return inside[-self.wanted :]


class NoHistories(ABC):
    """The part of `MarketData` of a venue that has none of it: each is refused by name.

    A subclass says what is missing, and may say what to do instead.
    """

    no_trades: ClassVar[str] = "public trades"
    no_bars: ClassVar[str] = "bars"
    no_book: ClassVar[str] = "book by request; subscribe it"

    @abstractmethod
    def lacks(self, subject: str, what: str) -> VenueError:
        """The refusal of `what`, asked for of an instrument or a bar type."""

    async def history_trades(
        self, instrument: str, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        """Raises VenueError."""
        raise self.lacks(instrument, self.no_trades)

    async def history_bars(
        self, bar_type: Any, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        """Raises VenueError."""
        raise self.lacks(str(bar_type), self.no_bars)

    async def book_snapshot(self, instrument: str, depth: int) -> Any:
        """Raises VenueError."""
        raise self.lacks(instrument, self.no_book)


class Histories:
    """What a venue's market data half reads by; `code` begins the codes of its errors."""

    def __init__(
        self, code: str, instruments: Mapping[str, VenueInstrument], minutes: Collection[int]
    ) -> None:
        self._code = code
        self._instruments = instruments
        self._minutes = minutes

    def facts(self, instrument: str) -> VenueInstrument:
        """Raises VenueError for an instrument that the venue does not list."""
        facts = self._instruments.get(instrument)
        if facts is None:
            raise self.refused("UNKNOWN-MARKET", f"no market {instrument[:60]}")
        return facts

    def minutes_of(self, bar_type: BarType) -> int:
        """The length of a bar. Raises VenueError where the venue has no such bars."""
        minutes = bar_minutes(bar_type)
        if minutes not in self._minutes or bar_type.spec.price_type != PriceType.LAST:
            offered = ", ".join(map(str, self._minutes))
            raise self.refused(
                "NO-BARS", f"expected LAST bars of {offered} minutes, received {bar_type}"
            )
        return minutes

    def too_long(self) -> VenueError:
        return self.refused("PAGES", f"expected a window of at most {PAGES_MAX} pages")

    def refused(self, code: str, message: str) -> VenueError:
        return VenueError(VenueErrorKind.REFUSED, f"{self._code}-{code}", message)

    @contextmanager
    def parsing(self) -> Iterator[None]:
        """A row that isn't what the document says makes the answer unusable."""
        try:
            yield
        except ParseError as error:
            code = f"{self._code}-BAD-ANSWER"
            raise VenueError(VenueErrorKind.UNKNOWN, code, str(error)) from error
