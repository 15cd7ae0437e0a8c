"""Import a Binance raw stream file into a NautilusTrader Parquet catalog.

Two passes: the first finds symbols, markets, precisions and time ranges; the second writes. Memory
does not grow with the file. `ts_init` is the local receive time of the file, `ts_event` the
exchange's transaction time `T` (or `E`); where there is none (spot bookTicker) it is `ts_init`.
Neither is adjusted: a local clock that runs behind the exchange gives `ts_init < ts_event`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model import (
    AggressorSide,
    NautilusDataType,
    OrderBookDelta,
    Price,
    Quantity,
    QuoteTick,
    TradeId,
    TradeTick,
)

from engine.recording.gaps import GapKind, GapRow
from engine.recording.importers import binance_wire as wire
from engine.recording.importers.binance_instruments import (
    Fees,
    build_instrument,
    instrument_name,
    settled_precision,
)
from engine.recording.importers.diffbook import Change, DiffBook, Level, Place, Snapshot, Top
from engine.recording.importers.lines import LineReader
from engine.recording.importers.report import ImportReport, InstrumentReport, MalformedLine
from engine.recording.importers.staging import (
    CHUNK_ROWS,
    NO_DATA,
    ChunkWriter,
    ImportFailed,
    StagedCatalog,
    overlaps,
)

CACHE_VALUES_MAX = 200_000  # distinct prices or sizes kept as objects
MALFORMED_KEPT_MAX = 20  # malformed lines that are named one by one
SYMBOLS_MAX = 1_000
STEP_NS_MAX = 86_400 * 10**9  # a local time further off than this is damage, not a clock

Progress = Callable[[str, int, int], None]  # phase, bytes done, bytes in all


class Found(msgspec.Struct):
    """What the first pass knows of one symbol."""

    markets: set[wire.Market]
    price_decimals: int = 0
    size_decimals: int = 0
    first_ns: int = 0
    last_ns: int = 0
    has_tops: bool = False
    lines: int = 0


class Clock:
    """Local times made non-decreasing, which a catalog file needs; backward steps are counted."""

    def __init__(self) -> None:
        self.last_ns = 0
        self.steps: list[tuple[int, int]] = []
        self._recorded_ns = 0

    def plausible(self, local_ns: int, event_ns: int) -> bool:
        against = event_ns or self._recorded_ns
        return not against or abs(local_ns - against) <= STEP_NS_MAX

    def tick(self, local_ns: int) -> tuple[int, bool]:
        """The time to write, and whether the clock stepped back just here."""
        stepped = local_ns < self._recorded_ns
        self._recorded_ns = local_ns
        self.last_ns = local_ns if local_ns >= self.last_ns else self.last_ns + 1
        return self.last_ns, stepped


def scan(reader: LineReader) -> tuple[dict[str, Found], str]:
    """First pass: facts per symbol, and the first problem met (for a file that has no lines)."""
    found: dict[str, Found] = {}
    problem = ""
    clock = Clock()
    for number, line in reader:
        try:
            local_ns, event = wire.parse_line(line)
        except wire.Malformed as e:
            problem = problem or f"line {number}: {e}"
            continue
        except wire.Other:
            continue
        if isinstance(event, wire.Snapshot) or not clock.plausible(local_ns, event.ts_event):
            continue
        ts, _ = clock.tick(local_ns)
        facts = found.get(event.symbol)
        if facts is None:
            if len(found) >= SYMBOLS_MAX:
                raise ImportFailed("IMPORT-SYMBOLS", f"more than {SYMBOLS_MAX} symbols")
            facts = found[event.symbol] = Found(markets=set(), first_ns=ts)
        _note(facts, event, ts)
    return found, problem


def _note(facts: Found, event: wire.Depth | wire.Trade | wire.Ticker, ts: int) -> None:
    facts.lines += 1
    facts.last_ns = ts
    facts.markets.add(event.market)
    levels: Collection[wire.Level]
    if isinstance(event, wire.Depth):
        levels = [*event.bids, *event.asks]
    elif isinstance(event, wire.Trade):
        levels = [(event.price, event.size)] if event.on_book else []
    else:
        levels = [event.bid, event.ask]
        facts.has_tops = True
    for price, size in levels:
        facts.price_decimals = max(facts.price_decimals, wire.decimals(price))
        facts.size_decimals = max(facts.size_decimals, wire.decimals(size))


class SymbolImport:
    """Second pass of one symbol: wire events in, catalog rows out."""

    def __init__(
        self,
        instrument: Any,
        market: wire.Market,
        facts: Found,
        staged: StagedCatalog,
        chunk_rows: int,
    ) -> None:
        self.report = InstrumentReport(
            id=str(instrument.id),
            market=market.value,
            price_precision=instrument.price_precision,
            size_precision=instrument.size_precision,
            maker_fee=instrument.info["maker_fee"],
            taker_fee=instrument.info["taker_fee"],
        )
        self._id = instrument.id
        self._precisions = (instrument.price_precision, instrument.size_precision)
        self._prices: dict[str, tuple[int, Price]] = {}
        self._sizes: dict[str, Quantity] = {}
        self._staged = staged
        self._book = DiffBook(self._id, *self._precisions, needs_proof=facts.has_tops)
        self._deltas = ChunkWriter(staged.catalog.write_order_book_deltas, chunk_rows)
        self._trades = ChunkWriter(staged.catalog.write_trade_ticks, chunk_rows)
        self._quotes = ChunkWriter(staged.catalog.write_quote_ticks, chunk_rows)
        self._last_depth_ns = 0
        self._gap: tuple[int, str, int] | None = None  # since, reason, update ids missing

    def depth(self, event: wire.Depth, ts: int) -> None:
        report = self.report
        report.depth_messages += 1
        report.level_updates += len(event.bids) + len(event.asks)
        self._offset(event.ts_event, ts)
        change = Change(
            event.previous,
            event.last,
            self._levels(event.bids),
            self._levels(event.asks),
            event.ts_event,
            ts,
        )
        place = self._book.place(change)
        if place is Place.OLD:
            return
        if place is Place.GAP:
            self._lose(change)
        self._emit(self._book.change(change), ts)
        self._last_depth_ns = ts

    def snapshot(self, event: wire.Snapshot, ts: int) -> None:
        levels = (self._levels(event.bids), self._levels(event.asks))
        self._emit(self._book.snapshot(Snapshot(event.last, *levels, event.ts_event or ts, ts)), ts)

    def trade(self, event: wire.Trade, ts: int) -> None:
        self._offset(event.ts_event, ts)
        if not event.on_book:
            self.report.trades_off_book += 1
            return
        side = AggressorSide.SELL if event.buyer_is_maker else AggressorSide.BUY
        _, price = self._price(event.price)
        size = self._size(event.size)
        tick = TradeTick(self._id, price, size, side, TradeId(str(event.id)), event.ts_event, ts)
        self._trades.add((tick,), ts)

    def ticker(self, event: wire.Ticker, ts: int) -> None:
        if event.ts_event:
            self._offset(event.ts_event, ts)
        bid, ask = self._levels((event.bid, event.ask))
        if not (bid[0] and ask[0] and bid[2].raw and ask[2].raw) or bid[0] >= ask[0]:
            self.report.quotes_unusable += 1
            return
        ts_event = event.ts_event or ts
        self._book.top(Top(event.last, bid, ask))
        quote = QuoteTick(self._id, bid[1], ask[1], bid[2], ask[2], ts_event, ts)
        self._quotes.add((quote,), ts)

    def finish(self, ts: int) -> None:
        """Write what is buffered; complete the report."""
        self._close_gap(ts, "; the file ends before the book is whole again")
        for writer in (self._deltas, self._trades, self._quotes):
            writer.flush()
        self.report.delta_rows = self._deltas.count
        self.report.trades = self._trades.count
        self.report.quotes = self._quotes.count
        self.report.book = self._book.counts

    def _emit(self, deltas: list[OrderBookDelta], ts: int) -> None:
        if deltas:
            if not self.report.book_from_ns:
                self.report.book_from_ns = ts
            self._deltas.add(deltas, ts)
        if self._book.proven:
            self._close_gap(ts, "")

    def _lose(self, change: Change) -> None:
        had = self._book.last_id or 0
        reason = f"depth sequence: update {had} expected before, {change.previous} received"
        missing = max(0, change.previous - had)
        if self._gap is None:
            self._gap = (self._last_depth_ns, reason, missing)
        self.report.gaps += 1
        self._emit(
            self._book.lose(change.previous, change.ts_event, change.ts_init), change.ts_init
        )

    def _close_gap(self, ts: int, note: str) -> None:
        if self._gap is None:
            return
        since, reason, missing = self._gap
        self._gap = None
        row = GapRow(
            kind=GapKind.GAP,
            instrument=self.report.id,
            reason=reason + note,
            from_ns=since,
            to_ns=ts,
            count=missing,
        )
        self._staged.gaps.append(row)
        self.report.gap_seconds += row.seconds

    def _offset(self, event_ns: int, ts: int) -> None:
        """Exchange time minus local time, least and most."""
        ahead = event_ns - ts
        low, high = self.report.exchange_ahead_ns
        self.report.exchange_ahead_ns = (
            (ahead, ahead) if low is None or high is None else (min(low, ahead), max(high, ahead))
        )

    def _levels(self, levels: Collection[wire.Level]) -> list[Level]:
        prices, sizes = self._prices, self._sizes
        out: list[Level] = []
        for price_text, size_text in levels:
            key, price = prices.get(price_text) or self._price(price_text)
            size = sizes.get(size_text)
            out.append((key, price, size if size is not None else self._size(size_text)))
        return out

    def _price(self, text: str) -> tuple[int, Price]:
        found = self._prices.get(text)
        if found is None:
            price = Price.from_str(_padded(text, self._precisions[0]))
            if len(self._prices) >= CACHE_VALUES_MAX:
                self._prices.clear()
            found = self._prices[text] = (price.raw, price)
        return found

    def _size(self, text: str) -> Quantity:
        found = self._sizes.get(text)
        if found is None:
            if len(self._sizes) >= CACHE_VALUES_MAX:
                self._sizes.clear()
            found = self._sizes[text] = Quantity.from_str(_padded(text, self._precisions[1]))
        return found


def _padded(text: str, precision: int) -> str:
    """The same number with exactly `precision` decimals; the first pass proved that it fits."""
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > precision:
        raise AssertionError(f"{text} has more than {precision} decimals")
    return f"{whole}.{fraction.ljust(precision, '0')}" if precision else whole


class BinanceImport:
    """One import of one file. Nothing is left in the catalog unless all of it succeeded."""

    def __init__(
        self,
        file: Path,
        catalog: Path,
        *,
        instruments: Collection[str] = (),
        fees: Fees | None = None,
        progress: Progress | None = None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        self.file = file
        self.target = catalog
        self._wanted = frozenset(instruments)
        self._fees = fees or Fees()
        self._progress = progress
        self._chunk_rows = chunk_rows
        self._report = ImportReport(file=str(file), format="binance", catalog=str(catalog))

    def run(self) -> ImportReport:
        """Raises ImportFailed."""
        started = time.perf_counter()
        report = self._report
        try:
            report.file_bytes = self.file.stat().st_size
            found, problem = scan(self._reader("scan"))
            if not found:
                why = problem or "it has no lines"
                text = f"{self.file} holds no Binance stream line ({why}); nothing was imported"
                raise ImportFailed("IMPORT-FORMAT", text)
            chosen = self._choose(found)
            self._refuse_overlap(chosen)
            with StagedCatalog(self.target) as staged:
                self._write(staged, chosen, len(found) == 1)
                self._finish_report(staged)
                staged.commit()
        except OSError as e:
            raise ImportFailed("IMPORT-FILE", f"{self.file}: {e}", NO_DATA) from e
        report.seconds = round(time.perf_counter() - started, 3)
        return report

    def _reader(self, phase: str) -> LineReader:
        total = self._report.file_bytes
        tell = self._progress
        return LineReader(self.file, None if tell is None else lambda at: tell(phase, at, total))

    def _choose(self, found: dict[str, Found]) -> dict[str, tuple[str, wire.Market, Found]]:
        """Wanted symbols: instrument id, market, facts."""
        chosen: dict[str, tuple[str, wire.Market, Found]] = {}
        names: list[str] = []
        for symbol, facts in sorted(found.items()):
            if len(facts.markets) > 1:
                text = f"{symbol} is in the file both as spot and as USD-M; split the file"
                raise ImportFailed("IMPORT-MIXED", text)
            (market,) = facts.markets
            name = instrument_name(symbol, market)
            names.append(name)
            if not self._wanted or name in self._wanted:
                chosen[symbol] = (name, market, facts)
        missing = sorted(self._wanted - set(names))
        if missing:
            text = f"{self.file} has no {', '.join(missing)}; it has {', '.join(names)}"
            raise ImportFailed("IMPORT-INSTRUMENT", text, NO_DATA)
        return chosen

    def _refuse_overlap(self, chosen: dict[str, tuple[str, wire.Market, Found]]) -> None:
        kinds = (
            NautilusDataType.OrderBookDelta,
            NautilusDataType.TradeTick,
            NautilusDataType.QuoteTick,
        )
        for name, _, facts in chosen.values():
            for kind in kinds:
                held = overlaps(self.target, kind, name, facts.first_ns, facts.last_ns)
                if held:
                    text = (
                        f"{self.target} already holds {name} from {held[0][0]} to "
                        f"{held[-1][1]} ns, and the file is from {facts.first_ns} to "
                        f"{facts.last_ns} ns; nothing was imported. Name another "
                        "--catalog, or delete that range first"
                    )
                    raise ImportFailed("IMPORT-OVERLAP", text)

    def _write(
        self,
        staged: StagedCatalog,
        chosen: dict[str, tuple[str, wire.Market, Found]],
        one_symbol: bool,
    ) -> None:
        imports: dict[str, SymbolImport] = {}
        for symbol, (name, market, facts) in chosen.items():
            decimals = (facts.price_decimals, facts.size_decimals)
            precision, is_new = settled_precision(self.target, name, decimals)
            instrument = build_instrument(symbol, market, precision, self._fees, facts.first_ns)
            if is_new:
                staged.catalog.write_instruments([instrument])
            imports[symbol] = SymbolImport(instrument, market, facts, staged, self._chunk_rows)
        reader = self._reader("import")
        clock = Clock()
        for number, line in reader:
            self._report.lines += 1
            self._line(number, line, clock, imports, one_symbol, staged)
        self._report.damage = reader.damage
        for each in imports.values():
            each.finish(clock.last_ns)
            self._report.instruments.append(each.report)

    def _line(
        self,
        number: int,
        line: bytes | None,
        clock: Clock,
        imports: dict[str, SymbolImport],
        one_symbol: bool,
        staged: StagedCatalog,
    ) -> None:
        try:
            local_ns, event = wire.parse_line(line)
            if not clock.plausible(local_ns, event.ts_event):
                raise wire.Malformed("local time is more than a day off")
        except wire.Malformed as e:
            self._malformed(number, str(e))
            return
        except wire.Other as e:
            self._report.skip(str(e))
            return
        ts, stepped = clock.tick(local_ns)
        if stepped:
            self._clock_step(staged, clock, local_ns, ts)
        self._report.span(ts)
        if isinstance(event, wire.Snapshot):
            if one_symbol and imports:
                next(iter(imports.values())).snapshot(event, ts)
            else:
                self._report.skip("snapshot without symbol")
            return
        target = imports.get(event.symbol)
        if target is None:
            self._report.skip("instrument not wanted")
        elif isinstance(event, wire.Depth):
            target.depth(event, ts)
        elif isinstance(event, wire.Trade):
            target.trade(event, ts)
        else:
            target.ticker(event, ts)

    def _malformed(self, number: int, reason: str) -> None:
        self._report.malformed += 1
        if len(self._report.malformed_first) < MALFORMED_KEPT_MAX:
            self._report.malformed_first.append(MalformedLine(number, reason[:200]))

    def _clock_step(self, staged: StagedCatalog, clock: Clock, local_ns: int, ts: int) -> None:
        self._report.clock_steps += 1
        back = (ts - 1 - local_ns) / 1e9
        reason = f"local clock stepped back to {back:.6f} s before the newest time; order was kept"
        row = GapRow(
            kind=GapKind.CLOCK_STEP, instrument="", reason=reason, from_ns=ts - 1, to_ns=ts
        )
        staged.gaps.append(row)

    def _finish_report(self, staged: StagedCatalog) -> None:
        sizes: Counter[str] = Counter()
        for path in staged.path.rglob("*.parquet"):
            sizes["files"] += 1
            sizes["bytes"] += path.stat().st_size
        self._report.files = sizes["files"]
        self._report.catalog_bytes = sizes["bytes"]


def import_binance(
    file: Path,
    catalog: Path,
    *,
    instruments: Collection[str] = (),
    maker_fee: Decimal | None = None,
    taker_fee: Decimal | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a whole file. Raises ImportFailed, and then the catalog is as it was."""
    fees = Fees(maker=maker_fee, taker=taker_fee)
    run = BinanceImport(file, catalog, instruments=instruments, fees=fees, progress=progress)
    return run.run()
