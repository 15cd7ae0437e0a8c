"""Lines of a Binance raw stream file: `<local_ns> <json>` of combined streams.

Depth changes (`depthUpdate`), trades (`trade`), best bid and ask (`bookTicker`) and REST depth
snapshots (`lastUpdateId`), of spot and of USD-M futures. Spot depth has no `pu`, its bookTicker
no `e`, `E`, `T`; that is how the market is known. Prices and sizes stay text here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

import msgspec

NS_MIN = 10**18  # 2001; earlier local times are not nanoseconds
NS_MAX = 2**63 - 1
MS_MAX = NS_MAX // 1_000_000
US_MIN, US_MAX = 10**15, NS_MAX // 1_000  # 16 digits: a stream with timeUnit=MICROSECOND
DECIMALS_MAX = 16  # NautilusTrader's fixed-point precision
PRICE_MAX = 17_014_118_346_046  # NautilusTrader's largest, whole units
SIZE_MAX = 34_028_236_692_093
LEVELS_MAX = 50_000  # of one message and side
_NUMBER = re.compile(r"([0-9]{1,17})(?:\.([0-9]{1,30}))?")
_STREAM = re.compile(rb"@(depth|trade|bookTicker)")
_CHANNELS = ("depth", "trade", "bookTicker")
_KNOWN_MAX = 200_000  # texts remembered as good

Level = tuple[str, str]


class Malformed(Exception):
    """A line that is not one of a Binance stream file; `kind` is its stream's, where it has one."""

    kind = ""


class TooLarge(Malformed):
    """A line as it should be, of a number that NautilusTrader can't hold."""


class Other(Exception):
    """A well-formed line of a kind that is not imported; the text names it."""


class Market(StrEnum):
    SPOT = "spot"
    USDM = "usdm"


class Depth(msgspec.Struct, frozen=True):
    symbol: str
    market: Market
    previous: int  # id of the update before this message's first
    last: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    ts_event: int


class Snapshot(msgspec.Struct, frozen=True):
    """A REST depth answer; it names no symbol."""

    last: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    ts_event: int  # 0 on spot, which has no time in it


class Trade(msgspec.Struct, frozen=True):
    symbol: str
    market: Market
    id: int
    price: str
    size: str
    buyer_is_maker: bool
    on_book: bool  # False for insurance fund and auto-deleveraging trades
    ts_event: int


class Ticker(msgspec.Struct, frozen=True):
    symbol: str
    market: Market
    last: int
    bid: Level
    ask: Level
    ts_event: int  # 0 on spot, which has no time in it


Event = Depth | Snapshot | Trade | Ticker


class _Data(msgspec.Struct):
    e: str = ""
    E: int = 0
    T: int = 0
    s: str = ""
    U: int = -1
    u: int = -1
    pu: int | None = None
    b: str | list[Level] = ""
    a: str | list[Level] = ""
    B: str = ""
    A: str = ""
    t: int = -1
    p: str = ""
    q: str = ""
    m: bool | None = None
    X: str | None = None


class _Line(msgspec.Struct, kw_only=True):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    lastUpdateId: int = -1
    bids: list[Level] = []
    asks: list[Level] = []
    E: int = 0
    T: int = 0
    e: str = ""


class _Combined(_Line, kw_only=True):
    """The usual line, of a stream whose data is as above: decoded in one go."""

    data: _Data  # type: ignore[assignment]


_symbols: set[str] = set()
_streams: dict[str, str] = {}  # the channel of each
_prices: dict[str, int] = {}  # number texts that are good, and their significant decimals
_sizes: dict[str, int] = {}
_combined = msgspec.json.Decoder(_Combined)
_line = msgspec.json.Decoder(_Line)
_data = msgspec.json.Decoder(_Data)


def parse_line(line: bytes | None) -> tuple[int, Event]:
    """Local nanoseconds and event of one line. Raises Malformed or Other, nothing else."""
    if line is None:
        raise Malformed("the line is longer than the limit")
    stamp, _, text = line.partition(b" ")
    local_ns = int(stamp) if stamp.isdigit() and len(stamp) <= 19 else 0
    if not NS_MIN <= local_ns <= NS_MAX:
        raise Malformed("it does not begin with a local time in nanoseconds and a space")
    try:
        combined = _combined.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return local_ns, _uncommon(text)  # which says what it is, or what is wrong
    return local_ns, _event(combined.stream, combined.data)


def kind_of(line: bytes | None) -> str:
    """What a line that cannot be read looks like: a channel, or nothing."""
    found = None if line is None else _STREAM.search(line, 0, 256)
    return "" if found is None else found[1].decode()


def _uncommon(text: bytes) -> Event:
    """Of a line that is no combined one with the data that is known here."""
    try:
        outer = _line.decode(text)
        if not bytes(outer.data):
            return _bare(outer)
        _channel(outer.stream)  # before the data of one that is not imported
        return _event(outer.stream, _data.decode(outer.data))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise Malformed(str(e)) from e


def _bare(outer: _Line) -> Snapshot:
    if outer.lastUpdateId < 0:
        raise Other(outer.e or "control")
    _check_levels(outer.bids, outer.asks)
    return Snapshot(outer.lastUpdateId, outer.bids, outer.asks, _ns(outer.T or outer.E))


def _channel(stream: str) -> str:
    """Raises Malformed where there is none, Other for one that is not imported."""
    channel = _streams.get(stream)
    if channel is None:
        if not stream:
            raise Malformed("a combined stream line needs `stream`")
        channel = stream.partition("@")[2]
        if not channel.startswith(_CHANNELS):
            raise Other(channel or stream)
        if len(_streams) < _KNOWN_MAX:
            _streams[stream] = channel
    return channel


def _event(stream: str, data: _Data) -> Event:
    channel = _channel(stream)
    kind = data.e
    if kind == "bookTicker" or (not kind and channel == "bookTicker"):
        return _ticker(data)
    if kind == "depthUpdate":
        return _depth(data)
    if kind == "trade":
        return _trade(data)
    raise Other(data.e or channel)


def _depth(data: _Data) -> Depth:
    if data.s not in _symbols:
        _check_symbol(data.s)
    bids, asks = data.b, data.a
    if not isinstance(bids, list) or not isinstance(asks, list):
        raise Malformed("depthUpdate needs lists `b` and `a`")
    if not 0 <= data.U <= data.u:
        raise Malformed("depthUpdate needs update ids 0 <= `U` <= `u`")
    _check_levels(bids, asks)
    market = Market.SPOT if data.pu is None else Market.USDM
    previous = data.U - 1 if data.pu is None else data.pu
    ts_event = _need_ns(data.T or data.E)
    return Depth(data.s, market, previous, data.u, bids, asks, ts_event)


def _trade(data: _Data) -> Trade:
    if data.s not in _symbols:
        _check_symbol(data.s)
    if data.t < 0 or data.m is None:
        raise Malformed("trade needs `t` and `m`")
    if data.p not in _prices or data.q not in _sizes:
        _check_numbers((data.p,), _prices, PRICE_MAX)
        _check_numbers((data.q,), _sizes, SIZE_MAX)
    market = Market.SPOT if data.X is None else Market.USDM
    on_book = data.X in (None, "MARKET") and not _is_zero(data.p) and not _is_zero(data.q)
    ts_event = _need_ns(data.T or data.E)
    return Trade(data.s, market, data.t, data.p, data.q, data.m, on_book, ts_event)


def _ticker(data: _Data) -> Ticker:
    if data.s not in _symbols:
        _check_symbol(data.s)
    if not isinstance(data.b, str) or not isinstance(data.a, str) or data.u < 0:
        raise Malformed("bookTicker needs `u`, and text `b` and `a`")
    bid, ask = data.b, data.a
    if bid not in _prices or ask not in _prices:
        _check_numbers((bid, ask), _prices, PRICE_MAX)
    if data.B not in _sizes or data.A not in _sizes:
        _check_numbers((data.B, data.A), _sizes, SIZE_MAX)
    market = Market.USDM if data.e else Market.SPOT
    return Ticker(data.s, market, data.u, (bid, data.B), (ask, data.A), _ns(data.T or data.E))


def _check_symbol(symbol: str) -> None:
    if not (1 <= len(symbol) <= 40 and symbol.replace("_", "").isalnum()):
        raise Malformed("a symbol `s` is needed")
    if not symbol.isascii():
        raise Other(f"symbol {symbol} is not supported (not ASCII)")
    if len(_symbols) < _KNOWN_MAX:
        _symbols.add(symbol)


def _check_levels(*sides: Sequence[Level]) -> None:
    for levels in sides:
        if not levels:
            continue
        if len(levels) > LEVELS_MAX:
            raise Malformed(f"{len(levels)} levels on one side, more than {LEVELS_MAX}")
        new = [
            (price, size) for price, size in levels if price not in _prices or size not in _sizes
        ]
        if new:
            prices, sizes = zip(*new, strict=True)
            _check_numbers(prices, _prices, PRICE_MAX)
            _check_numbers(sizes, _sizes, SIZE_MAX)


def _check_numbers(texts: Sequence[str], known: dict[str, int], most: int) -> None:
    """Raise Malformed where one is not a number, too fine, or as large as `most`.

    Files repeat their numbers: those seen before are known to be good.
    """
    for text in sorted(set(texts).difference(known)):
        whole, fraction = _parts(text)
        if int(whole) >= most:
            raise TooLarge(f"{text[:40]} is more than NautilusTrader can hold ({most})")
        if len(known) >= _KNOWN_MAX:
            known.clear()
        known[text] = len(fraction)


def _ns(time: int) -> int:
    """Of milliseconds, or microseconds: their magnitudes are far apart."""
    if 0 <= time <= MS_MAX:
        return time * 1_000_000
    if US_MIN <= time <= US_MAX:
        return time * 1_000
    raise Malformed(f"time {time} is not in milliseconds, nor in microseconds")


def _need_ns(time: int) -> int:
    if time <= 0:
        raise Malformed("an exchange time `T` or `E` is needed")
    return _ns(time)


def _is_zero(number: str) -> bool:
    return not number.strip("0.")


def decimals(number: str) -> int:
    """Significant decimals of a price or size text. Raises Malformed."""
    found = _sizes.get(number)
    if found is None:
        found = _prices.get(number)
    return len(_parts(number)[1]) if found is None else found


def _parts(number: str) -> tuple[str, str]:
    """Digits before the point, and the significant ones after it. Raises Malformed."""
    match = _NUMBER.fullmatch(number)
    if match is None:
        raise Malformed(f"{number[:40]!r} is not a decimal number")
    whole, fraction = match.groups("")
    fraction = fraction.rstrip("0")
    if len(fraction) > DECIMALS_MAX:
        raise Malformed(f"{number[:40]!r} has more than {DECIMALS_MAX} decimals")
    return whole, fraction
