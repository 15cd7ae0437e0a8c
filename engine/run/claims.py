"""Which strategy gets back the orders and positions that outlive a restart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nautilus_trader.model import InstrumentId

from engine.config.loaded import LoadedConfig
from engine.orders.journal import Journal


def claims(loaded: LoadedConfig, journals: Iterable[Journal] = ()) -> dict[str, list[InstrumentId]]:
    """Instruments by strategy id: each goes to the first strategy whose params name it.

    But to one that has orders or a position in it, by the accounts' journals, where that one has
    none. NautilusTrader allows one claimant for an instrument. One that nobody names or holds goes
    to nobody, and its orders show up as external.
    """
    claimed = _named(loaded)
    listed = {name for venue in loaded.config.venues.values() for name in venue.instruments}
    for name, holders in _holders(journals).items():
        having = [strategy for strategy in claimed if strategy in holders]
        instrument = InstrumentId.from_str(name)
        if name not in listed or not having or any(instrument in claimed[one] for one in having):
            continue
        for mine in claimed.values():
            if instrument in mine:
                mine.remove(instrument)
        claimed[having[0]].append(instrument)
    return claimed


def _holders(journals: Iterable[Journal]) -> dict[str, set[str]]:
    """Strategies by instrument, of what is not over."""
    found: dict[str, set[str]] = {}
    for journal in journals:
        for order in journal.open_orders():
            found.setdefault(order.intent.instrument, set()).add(order.intent.strategy)
        for position in journal.positions():
            if position.quantity:
                found.setdefault(position.instrument, set()).add(position.strategy)
    return found


def _named(loaded: LoadedConfig) -> dict[str, list[InstrumentId]]:
    """Instruments by strategy id, as the params name them."""
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
