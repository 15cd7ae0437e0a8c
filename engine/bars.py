"""Bars by their length."""

from __future__ import annotations

from nautilus_trader.model import BarType


def bar_minutes(bar_type: BarType) -> int:
    """Length of a time bar in minutes; 0 where it is not a whole number of them."""
    spec = bar_type.spec
    if not spec.is_time_aggregated():
        return 0
    minutes, rest = divmod(spec.get_interval_ns(), 60_000_000_000)
    return 0 if rest else int(minutes)


def bar_length(minutes: int) -> str:
    """As NautilusTrader writes it: 5-MINUTE, 1-HOUR, 1-DAY."""
    for unit, each in (("DAY", 1_440), ("HOUR", 60)):
        if minutes % each == 0:
            return f"{minutes // each}-{unit}"
    return f"{minutes}-MINUTE"
