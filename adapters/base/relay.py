"""Market data of one instrument told under another's name: `[prices_from]` of a config.

The actor hears the source as any strategy would, whoever's client tells it, and hands what it
hears to the data client of the instrument that it stands for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nautilus_trader.common import DataActor
from nautilus_trader.model import BarType, BookType, InstrumentId

from fairlead.adapters.base.relabel import Relabelled
from fairlead.adapters.base.venue import Feed, FeedKind, Gap, StreamItem
from fairlead.engine.bars import bar_length

logger = logging.getLogger(__name__)

Take = Callable[[StreamItem], None]


class Relay(DataActor):
    """One a run. `prices_from` is by the instrument that has no data of its own."""

    def __init__(self, prices_from: Mapping[str, str]) -> None:
        super().__init__()
        self._sources = dict(prices_from)
        self._takers: dict[Feed, dict[str, Take]] = {}  # by the source's feed, and by instrument
        self._as: dict[str, Relabelled] = {}
        self.on_defect: Callable[[str], None] = logger.error

    def covers(self, instrument: str) -> bool:
        return instrument in self._sources

    def add(self, feed: Feed, take: Take) -> None:
        """Hand over what the feed's source tells, from now on; `take` is called on the loop."""
        source = self._source(feed)
        takers = self._takers.setdefault(source, {})
        is_new = not takers
        takers[feed.instrument] = take
        if not is_new:
            return
        instrument_id = InstrumentId.from_str(source.instrument)
        if feed.kind is FeedKind.BOOK:
            self.subscribe_book_deltas(instrument_id, BookType.L2_MBP, depth=feed.depth or None)
        elif feed.kind is FeedKind.TRADES:
            self.subscribe_trades(instrument_id)
        else:
            length = bar_length(feed.bar_minutes)
            self.subscribe_bars(BarType.from_str(f"{instrument_id}-{length}-LAST-EXTERNAL"))

    def remove(self, feed: Feed) -> None:
        """Nothing more of it is handed over; the source may stream on for others."""
        self._takers.get(self._source(feed), {}).pop(feed.instrument, None)

    def _source(self, feed: Feed) -> Feed:
        """One feed of a kind for all that it stands for: the first one's depth is what there is."""
        source = self._sources[feed.instrument]
        for known in self._takers:
            if (known.kind, known.instrument) != (feed.kind, source):
                continue
            if known.bar_minutes == feed.bar_minutes:
                return known
        return Feed(feed.kind, source, feed.depth, feed.bar_minutes)

    def on_book_deltas(self, deltas: Any) -> None:
        self._hand(FeedKind.BOOK, deltas.instrument_id, deltas)

    def on_trade(self, trade: Any) -> None:
        self._hand(FeedKind.TRADES, trade.instrument_id, trade)

    def on_bar(self, bar: Any) -> None:
        self._hand(FeedKind.BARS, bar.bar_type.instrument_id, bar)

    def _hand(self, kind: FeedKind, source: InstrumentId, data: Any) -> None:
        try:
            for feed, takers in self._takers.items():
                if feed.kind is not kind or feed.instrument != str(source):
                    continue
                for name, take in tuple(takers.items()):
                    for item in self._items(kind, name, data):
                        take(item)
        except Exception as error:  # NautilusTrader would log it and go on
            logger.exception("what %s tells could not be handed on", source)
            self.on_defect(f"{source}: {error}")

    def _items(self, kind: FeedKind, name: str, data: Any) -> Iterator[StreamItem]:
        told = self._relabelled(name)
        if kind is FeedKind.BOOK:
            if (deltas := told.deltas(data)) is not None:
                yield deltas
            if len(data.deltas) == 1 and data.deltas[0].is_clear:
                yield Gap(name, f"the book of {data.instrument_id} is cleared")
        elif kind is FeedKind.TRADES:
            if (trade := told.trade(data)) is not None:
                yield trade
        else:
            yield told.bar(data)

    def _relabelled(self, name: str) -> Relabelled:
        """Made with the first data: by then both instruments are in the cache."""
        if name not in self._as:
            both = (self._sources[name], name)
            source, target = (self.cache.instrument(InstrumentId.from_str(one)) for one in both)
            self._as[name] = Relabelled(source, target)
        return self._as[name]
