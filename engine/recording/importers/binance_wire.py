"""Lines of a Binance raw stream file: `<local_ns> <json>` of combined streams.

Depth changes (`depthUpdate`), trades (`trade`), best bid and ask (`bookTicker`) and REST depth
snapshots (`lastUpdateId`), of spot and of USD-M futures. Spot depth has no `pu`, its bookTicker
no `e`, `E`, `T`; that is how the market is known. Partial depth (`depth5`, `depth10`, `depth20`) is
not imported: on USD-M its messages are whole books in the form of changes. Prices and sizes become
raw: integers in units of 10 ** -DECIMALS_MAX.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec

from fairlead.engine.recording.importers.diffbook import Level, Top

NS_MIN = 10**18  # 2001; earlier local times are not nanoseconds
NS_MAX = 2**63 - 1
MS_MAX = NS_MAX // 1_000_000
US_MIN, US_MAX = 10**15, NS_MAX // 1_000  # 16 digits: a stream with timeUnit=MICROSECOND
DECIMALS_MAX = 16  # NautilusTrader's fixed-point precision
ONE = 10**DECIMALS_MAX  # raw
PRICE_MAX = 17_014_118_346_046  # NautilusTrader's largest, whole units
SIZE_MAX = 34_028_236_692_093
LEVELS_MAX = 50_000  # of one message and side
_NUMBER = re.compile(r"([0-9]{1,17})(?:\.([0-9]{1,30}))?")
_STREAM = re.compile(rb'([A-Za-z0-9_]{0,40})@(depth|trade|bookTicker)(?:@[0-9]{1,5}ms)?"')
_CHANNEL = re.compile(r"(?:depth|trade|bookTicker)(?:@[0-9]{1,5}ms)?")
COIN_SUFFIX = "_PERP"
KNOWN_MAX = 200_000  # texts remembered of each kind
_SYMBOLS_MAX = 1_000

_Text = tuple[str, str]


class Malformed(Exception):
    """A line that is not one of a Binance stream file; symbol and kind are its stream's, where it
    has one."""

    symbol = ""
    kind = ""
    is_blank = False  # nothing was in it
    ts_event = 0


class TooLarge(Malformed):
    """A line as it should be, of a number that NautilusTrader can't hold."""


class Other(Exception):
    """A well-formed line of a kind that is not imported; the text names it."""

    ts_event = 0


class Market(StrEnum):
    SPOT = "spot"
    USDM = "usdm"
    COINM = "coinm"


class Depth(msgspec.Struct, frozen=True, gc=False):
    symbol: str
    market: Market
    previous: int  # id of the update before this message's first
    last: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    ts_event: int


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """A REST depth answer; it names no symbol."""

    last: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    ts_event: int  # 0 on spot, which has no time in it


class Trade(msgspec.Struct, frozen=True, gc=False):
    symbol: str
    market: Market
    id: int
    price: int
    size: int
    buyer_is_maker: bool
    on_book: bool  # False for insurance fund and auto-deleveraging trades
    ts_event: int


class Ticker(Top, frozen=True, gc=False):
    symbol: str
    market: Market
    ts_event: int  # 0 on spot, which has no time in it


Event = Depth | Snapshot | Trade | Ticker


class _Data(msgspec.Struct, gc=False):
    e: str = ""
    E: int = 0
    T: int = 0
    s: str = ""
    U: int = -1
    u: int = -1
    pu: int | None = None
    b: str | list[_Text] = ""
    a: str | list[_Text] = ""
    B: str = ""
    A: str = ""
    t: int = -1
    p: str = ""
    q: str = ""
    m: bool | None = None
    X: str | None = None


class _Line(msgspec.Struct, kw_only=True, gc=False):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    lastUpdateId: int = -1
    bids: list[_Text] = []
    asks: list[_Text] = []
    E: int = 0
    T: int = 0
    e: str = ""


class _Combined(_Line, kw_only=True, gc=False):
    """The usual line, of a stream whose data is as above: decoded in one go."""

    data: _Data  # type: ignore[assignment]


class Numbers(dict[str, int]):
    """The raw number of each text, made when first asked for: files repeat their numbers.

    `decimals`: the most of any that was asked for. Raises Malformed for a text that is no number,
    or too fine; TooLarge for `most` whole units and more.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most * ONE
        self.decimals = 0
        self.finest = ""  # the first text of so many
        self.noise = 0  # numbers of one reading that stood for another decimal (`floats`)

    def __missing__(self, text: str) -> int:
        whole, fraction = parts(text)
        raw = int(whole + fraction.ljust(DECIMALS_MAX, "0"))
        if raw >= self._most:
            most = self._most // ONE
            raise TooLarge(f"{text[:40]} is more than NautilusTrader can hold ({most})")
        if len(self) >= KNOWN_MAX:
            self.clear()
        if len(fraction) > self.decimals:
            self.decimals, self.finest = len(fraction), text
        self[text] = raw
        return raw


class SymbolNumbers:
    """Prices and sizes of one symbol's lines, malformed ones included."""

    def __init__(self, numbers: type[Numbers] = Numbers) -> None:
        self.prices = numbers(PRICE_MAX)
        self.sizes = numbers(SIZE_MAX)

    @property
    def decimals(self) -> tuple[int, int]:
        """The most of a price, and of a size."""
        return self.prices.decimals, self.sizes.decimals

    @property
    def noise(self) -> int:
        return self.prices.noise + self.sizes.noise

    def begin(self) -> None:
        """The file is read once more: what was counted is counted again."""
        self.prices.noise = self.sizes.noise = 0

    def levels(self, texts: Sequence[_Text]) -> list[Level]:
        """Raises Malformed."""
        if len(texts) > LEVELS_MAX:
            raise Malformed(f"{len(texts)} levels on one side, more than {LEVELS_MAX}")
        prices, sizes = self.prices, self.sizes
        return [(prices[price], sizes[size]) for price, size in texts]


def parts(number: str) -> tuple[str, str]:
    """Digits before the point, and the significant ones after it. Raises Malformed."""
    match = _NUMBER.fullmatch(number)
    if match is None:
        if number.startswith("-") and _NUMBER.fullmatch(number, 1):
            raise Malformed(f"a number above 0 expected, {number[:40]!r} received")
        raise Malformed(f"{number[:40]!r} is not a decimal number")
    whole, fraction = match.groups("")
    fraction = fraction.rstrip("0")
    if len(fraction) > DECIMALS_MAX:
        raise Malformed(f"{number[:40]!r} has more than {DECIMALS_MAX} decimals")
    return whole, fraction


def decimals(raw: int) -> int:
    """Significant decimals of a raw number."""
    return len(f"{raw % ONE:0{DECIMALS_MAX}}".rstrip("0"))


_combined = msgspec.json.Decoder(_Combined)
_line = msgspec.json.Decoder(_Line)
_data = msgspec.json.Decoder(_Data)


def parse_line(line: bytes | None) -> tuple[int, Event]:
    """One line, whatever came before it. See `Parser.line`."""
    return Parser().line(line)


def stream_of(line: bytes | None) -> tuple[str, str]:
    """Symbol and channel of a line that cannot be read, as far as it looks like one."""
    found = None if line is None else _STREAM.search(line, 0, 256)
    return ("", "") if found is None else (found[1].decode().upper(), found[2].decode())


def _ns(time: int) -> int:
    """Of milliseconds, or microseconds: their magnitudes are far apart."""
    if 0 <= time <= MS_MAX:
        return time * 1_000_000
    if US_MIN <= time <= US_MAX:
        return time * 1_000
    raise Malformed(f"time {time} is not in milliseconds, nor in microseconds")


def need_ns(time: int) -> int:
    """Raises Malformed for a time that is none."""
    if time <= 0:
        raise Malformed("an exchange time `T` or `E` is needed")
    return _ns(time)


def _futures(symbol: str) -> Market:
    """Symbols of COIN-M have a suffix, of which that of deliveries is a date."""
    return Market.COINM if symbol.endswith(COIN_SUFFIX) else Market.USDM


class Parser:
    """Lines of one file; what it remembers is bounded, and makes them faster, not different."""

    def __init__(self) -> None:
        self._streams: dict[str, str] = {}  # the channel of each
        self._numbers: dict[str, SymbolNumbers] = {}  # of symbols that are good
        self._unnamed = SymbolNumbers()  # of snapshots, and of trades that are not on the book

    def line(self, line: bytes | None) -> tuple[int, Event]:
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
            return local_ns, self._uncommon(text)  # which says what it is, or what is wrong
        return local_ns, self._event(combined.stream, combined.data)

    def numbers(self, symbol: str) -> SymbolNumbers:
        """Raises Malformed or Other where it is no symbol."""
        found = self._numbers.get(symbol)
        if found is None:
            if not (1 <= len(symbol) <= 40 and symbol.replace("_", "").isalnum()):
                raise Malformed("a symbol `s` is needed")
            if not symbol.isascii():
                raise Other(f"symbol {symbol} is not supported (not ASCII)")
            found = SymbolNumbers()
            if len(self._numbers) < _SYMBOLS_MAX:
                self._numbers[symbol] = found
        return found

    def decimals(self) -> Iterator[tuple[str, int, int]]:
        """Of each symbol, the most so far of a price, and of a size."""
        for symbol, numbers in self._numbers.items():
            yield symbol, *numbers.decimals

    def _uncommon(self, text: bytes) -> Event:
        """Of a line that is no combined one with the data that is known here."""
        try:
            outer = _line.decode(text)
            if not bytes(outer.data):
                return self._bare(outer)
            self._channel(outer.stream)  # before the data of one that is not imported
            return self._event(outer.stream, _data.decode(outer.data))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
            raise Malformed(str(e)) from e

    def _bare(self, outer: _Line) -> Snapshot:
        if outer.lastUpdateId < 0:
            raise Other(outer.e or "control")
        levels = self._unnamed.levels
        ts_event = _ns(outer.T or outer.E)
        return Snapshot(outer.lastUpdateId, levels(outer.bids), levels(outer.asks), ts_event)

    def _channel(self, stream: str) -> str:
        """Raises Malformed where there is none, Other for one that is not imported."""
        if not stream:
            raise Malformed("a combined stream line needs `stream`")
        channel = stream.partition("@")[2]
        if _CHANNEL.fullmatch(channel) is None:  # `depth20`: whole books that look like changes
            raise Other(channel or stream)
        if len(self._streams) < KNOWN_MAX:
            self._streams[stream] = channel
        return channel

    def _event(self, stream: str, data: _Data) -> Event:
        channel = self._streams.get(stream) or self._channel(stream)
        kind = data.e
        if kind == "bookTicker" or (not kind and channel.startswith("bookTicker")):
            return self._ticker(data)
        if kind == "depthUpdate":
            return self._depth(data)
        if kind == "trade":
            return self._trade(data)
        raise Other(data.e or channel)

    def _depth(self, data: _Data) -> Depth:
        numbers = self._numbers.get(data.s) or self.numbers(data.s)
        bids, asks = data.b, data.a
        if not isinstance(bids, list) or not isinstance(asks, list):
            raise Malformed("depthUpdate needs lists `b` and `a`")
        if not 0 <= data.U <= data.u:
            raise Malformed("depthUpdate needs update ids 0 <= `U` <= `u`")
        levels = (numbers.levels(bids), numbers.levels(asks))
        market = Market.SPOT if data.pu is None else _futures(data.s)
        previous = data.U - 1 if data.pu is None else data.pu
        return Depth(data.s, market, previous, data.u, *levels, need_ns(data.T or data.E))

    def _trade(self, data: _Data) -> Trade:
        numbers = self._numbers.get(data.s) or self.numbers(data.s)
        if data.t < 0 or data.m is None:
            raise Malformed("trade needs `t` and `m`")
        on_book = data.X is None or data.X == "MARKET"
        if not on_book:
            numbers = self._unnamed  # not imported
        price, size = numbers.prices[data.p], numbers.sizes[data.q]
        on_book = on_book and price != 0 and size != 0
        market = Market.SPOT if data.X is None else _futures(data.s)
        ts_event = need_ns(data.T or data.E)
        return Trade(data.s, market, data.t, price, size, data.m, on_book, ts_event)

    def _ticker(self, data: _Data) -> Ticker:
        numbers = self._numbers.get(data.s) or self.numbers(data.s)
        bid, ask = data.b, data.a
        if not isinstance(bid, str) or not isinstance(ask, str) or data.u < 0:
            raise Malformed("bookTicker needs `u`, and text `b` and `a`")
        prices, sizes = numbers.prices, numbers.sizes
        bid_level, ask_level = (prices[bid], sizes[data.B]), (prices[ask], sizes[data.A])
        market = _futures(data.s) if data.e else Market.SPOT
        return Ticker(data.u, bid_level, ask_level, data.s, market, _ns(data.T or data.E))
