"""What market data a run has: known before a strategy asks for it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from nautilus_trader.model import BarType, InstrumentId, PriceType

from fairlead.engine.bars import bar_minutes

BOOK = "book deltas"
DEPTH = "book depths"
QUOTES = "quotes"
TRADES = "trades"
STATUS = "statuses"
MARK = "mark prices"
INDEX = "index prices"
FUNDING = "funding rates"
INSTRUMENT = "instruments"
# What an INTERNAL bar of a price type is built from.
_SOURCES: Mapping[PriceType, str] = {
    PriceType.LAST: TRADES,
    PriceType.BID: QUOTES,
    PriceType.ASK: QUOTES,
    PriceType.MID: QUOTES,
}
_NAMED_MAX = 8  # instruments named in an error


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The data of one instrument. `bar_minutes` are the LAST bars that come ready made."""

    where: str  # as in: "the catalog data/catalog"
    kinds: frozenset[str]
    bar_minutes: tuple[int, ...] = ()


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The data of a run by instrument id; only what the config names is there.

    `requests`: whether history that is asked for is answered.
    """

    sources: Mapping[str, Source]
    requests: bool = True

    def unknown(self, instrument_id: InstrumentId) -> str:
        """Why the run does not know this instrument; empty when it does."""
        name = str(instrument_id)
        if name in self.sources or instrument_id.is_synthetic():
            return ""
        listed = sorted(self.sources)
        there = ", ".join(listed[:_NAMED_MAX]) + (" ..." if len(listed) > _NAMED_MAX else "")
        venue = str(instrument_id.venue)
        if venue not in self.venues:
            return (
                f"expected an instrument of this run ({there}), {name} came: the config has no "
                f"venue {venue}; add [venues.{venue.lower()}]"
            )
        return (
            f"expected an instrument of this run ({there}), {name} came; "
            f"add it to the instruments of [venues.{venue.lower()}]"
        )

    @property
    def venues(self) -> frozenset[str]:
        return frozenset(name.rpartition(".")[2] for name in self.sources)

    def lacks(self, instrument_id: InstrumentId, kind: str) -> str:
        """Why data of this kind never comes; empty when it does. The instrument is known."""
        source = self.sources.get(str(instrument_id))
        if source is None or kind in source.kinds:  # a synthetic one is the strategy's own
            return ""
        has = ", ".join(sorted(source.kinds)) or "nothing"
        return f"{source.where} has no {kind} of {instrument_id}; it has {has}"

    def unbuildable(self, bar_type: BarType) -> str:
        """Why no such bar can be built, whatever the data; empty when it can."""
        standard = bar_type.standard()
        price = standard.spec.price_type
        if not standard.is_internally_aggregated() or bar_type.is_composite():
            return ""
        if price in _SOURCES:
            return ""
        names = ", ".join(sorted(one.name for one in _SOURCES))
        return f"expected bars of {names} prices, {bar_type} came: no bar is built of {price.name}"

    def lacks_bars(self, bar_type: BarType) -> str:
        """Why bars of a type that can be built never come; empty when they do."""
        if bar_type.is_composite():
            return ""
        source = self.sources.get(str(bar_type.instrument_id))
        if source is None:
            return ""
        if bar_type.is_internally_aggregated():
            return self.lacks(bar_type.instrument_id, _SOURCES[bar_type.spec.price_type])
        minutes = bar_minutes(bar_type)
        if minutes in source.bar_minutes and bar_type.spec.price_type == PriceType.LAST:
            return ""
        has = (
            f"LAST bars of {', '.join(map(str, source.bar_minutes))} minutes only"
            if source.bar_minutes
            else "no ready-made bars"
        )
        return f"{source.where} has {has}; ask for INTERNAL ones, which are built here"
