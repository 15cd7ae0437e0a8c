"""What a file has and the catalog has not: lines that could not be read, quotes of no use.

Each is in a row of the gap file, unless a row of what it is missing in covers it: a book that ended
with it, ids of trades between which it lies.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import msgspec

from fairlead.engine.recording.gaps import GapKind, GapRow

SPANS_MAX = 10_000  # kept of a kind and instrument; later ones make the last longer
COVERS_MAX = 10_000  # kept of a kind; what is within others is told twice
REASON_CHARS = 120

DEPTH, TRADE, QUOTE, BAR = "depth", "trade", "bookTicker", "bar"  # as the streams are named
CUT = "the file ends before its end"
_REST = "rest"
WORDS = {DEPTH: "book", TRADE: "trade", QUOTE: "quote", BAR: "bar"}


class _Span(msgspec.Struct):
    """From what was read before until what was read after; 0: nothing was."""

    since_ns: int
    reason: str
    until_ns: int = 0
    count: int = 0


class Covers:
    """Times of one instrument's gap rows, by what is missing in them."""

    def __init__(self) -> None:
        self._spans: dict[str, list[tuple[int, int]]] = {}

    def add(self, what: str, from_ns: int, to_ns: int) -> None:
        spans = self._spans.setdefault(what, [])
        if len(spans) < COVERS_MAX:
            spans.append((from_ns, to_ns))

    def sort(self) -> None:
        for spans in self._spans.values():
            spans.sort()

    def hold(self, what: str, from_ns: int, to_ns: int) -> bool:
        """Once sorted: whether one of them lasts from before until after."""
        spans = self._spans.get(what, [])
        at = bisect_right(spans, (from_ns, 1 << 63)) - 1
        return at >= 0 and spans[at][1] >= to_ns


class LeftOut:
    """Lines in the order of the file. `is_open`: some wait for the time of one that can be read."""

    def __init__(self) -> None:
        self.is_open = False
        self._open: dict[tuple[str, str], _Span] = {}
        self._spans: dict[tuple[str, str], list[_Span]] = {}

    def add(self, since_ns: int, instrument: str, what: str, reason: str) -> None:
        """One more, after `since_ns`. `instrument` and `what` are empty where nobody knows."""
        key = (instrument, what)
        span = self._open.get(key)
        if span is None:
            spans = self._spans.setdefault(key, [])
            if len(spans) < SPANS_MAX:
                spans.append(_Span(since_ns, reason[:REASON_CHARS]))
            span = self._open[key] = spans[-1]
            self.is_open = True
        span.count += 1

    def until(self, ts: int) -> None:
        """What comes next can be read, or the file ends."""
        for span in self._open.values():
            span.since_ns = span.since_ns or ts
            span.until_ns = ts
        self._open.clear()
        self.is_open = False

    def ended(self, ts: int, names: Sequence[str], damage: str = "") -> Iterator[GapRow]:
        """The file of these instruments ends: rows of lines of which nobody knows whose they are.

        Where it has one only, they are that one's. `damage` is why it ends before its end.
        """
        self.until(ts)
        if damage:
            for name in names:
                self._spans[name, _REST] = [_Span(ts, damage[:REASON_CHARS], ts)]
        if len(names) != 1:
            yield from self.rows("", Covers())
            return
        for key in [key for key in self._spans if not key[0]]:
            self._spans.setdefault((names[0], key[1]), []).extend(self._spans.pop(key))

    def rows(self, instrument: str, covers: Covers, kinds: Sequence[str] = ()) -> Iterator[GapRow]:
        """Those that no other row tells. `kinds` are what a line may be of that says nothing."""
        covers.sort()
        for (name, what), spans in self._spans.items():
            if name != instrument:
                continue
            of = WORDS.get(what) or " or ".join(WORDS[one] for one in kinds)
            for span in spans:
                ends = (span.since_ns, span.until_ns)
                if any(covers.hold(one, *ends) for one in ([what] if what else kinds)):
                    continue
                line = "line" if span.count == 1 else "lines"
                lines = " ".join((str(span.count), *([of] if of else []), line, "left out"))
                yield GapRow(
                    kind=GapKind.MISSING,
                    instrument=instrument,
                    reason=f"{CUT if what == _REST else lines}: {span.reason}",
                    from_ns=span.since_ns,
                    to_ns=max(ends),
                    count=span.count,
                )
