"""Import a Binance raw stream file into a NautilusTrader Parquet catalog.

One pass, in memory that does not grow with the file. The first lines are read ahead to find
symbols, markets and decimals; where a later line knows better (a finer price, another symbol), the
import begins again with what was learnt. `ts_init` is the local receive time of the file,
`ts_event` the exchange's transaction time `T` (or `E`); where there is none (spot bookTicker) it is
`ts_init`. Neither is adjusted: a local clock that runs behind the exchange gives
`ts_init < ts_event`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path

import msgspec

from fairlead.engine.recording.catalog import utc
from fairlead.engine.recording.gaps import GapKind, GapRow
from fairlead.engine.recording.importers import binance_wire as wire
from fairlead.engine.recording.importers.binance_instruments import (
    Fees,
    Rules,
    build_instrument,
    decimals_within,
    held_instrument,
    instrument_name,
    require_as_held,
    terms_of,
)
from fairlead.engine.recording.importers.binance_lines import (
    KINDS,
    LOOK_AHEAD,
    Clock,
    Order,
    Parsed,
    believed,
)
from fairlead.engine.recording.importers.binance_reading import (
    HelpedReader,
    OwnReader,
    Reader,
)
from fairlead.engine.recording.importers.binance_symbol import (
    Finer,
    Options,
    SymbolImport,
    is_plausible,
    most_decimals,
)
from fairlead.engine.recording.importers.diffbook import DEPTH, Level
from fairlead.engine.recording.importers.listing import read_listing
from fairlead.engine.recording.importers.neighbours import Neighbours
from fairlead.engine.recording.importers.report import ImportReport
from fairlead.engine.recording.importers.staging import (
    CHUNK_ROWS,
    NO_DATA,
    ImportFailed,
    StagedCatalog,
)
from fairlead.engine.recording.importers.whole import Again, import_whole

FORMAT = "binance"
HEAD_LINES = 20_000  # read ahead, and kept in memory
HEAD_LEVELS = 1_000_000
MALFORMED_REFUSED_MIN = 10  # of a kind, if they are more than those that can be read
SYMBOLS_MAX = 1_000
SNAPSHOTS_WAITING_MAX = 64  # of several symbols' files: until a change tells whose they are
IDS_NEAR = 10_000  # update ids that a symbol's next messages may reach

_BOOKS = (wire.Depth, wire.Snapshot)

Progress = Callable[[str, int, int], None]  # phase, bytes done, bytes in all


class Known(msgspec.Struct):
    """What is known of one symbol before its first row is written."""

    market: wire.Market
    first_ns: int
    price_decimals: int = 0
    size_decimals: int = 0
    reference: int = 0  # the first price that is told in the lines read ahead, raw
    ids: tuple[int, int] | None = None  # of the first depth message of these lines

    def learn(self, event: wire.Depth | wire.Trade | wire.Ticker) -> None:
        """Of a line read ahead."""
        if isinstance(event, wire.Depth):
            self.ids = self.ids or (event.previous, event.last)
        elif not self.reference:
            self.reference = event.price if isinstance(event, wire.Trade) else event.bid[0]


class BinanceImport:
    """One import of one file. Nothing is left in the catalog unless all of it succeeded.

    `rules` are what a file cannot tell of its instruments, `listing` is a venue's file (see there)
    that tells it; what is given wins. `depth` and `fold_tops`: see `diffbook`. Raises ImportFailed.
    """

    def __init__(
        self,
        file: Path,
        catalog: Path,
        *,
        instruments: Collection[str] = (),
        fees: Fees | None = None,
        rules: Rules | None = None,
        listing: Path | None = None,
        progress: Progress | None = None,
        depth: int = DEPTH,
        fold_tops: bool = True,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        self.file = file
        self.target = catalog
        self._wanted = frozenset(instruments)
        self._fees = fees or Fees()
        self._rules = rules or Rules()
        self._listing = None if listing is None else read_listing(listing, instrument_name)
        self._progress = progress
        self._options = Options(depth=depth, fold_tops=fold_tops, chunk_rows=chunk_rows)
        self._known: dict[str, Known] = {}
        self._parser = wire.Parser()
        self._report = ImportReport(file=str(file), format=FORMAT, catalog=str(catalog))

    def run(self) -> ImportReport:
        """Raises ImportFailed."""
        return import_whole(self.file, self.target, FORMAT, self._write)

    def _write(self, report: ImportReport, staged: StagedCatalog) -> None:
        self._report = report
        self._parser = wire.Parser()
        run = self._read(staged)
        if not self._known:
            why = next((f"line {e.line}: {e.reason}" for e in self._report.malformed_first), "")
            why = why or self._report.damage or ", ".join(self._report.skipped)
            why = why or ("it has no such line" if self._report.lines else "it has no lines")
            text = f"{self.file} holds no Binance stream line ({why}); nothing was imported"
            raise ImportFailed("IMPORT-FORMAT", text)
        run.refuse_malformed()
        self._require_wanted()
        self._refuse_overlap(run)
        run.finish()

    def _read(self, staged: StagedCatalog) -> _Run:
        with self._reader(is_helped=staged.is_helped) as reader:
            lines = believed(iter(reader))
            head = self._read_ahead(lines)
            run = _Run(self, staged)
            for number, local_ns, event in chain(head, lines):
                run.line(number, local_ns, event)
            self._report.damage = reader.damage
        return run

    def _reader(self, *, is_helped: bool) -> Reader:
        total = self._report.file_bytes
        tell = self._progress
        on_bytes = None if tell is None else lambda at: tell("import", at, total)
        if not is_helped:
            return OwnReader(self.file, self._parser, on_bytes)
        begin = HEAD_LINES + LOOK_AHEAD + 1  # beyond all that is read ahead
        return HelpedReader(self.file, self._parser, begin, on_bytes)

    # -- what the file is about ----------------------------------------------------------------

    def _read_ahead(self, lines: Iterator[Parsed]) -> list[Parsed]:
        head: list[Parsed] = []
        levels = 0
        clock = Clock()
        for parsed in islice(lines, HEAD_LINES):
            head.append(parsed)
            _, local_ns, event = parsed
            if isinstance(event, Exception):
                continue
            ts = clock.tick(local_ns)
            if not isinstance(event, wire.Snapshot):
                self.know(event, ts)
                self._known[event.symbol].learn(event)
            if isinstance(event, _BOOKS):
                levels += len(event.bids) + len(event.asks)
                if levels > HEAD_LEVELS:
                    break
        for symbol, known in self._known.items():
            self._know_decimals(symbol, known, head)
        return head

    def _know_decimals(self, symbol: str, known: Known, head: Collection[Parsed]) -> None:
        """A snapshot names no symbol: of a file of several its decimals are not counted here.

        What the parser saw of the symbol is the answer, unless a line was malformed: its numbers
        do not count.
        """
        is_only = len(self._known) == 1
        events = [event for _, _, event in head if not isinstance(event, wire.Other)]
        good = [event for event in events if not isinstance(event, wire.Malformed)]
        is_seen = len(good) == len(events)
        prices, sizes = self._parser.numbers(symbol).decimals if is_seen else (0, 0)
        price, size = most_decimals(
            level
            for event in good
            if (
                is_only
                if isinstance(event, wire.Snapshot)
                else not is_seen and event.symbol == symbol
            )
            for level in _levels_of(event)
        )
        known.price_decimals = max(known.price_decimals, prices, price)
        known.size_decimals = max(known.size_decimals, sizes, size)

    def know(self, event: wire.Depth | wire.Trade | wire.Ticker, ts: int) -> bool:
        """Whether the event's symbol is new. Raises ImportFailed."""
        known = self._known.get(event.symbol)
        if known is None:
            if len(self._known) >= SYMBOLS_MAX:
                raise ImportFailed("IMPORT-SYMBOLS", f"more than {SYMBOLS_MAX} symbols")
            self._known[event.symbol] = Known(event.market, ts)
            return True
        if known.market is not event.market:
            text = f"{event.symbol} is in the file both as spot and as USD-M; split the file"
            raise ImportFailed("IMPORT-MIXED", text)
        return False

    def _require_wanted(self) -> None:
        names = [instrument_name(s, k.market) for s, k in sorted(self._known.items())]
        missing = sorted(self._wanted - set(names))
        if missing:
            text = f"{self.file} has no {', '.join(missing)}; it has {', '.join(names)}"
            raise ImportFailed("IMPORT-INSTRUMENT", text, NO_DATA)

    def _refuse_overlap(self, run: _Run) -> None:
        for name, first_ns, last_ns in run.spans():
            held = run.neighbours(name).overlapping(first_ns, last_ns)
            if held is not None:
                text = (
                    f"{self.target} already holds {name} from {utc(held[0])} to {utc(held[1])}, "
                    f"and the file is from {utc(first_ns)} to {utc(last_ns)}; nothing was "
                    "imported. Name another --catalog, or delete that range first"
                )
                raise ImportFailed("IMPORT-OVERLAP", text)

    def begin(self, symbol: str, staged: StagedCatalog) -> SymbolImport | None:
        """What takes the symbol's events; None where it is not wanted. Raises ImportFailed."""
        known = self._known[symbol]
        name = instrument_name(symbol, known.market)
        if self._wanted and name not in self._wanted:
            return None
        listed = None if self._listing is None else self._listing.find(name)
        terms = terms_of(symbol, self._fees, self._rules, listed)
        decimals = (known.price_decimals, known.size_decimals)
        decimals = decimals_within(terms, name, decimals)
        instrument = held_instrument(self.target, name)
        if instrument is not None:
            require_as_held(self.target, instrument, decimals, terms)
        else:
            instrument = build_instrument(symbol, known.market, decimals, terms, known.first_ns)
            staged.catalog.write_instruments([instrument])
        numbers = self._parser.numbers(symbol)
        options = self._options
        return SymbolImport(instrument, known.market, numbers, staged, options, known.reference)

    def symbols(self) -> Iterator[tuple[str, Known]]:
        yield from self._known.items()

    def finer(self, symbol: str, finer: Finer) -> Again:
        known = self._known[symbol]
        known.price_decimals = max(known.price_decimals, finer.price_decimals)
        known.size_decimals = max(known.size_decimals, finer.size_decimals)
        return Again()

    def name_of(self, symbol: str) -> str:
        """The instrument id; empty for a symbol that no line was of."""
        known = self._known.get(symbol)
        return "" if known is None else instrument_name(symbol, known.market)

    @property
    def report(self) -> ImportReport:
        return self._report

    @property
    def only_symbol(self) -> str | None:
        """The file's symbol, as far as it is known to have one only."""
        return next(iter(self._known)) if len(self._known) == 1 else None


class _Run:
    """One pass over the lines."""

    def __init__(self, owner: BinanceImport, staged: StagedCatalog) -> None:
        self._owner = owner
        self._report = owner.report
        self._staged = staged
        self._left_out = staged.left_out
        self._clock = Clock()
        self._order = Order()
        self._good: Counter[type] = Counter()  # lines of each kind
        self._bad: Counter[str] = Counter()
        self._bad_first: dict[str, str] = {}
        self._imports: dict[str, SymbolImport | None] = {}
        self._ids: dict[str, tuple[int, int]] = {}  # update ids of each symbol, first and last
        self._waiting: list[wire.Snapshot] = []
        self._neighbours: dict[str, Neighbours] = {}  # by instrument id
        self._first_ns = 0

    def line(
        self, number: int, local_ns: int, event: wire.Event | wire.Malformed | wire.Other
    ) -> None:
        self._report.lines = number
        if isinstance(event, Exception):
            self._no_event(number, event)
            return
        self._good[type(event)] += 1
        if event.ts_event:
            back_secs = self._order.back_seconds(local_ns, event.ts_event)
            if back_secs:
                self._refuse_order(number, back_secs)
        clock = self._clock
        ts = clock.tick(local_ns)
        if clock.stepped:
            self._clock_step(local_ns, ts)
        if self._left_out.is_open:
            self._left_out.until(ts)
        if not self._first_ns:
            self._first_ns = ts
        try:
            if isinstance(event, wire.Snapshot):
                self._snapshot(event, ts)
            else:
                self._event(event, ts)
        except wire.Malformed as error:
            error.symbol, error.kind = getattr(event, "symbol", ""), KINDS.get(type(event), "")
            self._malformed(number, error)

    def _no_event(self, number: int, event: wire.Malformed | wire.Other) -> None:
        if isinstance(event, wire.Other):
            self._report.skip(str(event))
            return
        self._malformed(number, event)
        if not isinstance(event, wire.TooLarge):
            self._bad[event.kind] += 1
            self._bad_first.setdefault(event.kind, f"line {number}: {event}")

    def refuse_malformed(self) -> None:
        """A kind of lines that mostly cannot be read is not damage: the file is another one."""
        good = {KINDS.get(kind, ""): count for kind, count in self._good.items()}
        for kind, bad in self._bad.items():
            read = good.get(kind, 0)
            if kind and bad >= MALFORMED_REFUSED_MIN and bad > read:
                text = (
                    f"{bad:,} of {bad + read:,} {kind} lines of {self._owner.file} are "
                    f"malformed ({self._bad_first[kind][:200]}); nothing was imported"
                )
                raise ImportFailed("IMPORT-FORMAT", text)

    def finish(self) -> None:
        self._report.start_ns, self._report.end_ns = self._first_ns, self._clock.last_ns
        for _ in self._waiting:
            self._report.skip("snapshot without symbol")
        wanted = {s: each for s, each in sorted(self._imports.items()) if each is not None}
        names = [each.report.id for each in wanted.values()]
        for row in self._left_out.ended(self._clock.last_ns, names, self._report.damage):
            self._staged.gaps.append(row)
            self._report.gaps_of_any += 1
        for each in wanted.values():
            self._split_gap(each)
            each.finish(self._clock.last_ns)
            self._report.instruments.append(each.report)

    # -- the catalog around the file -----------------------------------------------------------

    def spans(self) -> Iterator[tuple[str, int, int]]:
        """Each instrument with its first and last local time, in ns."""
        for target in self._imports.values():
            if target is not None and target.first_ns:
                yield target.report.id, target.first_ns, target.last_ns

    def neighbours(self, name: str) -> Neighbours:
        if name not in self._neighbours:
            self._neighbours[name] = Neighbours(self._owner.target, name)
        return self._neighbours[name]

    def _begin(self, symbol: str, ts: int) -> None:
        target = self._imports[symbol] = self._owner.begin(symbol, self._staged)
        if target is None:
            return
        there = self.neighbours(target.report.id)
        before, across = there.before(ts), there.row_across(ts, ts)
        if before is not None:
            target.follow(before, ts, before.end_ns if across is None else across.from_ns)

    def _split_gap(self, target: SymbolImport) -> None:
        """The end of a file that others follow in the catalog."""
        name = target.report.id
        first_ns = target.first_ns or self._clock.last_ns
        last_ns = target.last_ns or self._clock.last_ns
        there = self.neighbours(name)
        across = there.row_across(first_ns, last_ns)
        if across is not None:
            self._staged.split_gaps.append(across)
        after = there.after(last_ns)
        if after is not None:
            until_ns = across.to_ns if across is not None else after.book_ns or after.start_ns
            target.precede(after, last_ns, until_ns)

    def _begun(self, event: wire.Depth | wire.Trade | wire.Ticker, ts: int) -> SymbolImport | None:
        """What takes the symbol's events, from its first one on; None where it is not wanted."""
        was_only = self._owner.only_symbol is not None
        if self._owner.know(event, ts) and was_only:
            raise Again  # snapshots were taken for the only symbol's
        if event.symbol not in self._imports:
            self._begin(event.symbol, ts)
        return self._imports[event.symbol]

    def _event(self, event: wire.Depth | wire.Trade | wire.Ticker, ts: int) -> None:
        target = self._imports.get(event.symbol)
        if target is None or target.market is not event.market:
            target = self._begun(event, ts)
        if isinstance(event, wire.Depth):
            first, _ = self._ids.get(event.symbol, (event.previous, 0))
            self._ids[event.symbol] = (first, event.last)
        if target is None:
            self._report.skip("instrument not wanted")
            return
        target.seen(ts)
        try:
            if isinstance(event, wire.Ticker):
                target.ticker(event, ts)
            elif isinstance(event, wire.Trade):
                target.trade(event, ts)
            else:
                self._give_waiting(target, event, ts)
                target.depth(event, ts)
        except Finer as finer:
            raise self._owner.finer(event.symbol, finer) from None

    # -- snapshots, which name no symbol -------------------------------------------------------

    def _snapshot(self, event: wire.Snapshot, ts: int) -> None:
        symbol = self._owner.only_symbol
        if symbol is not None:
            if symbol not in self._imports:
                self._begin(symbol, ts)
            self._give(symbol, event, ts)
            return
        among = [s for s, (first, last) in self._ids.items() if first <= event.last <= last]
        wanted = {s: target for s, target in self._imports.items() if target is not None}
        fitting = [s for s in among if s not in wanted or wanted[s].spans(event)]
        is_one = len(fitting) == 1 and fitting[0] in wanted
        if is_one and not self._is_also_of_others(event, fitting[0]):
            self._give(fitting[0], event, ts)
        elif fitting:
            self._report.skip("snapshot without symbol")
        else:
            self._waiting.append(event)
            if len(self._waiting) > SNAPSHOTS_WAITING_MAX:
                del self._waiting[0]
                self._report.skip("snapshot without symbol")

    def _give(self, symbol: str, event: wire.Snapshot, ts: int) -> None:
        target = self._imports[symbol]
        if target is None:
            self._report.skip("instrument not wanted")
            return
        target.seen(ts)
        try:
            target.snapshot(event, ts)
        except Finer as finer:
            raise self._owner.finer(symbol, finer) from None

    def _give_waiting(self, target: SymbolImport, event: wire.Depth, ts: int) -> None:
        fitting = [each for each in self._waiting if target.awaits(each, event)]
        for snapshot in fitting:
            self._waiting.remove(snapshot)
            # Two books of one update id are of two symbols, even where only one is known.
            is_two = any(each.last == snapshot.last and each != snapshot for each in fitting)
            if is_two or self._is_also_of_others(snapshot, event.symbol):
                self._report.skip("snapshot without symbol")
            else:
                target.snapshot(snapshot, ts)

    def _is_also_of_others(self, snapshot: wire.Snapshot, symbol: str) -> bool:
        """Whether a snapshot lies among another symbol's update ids too, or may soon."""
        for other, known in self._owner.symbols():
            ids = self._ids.get(other, known.ids)
            if other == symbol or ids is None:
                continue
            if not ids[0] <= snapshot.last <= ids[1] + IDS_NEAR:
                continue
            target = self._imports.get(other)
            reference = known.reference if target is None else target.reference
            if is_plausible(snapshot, reference):
                return True
        return False

    # -- what is wrong -------------------------------------------------------------------------

    def _malformed(self, number: int, error: wire.Malformed) -> None:
        self._report.malformed_line(number, str(error))
        if error.is_blank:
            return
        name = self._owner.name_of(error.symbol)
        self._left_out.add(self._clock.last_ns, name, error.kind, f"line {number}: {error}")

    def _refuse_order(self, number: int, back_secs: float) -> None:
        text = (
            f"{self._owner.file} is not in order of time: line {number} should be no earlier "
            f"than the one before it, and both its local time and the exchange's are "
            f"{back_secs:.3f} s or more before; nothing was imported. Sort the lines by "
            "their time (sort -s -n) first"
        )
        raise ImportFailed("IMPORT-ORDER", text)

    def _clock_step(self, local_ns: int, ts: int) -> None:
        self._report.clock_steps += 1
        back = (ts - 1 - local_ns) / 1e9
        reason = f"local clock stepped back to {back:.6f} s before the newest time; order was kept"
        row = GapRow(
            kind=GapKind.CLOCK_STEP, instrument="", reason=reason, from_ns=ts - 1, to_ns=ts
        )
        self._staged.gaps.append(row)


def _levels_of(event: wire.Event) -> list[Level]:
    """The prices and sizes that will be written."""
    if isinstance(event, _BOOKS):
        return [*event.bids, *event.asks]
    if isinstance(event, wire.Trade):
        return [(event.price, event.size)] if event.on_book else []
    return [event.bid, event.ask]


def import_binance(
    file: Path,
    catalog: Path,
    *,
    instruments: Collection[str] = (),
    maker_fee: Decimal | None = None,
    taker_fee: Decimal | None = None,
    rules: Rules | None = None,
    listing: Path | None = None,
    progress: Progress | None = None,
    depth: int = DEPTH,
    fold_tops: bool = True,
) -> ImportReport:
    """Import a whole file. Raises ImportFailed, and then the catalog is as it was."""
    run = BinanceImport(
        file,
        catalog,
        instruments=instruments,
        fees=Fees(maker=maker_fee, taker=taker_fee),
        rules=rules,
        listing=listing,
        progress=progress,
        depth=depth,
        fold_tops=fold_tops,
    )
    return run.run()
