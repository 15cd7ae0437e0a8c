"""The raw frames of a recording through today's adapter, held against the rows that were recorded.

The adapter learns its markets from the answers in the recording, as it did live: nothing is asked
of a venue. Streams are those of the catalog's rows. What the recorder itself writes (a CLEAR where
a book ends) is counted apart; receive times are left out, since tap and parser read the clock one
after the other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from nautilus_trader.model import Bar, BarType, BookAction, OrderBookDeltas, TradeTick
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.adapters import registry
from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.transport import HttpRequest, HttpResponse, TransportError
from fairlead.adapters.base.venue import (
    Adapter,
    AdapterContext,
    Feed,
    FeedKind,
    ParseError,
    Send,
    StreamProtocol,
    VenueError,
)
from fairlead.engine.bars import bar_minutes
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.recording.inventory import (
    Places,
    folders,
    instrument_of_folder,
    kinds_of,
    no_such,
    rows_of,
)
from fairlead.engine.recording.raw import read
from fairlead.engine.recording.rawformat import Direction, RawFault, RawRecord
from fairlead.engine.recording.replay import ReplayFault, replay_records
from fairlead.engine.recording.rows import Span

KINDS = {"order_book_deltas": FeedKind.BOOK, "trades": FeedKind.TRADES, "bars": FeedKind.BARS}
LOOK_ROWS = 512  # recorded rows among which one that was parsed is looked for
KEPT_MAX = 20  # differences of a stream that are kept
GREETING_FRAMES = 10  # of a connection, after which it has said what it subscribes
OUT_FRAMES_MAX = 1000  # distinct ones of a connection
OPENED = b"opened"
SECOND_NS = 1_000_000_000


class RowDifference(msgspec.Struct, frozen=True):
    """`what`: only recorded, only parsed, or the field in which they differ."""

    what: str
    row: str


class StreamReplayed(msgspec.Struct, kw_only=True):
    """One type of one instrument. `clears` are recorded CLEARs, `parsed_clears` are the parser's:
    the recorder writes some of its own, where a book ends, so fewer of them are no difference."""

    name: str
    kind: str
    recorded: int = 0
    replayed: int = 0
    equal: int = 0
    clears: int = 0
    parsed_clears: int = 0
    difference_count: int = 0
    differences: list[RowDifference] = []

    def differ(self, what: str, row: object) -> None:
        self.difference_count += 1
        if len(self.differences) < KEPT_MAX:
            self.differences.append(RowDifference(what, str(row)[:300]))


class Replayed(msgspec.Struct, kw_only=True):
    """One venue's frames."""

    venue: str
    frames: int = 0
    refused: int = 0  # frames that the parser could not read; live neither
    streams: list[StreamReplayed] = []
    notes: list[str] = []


def replayed(where: Places, loaded: LoadedConfig | None = None, venue: str = "") -> list[Replayed]:
    """Each venue of the recording. Without a config an adapter is named as its folder in raw/.

    Raises FairleadError: no raw frames or catalog, an adapter that is not known, or whose markets
    the recording does not tell.
    """
    catalog, raw = where.require_catalog(), where.require_raw()
    found = sorted(one.name for one in raw.iterdir() if one.is_dir())
    if venue:
        if venue.lower() not in found:
            raise no_such(raw, venue, found)
        found = [venue.lower()]
    return [_venue(catalog, raw / name, name, loaded) for name in found]


def _venue(catalog: Path, raw: Path, name: str, loaded: LoadedConfig | None) -> Replayed:
    result = Replayed(venue=name)
    if not any(raw.glob("*.fraw.zst")):
        result.notes.append(f"{raw} has no frames")
        return result
    faults: list[RawFault] = []
    adapter = _adapter(raw, name, loaded)
    streams = dict(_streams(catalog, name, adapter, result))
    sessions = _Sessions(raw)
    protocol = _protocol(adapter, list(streams), sessions)
    wanted = sessions.public(protocol[1])
    aligned = {one.key: one for one in streams.values()}
    items = replay_records(
        sessions.records(wanted, faults.append), protocol[0], refusals=(ParseError,)
    )
    for item in items:
        if isinstance(item, ReplayFault):
            result.refused += 1
            continue
        for key, row in _rows(item):
            if (one := aligned.get(key)) is not None:
                one.parsed(row)
    result.frames = sessions.frames
    for one in streams.values():
        result.streams.append(one.finish())
    result.notes += [f"damaged: {fault}" for fault in faults[:KEPT_MAX]]
    return result


def _rows(item: Any) -> Iterator[tuple[tuple[str, str], Any]]:
    if isinstance(item, OrderBookDeltas):
        name = str(item.instrument_id)
        for delta in item.deltas:
            yield ("order_book_deltas", name), delta
    elif isinstance(item, TradeTick):
        yield ("trades", str(item.instrument_id)), item
    elif isinstance(item, Bar):
        yield ("bars", str(item.bar_type)), item


# -- the adapter, from what was recorded ----------------------------------------------------------


class _Answers:
    """`HttpTransport`: the recorded answers, by method and path. Raises TransportError."""

    def __init__(self, raw: Path) -> None:
        self._by_url: dict[tuple[str, str, str], HttpResponse] = {}
        self._by_path: dict[tuple[str, str], HttpResponse] = {}
        asked: dict[int, RawRecord] = {}
        self.start_ns = 0
        for record in read(raw, lambda _: None):
            self.start_ns = self.start_ns or record.ts_ns
            if record.direction is Direction.REQUEST:
                asked[record.exchange] = record
            elif record.direction is Direction.ANSWER:
                request = asked.pop(record.exchange, None)
                if request is not None and 200 <= record.status < 300:
                    self._keep(request, record)

    def _keep(self, request: RawRecord, answer: RawRecord) -> None:
        url = urlsplit(request.url)
        told = HttpResponse(status=answer.status, body=answer.payload, headers=answer.headers)
        self._by_url.setdefault((request.method, url.path, url.query), told)
        self._by_path.setdefault((request.method, url.path), told)

    async def request(self, request: HttpRequest) -> HttpResponse:
        url = urlsplit(request.url)
        found = self._by_url.get((request.method, url.path, url.query))
        found = found or self._by_path.get((request.method, url.path))
        if found is None:
            text = f"the recording has no answer to {request.method} {url.path}"
            raise TransportError("RAW-NO-ANSWER", text, sent=False)
        return found

    async def close(self) -> None:
        """Nothing is open."""


def _adapter(raw: Path, name: str, loaded: LoadedConfig | None) -> Adapter:
    """Raises FairleadError."""
    key = next((one for one in (loaded.specs if loaded else ()) if one.lower() == name), None)
    adapter = name if loaded is None or key is None else loaded.config.venues[key].adapter
    if adapter not in registry.names():
        text = (
            f"{raw} is of no adapter of fairlead ({', '.join(registry.names())}); name the run's "
            "file with --config, where its [venues] have another name than their adapter"
        )
        raise FairleadError("REPLAY-ADAPTER", text, int(Exit.USAGE))
    spec = registry.spec(adapter)
    answers = _Answers(raw)
    options = spec.options() if loaded is None or key is None else loaded.options[key]
    try:
        made = spec.create(
            AdapterContext(
                venue=name.upper(),
                options=options,
                secrets={},
                http=answers,
                now_ns=lambda: answers.start_ns,
                instruments=(),
                reads=ReadLimits(tries_max=1),
            )
        )
        asyncio.run(made.connect(trading=False))
    except VenueError as error:
        text = f"{raw} does not tell the venue's markets as {adapter} reads them: {error.message}"
        raise FairleadError("REPLAY-MARKETS", text, int(Exit.BAD_DATA)) from error
    return made


def _streams(
    catalog: Path, venue: str, adapter: Adapter, result: Replayed
) -> Iterator[tuple[tuple[str, str], _Aligned]]:
    store = ParquetDataCatalog(str(catalog))
    kinds = kinds_of(store)
    for kind, name, spans in folders(catalog):
        instrument = instrument_of_folder(kind, name)
        if kind not in KINDS or not instrument.endswith(f".{venue.upper()}"):
            continue
        if instrument not in adapter.instruments:
            result.notes.append(f"{instrument}: the recorded answers do not tell of it")
            continue
        if name.endswith("-INTERNAL"):
            continue  # bars that the engine has made of trades
        try:
            adapter.market_data.public_stream().subscribe(_feed(kind, name, 0))
        except (VenueError, KeyError) as error:
            result.notes.append(f"{name}: today's adapter does not stream it: {error}")
            continue
        yield (kind, name), _Aligned(kind, name, _recorded(store, kinds[kind], name, spans))


def _recorded(store: ParquetDataCatalog, kind: Any, name: str, spans: list[Span]) -> Iterator[Any]:
    for span in spans:
        for rows in rows_of(store, kind, name, span):
            yield from rows


# -- which connections, and which depth -----------------------------------------------------------


class _Session(msgspec.Struct):
    """One connection from its opening on."""

    greeting: list[bytes | str] = []
    out: set[str] = set()


class _Sessions:
    """The connections of a venue, in the order in which they were opened."""

    def __init__(self, raw: Path) -> None:
        self._raw = raw
        self.frames = 0
        self.found: list[_Session] = []
        for number, record in self._numbered(lambda _: None):
            session = self.found[number]
            if record.direction is Direction.OUT and len(session.out) < OUT_FRAMES_MAX:
                session.out.add(str(record.frame()))
            elif record.direction is Direction.IN and len(session.greeting) < GREETING_FRAMES:
                session.greeting.append(record.frame())

    def _numbered(self, on_fault: Any) -> Iterator[tuple[int, RawRecord]]:
        """Records of streams, with the number of their session."""
        current: dict[str, int] = {}
        count = 0
        for record in read(self._raw, on_fault):
            if record.exchange or record.direction is Direction.LOST:
                continue
            name = record.connection
            begins = record.direction is Direction.MARK and record.payload.startswith(OPENED)
            if begins or name not in current:
                current[name] = count
                count += 1
                if count > len(self.found):
                    self.found.append(_Session())
            yield current[name], record

    def public(self, said: set[str]) -> set[int]:
        """Sessions that sent one of the frames by which these feeds are subscribed."""
        mine = {number for number, one in enumerate(self.found) if one.out & said}
        return mine or set(range(len(self.found)))

    def records(self, wanted: set[int], on_fault: Any) -> Iterator[RawRecord]:
        for number, record in self._numbered(on_fault):
            if number in wanted:
                self.frames += record.direction is Direction.IN
                yield record


def _protocol(
    adapter: Adapter, keys: list[tuple[str, str]], sessions: _Sessions
) -> tuple[StreamProtocol, set[str]]:
    """With its feeds, books as deep as they were asked for live; and how it subscribes them."""
    best: tuple[int, StreamProtocol, set[str]] | None = None
    for depth in (0, *adapter.capabilities.book_depths):
        feeds = [_feed(kind, name, depth) for kind, name in keys]
        said = _said(adapter, feeds, sessions)
        hits = sum(len(one.out & said) for one in sessions.found)
        if best is None or hits > best[0]:
            best = hits, _subscribed(adapter, feeds), said
    assert best is not None, "depth 0 is always tried"
    return best[1], best[2]


def _feed(kind: str, name: str, depth: int) -> Feed:
    instrument = instrument_of_folder(kind, name)
    if kind == "bars":
        minutes = bar_minutes(BarType.from_str(name))
        return Feed(FeedKind.BARS, instrument, bar_minutes=minutes)
    return Feed(KINDS[kind], instrument, depth if kind == "order_book_deltas" else 0)


def _subscribed(adapter: Adapter, feeds: list[Feed]) -> StreamProtocol:
    protocol = adapter.market_data.public_stream()
    for feed in feeds:
        protocol.subscribe(feed)
    return protocol


def _said(adapter: Adapter, feeds: list[Feed], sessions: _Sessions) -> set[str]:
    """Every frame by which a connection may have subscribed one of the feeds, or all."""
    said: set[str] = set()
    for feed in feeds:
        said |= set(adapter.market_data.public_stream().subscribe(feed))
    for session in sessions.found:
        protocol = _subscribed(adapter, feeds)
        said |= set(protocol.opened(0))
        for frame in session.greeting:
            try:
                items = list(protocol.received(frame, 1))
            except ParseError:
                continue
            said |= {item.frame for item in items if isinstance(item, Send)}
    return said - set(adapter.market_data.public_stream().ping(0))


# -- row against row ------------------------------------------------------------------------------


class _Aligned:
    """Rows that were recorded, and those that are parsed now, in order, in bounded memory."""

    def __init__(self, kind: str, name: str, rows: Iterator[Any]) -> None:
        self.key = (kind, name)
        self._rows = rows
        self._waiting: deque[tuple[Any, Any]] = deque()
        self._result = StreamReplayed(name=name, kind=kind)

    def parsed(self, row: Any) -> None:
        result = self._result
        result.replayed += 1
        if _is_clear(row):
            result.parsed_clears += 1
            return
        key = _key(row)
        at = next((i for i, (one, _) in enumerate(self._ahead()) if one == key), None)
        if at is None:
            result.differ("only parsed", row)
            return
        for _ in range(at):
            result.differ("only recorded", self._waiting.popleft()[1])
        _, recorded = self._waiting.popleft()
        if recorded.ts_event != row.ts_event and row.ts_event != row.ts_init:
            result.differ(f"ts_event {recorded.ts_event} recorded, {row.ts_event} parsed", row)
        else:
            result.equal += 1

    def finish(self) -> StreamReplayed:
        while self._fill():
            while self._waiting:
                self._result.differ("only recorded", self._waiting.popleft()[1])
        result = self._result
        if result.parsed_clears > result.clears:
            text = f"{result.parsed_clears} CLEARs parsed, {result.clears} recorded"
            result.differ("a book that was shown after its loss", text)
        return result

    def _ahead(self) -> Iterator[tuple[Any, Any]]:
        at = 0
        while at < LOOK_ROWS:
            if at >= len(self._waiting) and not self._next():
                return
            yield self._waiting[at]
            at += 1

    def _next(self) -> bool:
        """One more recorded row that counts; False at the end."""
        for row in self._rows:
            self._result.recorded += 1
            if not _is_clear(row):
                self._waiting.append((_key(row), row))
                return True
            self._result.clears += 1
        return False

    def _fill(self) -> bool:
        return bool(self._waiting) or self._next()


def _is_clear(row: Any) -> bool:
    return bool(getattr(row, "action", None) == BookAction.CLEAR)


def _key(row: Any) -> Any:
    """All of a row but its times."""
    if isinstance(row, TradeTick):
        return (row.trade_id, row.price, row.size, row.aggressor_side)
    if isinstance(row, Bar):
        return (row.ts_event, row.open, row.high, row.low, row.close, row.volume)
    order = row.order
    # Of a venue without a sequence it is the receive time
    is_time = abs(row.sequence - row.ts_init) < SECOND_NS
    sequence = None if is_time else row.sequence
    return (row.action, order.side, order.price, order.size, row.flags, sequence)
