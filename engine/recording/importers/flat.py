"""Import of files that are told as events, whatever their format.

One pass, in memory that does not grow with the file; it begins again where a later line is finer
than those before it. Nothing is left in the catalog unless all of it succeeded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from fairlead.engine.recording.importers.binance_instruments import (
    Fees,
    Rules,
    currencies,
    decimals_within,
    held_instrument,
    instrument_name,
    require_as_held,
    terms_of,
)
from fairlead.engine.recording.importers.binance_lines import BACK_NS, Clock
from fairlead.engine.recording.importers.binance_wire import (
    NS_MAX,
    NS_MIN,
    Malformed,
    Other,
)
from fairlead.engine.recording.importers.events import (
    Contract,
    Event,
    Levels,
    Market,
    Numbered,
    Refused,
    Source,
)
from fairlead.engine.recording.importers.left_out import DEPTH
from fairlead.engine.recording.importers.lines import LineReader
from fairlead.engine.recording.importers.listing import Listed, read_listing
from fairlead.engine.recording.importers.markets import build
from fairlead.engine.recording.importers.report import ImportReport
from fairlead.engine.recording.importers.sink import Sink, kind_of
from fairlead.engine.recording.importers.staging import (
    CHUNK_ROWS,
    NO_DATA,
    ImportFailed,
    StagedCatalog,
)
from fairlead.engine.recording.importers.whole import import_whole

MALFORMED_REFUSED_MIN = 10  # if they are more than those that can be read
SYMBOLS_MAX = 1_000
ID_CHARS_MAX = 80

Progress = Callable[[str, int, int], None]  # phase, bytes done, bytes in all


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of a file. Empty, None: what the file, its name or the format say.

    `symbol` is BASE/QUOTE, or as the venue writes it; `id` the instrument's; `mapping` names the
    columns of a plain table; `snapshot` is a file with the book that the changes follow.
    """

    instruments: Collection[str] = ()
    fees: Fees = Fees()
    rules: Rules = Rules()
    listing: Path | None = None
    progress: Progress | None = None
    depth: int = 0  # the default of the format
    fold_tops: bool = True
    symbol: str = ""
    id: str = ""
    contract: Contract | None = None
    multiplier: Decimal | None = None
    mapping: str = ""
    snapshot: Path | None = None


# A source for one reading of a file, with the numbers of its markets
Reader = Callable[[LineReader, Asked, Numbered], Source]


def import_flat(
    name: str, reader: Reader, file: Path, catalog: Path, asked: Asked, chunk_rows: int = CHUNK_ROWS
) -> ImportReport:
    """Import a whole file. Raises ImportFailed, and then the catalog is as it was."""
    return _Import(name, reader, file, catalog, asked, chunk_rows).run()


class _Import:
    def __init__(
        self, name: str, reader: Reader, file: Path, target: Path, asked: Asked, chunk_rows: int
    ) -> None:
        self._name = name
        self._reader = reader
        self._file = file
        self._target = target
        self._asked = asked
        self._chunk_rows = chunk_rows
        self._numbers = Numbered()
        self._listing = (
            None if asked.listing is None else read_listing(asked.listing, instrument_name)
        )
        self._report = ImportReport(file=str(file), format=name, catalog=str(target))

    def run(self) -> ImportReport:
        """Raises ImportFailed."""
        return import_whole(self._file, self._target, self._name, self._write)

    def _write(self, report: ImportReport, staged: StagedCatalog) -> None:
        self._report = report
        for numbers in self._numbers.values():
            numbers.begin()
        tell, total = self._asked.progress, self._report.file_bytes
        on_bytes = None if tell is None else lambda at: tell("import", at, total)
        source = self._reader(LineReader(self._file, on_bytes), self._asked, self._numbers)
        run = _Run(self, staged)
        for number, told in source.events():
            run.told(number, told)
        self._report.damage = source.damage
        run.finish()

    def begin(self, market: Market, staged: StagedCatalog, ts: int) -> Sink | None:
        """What takes the market's events; None where it is not wanted. Raises ImportFailed."""
        asked = self._asked
        if asked.instruments and market.id not in asked.instruments:
            return None
        numbers = self._numbers[market.id]
        listed = None if self._listing is None else self._listing.find(market.id)
        terms = terms_of(market.symbol, asked.fees, asked.rules, listed or _listed(market))
        finest = numbers.prices.finest, numbers.sizes.finest
        decimals = decimals_within(terms, market.id, numbers.decimals, finest)
        instrument = held_instrument(self._target, market.id)
        if instrument is not None:
            require_as_held(self._target, instrument, decimals, terms)
        else:
            instrument = self._define(market, decimals, terms, ts)
            staged.catalog.write_instruments([instrument])
        return Sink(instrument, market, numbers, staged, self._chunk_rows)

    def _define(self, market: Market, decimals: tuple[int, int], terms: Listed, ts: int) -> Any:
        fees = {
            name: str(fee)
            for name, fee in (
                ("maker_fee", market.maker_fee if terms.maker_fee is None else terms.maker_fee),
                ("taker_fee", market.taker_fee if terms.taker_fee is None else terms.taker_fee),
            )
            if fee is not None
        }
        try:
            return build(market, decimals, terms, ts, {**fees, "source": self._name})
        except ValueError as e:
            raise ImportFailed("IMPORT-SYMBOL", f"{market.id} is no instrument: {e}") from e

    @property
    def file(self) -> Path:
        return self._file

    @property
    def asked(self) -> Asked:
        return self._asked

    @property
    def report(self) -> ImportReport:
        return self._report

    @property
    def wanted(self) -> Collection[str]:
        return self._asked.instruments


def _listed(market: Market) -> Listed:
    """Raises ImportFailed where neither market nor symbol tell the currencies."""
    base, quote = market.base, market.quote
    if not (base and quote):
        try:
            base, quote = currencies(market.symbol.upper())
        except ImportFailed as e:
            text = f"{e.message}; name them with --symbol BASE/QUOTE"
            raise ImportFailed(e.code, text) from e
    return Listed(base=base, quote=quote)


def market_of(asked: Asked, market: Market) -> Market:
    """What a person says of it wins. Raises Refused."""
    base, _, quote = asked.symbol.partition("/")
    changes: dict[str, Any] = {}
    if quote:
        changes |= {"base": base.upper(), "quote": quote.upper()}
    if asked.id:
        changes["id"] = asked.id
    if asked.contract is not None:
        changes["contract"] = asked.contract
    if asked.multiplier is not None:
        changes["multiplier"] = asked.multiplier
    found = msgspec.structs.replace(market, **changes)
    name, dot, venue = found.id.rpartition(".")
    is_name = found.id.isascii() and found.id.isprintable() and len(found.id) <= ID_CHARS_MAX
    if not (name and dot and venue) or not is_name or set(found.id) & set(' /\\"'):
        raise Refused(
            f"{found.id[:60]!r} is no instrument id; expected SYMBOL.VENUE in ASCII without spaces "
            "and slashes: name it with --id, and its currencies with --symbol BASE/QUOTE"
        )
    return found


class _Run:
    """One pass over the events."""

    def __init__(self, owner: _Import, staged: StagedCatalog) -> None:
        self._owner = owner
        self._report = owner.report
        self._staged = staged
        self._left_out = staged.left_out
        self._clock = Clock()
        self._newest_ns = 0  # as told
        self._good = 0
        self._sinks: dict[str, Sink | None] = {}
        self._named: Market | None = None  # what --id or --symbol is of

    def told(self, number: int, told: Event | Malformed | Other) -> None:
        self._report.lines = max(self._report.lines, number)
        if isinstance(told, Other):
            self._report.skip(str(told))
            return
        if isinstance(told, Malformed):
            self._malformed(number, told)
            return
        if not (NS_MIN <= told.ts_init <= NS_MAX and NS_MIN <= told.ts_event <= NS_MAX):
            why = f"time {told.ts_init} ns is not between 2001 and 2262"
            self._malformed(number, Malformed(why), told)
            return
        if isinstance(told, Levels) and self._levels_of(told) == 0:
            self._malformed(number, Malformed("a book message without levels"), told)
            return
        self._in_order(number, told.ts_init)
        self._take(number, told)

    def _take(self, number: int, event: Event) -> None:
        ts = self._clock.tick(event.ts_init)
        self._report.clock_steps += self._clock.stepped
        if self._left_out.is_open:
            self._left_out.until(ts)
        name = event.market.id
        if name not in self._sinks:
            if len(self._sinks) >= SYMBOLS_MAX:
                raise ImportFailed("IMPORT-SYMBOLS", f"more than {SYMBOLS_MAX} symbols")
            self._sinks[name] = self._owner.begin(event.market, self._staged, ts)
        self._require_one(event.market)
        sink = self._sinks[name]
        self._good += 1
        if sink is None:
            self._report.skip("instrument not wanted")
            return
        try:
            sink.take(event, ts)
        except Malformed as error:
            self._malformed(number, error, event)
            return
        self._report.span(ts)

    def _require_one(self, market: Market) -> None:
        """What --id and --symbol say is of one market. Raises ImportFailed."""
        asked, first = self._owner.asked, self._named
        if first is market or not (asked.id or "/" in asked.symbol):
            return
        if self._sinks[market.id] is None:
            return
        if first is None:
            self._named = market
        elif first != market:
            option = "--id" if asked.id else "--symbol"
            raise ImportFailed(
                "IMPORT-MIXED",
                f"{option} names one instrument, and {self._owner.file} has {first.symbol} and "
                f"{market.symbol}; nothing was imported. Split the file by its symbols"
                + ("" if asked.id else ", or choose one with --instrument"),
            )

    @staticmethod
    def _levels_of(event: Levels) -> int:
        return len(event.bids) + len(event.asks) + event.is_snapshot

    def _in_order(self, number: int, ts: int) -> None:
        """Raises ImportFailed."""
        back_ns = self._newest_ns - ts
        if back_ns > BACK_NS:
            raise ImportFailed(
                "IMPORT-ORDER",
                f"{self._owner.file} is not in order of time: line {number} should be no earlier "
                f"than the one before it, and is {back_ns / 1e9:.3f} s earlier; nothing was "
                "imported. Sort the lines by their time first",
            )
        self._newest_ns = max(self._newest_ns, ts)

    def _malformed(self, number: int, error: Malformed, event: Event | None = None) -> None:
        """What such a line of a book says is missing in it from there on."""
        self._report.malformed_line(number, str(error))
        name = error.symbol if event is None else event.market.id
        what = error.kind if event is None else kind_of(type(event))
        self._left_out.add(self._clock.last_ns, name, what, f"line {number}: {error}")
        for of, sink in self._sinks.items():
            if sink is not None and what in ("", DEPTH) and name in ("", of):
                sink.lose(f"line {number} is malformed", self._clock.last_ns)

    def finish(self) -> None:
        report, bad = self._report, self._report.malformed
        first = "".join(f" (line {e.line}: {e.reason})" for e in report.malformed_first[:1])
        if not self._good:
            why = first or f" ({report.damage or ', '.join(report.skipped) or 'it has no lines'})"
            text = f"{self._owner.file} holds no line of the format {report.format}{why}"
            raise ImportFailed("IMPORT-FORMAT", f"{text}; nothing was imported")
        if bad >= MALFORMED_REFUSED_MIN and bad > self._good:
            text = f"{bad:,} of {bad + self._good:,} lines of {self._owner.file} are malformed"
            raise ImportFailed("IMPORT-FORMAT", f"{text}{first}; nothing was imported")
        missing = sorted(set(self._owner.wanted) - set(self._sinks))
        if missing:
            there = ", ".join(sorted(self._sinks))
            text = f"{self._owner.file} has no {', '.join(missing)}; it has {there}"
            raise ImportFailed("IMPORT-INSTRUMENT", text, NO_DATA)
        self._end()

    def _end(self) -> None:
        sinks = {name: sink for name, sink in sorted(self._sinks.items()) if sink is not None}
        for row in self._left_out.ended(self._clock.last_ns, [*sinks], self._report.damage):
            self._staged.gaps.append(row)
            self._report.gaps_of_any += 1
        for sink in sinks.values():
            sink.finish()
            self._report.instruments.append(sink.report)
