"""Which strategy gets back the orders and positions that outlive a restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nautilus_trader.model import InstrumentId

from engine.config.loader import LoadedConfig


def claims(loaded: LoadedConfig) -> dict[str, list[InstrumentId]]:
    """Instruments by strategy id: each goes to the first strategy whose params name it.

    NautilusTrader allows one claimant for an instrument. An instrument that nobody names goes to
    nobody, and its orders show up as external.
    """
    names = {name for venue in loaded.config.venues.values() for name in venue.instruments}
    claimed: dict[str, list[InstrumentId]] = {}
    for strategy in loaded.config.strategies:
        mine = claimed.setdefault(strategy.id, [])
        for text in _texts(strategy.params):
            # A bar type starts with its instrument: BTC_USDT.VENUE-5-SECOND-LAST-INTERNAL.
            name = next((n for n in names if text == n or text.startswith(f"{n}-")), None)
            if name is not None:
                mine.append(InstrumentId.from_str(name))
                names.remove(name)
    return claimed


def _texts(params: Mapping[str, Any]) -> Iterator[str]:
    for value in params.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (item for item in value if isinstance(item, str))
