"""Every parser of the project as a fuzz target: its corpus, and what must hold for any bytes."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import tomllib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from nautilus_trader.model import BarType, InstrumentId

from fairlead.adapters.base.book import Numbers
from fairlead.adapters.base.decode import Answer
from fairlead.adapters.base.transport import HttpResponse
from fairlead.adapters.base.venue import Feed, FeedKind, ParseError, VenueError, VenueInstrument
from fairlead.adapters.oceanex import http as oceanex_http
from fairlead.adapters.oceanex import parse as oceanex
from fairlead.adapters.oceanex.config import OceanexOptions
from fairlead.adapters.oceanex.instruments import instrument as oceanex_instrument
from fairlead.adapters.oceanex.schemas import FeeRate, Market, TradingFee
from fairlead.adapters.oceanex.websocket import OceanexStream
from fairlead.adapters.poloniex import errors as poloniex_errors
from fairlead.adapters.poloniex import http as poloniex_http
from fairlead.adapters.poloniex import parse as poloniex
from fairlead.adapters.poloniex import schemas as ps
from fairlead.adapters.poloniex.instruments import StreamInstrument, venue_instruments
from fairlead.adapters.poloniex.private_websocket import PrivateStream, TradeRequests
from fairlead.adapters.poloniex.symbols import parse_wire_id
from fairlead.adapters.poloniex.tracking import Tracker
from fairlead.adapters.poloniex.websocket import PublicStream
from fairlead.adapters.simulation.mutation import BINARY, JSON, JSON_LINES, TEXT, TOML, Mutator
from fairlead.engine.config.loaded import parse_key_path
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.config.toml_lines import TomlLines
from fairlead.engine.recording.gaps import read_gaps, summarize
from fairlead.engine.recording.importers.binance_instruments import instrument_name
from fairlead.engine.recording.importers.binance_wire import Malformed, Other, parse_line
from fairlead.engine.recording.importers.lines import LineReader, Unreadable
from fairlead.engine.recording.importers.listing import read_listing
from fairlead.engine.recording.importers.staging import ImportFailed
from fairlead.engine.recording.raw import read, verify
from fairlead.engine.recording.rawformat import (
    Direction,
    RawFault,
    RawRecord,
    pack_block,
    pack_record,
)
from fairlead.engine.recording.redact import Redactor
from fairlead.engine.run.config import load
from fairlead.engine.secrets import Secret
from tests.property.fuzzing import ROOT, Target
from tests.property.importer_targets import importer_targets
from tests.property.piexgo_targets import piexgo_targets
from tests.property.research_targets import research_targets
from tests.property.state_targets import quiet, state_targets
from tests.venues.mudawyl.reading import feed as mudawyl_feed
from tests.venues.mudawyl.test_payloads import SAMPLES as MUDAWYL_SAMPLES
from tests.venues.zerocap.conftest import SAMPLES as ZEROCAP_SAMPLES
from tests.venues.zerocap.reading import feed as zerocap_feed

DATA = ROOT / "tests" / "data"
NOW_NS = 1_700_000_000_000_000_000
SESSION_FRAMES = 200  # frames that one stream lives through
CANARY = "CANARY-7f3a/+secret=="


def payloads(folder: str, pattern: str = "*") -> list[bytes]:
    return [p.read_bytes() for p in sorted((DATA / folder).glob(pattern)) if p.is_file()]


def frame_of(data: bytes) -> bytes | str:
    """A quarter of the frames comes as text."""
    return data.decode(errors="replace") if len(data) % 4 == 0 else data


def whole(book: Any) -> None:
    """A book that is shown is not crossed."""
    bid, ask = book.best()
    if book.is_valid and bid and ask:
        assert Decimal(bid[0]) < Decimal(ask[0]), f"crossed: {bid} {ask}"


class Session:
    """Feeds one stream many frames, then a new one; its books are looked at now and then."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._left = 0
        self._stream: Any = None
        self._now = NOW_NS
        self.items: Counter[str] = Counter()  # so that a test can tell that parts are reached

    def __call__(self, data: bytes) -> None:
        if not self._left:
            self._stream, self._left = self._make(), SESSION_FRAMES
        self._left -= 1
        self._now += 10_000_000
        frame = frame_of(data)
        with contextlib.suppress(ParseError):  # a stream may tell a gap before it refuses
            for item in self._stream.received(frame, self._now):
                self.items[type(item).__name__] += 1
        if self._left % 16 == 0:
            for channel in getattr(self._stream, "_books", {}).values():
                whole(channel.book)
        if not self._left:
            list(self._stream.closed(self._now))


# -- OceanEx --------------------------------------------------------------------------------------


@cache
def oceanex_instruments() -> dict[str, VenueInstrument]:
    rate = FeeRate(type="relative", value=Decimal("0.001"))
    found = {}
    for market, name, price, size in (("ocevet", "OCE/VET", 8, 8), ("btcusdt", "BTC/USDT", 2, 6)):
        row = Market(id=market, name=name, price_precision=price, amount_precision=size)
        fees = [TradingFee(market=market, ask_fee=rate, bid_fee=rate)]
        built = oceanex_instrument(row, fees, "OCEANEX", NOW_NS)
        found[built.id] = built
    return found


def oceanex_stream() -> OceanexStream:
    stream = OceanexStream(OceanexOptions(), oceanex_instruments())
    for instrument in oceanex_instruments():
        for kind in (FeedKind.BOOK, FeedKind.TRADES, FeedKind.TICKER):
            stream.subscribe(Feed(kind, instrument))
    stream.opened(NOW_NS)
    return stream


def oceanex_frames() -> list[bytes]:
    frames = payloads("oceanex", "ws_*.json") + payloads("oceanex/extra_public", "*.json")
    levels = [[f"0.{n:04}", "1.5"] for n in range(40)]
    book = {"asks": levels[20:], "bids": levels[:20], "type": "global"}
    for data in (book, json.dumps(book)):
        frame = {"event": "update", "data": data, "channel": "market-ocevet-8-global"}
        frames.append(json.dumps(frame).encode())
    market = [f for f in frames if b"market-ocevet" in f]
    return frames + market * 6


_OCEANEX_ANSWERS = [
    getattr(oceanex_http, name)
    for name in (
        *("_markets", "_ticker", "_tickers_multi", "_tickers", "_order_book", "_order_books"),
        *("_trades", "_candles", "_fees", "_timestamp", "_keys", "_member", "_order", "_orders"),
        *("_rows", "_groups", "_withdrawal", "_withdrawals", "_deposit_address"),
        *("_deposit_addresses", "_deposits"),
    )
]
_OCEANEX_ID = InstrumentId.from_str("OCE_VET.OCEANEX")
_OCEANEX_BAR = BarType.from_str("OCE_VET.OCEANEX-1-MINUTE-LAST-EXTERNAL")
_OCEANEX_NUMBERS = Numbers(8, 8)
_STATUSES = (200, 200, 200, 400, 401, 404, 429, 500, 502, 302)


def oceanex_answer(data: bytes) -> None:
    which, _, data = data.partition(b" ")
    size = len(data)
    headers = {"retry-after": data[:6].decode("latin-1")} if size % 5 == 0 else {}
    answer = HttpResponse(status=_STATUSES[size % 10], headers=headers, body=data)
    raw = quiet(lambda: oceanex_http._opened(answer), VenueError)
    if raw is None:
        return
    decode = _OCEANEX_ANSWERS[_number(which) % len(_OCEANEX_ANSWERS)]
    value = quiet(lambda: decode(raw), ParseError)
    for row in value if isinstance(value, list) else [value]:
        quiet(lambda row=row: _oceanex_row(row), ParseError)


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) < 9 else 0


def answers(
    bodies: list[bytes], decoders: list[Any], opened: Callable[[bytes], Any]
) -> list[bytes]:
    """`<which decoder> <body>` for every decoder that takes the body, and one that does not."""
    found = []
    for number, body in enumerate(bodies):
        found.append(b"%d " % (number % len(decoders)) + body)
        for which, decode in enumerate(decoders):
            with contextlib.suppress(VenueError, ParseError):
                decode(opened(body))
                found.append(b"%d " % which + body)
    return found


def oceanex_answers() -> list[bytes]:
    bodies = payloads("oceanex", "rest_*") + payloads("oceanex", "err_*")
    return answers(bodies, _OCEANEX_ANSWERS, lambda body: oceanex.envelope(body).data)


def _oceanex_row(row: Any) -> None:
    kind = type(row).__name__
    if kind == "Order":
        order = oceanex.order(row, "OCE_VET.OCEANEX")
        assert 0 <= order.filled <= order.quantity
    elif kind == "OrderGroup":
        for each in row.orders:
            oceanex.order(each, "OCE_VET.OCEANEX")
    elif kind == "Member":
        oceanex.balances(row)
    elif kind == "Trade":
        oceanex.trade(row, _OCEANEX_ID, _OCEANEX_NUMBERS)
    elif kind == "Market":
        rate = FeeRate(type="relative", value=Decimal("0.001"))
        fees = [TradingFee(market=row.id, ask_fee=rate, bid_fee=rate)]
        oceanex_instrument(row, fees, "OCEANEX", NOW_NS)
    elif kind == "tuple":
        oceanex.bar(row, _OCEANEX_BAR, _OCEANEX_NUMBERS, 1)


# -- Poloniex -------------------------------------------------------------------------------------


@cache
def poloniex_instruments() -> Mapping[str, VenueInstrument]:
    rows = (DATA / "poloniex" / "recorded_markets.json").read_bytes()
    return venue_instruments(msgspec.json.decode(rows, type=list[ps.Market]), "POLONIEX", None)


_BTC = "BTC_USDT.POLONIEX"


def poloniex_public() -> PublicStream:
    stream = PublicStream(url="", venue="POLONIEX", instruments=poloniex_instruments())
    for instrument in poloniex_instruments():
        for kind in FeedKind:
            minutes = 1 if kind is FeedKind.BARS else 0
            stream.subscribe(Feed(kind, instrument, bar_minutes=minutes))
    stream.opened(0)
    return stream


def poloniex_private() -> PrivateStream:
    stream = PrivateStream(
        url="",
        key=Secret("k", "test"),
        secret=Secret("s", "test"),
        timestamp_ms=lambda: 1,
        names=poloniex.Names(venue="POLONIEX", size_precisions={"BTC_USDT": 6}),
        tracker=Tracker(),
        requests=TradeRequests(1.0),
    )
    stream.opened(0)
    return stream


def poloniex_frames() -> list[bytes]:
    frames = payloads("poloniex", "polo_ws_*.json")
    for line in (DATA / "poloniex" / "recorded_small.txt").read_bytes().splitlines():
        _, _, frame = line.partition(b": ")
        if frame.startswith(b"{"):
            frames.append(frame)
    for state in ("NORMAL", "PAUSE", "POST_ONLY"):
        row = {"symbol": "BTC_USDT", "state": state, "ts": 1}
        frames.append(json.dumps({"channel": "symbols", "data": [row]}).encode())
        exchange = {"MM": "ON" if state == "PAUSE" else "OFF", "POM": state == "POST_ONLY"}
        frames.append(json.dumps({"channel": "exchange", "data": [exchange]}).encode())
    return frames + [f for f in frames if b'"snapshot"' in f] * 3


_POLONIEX_ANSWERS = [
    answer for answer in vars(poloniex_http).values() if isinstance(answer, Answer)
]
_NAMES = poloniex.Names(venue="POLONIEX", size_precisions={"BTC_USDT": 6})
_BAR = BarType.from_str(f"{_BTC}-1-MINUTE-LAST-EXTERNAL")


@cache
def _btc() -> StreamInstrument:
    return StreamInstrument(poloniex_instruments()[_BTC])


def poloniex_answer(data: bytes) -> None:
    which, _, data = data.partition(b" ")
    poloniex_errors.http_error(400 + len(data) % 200, data)
    poloniex_errors.read_error_body(data)
    decode = _POLONIEX_ANSWERS[_number(which) % len(_POLONIEX_ANSWERS)]
    value = quiet(lambda: decode(data), ParseError)
    rows = value if isinstance(value, list) else [value]
    if rows and type(rows[0]).__name__ == "AccountBalances":
        poloniex.account_balances(rows)
    if rows and type(rows[0]).__name__ == "Market":
        venue_instruments([r for r in rows if isinstance(r, ps.Market)], "POLONIEX", None)
    for row in rows:
        quiet(lambda row=row: _poloniex_row(row), ParseError)


_POLONIEX_ROWS: dict[str, Callable[[Any], Any]] = {
    "Order": lambda row: poloniex.regular_order(row, _NAMES),
    "SmartOrder": lambda row: poloniex.smart_order(row, _NAMES),
    "Trade": lambda row: poloniex.account_fill(row, _NAMES),
    "PublicTrade": lambda row: poloniex.trade_tick(row, _btc(), 1),
    "Candle": lambda row: poloniex.bar(row, _btc(), _BAR, 1),
    "OrderBook": lambda row: poloniex.book_snapshot(row, _btc(), 1),
}


def _poloniex_row(row: Any) -> None:
    handle = _POLONIEX_ROWS.get(type(row).__name__)
    if handle is not None:
        handle(row)


def wire_id(data: bytes) -> None:
    text = data.decode(errors="replace")
    assert parse_wire_id(text).client_order_id in text


# -- recording ------------------------------------------------------------------------------------


def _records() -> list[RawRecord]:
    frames = poloniex_frames()[:12] + oceanex_frames()[:4]
    records = [
        RawRecord(NOW_NS + n, Direction.IN, "public#1", f, True) for n, f in enumerate(frames)
    ]
    records.append(
        RawRecord(
            NOW_NS,
            Direction.REQUEST,
            "http",
            b"a=1",
            exchange=1,
            method="POST",
            url="https://x/y",
            headers={"a": "b"},
        )
    )
    return records


def raw_corpus() -> list[bytes]:
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
    blocks = [
        pack_block(b"".join(map(pack_record, rows)), len(rows), NOW_NS, NOW_NS, compressor)
        for rows in ([each] for each in _records())
    ]
    return [*blocks, b"".join(blocks[:3]), b"".join(blocks)]


def sound_block(m: Mutator, data: bytes) -> bytes:
    """Damage behind sound checksums: a mutated record, packed again."""
    body = bytearray(msgspec.msgpack.encode(m.pick(_cached_records())))
    for _ in range(1 + m.below(3)):
        at = m.below(len(body))
        body[at : at + m.below(3)] = m.pick(
            [b"", b"\xff", b"\xc0", b"\x91" * 40, b"\xa1\xff", b"\xc1"]
        )
        body = body or bytearray(b"\xc0")
    if m.uniform() < 0.002:
        body += b"\x91" * m.pick([900, 10_000])
        body[0] = 0x9C
    record = len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little") + bytes(body)
    return pack_block(record, 1 + m.below(2), 0, 0, _COMPRESSOR) + (
        data if m.uniform() < 0.2 else b""
    )


_COMPRESSOR = zstandard.ZstdCompressor(level=1, write_checksum=True)
_cached_records = cache(_records)


def raw_file(folder: Path, data: bytes) -> None:
    path = folder / "1.fraw.zst"
    path.write_bytes(data)
    faults: list[RawFault] = []
    for record in read(path, faults.append):
        record.frame()
    assert all(0 <= fault.offset <= len(data) for fault in faults)
    verify(path)


_REDACTOR = Redactor([Secret(CANARY, "test")])


def redact(data: bytes) -> None:
    """Total, no secret is left, and a second time finds nothing new."""
    clean = _REDACTOR.payload(data)
    assert CANARY.encode() not in clean
    if len(data) % 8:
        return
    assert _REDACTOR.payload(clean) == clean
    text = data.decode(errors="replace")
    assert CANARY not in _REDACTOR.text(text)
    assert CANARY not in str(_REDACTOR.headers({"x-thing": text, text[:20]: "v"}))


def gap_file(folder: Path, data: bytes) -> None:
    path = folder / "gaps.jsonl"
    path.write_bytes(data)
    rows, unreadable = read_gaps(path)
    summarize(rows, unreadable)


def line_file(folder: Path, data: bytes) -> None:
    path = folder / "lines"
    path.write_bytes(data)

    def lines() -> None:
        for expected, (number, _) in enumerate(LineReader(path), 1):
            assert number == expected

    quiet(lines, Unreadable)


def binance_line(data: bytes) -> None:
    quiet(lambda: parse_line(data), Malformed, Other)


def exchange_info(folder: Path, data: bytes) -> None:
    path = folder / "exchangeInfo.json"
    path.write_bytes(data)
    quiet(lambda: read_listing(path, instrument_name), ImportFailed)


def binance_lines() -> list[bytes]:
    lines: list[bytes] = []
    for name in ("binance_spot_400.gz", "binance_usdm_400.gz"):
        text = gzip.decompress((DATA / "recording" / name).read_bytes())
        lines += [line for line in text.split(b"\n") if line][::5]
    return lines


# -- config ---------------------------------------------------------------------------------------


class ConfigFile:
    """Any text gives a config or problems with places inside of it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "run.toml"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT)

    def __call__(self, data: bytes) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, data, 0)
        try:
            load(self._path)
        except ConfigError as e:
            rows = data.count(b"\n") + 1
            told = str(e)
            assert CANARY not in told
            for problem in e.problems:
                assert 0 <= problem.line <= rows, problem


def toml_places(data: bytes) -> None:
    """The scanner follows whatever tomllib accepts, and finds every key of it."""
    text = data.decode(errors="replace")
    parse_key_path(text[:200])
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError):
        return
    try:
        lines = TomlLines(text)
    except RecursionError:
        return  # the loader reports it as a syntax it does not read
    for key in tree:
        assert lines.key((key,)) is not None, key


CONFIG_PIECES = [
    b'[run]\nname = "x"\nstate_dir = "state"\n',
    b'[[strategies]]\nid = "a"\nclass = "m:C"\n[strategies.params]\nx = 1\n',
    b'[venues.POLONIEX]\nadapter = "poloniex"\n[venues.POLONIEX.options]\n',
    b'[venues.OCEANEX]\nadapter = "oceanex"\n[venues.OCEANEX.credentials]\nkey = { env = "A" }\n',
    b'a.b = 1\na."c d" = [1, [2, {x = \'\'\'\n\'\'\'}]] # z\n[t]\n[[t.u]]\nq = """\n\\"x"""\n',
]


def config_corpus() -> list[bytes]:
    files = [p.read_bytes() for p in sorted((ROOT / "configs").glob("*.toml"))]
    return [*files, (DATA / "configs" / "full.toml").read_bytes(), *CONFIG_PIECES]


def targets(folder: Path) -> Iterator[Target]:
    """Every parser; those of files work in `folder`."""
    frames, public = oceanex_frames(), poloniex_frames()
    yield Target(name="oceanex-stream", corpus=frames, feed=Session(oceanex_stream))
    yield Target(
        name="oceanex-rest",
        corpus=oceanex_answers(),
        feed=oceanex_answer,
    )
    yield Target(name="poloniex-public", corpus=public, feed=Session(poloniex_public))
    yield Target(
        name="poloniex-private",
        corpus=payloads("poloniex", "polo_ws_*.json"),
        feed=Session(poloniex_private),
    )
    yield Target(
        name="poloniex-rest",
        corpus=answers(
            payloads("poloniex", "polo_rest_*.json"), _POLONIEX_ANSWERS, lambda body: body
        ),
        feed=poloniex_answer,
    )
    yield from piexgo_targets()
    samples = [path.read_bytes() for path in sorted(ZEROCAP_SAMPLES.glob("*.json"))]
    yield Target(name="zerocap", corpus=samples, feed=zerocap_feed, inputs=5_000)
    samples = [path.read_bytes() for path in sorted(MUDAWYL_SAMPLES.glob("*.json"))]
    yield Target(name="mudawyl", corpus=samples, feed=mudawyl_feed, inputs=5_000)
    yield Target(
        name="poloniex-id",
        corpus=[b"a1-b2_gte_r123_f0z", b"O-20200101", b"x_lte"],
        feed=wire_id,
        mutations=BINARY,
    )
    yield Target(
        name="raw-file",
        corpus=raw_corpus(),
        feed=partial(raw_file, folder),
        mutations=(sound_block, *BINARY),
        inputs=4_000,
    )
    yield Target(
        name="redact",
        corpus=[*frames, *public[:20], f"key={CANARY}&x=1".encode(), json.dumps(CANARY).encode()],
        feed=redact,
        mutations=(*JSON, *TEXT),
        tokens=(CANARY.encode(), b'name="key"\r\n\r\n', b"bearer ", b'\\"secret\\":\\"'),
        inputs=10_000,
    )
    gap = b'{"kind":"gap","instrument":"A.B","reason":"x","from_ns":1,"to_ns":2,"count":3}\n'
    yield Target(
        name="gaps",
        corpus=[gap, gap * 3],
        feed=partial(gap_file, folder),
        mutations=JSON_LINES,
        inputs=10_000,
    )
    lines = binance_lines()
    text = b"\n".join(lines[:20])
    yield Target(
        name="lines",
        corpus=[text[:3000], gzip.compress(text[:3000]), gzip.compress(b"a\nb") * 3, b""],
        feed=partial(line_file, folder),
        mutations=BINARY,
        inputs=10_000,
    )
    yield Target(name="binance-wire", corpus=lines, feed=binance_line, mutations=JSON_LINES)
    yield Target(
        name="exchange-info",
        corpus=[path.read_bytes() for path in sorted((DATA / "recording").glob("exchange_*"))],
        feed=partial(exchange_info, folder),
        mutations=JSON_LINES,
        inputs=5_000,
    )
    yield Target(
        name="config",
        corpus=config_corpus(),
        feed=ConfigFile(folder),
        mutations=TOML,
        inputs=300,
    )
    yield Target(
        name="toml-lines", corpus=config_corpus(), feed=toml_places, mutations=TOML, inputs=600
    )
    yield from state_targets(folder)
    yield from research_targets(folder)
    yield from importer_targets(folder)
