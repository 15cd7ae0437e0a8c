"""What a run knows about its own health: plain counters and gauges, written by the run's parts
and read as one JSON document by whoever shows them.

Single-threaded: all writers live on the run's event loop. Times are UNIX nanoseconds, 0 is never.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Any

import msgspec

LOOP_STUCK = "LOOP-STUCK"  # the code of a loop that stands still, whoever tells of it
PROBLEMS_MAX = 100  # kept for display; `problem_count` counts all
CUT = " [...]"
PROBLEM_CHARS_MAX = 1_000  # a sentence that says what to do, paths and all


def trades_counter(instrument: str) -> str:
    """The name of the counter of an instrument's trades."""
    return f"trades {instrument}"


def shortened(text: str, chars_max: int) -> str:
    """At most so many characters; where it is cut, between words if it can be, it says so."""
    if len(text) <= chars_max:
        return text
    room = chars_max - len(CUT)
    begin = text[:room]
    words = begin.rpartition(" ")[0]
    return (words if len(words) > room // 2 else begin) + CUT


class StreamState(StrEnum):
    IDLE = "IDLE"
    CONNECTING = "CONNECTING"
    CONNECTED = "CONNECTED"
    WAITING = "WAITING"  # before a reconnect
    STOPPED = "STOPPED"
    FAILED = "FAILED"  # fatal; will not come back


class BookState(StrEnum):
    RESYNC = "RESYNC"  # no whole snapshot since the subscription or the last gap
    VALID = "VALID"
    STALE = "STALE"  # whole once, but silent for too long


class StreamStatus(msgspec.Struct, kw_only=True):
    """One supervised connection, over all its reconnects."""

    name: str
    is_account: bool = False  # its orders and balances: nothing comes while nothing happens
    close_secs: float = 0.0  # without a frame, after which its connection is given up
    state: StreamState = StreamState.IDLE
    connected_since_ns: int = 0
    last_frame_ns: int = 0
    frames: int = 0
    bytes: int = 0
    frames_sent: int = 0
    connects: int = 0
    connect_failures: int = 0
    reconnects: int = 0  # connections after the first
    parse_errors: int = 0
    faults: int = 0  # refusals by the venue, in-band
    defects: int = 0  # exceptions that should not exist
    gaps: int = 0
    last_error: str = ""


class BookStatus(msgspec.Struct, kw_only=True):
    """One instrument's streamed book."""

    instrument: str
    state: BookState = BookState.RESYNC
    since_ns: int = 0  # in this state
    last_update_ns: int = 0
    traded_ns: int = 0  # the first trade that came while the book was subscribed
    updates: int = 0
    gaps: int = 0
    resyncs: int = 0
    last_gap: str = ""


class Problem(msgspec.Struct, frozen=True):
    ts_ns: int
    code: str
    message: str
    is_bad: bool = False  # it does not pass by itself: a person must act


class LatencyHistogram:
    """Durations in ns in a fixed set of buckets: memory does not grow, percentiles within 3.2 %.

    Below 64 ns buckets are 1 ns wide; above, each power of two has 32 buckets.
    """

    _SUB_BITS = 5
    _SUB = 1 << _SUB_BITS
    _BITS_MAX = 44  # 2^44 ns is 4.9 hours; longer counts in the last bucket

    def __init__(self) -> None:
        self._buckets = [0] * ((self._BITS_MAX - self._SUB_BITS + 1) * self._SUB)
        self.count = 0
        self.sum_ns = 0
        self.max_ns = 0

    def record(self, ns: int) -> None:
        """Add one duration; a negative one (a clock step) counts as 0."""
        ns = max(ns, 0)
        shift = max(ns.bit_length() - self._SUB_BITS - 1, 0)
        index = (shift << self._SUB_BITS) + (ns >> shift)
        self._buckets[min(index, len(self._buckets) - 1)] += 1
        self.count += 1
        self.sum_ns += ns
        self.max_ns = max(self.max_ns, ns)

    def percentile(self, percent: float) -> int | None:
        """The duration in ns that `percent` of the records do not exceed; None without records."""
        if not 0 < percent <= 100:
            raise ValueError(f"percent was {percent}, expected more than 0 and at most 100")
        if self.count == 0:
            return None
        rank = max(1, -int(-self.count * percent // 100))
        seen = 0
        for index, number in enumerate(self._buckets):
            seen += number
            if seen >= rank and index < len(self._buckets) - 1:
                return min(self._upper(index), self.max_ns)
        return self.max_ns  # the last bucket has no upper end

    def at_most(self, ns: int) -> int:
        """How many records are within `ns`, by their buckets' upper ends (the last has none)."""
        found = 0
        for index, number in enumerate(self._buckets[:-1]):
            if number and self._upper(index) <= ns:
                found += number
        return found

    def _upper(self, index: int) -> int:
        if index < 2 * self._SUB:
            return index
        shift = (index >> self._SUB_BITS) - 1
        return (((index & (self._SUB - 1)) + self._SUB + 1) << shift) - 1

    def snapshot(self) -> dict[str, int | None]:
        return {
            "count": self.count,
            "p50_ns": self.percentile(50),
            "p99_ns": self.percentile(99),
            "max_ns": self.max_ns if self.count else None,
            "mean_ns": self.sum_ns // self.count if self.count else None,
        }


class RunStatus:
    """The registry of one run. Parts keep the struct they were given and change it in place."""

    def __init__(self) -> None:
        self.streams: dict[str, StreamStatus] = {}
        self.books: dict[str, BookStatus] = {}
        self.counters: dict[str, int] = {}
        self.gauges: dict[str, float | int | str] = {}
        self.last_event_ns: dict[str, int] = {}  # by kind, e.g. "order", "fill"
        self.latencies: dict[str, LatencyHistogram] = {"tick_to_order": LatencyHistogram()}
        self.problems: deque[Problem] = deque(maxlen=PROBLEMS_MAX)
        self.lasting: dict[str, Problem] = {}  # to the run's end, by what they are about
        self.problem_count = 0

    @property
    def tick_to_order(self) -> LatencyHistogram:
        """From the receipt of the event a strategy acted on to the order's bytes being sent."""
        return self.latencies["tick_to_order"]

    def latency(self, name: str) -> LatencyHistogram:
        return self.latencies.setdefault(name, LatencyHistogram())

    def stream(self, name: str) -> StreamStatus:
        return self.streams.setdefault(name, StreamStatus(name=name))

    def book(self, instrument: str) -> BookStatus:
        return self.books.setdefault(instrument, BookStatus(instrument=instrument))

    def count(self, name: str, by: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + by

    def traded(self, instrument: str, ts_ns: int) -> None:
        """A trade came."""
        self.count(trades_counter(instrument))
        book = self.books.get(instrument)
        if book is not None and not book.traded_ns:
            book.traded_ns = ts_ns

    def event(self, kind: str, ts_ns: int) -> None:
        self.last_event_ns[kind] = ts_ns

    def problem(
        self, ts_ns: int, code: str, message: str, *, is_bad: bool = False, lasts: str = ""
    ) -> None:
        """Something an operator should know; the newest `PROBLEMS_MAX` are kept. What `lasts` is
        told until the run's end, by what it is about."""
        self.problem_count += 1
        text = shortened(message, PROBLEM_CHARS_MAX)
        self.problems.append(found := Problem(ts_ns, code, text, is_bad))
        if lasts:
            self.lasting[lasts] = found

    def book_is_valid(self, instrument: str) -> bool:
        book = self.books.get(instrument)
        return book is not None and book.state is BookState.VALID

    @property
    def gaps(self) -> int:
        return sum(book.gaps for book in self.books.values())

    @property
    def reconnects(self) -> int:
        return sum(stream.reconnects for stream in self.streams.values())

    @property
    def parse_errors(self) -> int:
        return sum(stream.parse_errors for stream in self.streams.values())

    def snapshot(self, now_ns: int) -> dict[str, Any]:
        """A JSON-ready copy."""
        return {
            "ts_ns": now_ns,
            "totals": {
                "gaps": self.gaps,
                "reconnects": self.reconnects,
                "parse_errors": self.parse_errors,
                "problems": self.problem_count,
            },
            "streams": [msgspec.to_builtins(stream) for stream in self.streams.values()],
            "books": [msgspec.to_builtins(book) for book in self.books.values()],
            "counters": dict(self.counters),
            "gauges": dict(self.gauges),
            "last_event_ns": dict(self.last_event_ns),
            "latencies": {name: it.snapshot() for name, it in self.latencies.items()},
            "problems": [msgspec.to_builtins(problem) for problem in self.problems],
        }

    def json(self, now_ns: int) -> bytes:
        return msgspec.json.encode(self.snapshot(now_ns))
