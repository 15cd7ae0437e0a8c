"""Bars as files tell them."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.engine.recording.importers.binance_wire import Malformed
from fairlead.engine.recording.importers.events import BarRow, Market

SECOND_NS = 1_000_000_000
_UNITS = ((604_800, "WEEK"), (86_400, "DAY"), (3_600, "HOUR"), (60, "MINUTE"), (1, "SECOND"))


def bar(
    market: Market, prices: Sequence[int], volume: int, span: tuple[int, int], ts_init: int
) -> BarRow:
    """Open, high, low and close from `span[0]` until `span[1]`. Raises Malformed."""
    begin, high, low, end = prices
    if not low <= min(begin, end) <= max(begin, end) <= high:
        raise Malformed("a bar whose open or close is not between its low and its high")
    length_ns = span[1] - span[0]
    return BarRow(
        market, length_of(length_ns), length_ns, begin, high, low, end, volume, span[1], ts_init
    )


def length_of(length_ns: int) -> str:
    """NautilusTrader's name of a bar's length, in the largest unit. Raises Malformed."""
    secs, rest = divmod(length_ns, SECOND_NS)
    if rest or secs <= 0:
        raise Malformed(f"a bar of {length_ns} ns: whole seconds expected")
    for unit, name in _UNITS:
        if secs % unit == 0:
            return f"{secs // unit}-{name}"
    raise AssertionError("a second divides every one of them")


def length_ns_of(text: str) -> int:
    """Of NautilusTrader's name of a length; 0 for what is none."""
    count, _, unit = text.partition("-")
    secs = {name: secs for secs, name in _UNITS}.get(unit, 0)
    is_count = count.isascii() and count.isdecimal() and len(count) <= 5
    return int(count) * secs * SECOND_NS if is_count else 0
