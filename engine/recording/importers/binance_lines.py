"""The lines of a Binance stream file in order, parsed, with local times that can be believed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from fairlead.engine.recording.importers import binance_wire as wire

STEP_NS_MAX = 86_400 * 10**9  # a local time further off than this is damage, not a clock
AHEAD_NS = 5 * 10**9  # further ahead of its neighbours than this, a line may stand alone
BACK_NS = 10**9  # local and exchange time both further back: pieces that were joined wrongly
LOOK_AHEAD = 3  # lines after it that are asked

# Line number, local time in UNIX nanoseconds (0: none), and the event or why there is none.
Parsed = tuple[int, int, wire.Event | wire.Malformed | wire.Other]
KINDS: dict[type, str] = {wire.Depth: "depth", wire.Trade: "trade", wire.Ticker: "bookTicker"}


class Clock:
    """Local times made non-decreasing, which a catalog file needs; backward steps are counted."""

    def __init__(self) -> None:
        self.last_ns = 0
        self.stepped = False  # back, just here
        self._recorded_ns = 0

    def tick(self, local_ns: int) -> int:
        """The time to write."""
        self.stepped = local_ns < self._recorded_ns
        self._recorded_ns = local_ns
        if local_ns < self.last_ns:
            local_ns = self.last_ns + 1
        self.last_ns = local_ns
        return local_ns


class Order:
    """Whether lines are in order of time: a clock that was set back sets the exchange's not."""

    def __init__(self) -> None:
        self._local_ns = self._event_ns = 0  # of the newest line with both

    def back_seconds(self, local_ns: int, event_ns: int) -> float:
        """How far both times of a line that has both are before those of the one before; or 0."""
        local_back, event_back = self._local_ns - local_ns, self._event_ns - event_ns
        self._local_ns, self._event_ns = local_ns, event_ns
        if local_back <= BACK_NS or event_back <= BACK_NS:
            return 0
        return min(local_back, event_back) / 1e9


def believed(lines: Iterator[Parsed]) -> Iterator[Parsed]:
    """Every line once, in the file's order. A line whose local time is wrong is Malformed.

    Wrong is a time more than a day from the exchange's own, and one that is far ahead of the line
    before while the lines after it are not: a clock that stepped stays where it is.
    """
    ahead: deque[Parsed] = deque()  # a line in doubt, and those it was held against
    newest_ns = 0  # of the lines that were believed
    for parsed in lines:
        _, local_ns, event = parsed
        # Usual is a time near to the line before it and to the exchange's, where there is one.
        if (
            local_ns - newest_ns <= AHEAD_NS
            and -STEP_NS_MAX <= local_ns - (event.ts_event or newest_ns) <= STEP_NS_MAX
        ):
            newest_ns = local_ns
            yield parsed
            continue
        ahead.append(parsed)
        while ahead:
            parsed = ahead.popleft()
            number, local_ns, event = parsed
            if not isinstance(event, Exception):
                reason = _doubt(parsed, newest_ns, ahead, lines)
                if reason:
                    bad = wire.Malformed(reason)
                    bad.symbol, bad.kind = getattr(event, "symbol", ""), KINDS.get(type(event), "")
                    yield number, 0, bad
                    continue
                newest_ns = local_ns
            yield parsed


def _doubt(parsed: Parsed, newest_ns: int, ahead: deque[Parsed], lines: Iterator[Parsed]) -> str:
    """Why the local time of a line is not believed; empty where it is."""
    _, local_ns, event = parsed
    off_ns = local_ns - (event.ts_event or newest_ns)
    if local_ns - newest_ns <= AHEAD_NS and -STEP_NS_MAX <= off_ns <= STEP_NS_MAX:
        return ""
    ahead.extend(islice(lines, LOOK_AHEAD - len(ahead)))
    return _distrust(local_ns, event.ts_event, newest_ns, ahead)


def parsed_blocks(
    blocks: Iterable[tuple[int, Sequence[bytes | None]]], parser: wire.Parser
) -> Iterator[Parsed]:
    """Each line of what `LineReader.blocks` gives."""
    parse = parser.line
    for first, lines in blocks:
        for number, line in enumerate(lines, first):
            try:
                local_ns, event = parse(line)
            except wire.Malformed as error:
                error.symbol, error.kind = wire.stream_of(line)
                error.is_blank = line is not None and not line.strip()
                yield number, 0, error
            except wire.Other as error:
                yield number, 0, error
            else:
                yield number, local_ns, event


def _distrust(local_ns: int, event_ns: int, newest_ns: int, ahead: deque[Parsed]) -> str:
    against = event_ns or newest_ns
    if against and abs(local_ns - against) > STEP_NS_MAX:
        return "local time is more than a day off"
    if newest_ns and local_ns - newest_ns <= AHEAD_NS:
        return ""
    following = [ns for _, ns, _ in ahead if ns]
    if following and all(ns < local_ns - AHEAD_NS for ns in following):
        off_secs = (local_ns - max(following)) / 1e9
        return f"local time is {off_secs:.3f} s ahead of the lines around it"
    return ""
